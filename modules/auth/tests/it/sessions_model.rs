//! Whatever clients, thieves and the network do to a session, in whatever order: a token is taken once, what nobody waited for has not
//! happened, and nothing of an ended session is good for anything.

use filament_test_support::on_both_databases;
use futures_util::future::join_all;

use crate::{
    harness::{Server, Session, Site, unauthenticated},
    sessions::give_up_after,
    several_servers::until_refused,
};

/// A small generator of decisions: a failing run is repeated by its seed.
pub(crate) struct Choices(pub(crate) u64);

impl Choices {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // splitmix64 (Steele, Lea and Flood, 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// Nothing of an ended session is good for anything, on any server.
async fn is_over(servers: &[&Server], issued: &[Session], seed: u64) {
    for server in servers {
        for session in issued {
            assert_eq!(
                server.me(&session.access_token).await,
                Err(unauthenticated()),
                "seed {seed}"
            );
            assert_eq!(
                server.refresh(&session.refresh_token).await,
                Err(unauthenticated()),
                "seed {seed}"
            );
            assert_eq!(
                server.log_out(&session.refresh_token).await,
                Err(unauthenticated()),
                "seed {seed}"
            );
        }
    }
}

on_both_databases!(
    one_after_the_other_a_session_does_what_its_model_does,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        server.person("ada").await;
        for seed in 0..60 {
            let mut choices = Choices(seed);
            let mut issued = vec![
                server
                    .log_in("ada", crate::harness::PASSWORD)
                    .await
                    .expect("logged in"),
            ];
            let mut live = true;
            for _ in 0..12 {
                let at = choices.below(issued.len());
                let newest = at == issued.len() - 1;
                let token = issued[at].refresh_token.clone();
                if choices.below(4) == 0 {
                    // Somebody gives up. Whatever came of it, presenting the same token comes to what it would have come to before.
                    let refresh = server.refresh(&token);
                    if let Some(Ok(next)) = give_up_after(choices.below(4), refresh).await {
                        assert!(live && newest, "seed {seed}");
                        issued.push(next);
                        continue;
                    }
                }
                if choices.below(8) == 0 {
                    let answer = server.log_out(&token).await;
                    assert_eq!(answer.is_ok(), live && newest, "seed {seed}");
                    live = false;
                } else {
                    let answer = server.refresh(&token).await;
                    assert_eq!(answer.is_ok(), live && newest, "seed {seed}");
                    match answer {
                        Ok(next) => issued.push(next),
                        Err(refusal) => {
                            assert_eq!(refusal, unauthenticated(), "seed {seed}");
                            live = false;
                        }
                    }
                }
                let good = server
                    .me(&issued[choices.below(issued.len())].access_token)
                    .await;
                assert_eq!(good.is_ok(), live, "seed {seed}");
            }
            if !live {
                is_over(&[&server], &issued, seed).await;
            }
        }
    }
);

on_both_databases!(
    all_at_once_a_token_is_taken_once_and_an_end_is_an_end,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        server.person("ada").await;
        for seed in 0..40 {
            let mut choices = Choices(1_000 + seed);
            let mut issued = vec![
                server
                    .log_in("ada", crate::harness::PASSWORD)
                    .await
                    .expect("logged in"),
            ];
            for _ in 0..choices.below(3) {
                let newest = issued[issued.len() - 1].refresh_token.clone();
                issued.push(server.refresh(&newest).await.expect("refreshed"));
            }
            let newest = issued.len() - 1;
            // Each presents one token, most of them the newest; some log out with it.
            let acts: Vec<(usize, bool)> = (0..2 + choices.below(6))
                .map(|_| {
                    let at = if choices.below(6) == 0 {
                        choices.below(issued.len())
                    } else {
                        newest
                    };
                    (at, choices.below(4) == 0)
                })
                .collect();
            let answers = join_all(acts.iter().map(|&(at, logs_out)| {
                let token = issued[at].refresh_token.clone();
                let server = &server;
                async move {
                    if logs_out {
                        server.log_out(&token).await.map(|()| None)
                    } else {
                        server.refresh(&token).await.map(Some)
                    }
                }
            }))
            .await;
            let taken = answers.iter().filter(|answer| answer.is_ok()).count();
            assert!(taken <= 1, "seed {seed}: {taken} of {acts:?}");
            for refusal in answers.iter().filter_map(|answer| answer.as_ref().err()) {
                assert_eq!(*refusal, unauthenticated(), "seed {seed}");
            }
            issued.extend(answers.into_iter().flatten().flatten());
            // There were two at least, and one could be taken: the other ended the session.
            is_over(&[&server], &issued, seed).await;
        }
    }
);

on_both_databases!(two_servers_keep_one_truth, async |backend| {
    let site = Site::new(backend).await;
    let (one, other) = (site.server().await.start(), site.server().await.start());
    one.person("ada").await;
    for seed in 0..5 {
        let session = one
            .log_in("ada", crate::harness::PASSWORD)
            .await
            .expect("logged in");
        let token = &session.refresh_token;
        let (here, there) = tokio::join!(one.refresh(token), other.refresh(token));
        assert!(here.is_err() || there.is_err(), "seed {seed}");
        let issued: Vec<Session> = [Some(session), here.ok(), there.ok()]
            .into_iter()
            .flatten()
            .collect();
        for server in [&one, &other] {
            until_refused(server, &issued[0]).await;
        }
        is_over(&[&one, &other], &issued, seed).await;
    }
});

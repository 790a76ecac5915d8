//! Servers that share a database: those of a cluster, an instance and the one that replaces it, and one before and after a restart.

use std::time::{Duration, Instant};

use filament_kernel::config::Secret;
use filament_test_support::on_both_databases;

use crate::harness::{Server, Session, Site, unauthenticated};

/// How long it takes until a server knows that a session has ended.
pub(crate) async fn until_refused(server: &Server, session: &Session) -> Duration {
    let started = Instant::now();
    while server.authenticate(&session.access_token).await.is_some() {
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "it never hears of it"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

on_both_databases!(tokens_survive_a_restart, async |backend| {
    let site = Site::new(backend).await;
    let session = site.server().await.person("ada").await;
    let restarted = site.server().await;
    assert!(restarted.me(&session.access_token).await.is_ok());
    assert!(restarted.refresh(&session.refresh_token).await.is_ok());
});

on_both_databases!(a_log_out_survives_a_restart, async |backend| {
    let site = Site::new(backend).await;
    let server = site.server().await;
    let session = server.person("ada").await;
    server
        .log_out(&session.refresh_token)
        .await
        .expect("logged out");
    drop(server);
    let restarted = site.server().await;
    assert_eq!(
        restarted.me(&session.access_token).await,
        Err(unauthenticated())
    );
});

on_both_databases!(
    a_log_out_on_one_server_reaches_the_others_and_their_sockets,
    async |backend| {
        let site = Site::new(backend).await;
        let one = site.server().await.start();
        let other = site.server().await.start();
        let ada = one.person("ada").await;
        let bob = one.person("bob").await;
        assert!(other.me(&ada.access_token).await.is_ok());
        one.log_out(&ada.refresh_token).await.expect("logged out");
        let took = until_refused(&other, &ada).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(other.gateway.ended(), [ada.id()]);
        assert!(other.me(&bob.access_token).await.is_ok());

        let replayed = bob.refresh_token.clone();
        let bob = other.refresh(&bob.refresh_token).await.expect("refreshed");
        assert_eq!(other.refresh(&replayed).await, Err(unauthenticated()));
        until_refused(&one, &bob).await;
    }
);

on_both_databases!(
    what_an_instance_ends_while_its_successor_is_prepared_is_not_forgotten,
    async |backend| {
        let site = Site::new(backend).await;
        let old = site.server().await.start();
        let session = old.person("ada").await;
        let prepared = site.server().await;
        old.log_out(&session.refresh_token)
            .await
            .expect("logged out");
        let new = prepared.start();
        until_refused(&new, &session).await;
    }
);

on_both_databases!(a_new_key_reads_what_the_previous_made, async |backend| {
    let site = Site::new(backend).await;
    let (old_key, new_key) = ("11".repeat(32), "22".repeat(32));
    let keys = |current: &str, previous: &str| {
        let set = |text: &str| (!text.is_empty()).then(|| Secret::new(text));
        let (current, previous) = (set(current), set(previous));
        move |config: &mut filament_auth::Config| {
            config.token_key = current;
            config.token_keys_previous = previous;
        }
    };
    let before = site
        .server_with(keys(&old_key, ""))
        .await
        .person("ada")
        .await;
    let changed = site.server_with(keys(&new_key, &old_key)).await;
    assert!(changed.me(&before.access_token).await.is_ok());
    let after = changed
        .refresh(&before.refresh_token)
        .await
        .expect("refreshed");
    let forgotten = site.server_with(keys(&new_key, "")).await;
    assert_eq!(
        forgotten.me(&before.access_token).await,
        Err(unauthenticated())
    );
    assert!(forgotten.me(&after.access_token).await.is_ok());
    assert!(
        !site.data.path().join("auth").exists(),
        "no key was made, as one was given"
    );
});

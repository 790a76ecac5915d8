//! Whatever owners, thieves and the operator do to an account at the same time: what was ended is dead, a token is taken once, and no
//! session is alive that was opened with a password that is not the password any more.

use std::collections::BTreeMap;

use filament_kernel::id::SessionId;
use filament_test_support::on_both_databases;
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    harness::{Refusal, Server, Session, Site, unauthenticated},
    sessions_model::Choices,
};

/// What somebody does. Tokens and sessions are named by where they stand among all tokens that were ever issued.
#[derive(Debug, Clone)]
enum Act {
    LogIn { password: String },
    Refresh { token: usize },
    LogOut { token: usize },
    EndOne { by: usize, target: usize },
    EndOthers { by: usize },
    ChangePassword { by: usize, to: String },
    Reset { to: String },
    Disable,
    Enable,
}

/// What came of it.
type Outcome = Result<Option<Session>, Refusal>;

/// What must be true of a session, as far as a model can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Alive,
    /// Its end and something that saved it happened at the same time.
    Either,
    Dead,
}

/// An account as its model knows it between two rounds.
struct Model {
    name: String,
    password: String,
    disabled: bool,
    /// All tokens that were ever issued.
    issued: Vec<Session>,
    sessions: BTreeMap<SessionId, Fate>,
}

impl Model {
    async fn new(server: &Server, name: String) -> Self {
        let session = server.person(&name).await;
        Self {
            name,
            password: crate::harness::PASSWORD.to_string(),
            disabled: false,
            sessions: [(session.id(), Fate::Alive)].into(),
            issued: vec![session],
        }
    }

    /// Some acts that are done at the same time. One of them at most changes the password, and one switches the account.
    fn round(&self, choices: &mut Choices, round: usize) -> Vec<Act> {
        let any = |choices: &mut Choices| choices.below(self.issued.len());
        let mut acts: Vec<Act> = (0..2 + choices.below(4))
            .map(|_| match choices.below(9) {
                0..=2 => Act::LogIn {
                    password: self.password.clone(),
                },
                3..=5 => Act::Refresh {
                    token: any(choices),
                },
                6 => Act::LogOut {
                    token: any(choices),
                },
                7 => Act::EndOne {
                    by: any(choices),
                    target: any(choices),
                },
                _ => Act::EndOthers { by: any(choices) },
            })
            .collect();
        let to = format!("password of round {round}");
        match choices.below(4) {
            0 => acts.push(Act::ChangePassword {
                by: any(choices),
                to,
            }),
            1 => acts.push(Act::Reset { to }),
            _ => {}
        }
        match choices.below(4) {
            0 if !self.disabled => acts.push(Act::Disable),
            0..=2 if self.disabled => acts.push(Act::Enable),
            _ => {}
        }
        // Who comes first is decided by the order too.
        for at in (1..acts.len()).rev() {
            acts.swap(at, choices.below(at + 1));
        }
        acts
    }

    async fn act(&self, server: &Server, act: &Act) -> Outcome {
        let name = &self.name;
        match act {
            Act::LogIn { password } => server.log_in(name, password).await.map(Some),
            Act::Refresh { token } => {
                let token = &self.issued[*token].refresh_token;
                server.refresh(token).await.map(Some)
            }
            Act::LogOut { token } => {
                let token = &self.issued[*token].refresh_token;
                server.log_out(token).await.map(|()| None)
            }
            Act::EndOne { by, target } => {
                let target = self.issued[*target].id();
                let ended = server.end_session(&self.issued[*by], target).await;
                ended.map(|()| None)
            }
            Act::EndOthers { by } => {
                let ended = server.end_others(&self.issued[*by]).await;
                ended.map(|()| None)
            }
            Act::ChangePassword { by, to } => {
                let by = &self.issued[*by];
                let changed = server.change_password(by, &self.password, to).await;
                changed.map(|()| None)
            }
            Act::Reset { to } => {
                let data = json!({ "username": name, "password": to });
                let reset = server.operate("user.reset_password", data).await;
                reset.map(|_| None)
            }
            Act::Disable => {
                let off = server.operate("user.disable", json!({ "username": name }));
                off.await.map(|_| None)
            }
            Act::Enable => {
                let on = server.operate("user.enable", json!({ "username": name }));
                on.await.map(|_| None)
            }
        }
    }

    /// Takes in what came of a round.
    fn learn(&mut self, acts: &[Act], outcomes: Vec<Outcome>) {
        let before: Vec<SessionId> = self.sessions.keys().copied().collect();
        // Sessions that were opened in this round: whether what ended all came before or after them, nobody can tell.
        let mut young = Vec::new();
        for (act, outcome) in acts.iter().zip(&outcomes) {
            if let (Act::LogIn { .. }, Ok(Some(session))) = (act, outcome) {
                young.push(session.id());
                self.sessions.insert(session.id(), Fate::Alive);
            }
        }
        for (act, outcome) in acts.iter().zip(outcomes) {
            let done = outcome.is_ok();
            match act {
                Act::LogIn { .. } => {}
                Act::Refresh { token } | Act::LogOut { token } => {
                    // Whoever comes with a real token and is refused has a dead session in hand, or has just killed it.
                    if !done || matches!(act, Act::LogOut { .. }) {
                        self.kill(self.issued[*token].id());
                    }
                }
                Act::EndOne { by, target } => match &outcome {
                    Err((401, ..)) => self.kill(self.issued[*by].id()),
                    _ => self.kill(self.issued[*target].id()),
                },
                Act::EndOthers { by } if done => {
                    let by = self.issued[*by].id();
                    self.kill_all_but(&before, Some(by));
                    self.doubt(&young);
                }
                Act::EndOthers { by } => self.kill(self.issued[*by].id()),
                Act::ChangePassword { by, to } if done => {
                    let by = self.issued[*by].id();
                    self.kill_all_but(&before, Some(by));
                    // All log-ins of this round used the password of before.
                    self.kill_all_but(&young, None);
                    self.password.clone_from(to);
                }
                Act::ChangePassword { .. } => {}
                Act::Reset { to } => {
                    assert!(done);
                    self.kill_all_but(&before, None);
                    self.kill_all_but(&young, None);
                    self.password.clone_from(to);
                }
                Act::Disable => {
                    assert!(done);
                    self.kill_all_but(&before, None);
                    self.kill_all_but(&young, None);
                    self.disabled = true;
                }
                Act::Enable => {
                    assert!(done);
                    self.disabled = false;
                }
            }
            self.issued.extend(outcome.ok().flatten());
        }
    }

    fn kill(&mut self, session: SessionId) {
        self.sessions.insert(session, Fate::Dead);
    }

    fn kill_all_but(&mut self, sessions: &[SessionId], kept: Option<SessionId>) {
        for session in sessions.iter().filter(|session| Some(**session) != kept) {
            self.kill(*session);
        }
    }

    fn doubt(&mut self, sessions: &[SessionId]) {
        for session in sessions {
            let fate = self.sessions.get_mut(session);
            if let Some(fate) = fate.filter(|fate| **fate == Fate::Alive) {
                *fate = Fate::Either;
            }
        }
    }

    /// Compares the server with the model, which then knows what it could not.
    async fn check(&mut self, server: &Server, context: &str) {
        for session in &self.issued {
            let good = server.me(&session.access_token).await.is_ok();
            let fate = self.sessions.get_mut(&session.id()).expect("known");
            match *fate {
                Fate::Alive => assert!(good, "{context}: {} is dead", session.id()),
                Fate::Dead => assert!(!good, "{context}: {} is alive", session.id()),
                Fate::Either if good => *fate = Fate::Alive,
                Fate::Either => *fate = Fate::Dead,
            }
        }
        let dead = |session: &&Session| self.sessions[&session.id()] == Fate::Dead;
        for session in self.issued.iter().filter(dead) {
            assert_eq!(
                server.refresh(&session.refresh_token).await,
                Err(unauthenticated()),
                "{context}"
            );
        }
    }
}

/// How often each token was taken.
fn taken(acts: &[Act], outcomes: &[Outcome]) -> BTreeMap<usize, usize> {
    let mut taken = BTreeMap::new();
    for (act, outcome) in acts.iter().zip(outcomes) {
        if let (Act::Refresh { token } | Act::LogOut { token }, Ok(_)) = (act, outcome) {
            *taken.entry(*token).or_default() += 1;
        }
    }
    taken
}

on_both_databases!(
    whatever_is_done_at_once_what_was_ended_is_dead,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site
            .server_with(|config| {
                config.lockout_failures = 1_000;
                config.lockout_address_failures = 100_000;
            })
            .await;
        for seed in 0..40 {
            let mut choices = Choices(2_000 + seed);
            let mut model = Model::new(&server, format!("user{seed}")).await;
            let mut ever_taken: BTreeMap<usize, usize> = BTreeMap::new();
            for round in 0..4 {
                let acts = model.round(&mut choices, round);
                let context = format!("seed {seed}, round {round}: {acts:?}");
                let was_disabled = model.disabled;
                let outcomes = join_all(acts.iter().map(|act| model.act(&server, act))).await;
                for (token, times) in taken(&acts, &outcomes) {
                    let times = times + ever_taken.remove(&token).unwrap_or_default();
                    assert_eq!(times, 1, "{context}: token {token}");
                    ever_taken.insert(token, times);
                }
                let opens = acts.iter().any(|act| matches!(act, Act::Enable));
                let opened = outcomes
                    .iter()
                    .zip(&acts)
                    .any(|(outcome, act)| matches!(act, Act::LogIn { .. }) && outcome.is_ok());
                assert!(!(was_disabled && !opens && opened), "{context}");
                model.learn(&acts, outcomes);
                model.check(&server, &context).await;
            }
            // In the end each session that nobody refreshes is over.
            if seed % 8 == 0 {
                site.later(31 * 86_400);
                for fate in model.sessions.values_mut() {
                    *fate = Fate::Dead;
                }
                model
                    .check(&server, &format!("seed {seed}, a month later"))
                    .await;
            }
        }
    }
);

on_both_databases!(
    of_fifty_uses_at_once_of_a_token_one_succeeds_at_most,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let session = server.person("ada").await;
        let all = join_all((0..50).map(|_| server.refresh(&session.refresh_token))).await;
        let taken: Vec<&Session> = all.iter().flatten().collect();
        assert!(taken.len() <= 1, "{} were taken", taken.len());
        for next in taken {
            assert_eq!(
                server.refresh(&next.refresh_token).await,
                Err(unauthenticated()),
                "the second use ended the session"
            );
        }
        assert_eq!(
            server.me(&session.access_token).await,
            Err(unauthenticated())
        );
        assert_eq!(server.gateway.ended(), [session.id()], "once");
    }
);

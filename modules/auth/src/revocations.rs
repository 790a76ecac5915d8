//! The sessions that were ended while access tokens of theirs could still be good, in memory: authentication asks here, not the
//! database.
//!
//! What this instance ends it knows at once. What others end (another server on the same database, or the instance that this one
//! replaces, in its last requests) and what ends by itself, because its time is up, a task reads from the database every second.

use std::{collections::HashMap, sync::RwLock, time::Duration};

use filament_kernel::{clock::Clock, db::Database, gateway::Gateway, id::SessionId, scope::Scope};
use sea_orm::DbErr;

use crate::{config::MAX_ACCESS_TOKEN_TTL_SECS, store};

/// How often the database is asked what others have ended.
const POLL: Duration = Duration::from_secs(1);

/// A revocation may be committed later than the time that it bears, by as much as a transaction may last and clocks may differ.
const OVERLAP_MS: i64 = 60_000;

/// An access token of a session that was ended longer ago has expired, however long tokens were good for when it was made.
const KEEP_MS: i64 = MAX_ACCESS_TOKEN_TTL_SECS as i64 * 1_000 + OVERLAP_MS;

/// Polls between two sweeps of what has expired: an hour.
const POLLS_BETWEEN_SWEEPS: u32 = 3_600;

/// Sessions that are over stay in the database for a day, for whoever looks into what happened.
const KEEP_OVER_MS: i64 = 24 * 3_600 * 1_000;

/// Rows that one transaction ends or deletes at most, so that it does not keep writers waiting.
const ROWS_AT_ONCE: u64 = 500;

/// See the text above.
#[derive(Default)]
pub(crate) struct Revocations {
    /// When each was ended.
    ended: RwLock<HashMap<SessionId, i64>>,
}

impl Revocations {
    /// Reads what may still matter.
    pub(crate) async fn load(db: &Database, now_ms: i64) -> Result<Self, DbErr> {
        let ended = store::sessions::revoked_since(db.read(), now_ms - KEEP_MS).await?;
        Ok(Self {
            ended: RwLock::new(ended.into_iter().collect()),
        })
    }

    /// Whether a session was ended.
    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.ended
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .contains_key(&session)
    }

    /// A session was ended. Answers whether that is news.
    pub(crate) fn insert(&self, session: SessionId, at_ms: i64) -> bool {
        self.ended
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .insert(session, at_ms)
            .is_none()
    }

    fn forget_old(&self, now_ms: i64) {
        let mut ended = self.ended.write().unwrap_or_else(|e| e.into_inner());
        ended.retain(|_, at_ms| *at_ms >= now_ms - KEEP_MS);
        ended.shrink_to_fit();
    }
}

/// Keeps [`Revocations`] up to date, ends what has expired, closes the sockets of sessions that ended by themselves or by others, and
/// deletes what has long been over.
pub(crate) struct Keeper {
    pub(crate) revocations: std::sync::Arc<Revocations>,
    pub(crate) db: Database,
    pub(crate) gateway: std::sync::Arc<dyn Gateway>,
    pub(crate) clock: Clock,
    pub(crate) scope: Scope,
}

impl Keeper {
    /// The task: runs until the module goes.
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut since_ms = self.clock.now_ms() - KEEP_MS;
        let mut reachable = true;
        let mut polls = 0_u32;
        loop {
            tokio::select! {
                () = self.scope.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let now_ms = self.clock.now_ms();
            let mut done = self.poll(since_ms, polls == 0).await;
            if done.is_ok() {
                since_ms = now_ms - OVERLAP_MS;
                if polls.is_multiple_of(POLLS_BETWEEN_SWEEPS) {
                    self.revocations.forget_old(now_ms);
                    done = self.sweep(now_ms).await;
                }
                polls = polls.wrapping_add(1);
            }
            match done {
                Ok(()) => reachable = true,
                Err(error) if reachable => {
                    reachable = false;
                    tracing::warn!(%error, "ended sessions cannot be read from the database; trying again every second");
                }
                Err(_) => {}
            }
        }
    }

    async fn poll(&self, since_ms: i64, first: bool) -> Result<(), DbErr> {
        // At the first poll whatever expired while nobody looked.
        self.end_expired(if first { 0 } else { since_ms }).await?;
        for (session, at_ms) in store::sessions::revoked_since(self.db.read(), since_ms).await? {
            // At the first poll also what is known already: nobody closed those sockets while this module was away.
            if self.revocations.insert(session, at_ms) || first {
                self.gateway.end_session(session, "the session has ended");
            }
        }
        Ok(())
    }

    /// A session that expires is ended like any other: its access tokens and its sockets with it.
    async fn end_expired(&self, since_ms: i64) -> Result<(), DbErr> {
        let now_ms = self.clock.now_ms();
        while store::sessions::any_expired(self.db.read(), since_ms, now_ms).await? {
            let tx = self.db.begin().await?;
            let ended = store::sessions::end_expired(&tx, since_ms, now_ms, ROWS_AT_ONCE).await?;
            tx.commit().await?;
            if ended < ROWS_AT_ONCE {
                break;
            }
        }
        Ok(())
    }

    async fn sweep(&self, now_ms: i64) -> Result<(), DbErr> {
        loop {
            let tx = self.db.begin().await?;
            let deleted =
                store::sessions::delete_over(&tx, now_ms - KEEP_OVER_MS, ROWS_AT_ONCE).await?;
            tx.commit().await?;
            if deleted < ROWS_AT_ONCE {
                return Ok(());
            }
        }
    }
}

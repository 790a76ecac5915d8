//! The queue for hashing passwords. A hash takes tens of milliseconds of a processor and megabytes of memory, and anybody can ask for one:
//! few run at a time, few wait, and whoever comes when the queue is full is asked to come back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use filament_kernel::{
    ApiError,
    scope::{Scope, Workers},
};
use tokio::sync::Semaphore;

use crate::domain::password::{Passwords, Verified};

/// Hashes off the threads that serve requests, which come first where processors are scarce.
pub(crate) struct Hasher {
    passwords: Arc<Passwords>,
    workers: Workers,
    /// Places for those that run and those that wait.
    places: Arc<Semaphore>,
    /// Places for those that run.
    running: Arc<Semaphore>,
}

impl Hasher {
    pub(crate) fn new(passwords: Passwords, scope: &Scope, concurrency: u32, queue: u32) -> Self {
        Self {
            passwords: Arc::new(passwords),
            workers: scope.workers("hash", concurrency as usize),
            places: Arc::new(Semaphore::new((concurrency + queue) as usize)),
            running: Arc::new(Semaphore::new(concurrency as usize)),
        }
    }

    /// Hashes a new password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, ApiError> {
        self.run(move |passwords| passwords.hash(&password))
            .await?
            .map_err(|error| ApiError::internal(format!("a password could not be hashed: {error}")))
    }

    /// Verifies a password; without a stored hash, takes as long and answers `Wrong`.
    pub(crate) async fn verify(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<Verified, ApiError> {
        self.run(move |passwords| passwords.verify(&password, stored.as_deref()))
            .await?
            .map_err(|error| {
                ApiError::internal(format!("a password could not be verified: {error}"))
            })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Passwords) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            metrics::counter!("filament_auth_hashes_refused_total").increment(1);
            return Err(ApiError::unavailable(
                "too many log-ins and registrations wait to be checked",
            )
            .retry_after(Duration::from_secs(1)));
        };
        let turn = self
            .running
            .clone()
            .acquire_owned()
            .await
            .map_err(ApiError::internal)?;
        let passwords = self.passwords.clone();
        self.workers
            .run(move || {
                // Given back when the work is done, and not when a client that has hung up stops waiting for it.
                let _held = (place, turn);
                let started = Instant::now();
                let done = work(&passwords);
                metrics::histogram!("filament_auth_hash_seconds")
                    .record(started.elapsed().as_secs_f64());
                done
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::{ErrorCode, scope::ScopeOwner};
    use futures_util::future::join_all;

    use super::*;

    fn hasher(scope: &ScopeOwner, concurrency: u32, queue: u32) -> Hasher {
        let passwords = Passwords::new(64, 1, 1).expect("good parameters");
        Hasher::new(passwords, &scope.scope(), concurrency, queue)
    }

    #[tokio::test]
    async fn beyond_the_queue_is_refused_and_the_places_come_back() {
        let scope = ScopeOwner::new(|_| {});
        let hasher = hasher(&scope, 1, 2);
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let running = hasher.run(move |_| blocked.recv());
        let waiting = join_all((0..2).map(|_| hasher.hash("correct horse".into())));
        let too_late = async {
            assert_eq!(hasher.places.available_permits(), 0);
            let refused = hasher.hash("correct horse".into()).await;
            release.send(()).expect("somebody listens");
            refused
        };
        // In this order: one runs, two wait, and one is too late.
        let (ran, waited, refused) = tokio::join!(biased; running, waiting, too_late);
        assert!(ran.is_ok_and(|released| released.is_ok()));
        assert!(waited.iter().all(Result::is_ok));
        let refused = refused.expect_err("the queue was full");
        assert_eq!(refused.code(), ErrorCode::SERVICE_UNAVAILABLE);
        assert!(refused.wait().is_some());
        assert_eq!(hasher.places.available_permits(), 3);
    }

    #[tokio::test]
    async fn who_hangs_up_while_waiting_leaves_the_queue() {
        let scope = ScopeOwner::new(|_| {});
        let hasher = hasher(&scope, 1, 1);
        let turn = hasher.running.clone().acquire_owned().await.expect("open");
        let gone = tokio::time::timeout(
            Duration::from_millis(10),
            hasher.hash("correct horse".into()),
        )
        .await;
        assert!(gone.is_err());
        assert_eq!(hasher.places.available_permits(), 2);
        drop(turn);
        assert!(hasher.hash("correct horse".into()).await.is_ok());
    }
}

//! The queue for hashing passwords. A hash takes tens of milliseconds of a processor and megabytes of memory, and anybody can ask for one:
//! few run at a time, few wait, and whoever comes when the queue is full is asked to come back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use filament_kernel::{ApiError, scope::Scope};
use tokio::sync::Semaphore;

use crate::domain::password::{Passwords, Verified};

/// Hashes off the threads that serve requests.
pub(crate) struct Hasher {
    passwords: Arc<Passwords>,
    scope: Scope,
    /// Places for those that run and those that wait.
    places: Arc<Semaphore>,
    /// Places for those that run.
    running: Arc<Semaphore>,
}

impl Hasher {
    pub(crate) fn new(passwords: Passwords, scope: Scope, concurrency: u32, queue: u32) -> Self {
        Self {
            passwords: Arc::new(passwords),
            scope,
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
    pub(crate) async fn verify(&self, password: String, stored: Option<String>) -> Result<Verified, ApiError> {
        self.run(move |passwords| passwords.verify(&password, stored.as_deref()))
            .await?
            .map_err(|error| ApiError::internal(format!("a password could not be verified: {error}")))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Passwords) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            metrics::counter!("filament_auth_hashes_refused_total").increment(1);
            return Err(
                ApiError::unavailable("too many log-ins and registrations wait to be checked")
                    .retry_after(Duration::from_secs(1)),
            );
        };
        let turn = self
            .running
            .clone()
            .acquire_owned()
            .await
            .map_err(ApiError::internal)?;
        let passwords = self.passwords.clone();
        self.scope
            .blocking(move || {
                // Given back when the work is done, and not when a client that has hung up stops waiting for it.
                let _held = (place, turn);
                let started = Instant::now();
                let done = work(&passwords);
                metrics::histogram!("filament_auth_hash_seconds").record(started.elapsed().as_secs_f64());
                done
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::{ErrorCode, scope::ScopeOwner};

    use super::*;

    fn hasher(scope: &ScopeOwner, concurrency: u32, queue: u32) -> Arc<Hasher> {
        let passwords = Passwords::new(64, 1, 1).expect("good parameters");
        Arc::new(Hasher::new(passwords, scope.scope(), concurrency, queue))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn beyond_the_queue_is_refused_and_the_places_come_back() {
        let scope = ScopeOwner::new(|_| {});
        let hasher = hasher(&scope, 1, 2);
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let occupied = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.run(move |_| blocked.recv()).await }
        });
        while hasher.running.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.hash("correct horse".into()).await })
            })
            .collect();
        while hasher.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = hasher.hash("correct horse".into()).await.expect_err("the queue is full");
        assert_eq!(refused.code(), ErrorCode::SERVICE_UNAVAILABLE);
        assert!(refused.wait().is_some());

        release.send(()).expect("somebody listens");
        assert!(occupied.await.is_ok());
        for one in waiting {
            assert!(one.await.expect("no panic").is_ok());
        }
        assert_eq!(hasher.places.available_permits(), 3);
    }

    #[tokio::test]
    async fn who_hangs_up_while_waiting_leaves_the_queue() {
        let scope = ScopeOwner::new(|_| {});
        let hasher = hasher(&scope, 1, 1);
        let turn = hasher.running.clone().acquire_owned().await.expect("open");
        let gone = tokio::time::timeout(Duration::from_millis(10), hasher.hash("correct horse".into())).await;
        assert!(gone.is_err());
        assert_eq!(hasher.places.available_permits(), 2);
        drop(turn);
        assert!(hasher.hash("correct horse".into()).await.is_ok());
    }
}

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::watch;

use super::key::Key;

/// Requests under one key take turns in this process; those under different keys do not meet.
#[derive(Default)]
pub(super) struct Turns(Arc<Taken>);

/// Whose turn it is, each with what ends together with it.
type Taken = Mutex<HashMap<Key, watch::Receiver<()>>>;

/// The turn of one request; ends when it is dropped.
pub(super) struct Turn {
    key: Key,
    taken: Arc<Taken>,
    _end: watch::Sender<()>,
}

impl Turns {
    /// Waits until no other request under `key` has the turn, and takes it.
    pub(super) async fn take(&self, key: Key) -> Turn {
        loop {
            let mut other = match lock(&self.0).entry(key) {
                Entry::Occupied(other) => other.get().clone(),
                Entry::Vacant(free) => {
                    let (end, ended) = watch::channel(());
                    free.insert(ended);
                    return Turn {
                        key,
                        taken: self.0.clone(),
                        _end: end,
                    };
                }
            };
            // Nothing is ever sent: this returns when the other's sender is gone.
            let _ = other.changed().await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.taken).remove(&self.key);
    }
}

fn lock(taken: &Taken) -> MutexGuard<'_, HashMap<Key, watch::Receiver<()>>> {
    taken.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ulid::Ulid;

    use super::*;

    #[tokio::test]
    async fn one_turn_at_a_time_for_a_key_and_nothing_is_left_behind() {
        let turns = Arc::new(Turns::default());
        let key = |hash| Key {
            user_id: Ulid::nil().into(),
            hash: [hash; 32],
        };
        let first = turns.take(key(1)).await;
        let other = turns.take(key(2)).await;
        let waits = tokio::time::timeout(Duration::from_millis(20), turns.take(key(1))).await;
        assert!(waits.is_err(), "it is the first one's turn");
        let second = {
            let turns = turns.clone();
            async move { turns.take(key(1)).await }
        };
        let (second, ()) = tokio::join!(second, async { drop(first) });
        drop((second, other));
        assert!(lock(&turns.0).is_empty());
    }
}

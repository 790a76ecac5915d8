//! One at a time: whoever works on the same thing in this process takes turns.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// Those who come with one key take turns; those with different keys do not meet. Remembers only keys whose turn somebody has.
#[derive(Debug)]
pub struct Turns<K: Eq + Hash>(Arc<Taken<K>>);

/// Whose turn it is, each with what ends together with it.
type Taken<K> = Mutex<HashMap<K, watch::Receiver<()>>>;

/// Somebody's turn; ends when it is dropped.
#[derive(Debug)]
pub struct Turn<K: Eq + Hash> {
    key: K,
    taken: Arc<Taken<K>>,
    _end: watch::Sender<()>,
}

impl<K: Eq + Hash> Default for Turns<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone> Turns<K> {
    /// Waits until nobody else has the turn of `key`, and takes it.
    pub async fn take(&self, key: K) -> Turn<K> {
        loop {
            let mut other = match lock(&self.0).entry(key.clone()) {
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

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        lock(&self.taken).remove(&self.key);
    }
}

fn lock<K>(
    taken: &Mutex<HashMap<K, watch::Receiver<()>>>,
) -> MutexGuard<'_, HashMap<K, watch::Receiver<()>>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_turn_at_a_time_for_a_key_and_nothing_is_left_behind() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(1).await;
        let other = turns.take(2).await;
        let waits = tokio::time::timeout(Duration::from_millis(20), turns.take(1)).await;
        assert!(waits.is_err(), "it is the first one's turn");
        let second = {
            let turns = turns.clone();
            async move { turns.take(1).await }
        };
        let (second, ()) = tokio::join!(second, async { drop(first) });
        drop((second, other));
        assert!(lock(&turns.0).is_empty());
    }
}

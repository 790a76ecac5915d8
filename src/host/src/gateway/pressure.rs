use std::{
    sync::atomic::{AtomicIsize, Ordering::SeqCst},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

/// Nobody waits for a straggler longer than this.
const PATIENCE: Duration = Duration::from_millis(50);
/// While nobody waits.
const NEVER: isize = isize::MIN;

/// How many sockets have been given something and have not yet had their turn to write it. Whoever feeds sockets in a row waits
/// for this to fall ([`Pressure::settle`]): what comes in meanwhile then goes out in fewer, larger writes, and no peer is taken
/// for slow because the server was.
#[derive(Debug)]
pub(super) struct Pressure {
    woken: AtomicIsize,
    /// When `woken` has fallen so far, `fallen` is told.
    threshold: AtomicIsize,
    fallen: Notify,
}

impl Default for Pressure {
    fn default() -> Self {
        Self {
            woken: AtomicIsize::new(0),
            threshold: AtomicIsize::new(NEVER),
            fallen: Notify::new(),
        }
    }
}

impl Pressure {
    /// So many sockets are about to be woken.
    pub(super) fn rise(&self, by: usize) {
        self.woken
            .fetch_add(isize::try_from(by).unwrap_or(isize::MAX), SeqCst);
    }

    /// A socket had its turn.
    pub(super) fn fall(&self) {
        let left = self.woken.fetch_sub(1, SeqCst) - 1;
        if left <= self.threshold.load(SeqCst) {
            self.threshold.store(NEVER, SeqCst);
            self.fallen.notify_waiters();
        }
    }

    /// Lets sockets write: waits until most of those that were woken had their turn. Sockets whose peers do not read are not
    /// waited for, as they had theirs.
    pub(super) async fn settle(&self) {
        tokio::task::yield_now().await;
        let goal = self.woken.load(SeqCst) / 8;
        let settled = async {
            while self.woken.load(SeqCst) > goal {
                let fallen = self.fallen.notified();
                tokio::pin!(fallen);
                fallen.as_mut().enable();
                self.threshold.fetch_max(goal, SeqCst);
                // It may have fallen before the threshold was set.
                if self.woken.load(SeqCst) > goal {
                    fallen.await;
                }
            }
        };
        // One that does not get its turn for so long is stuck in its own command; the others shall not wait for it.
        let _ = timeout(PATIENCE, settled).await;
    }

    #[cfg(test)]
    pub(super) fn woken(&self) -> isize {
        self.woken.load(SeqCst)
    }
}

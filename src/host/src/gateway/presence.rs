//! Who came and who went, told to the modules: by one task, one after the other, and with no lock held. The task lives while
//! there is something to tell or to wait for.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use filament_kernel::{id::UserId, log::Stream, scope::panic_message};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tracing::error;

use super::{hub::Hub, user::User};

/// The grace time can be changed while somebody's runs; it is looked at again so often.
const RECHECK: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Presence {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    came: VecDeque<(UserId, Vec<Stream>)>,
    /// In the order of `since`, so whatever the grace time is, the first is due first.
    leaving: VecDeque<Leaving>,
    running: bool,
}

struct Leaving {
    since: Instant,
    user: Arc<User>,
    departure: u64,
}

enum Step {
    Came(UserId, Vec<Stream>),
    Due(Leaving),
    Wait(Instant),
    Rest,
}

impl Presence {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn next(&self, grace: Duration) -> Step {
        let mut state = self.lock();
        if let Some((user, streams)) = state.came.pop_front() {
            return Step::Came(user, streams);
        }
        let now = Instant::now();
        if let Some(due) = state
            .leaving
            .pop_front_if(|first| first.since + grace <= now)
        {
            return Step::Due(due);
        }
        match state.leaving.front() {
            Some(first) => Step::Wait((first.since + grace).min(now + RECHECK)),
            None => {
                *state = State::default();
                Step::Rest
            }
        }
    }
}

impl Hub {
    /// The user's first socket is ready.
    pub(super) fn user_came(self: &Arc<Self>, user: UserId, streams: Vec<Stream>) {
        self.note_presence(|state| state.came.push_back((user, streams)));
    }

    /// The user's last socket is gone; the grace time begins.
    pub(super) fn user_leaves(self: &Arc<Self>, user: &Arc<User>, departure: u64) {
        let leaving = Leaving {
            since: Instant::now(),
            user: user.clone(),
            departure,
        };
        self.note_presence(|state| state.leaving.push_back(leaving));
    }

    fn note_presence(self: &Arc<Self>, note: impl FnOnce(&mut State)) {
        // A server that stops announces nobody's departure: it is itself that goes. And without a runtime the last sockets are
        // being dropped together with it.
        if self.stopping.is_cancelled() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let mut state = self.presence.lock();
        note(&mut state);
        if std::mem::replace(&mut state.running, true) {
            drop(state);
            self.presence.changed.notify_one();
            return;
        }
        drop(state);
        let hub = self.clone();
        self.tracker.spawn(async move {
            let stopping = hub.stopping.clone();
            stopping.run_until_cancelled(hub.tell_presence()).await;
        });
    }

    async fn tell_presence(&self) {
        loop {
            let grace = self.settings().offline_grace;
            match self.presence.next(grace) {
                Step::Came(user, streams) => self.tell(user, true, &streams).await,
                Step::Due(Leaving {
                    user, departure, ..
                }) => {
                    if let Some(streams) = self.directory.depart(&user, departure) {
                        self.tell(user.id, false, &streams).await;
                    }
                }
                Step::Wait(until) => {
                    let _ = timeout_at(until, self.presence.changed.notified()).await;
                }
                Step::Rest => return,
            }
        }
    }

    async fn tell(&self, user: UserId, online: bool, streams: &[Stream]) {
        for (module, audience) in self.audiences() {
            let told = catch_unwind(AssertUnwindSafe(|| {
                audience.presence_changed(user, online, streams);
            }));
            if let Err(panic) = told {
                let panic = panic_message(panic.as_ref());
                error!(
                    module,
                    panic, "a module panicked when it was told of a user's presence"
                );
            }
        }
        // When thousands come or go at once, what the modules publish about it must not outrun the sockets.
        self.settle().await;
    }
}

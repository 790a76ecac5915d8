//! All open sockets: how they come in, how events reach them, how they go.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use filament_kernel::{
    ApiError, Caller,
    gateway::{Audience, Gateway},
    id::{SessionId, UserId},
    limits::limit_key,
    log::{Stream, Topic},
    ports::Authenticator,
};
use filament_protocol::CloseCode;
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::{
    CurrentTable, Delivery, Settings, Table,
    asking::ASKED_AT_ONCE,
    doors::{self, Doors},
    frame,
    outbox::{Close, Outbox, Sent, Waiting},
    presence::Presence,
    pressure::Pressure,
    socket::{Registration, Socket},
    user::{Departure, Directory, Watch},
};

/// Events of one topic that are queued under one lock at most.
const RUN: usize = 64;

/// All open sockets. See the text of [`crate::gateway`].
pub struct Hub {
    settings: Arc<ArcSwap<Settings>>,
    table: OnceLock<Arc<dyn CurrentTable>>,
    doors: Mutex<Doors>,
    numbers: AtomicU64,
    pub(super) directory: Directory,
    pub(super) presence: Presence,
    pub(super) pressure: Arc<Pressure>,
    pub(super) asking: Semaphore,
    pub(super) tracker: TaskTracker,
    pub(super) stopping: CancellationToken,
}

impl Hub {
    /// A hub without sockets. What is stored into `settings` later holds from then on, for open sockets too.
    pub fn new(settings: Arc<ArcSwap<Settings>>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            table: OnceLock::new(),
            doors: Mutex::default(),
            numbers: AtomicU64::new(0),
            directory: Directory::default(),
            presence: Presence::default(),
            pressure: Arc::default(),
            asking: Semaphore::new(ASKED_AT_ONCE),
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
        })
    }

    /// Says where commands and audiences are looked up; the first call counts. Before it there are none.
    pub fn connect_table(&self, table: Arc<dyn CurrentTable>) {
        let _ = self.table.set(table);
    }

    /// Delivers logged events, in order and after their commit. Not to be called by two tasks at once, or their order is lost.
    /// Await [`Hub::settle`] between two calls.
    pub fn deliver(self: &Arc<Self>, events: &[Delivery]) {
        let mut rest = events;
        while let Some(first) = rest.first() {
            let (run, after) = rest.split_at(run_length(rest));
            rest = after;
            let stream = first.topic.stream;
            let came = first
                .admits
                .filter(|user| self.directory.admit(*user, stream));
            let judge = first.effect.as_ref().and_then(|e| e.heard_by.as_ref());
            let hear = |user| judge.is_none_or(|judge| judge.allows(&user));
            self.push(first.topic, hear, || {
                run.iter()
                    .map(|event| frame::event(event.name, &event.data))
                    .collect()
            });
            if let Some(user) = came {
                // The others hear of the person first, and then that they are there.
                self.user_came(user, vec![stream]);
            }
            if let Some(expelled) = run.last().and_then(|last| last.expels) {
                self.directory.expel(expelled, stream);
            }
            if let Some(effect) = &first.effect {
                if let Some(judge) = &effect.seen_by {
                    self.directory.revise(stream, judge);
                }
                if effect.ends_stream {
                    self.directory.end(stream);
                }
            }
        }
    }

    /// Waits until most sockets that were given something had their turn to write it. Between two calls of [`Hub::deliver`]
    /// this lets events gather instead of queues, so that a busy server writes several in one system call.
    pub async fn settle(&self) {
        self.pressure.settle().await;
    }

    /// Closes the sockets whose key is trusted no more, tells the others which modules came and went with `generation`, and asks those
    /// that came who follows what. To be called after every change, also of what the modules work with.
    pub fn modules_changed(
        self: &Arc<Self>,
        up: &[&'static str],
        down: &[&'static str],
        generation: u64,
    ) {
        self.close_untrusted();
        let told = |name: &'static str, modules: &[&'static str]| -> Vec<Bytes> {
            modules
                .iter()
                .map(|module| {
                    let data = serde_json::json!({"module": module, "generation": generation});
                    frame::event(name, &data.to_string())
                })
                .collect()
        };
        let frames = [told("module_down", down), told("module_up", up)].concat();
        if frames.is_empty() {
            return;
        }
        let limit = self.settings().outbound_queue_events;
        let mut sent = Sent::default();
        for user in self.directory.all() {
            user.push(&frames, limit, &mut sent);
        }
        sent.finish(&self.pressure);
        if !up.is_empty() {
            let (hub, up) = (self.clone(), up.to_vec());
            self.tracker.spawn(async move {
                let stopping = hub.stopping.clone();
                stopping.run_until_cancelled(hub.ask_again(&up)).await;
            });
        }
    }

    /// Says goodbye to every socket, after what still waits for it, and lets nobody in any more. Returns when all are gone, or
    /// after `patience`.
    pub async fn close_all(&self, code: CloseCode, reason: &str, patience: Duration) {
        self.stopping.cancel();
        let sockets = self.doors().close();
        for socket in sockets {
            let goodbye = Close::new(code, reason.to_owned());
            socket.outbox.close(goodbye, Waiting::Sent);
        }
        self.tracker.close();
        let _ = timeout(patience, self.tracker.wait()).await;
    }

    /// The access token of a request; see [`super::access_token`].
    pub fn access_token(&self, request: &poem::Request) -> Option<String> {
        super::access_token(request, self.settings().query_token)
    }

    /// How many sockets are open.
    pub fn open_sockets(&self) -> usize {
        self.doors().len()
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// Whether the caller's session has ended while its socket was open, or its key is trusted no more.
    pub(super) fn has_ended(&self, caller: &Caller) -> bool {
        self.doors().has_ended(caller.session_id) || !self.trusts(caller)
    }

    /// Whether the key of the caller's token is good now. Nobody loses a socket because nobody can tell.
    fn trusts(&self, caller: &Caller) -> bool {
        self.authenticator()
            .is_none_or(|authenticator| authenticator.trusts(caller.key))
    }

    fn close_untrusted(&self) {
        let Some(authenticator) = self.authenticator() else {
            return;
        };
        let mut sockets = self.doors().sockets();
        sockets.retain(|socket| !authenticator.trusts(socket.caller.key));
        send_away(&sockets, "the key of the access token is good no more");
    }

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        self.table().and_then(|table| table.authenticator())
    }

    pub(super) fn table(&self) -> Option<Arc<dyn Table>> {
        self.table.get().map(|current| current.table())
    }

    pub(super) fn audiences(&self) -> Vec<(&'static str, Arc<dyn Audience>)> {
        self.table()
            .map(|table| table.audiences())
            .unwrap_or_default()
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Lets a socket in, if there is room.
    pub(super) fn register(
        self: &Arc<Self>,
        caller: Caller,
        client_ip: IpAddr,
    ) -> Result<Registration, ApiError> {
        let address = limit_key(client_ip);
        let settings = self.settings();
        let socket = self.directory.enter(caller.user_id, |user, open| {
            let mut doors = self.doors();
            doors.check(&caller, address, settings.max_sockets_per_ip)?;
            if open >= settings.max_sockets_per_user {
                return Err(doors::too_many("user", settings.max_sockets_per_user));
            }
            let socket = Arc::new(Socket {
                number: self.numbers.fetch_add(1, Ordering::Relaxed),
                caller,
                client_ip,
                address,
                user: user.clone(),
                outbox: Outbox::new(self.pressure.clone()),
                hub: self.clone(),
            });
            doors.enter(&socket);
            Ok(socket)
        })?;
        metrics::gauge!("filament_gateway_sockets").increment(1);
        metrics::counter!("filament_gateway_opened_total").increment(1);
        let registration = Registration {
            watch: Some(Watch::new(&socket.user)),
            socket,
            ended: super::connection::ABNORMAL,
        };
        // The token may have been checked before a key was given up. Whoever gives one up from here on finds the socket.
        if !self.trusts(&caller) {
            return Err(ApiError::unauthenticated());
        }
        Ok(registration)
    }

    /// Takes a socket out of everything.
    pub(super) fn unregister(self: &Arc<Self>, socket: &Arc<Socket>, code: u16) {
        socket.outbox.retire();
        let departure = self.directory.leave(socket);
        self.doors().leave(socket);
        if let Departure::Last(departure) = departure {
            self.user_leaves(&socket.user, departure);
        }
        metrics::gauge!("filament_gateway_sockets").decrement(1);
        let label = match code {
            1000..=1011 => code.to_string(),
            _ => "other".to_owned(),
        };
        metrics::counter!("filament_gateway_closed_total", "code" => label).increment(1);
        debug!(user = %socket.caller.user_id, code, "a socket closed");
    }

    /// Queues frames for those followers of a topic who may `hear` them; they are made only if there are any.
    fn push(
        &self,
        topic: Topic,
        hear: impl Fn(UserId) -> bool,
        frames: impl FnOnce() -> Vec<Bytes>,
    ) {
        if let Some(feed) = self.directory.feeds.get(topic.stream) {
            let limit = self.settings().outbound_queue_events;
            feed.push(topic.channel, &frames(), hear, limit)
                .finish(&self.pressure);
        }
    }
}

/// How many events from the first on are for the same followers: none admits anybody after the first, none follows one that
/// expels, and one with an effect stands alone.
fn run_length(events: &[Delivery]) -> usize {
    let same = events
        .windows(2)
        .take(RUN - 1)
        .take_while(|pair| {
            pair[0].topic == pair[1].topic
                && pair[0].expels.is_none()
                && pair[1].admits.is_none()
                && pair.iter().all(|event| event.effect.is_none())
        })
        .count();
    (same + 1).min(events.len())
}

impl Gateway for Hub {
    fn publish(&self, topic: Topic, name: &'static str, data: &str, except: Option<UserId>) {
        let hear = |user| Some(user) != except;
        self.push(topic, hear, || vec![frame::event(name, data)]);
    }

    fn send_to_user(&self, user: UserId, name: &'static str, data: &str) {
        if let Some(user) = self.directory.get(user) {
            let limit = self.settings().outbound_queue_events;
            let mut sent = Sent::default();
            user.push(&[frame::event(name, data)], limit, &mut sent);
            sent.finish(&self.pressure);
        }
    }

    fn followers(&self, stream: Stream, limit: usize) -> Vec<UserId> {
        let feed = self.directory.feeds.get(stream);
        feed.map(|feed| feed.users(limit)).unwrap_or_default()
    }

    fn is_online(&self, user: UserId) -> bool {
        self.directory
            .get(user)
            .is_some_and(|user| user.is_online())
    }

    fn end_session(&self, session: SessionId, reason: &str) {
        let sockets = self.doors().end_session(session);
        send_away(&sockets, reason);
    }
}

/// Closes sockets now, whatever still waits for them.
fn send_away(sockets: &[Arc<Socket>], reason: &str) {
    for socket in sockets {
        let goodbye = Close::new(CloseCode::PolicyViolation, reason.to_owned());
        socket.outbox.close(goodbye, Waiting::Dropped);
    }
}

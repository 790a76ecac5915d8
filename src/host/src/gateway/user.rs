//! Users with open sockets, and what each follows.
//!
//! Following a stream is a matter of the user: all of a user's sockets follow the same streams, those that the modules'
//! audiences name, corrected by the events that admit and expel. Beyond that each socket may follow topics of its own.
//!
//! **Asking takes time, and the world goes on meanwhile.** While anybody works with an answer that may be old (a [`Watch`] is
//! held: a socket is being set up, a module is asked again, a command has checked a right), every admission and expulsion of
//! the user is remembered, and the last one wins over the answer.
//!
//! Locks are taken in the order user, then feed or the map of users; none is held while anything is awaited or written.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use filament_kernel::{
    ApiError,
    id::{ChannelId, UserId},
    log::{Judge, Stream, Topic},
};

use super::{
    feed::{Feed, Feeds},
    outbox::Sent,
    socket::Socket,
};

/// Topics that one socket may follow beyond its user's streams.
const MAX_OWN_TOPICS: usize = 1024;

/// Streams, each group with the module that named it.
pub(super) type Named = Vec<(&'static str, Vec<Stream>)>;

/// A user with a socket, or in the time of grace after the last one.
pub(super) struct User {
    pub(super) id: UserId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seats: Vec<Seat>,
    streams: HashMap<Stream, Followed>,
    /// Whether others see the user as online: from the first socket's set-up to the end of the grace time.
    online: bool,
    /// Counts what makes an earlier departure void.
    departure: u64,
    watches: usize,
    /// The last thing that happened to the user in each stream, `true` for an admission, while a [`Watch`] is held.
    meanwhile: HashMap<Stream, bool>,
    /// Taken off the map of users; a new one takes this one's place.
    gone: bool,
}

/// One socket of the user.
struct Seat {
    socket: Arc<Socket>,
    /// Its set-up is done: it gets events.
    ready: bool,
    /// What it follows beyond the user's streams.
    own: Vec<(Arc<Feed>, Option<ChannelId>)>,
}

struct Followed {
    feed: Arc<Feed>,
    /// The module that named the stream; none while only an event admitted the user.
    owner: Option<&'static str>,
}

/// What the departure of a socket means for its user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// Nothing: the user has other sockets, or was never online.
    None,
    /// It was the last one: unless one comes, the user is offline after the grace time.
    Last(u64),
}

/// While it lives, what happens to the user is remembered. See the module's text.
pub(super) struct Watch(Arc<User>);

impl Watch {
    pub(super) fn new(user: &Arc<User>) -> Self {
        user.lock().watches += 1;
        Self(user.clone())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.watches -= 1;
        if state.watches == 0 {
            state.meanwhile = HashMap::new();
        }
    }
}

/// All users that are open here, and all feeds.
#[derive(Default)]
pub(super) struct Directory {
    users: Mutex<HashMap<UserId, Arc<User>>>,
    pub(super) feeds: Feeds,
}

impl Directory {
    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Arc<User>>> {
        self.users
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn get(&self, user: UserId) -> Option<Arc<User>> {
        self.users().get(&user).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<User>> {
        self.users().values().cloned().collect()
    }

    /// Seats a socket that `open` makes, given its user and how many sockets the user has.
    pub(super) fn enter(
        &self,
        id: UserId,
        open: impl Fn(&Arc<User>, usize) -> Result<Arc<Socket>, ApiError>,
    ) -> Result<Arc<Socket>, ApiError> {
        loop {
            let user = self
                .users()
                .entry(id)
                .or_insert_with(|| {
                    Arc::new(User {
                        id,
                        state: Mutex::default(),
                    })
                })
                .clone();
            let mut state = user.lock();
            if state.gone {
                continue;
            }
            let opened = open(&user, state.seats.len());
            match &opened {
                Ok(socket) => state.seats.push(Seat {
                    socket: socket.clone(),
                    ready: false,
                    own: Vec::new(),
                }),
                Err(_) => self.forget_if_idle(&user, &mut state),
            }
            return opened;
        }
    }

    /// The set-up of a socket is done, and `ready` is its first event. Answers the streams that the user follows when this is
    /// what makes the user come online. Call it while the set-up's [`Watch`] is held.
    pub(super) fn seat(
        &self,
        socket: &Arc<Socket>,
        ready: &Bytes,
        named: &Named,
    ) -> Option<Vec<Stream>> {
        let mut state = socket.user.lock();
        state.seat_of(socket)?;
        // A user who has other sockets loses streams by events only: one that expels may be on its way, and is to be seen.
        let alone = !state.seats.iter().any(|seat| seat.ready);
        let admitted: Vec<Stream> = state.happened(true).collect();
        let mut kept = self.follow_named(&socket.user, &mut state, named);
        for stream in admitted {
            self.follow(&socket.user, &mut state, stream, None);
            kept.insert(stream);
        }
        if alone {
            self.unfollow_others(&socket.user, &mut state, &kept, |_| true);
        }
        let seat = state.seat_of(socket)?;
        seat.ready = true;
        let mut sent = Sent::default();
        socket
            .outbox
            .push(std::slice::from_ref(ready), 1, &mut sent);
        sent.finish(&socket.hub.pressure);
        for stream in state.streams.keys() {
            self.feeds
                .join(*stream, |members| members.add(None, socket));
        }
        state.departure += 1;
        let came = !std::mem::replace(&mut state.online, true);
        came.then(|| state.streams.keys().copied().collect())
    }

    /// Modules have been asked again, and named these streams: those of theirs that they name no more are dropped. Call it
    /// while the [`Watch`] of the question is held.
    pub(super) fn renew(&self, user: &Arc<User>, named: &Named) {
        let mut state = user.lock();
        if !state.online {
            // A first socket is being set up, and may have been asked about before the module was there.
            for stream in named.iter().flat_map(|(_, streams)| streams) {
                if state.meanwhile.get(stream) != Some(&false) {
                    state.remember(*stream, true);
                }
            }
            return;
        }
        let mut kept = self.follow_named(user, &mut state, named);
        kept.extend(state.happened(true));
        let asked = |owner: Option<&'static str>| {
            owner.is_some_and(|owner| named.iter().any(|(module, _)| *module == owner))
        };
        self.unfollow_others(user, &mut state, &kept, asked);
    }

    /// From now on the user follows the stream. Answers whether somebody who is online follows it newly.
    pub(super) fn admit(&self, id: UserId, stream: Stream) -> bool {
        let Some(user) = self.get(id) else {
            return false;
        };
        let mut state = user.lock();
        state.remember(stream, true);
        state.online && self.follow(&user, &mut state, stream, None)
    }

    /// From now on nothing of the stream reaches the user.
    pub(super) fn expel(&self, id: UserId, stream: Stream) {
        let Some(user) = self.get(id) else { return };
        let mut state = user.lock();
        state.remember(stream, false);
        self.unfollow(&user, &mut state, stream);
    }

    /// One socket follows a topic, for itself. `false` when the user has lost its stream, or the socket follows too much.
    pub(super) fn follow_topic(&self, socket: &Arc<Socket>, topic: Topic) -> bool {
        let mut state = socket.user.lock();
        // A stream that the user does not follow yet is no obstacle: the event that admits may still be on its way.
        if state.meanwhile.get(&topic.stream) == Some(&false) {
            return false;
        }
        if topic.channel.is_none() && state.streams.contains_key(&topic.stream) {
            return true;
        }
        let Some(seat) = state.seat_of(socket) else {
            return false;
        };
        let known = seat
            .own
            .iter()
            .any(|(feed, channel)| (feed.stream, *channel) == (topic.stream, topic.channel));
        if known {
            return true;
        }
        if seat.own.len() >= MAX_OWN_TOPICS {
            return false;
        }
        let feed = self
            .feeds
            .join(topic.stream, |members| members.add(topic.channel, socket));
        seat.own.push((feed, topic.channel));
        true
    }

    /// One socket does not follow a topic for itself any more.
    pub(super) fn unfollow_topic(&self, socket: &Arc<Socket>, topic: Topic) {
        let mut state = socket.user.lock();
        let Some(seat) = state.seat_of(socket) else {
            return;
        };
        seat.own.retain(|(feed, channel)| {
            let lost = (feed.stream, *channel) == (topic.stream, topic.channel);
            if lost {
                self.feeds
                    .leave(feed, |members| members.remove(*channel, socket));
            }
            !lost
        });
    }

    /// From now on channels of the stream reach those only whom `judge` lets see them.
    pub(super) fn revise(&self, stream: Stream, judge: &Judge<(UserId, ChannelId)>) {
        let Some(feed) = self.feeds.get(stream) else {
            return;
        };
        for (channel, socket) in feed.channel_sockets() {
            if !judge.allows(&(socket.caller.user_id, channel)) {
                let topic = Topic {
                    stream,
                    channel: Some(channel),
                };
                self.unfollow_topic(&socket, topic);
            }
        }
    }

    /// From now on nobody follows the stream.
    pub(super) fn end(&self, stream: Stream) {
        let Some(feed) = self.feeds.get(stream) else {
            return;
        };
        for user in feed.users(usize::MAX) {
            self.expel(user, stream);
        }
        // A socket may follow a channel before the event that admits its user was delivered.
        for (_, socket) in feed.channel_sockets() {
            self.expel(socket.caller.user_id, stream);
        }
    }

    /// A socket is gone.
    pub(super) fn leave(&self, socket: &Arc<Socket>) -> Departure {
        let mut state = socket.user.lock();
        let Some(place) = state
            .seats
            .iter()
            .position(|seat| Arc::ptr_eq(&seat.socket, socket))
        else {
            return Departure::None;
        };
        let seat = state.seats.swap_remove(place);
        for (feed, channel) in &seat.own {
            self.feeds
                .leave(feed, |members| members.remove(*channel, socket));
        }
        if seat.ready {
            for followed in state.streams.values() {
                self.feeds
                    .leave(&followed.feed, |members| members.remove(None, socket));
            }
        }
        self.forget_if_idle(&socket.user, &mut state);
        if seat.ready && state.online && !state.seats.iter().any(|seat| seat.ready) {
            state.departure += 1;
            return Departure::Last(state.departure);
        }
        Departure::None
    }

    /// The grace time after a departure is over. Answers the streams that the user followed, unless somebody came in time.
    pub(super) fn depart(&self, user: &Arc<User>, departure: u64) -> Option<Vec<Stream>> {
        let mut state = user.lock();
        if state.departure != departure || !state.online {
            return None;
        }
        let streams: Vec<Stream> = state.streams.keys().copied().collect();
        for stream in &streams {
            self.unfollow(user, &mut state, *stream);
        }
        state.online = false;
        self.forget_if_idle(user, &mut state);
        Some(streams)
    }

    fn forget_if_idle(&self, user: &User, state: &mut State) {
        if state.seats.is_empty() && !state.online && !state.gone {
            state.gone = true;
            let mut users = self.users();
            users.remove(&user.id);
            if users.capacity() > 1024 && users.len() < users.capacity() / 4 {
                let twice = users.len() * 2;
                users.shrink_to(twice);
            }
        }
    }

    /// Follows what was named, except where the user was expelled meanwhile. Answers what that leaves.
    fn follow_named(&self, user: &User, state: &mut State, named: &Named) -> HashSet<Stream> {
        let expelled: HashSet<Stream> = state.happened(false).collect();
        let mut kept = HashSet::new();
        for (module, streams) in named {
            for stream in streams.iter().filter(|stream| !expelled.contains(stream)) {
                self.follow(user, state, *stream, Some(module));
                kept.insert(*stream);
            }
        }
        kept
    }

    /// Drops the streams that are not to be kept and whose owner `may_go`.
    fn unfollow_others(
        &self,
        user: &User,
        state: &mut State,
        kept: &HashSet<Stream>,
        may_go: impl Fn(Option<&'static str>) -> bool,
    ) {
        let lost: Vec<Stream> = state
            .streams
            .iter()
            .filter(|(stream, followed)| !kept.contains(*stream) && may_go(followed.owner))
            .map(|(stream, _)| *stream)
            .collect();
        for stream in lost {
            self.unfollow(user, state, stream);
        }
    }

    /// Answers whether it did not before.
    fn follow(
        &self,
        user: &User,
        state: &mut State,
        stream: Stream,
        owner: Option<&'static str>,
    ) -> bool {
        if let Some(followed) = state.streams.get_mut(&stream) {
            followed.owner = owner.or(followed.owner);
            return false;
        }
        let seats = &state.seats;
        let feed = self.feeds.join(stream, |members| {
            members.add_user(user.id);
            for seat in seats.iter().filter(|seat| seat.ready) {
                members.add(None, &seat.socket);
            }
        });
        state.streams.insert(stream, Followed { feed, owner });
        true
    }

    fn unfollow(&self, user: &User, state: &mut State, stream: Stream) {
        for seat in &mut state.seats {
            let socket = &seat.socket;
            seat.own.retain(|(feed, channel)| {
                let lost = feed.stream == stream;
                if lost {
                    self.feeds
                        .leave(feed, |members| members.remove(*channel, socket));
                }
                !lost
            });
        }
        if let Some(followed) = state.streams.remove(&stream) {
            self.feeds.leave(&followed.feed, |members| {
                members.remove_user(user.id);
                for seat in &state.seats {
                    members.remove(None, &seat.socket);
                }
            });
        }
    }
}

impl User {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn is_online(&self) -> bool {
        self.lock().online
    }

    /// Queues frames for every socket of the user that is set up.
    pub(super) fn push(&self, frames: &[Bytes], limit: usize, sent: &mut Sent) {
        for seat in self.lock().seats.iter().filter(|seat| seat.ready) {
            seat.socket.outbox.push(frames, limit, sent);
        }
    }
}

impl State {
    fn seat_of(&mut self, socket: &Arc<Socket>) -> Option<&mut Seat> {
        self.seats
            .iter_mut()
            .find(|seat| Arc::ptr_eq(&seat.socket, socket))
    }

    fn remember(&mut self, stream: Stream, admitted: bool) {
        if self.watches > 0 {
            self.meanwhile.insert(stream, admitted);
        }
    }

    /// The streams in which the last thing that happened was an admission, or an expulsion.
    fn happened(&self, admission: bool) -> impl Iterator<Item = Stream> {
        self.meanwhile
            .iter()
            .filter(move |(_, admitted)| **admitted == admission)
            .map(|(stream, _)| *stream)
    }
}

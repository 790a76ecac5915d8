//! Who follows what: for each stream its users and sockets, and the sockets that follow one of its channels.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use filament_kernel::{
    id::{ChannelId, UserId},
    log::Stream,
};

use super::{outbox::Sent, socket::Socket};

/// Sockets, by their number.
type Roll = HashMap<u64, Arc<Socket>>;

/// The followers of one stream. Events are queued under its lock, so once [`Feeds::leave`] has returned, nothing more of the
/// stream gets into the queue of whoever left.
pub(super) struct Feed {
    pub(super) stream: Stream,
    members: Mutex<Members>,
}

/// See [`Feed`].
#[derive(Default)]
pub(super) struct Members {
    /// The last follower has gone, and the feed with it; who comes now needs a new one.
    retired: bool,
    /// The users that follow the stream by right, also those in their time of grace.
    users: BTreeSet<UserId>,
    sockets: Roll,
    channels: HashMap<ChannelId, Roll>,
}

impl Members {
    pub(super) fn add_user(&mut self, user: UserId) {
        self.users.insert(user);
    }

    pub(super) fn remove_user(&mut self, user: UserId) {
        self.users.remove(&user);
    }

    /// `socket` follows the stream, or one channel of it.
    pub(super) fn add(&mut self, channel: Option<ChannelId>, socket: &Arc<Socket>) {
        let roll = match channel {
            None => &mut self.sockets,
            Some(channel) => self.channels.entry(channel).or_default(),
        };
        roll.insert(socket.number, socket.clone());
    }

    pub(super) fn remove(&mut self, channel: Option<ChannelId>, socket: &Socket) {
        let Some(id) = channel else {
            strike(&mut self.sockets, socket);
            return;
        };
        if let Some(roll) = self.channels.get_mut(&id) {
            strike(roll, socket);
            if roll.is_empty() {
                self.channels.remove(&id);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.sockets.is_empty() && self.channels.is_empty()
    }
}

/// Takes a socket off a roll, and gives memory back when many have left.
fn strike(roll: &mut Roll, socket: &Socket) {
    roll.remove(&socket.number);
    if roll.capacity() > 64 && roll.len() < roll.capacity() / 4 {
        roll.shrink_to(roll.len() * 2);
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Queues `frames` for those followers of the stream, or of one channel of it, who may `hear` them.
    pub(super) fn push(
        &self,
        channel: Option<ChannelId>,
        frames: &[Bytes],
        hear: impl Fn(UserId) -> bool,
        limit: usize,
    ) -> Sent {
        let members = self.lock();
        let roll = match channel {
            None => &members.sockets,
            Some(channel) => match members.channels.get(&channel) {
                Some(roll) => roll,
                None => return Sent::default(),
            },
        };
        let mut sent = Sent::expecting(roll.len());
        for socket in roll.values() {
            if hear(socket.caller.user_id) {
                socket.outbox.push(frames, limit, &mut sent);
            }
        }
        sent
    }

    /// The sockets that follow a channel of the stream.
    pub(super) fn channel_sockets(&self) -> Vec<(ChannelId, Arc<Socket>)> {
        let members = self.lock();
        let rolls = members.channels.iter();
        rolls
            .flat_map(|(channel, roll)| roll.values().map(|socket| (*channel, socket.clone())))
            .collect()
    }

    /// The first `limit` users, in the order of their ids.
    pub(super) fn users(&self, limit: usize) -> Vec<UserId> {
        self.lock().users.iter().take(limit).copied().collect()
    }
}

/// All feeds that have a follower.
#[derive(Default)]
pub(super) struct Feeds(Mutex<HashMap<Stream, Arc<Feed>>>);

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, HashMap<Stream, Arc<Feed>>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The feed of a stream, if anybody follows it.
    pub(super) fn get(&self, stream: Stream) -> Option<Arc<Feed>> {
        self.lock().get(&stream).cloned()
    }

    /// Adds to the followers of a stream.
    pub(super) fn join(&self, stream: Stream, add: impl Fn(&mut Members)) -> Arc<Feed> {
        loop {
            let feed = self
                .lock()
                .entry(stream)
                .or_insert_with(|| {
                    Arc::new(Feed {
                        stream,
                        members: Mutex::default(),
                    })
                })
                .clone();
            let mut members = feed.lock();
            if !members.retired {
                add(&mut members);
                drop(members);
                return feed;
            }
        }
    }

    /// Takes from the followers of a stream.
    pub(super) fn leave(&self, feed: &Arc<Feed>, remove: impl FnOnce(&mut Members)) {
        let mut members = feed.lock();
        remove(&mut members);
        if members.is_empty() && !members.retired {
            members.retired = true;
            let mut feeds = self.lock();
            feeds.remove(&feed.stream);
            if feeds.capacity() > 1024 && feeds.len() < feeds.capacity() / 4 {
                let twice = feeds.len() * 2;
                feeds.shrink_to(twice);
            }
        }
    }

    /// How many streams have a follower.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}

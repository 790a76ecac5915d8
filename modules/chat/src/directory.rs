//! The guilds in memory, so that a send or a subscribe is judged without the database.
//!
//! A guild is loaded when it is first asked for and stays. It is exact: what is committed is [noted](Directory::note) by
//! [`Change::committed`](filament_kernel::log::Change::committed), before anybody is told of it.
//!
//! Loading must not race with a commit. While a guild is being read, what is committed to it is kept aside, and applied to what
//! was read: a [`Fact`] says how things are, so it does no harm where the reading saw it already. Nothing has to be
//! read twice, however busy the guild is.
//!
//! Ids that belong to no guild leave nothing behind.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
};

use filament_kernel::{
    ApiError,
    id::{ChannelId, GuildId, Ids, UserId},
};

use crate::domain::{
    channel::Channel,
    guild::Visibility,
    member::Member,
    roster::{Fact, Roster},
};

/// A guild in memory.
#[derive(Debug)]
pub(crate) struct Guild {
    pub(crate) id: GuildId,
    roster: RwLock<Roster>,
}

impl Guild {
    pub(crate) fn member(&self, user: UserId) -> Option<Member> {
        self.roster().member(user)
    }

    pub(crate) fn visibility(&self) -> Visibility {
        self.roster().visibility
    }

    pub(crate) fn has_channel(&self, channel: ChannelId) -> bool {
        self.roster().channels.contains_key(&channel)
    }

    /// Up to `limit` channels after `cursor`, oldest first.
    pub(crate) fn channels_after(&self, cursor: Option<ChannelId>, limit: usize) -> Vec<Channel> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.roster()
            .channels
            .range((cursor.map_or(Unbounded, Excluded), Unbounded))
            .take(limit)
            .map(|(_, channel)| channel.clone())
            .collect()
    }

    fn roster(&self) -> RwLockReadGuard<'_, Roster> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, fact: Fact) {
        self.roster
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(fact);
    }
}

/// A guild's place in the directory.
enum Slot {
    Loaded(Arc<Guild>),
    Loading(Arc<Loading>),
}

/// A guild that somebody is reading, or waits to read.
#[derive(Default)]
struct Loading {
    /// Held by the one who reads. Whoever comes after finds the guild loaded, or reads in turn.
    turn: tokio::sync::Mutex<()>,
    /// What was committed meanwhile, in order.
    committed: Mutex<Vec<Fact>>,
}

/// The guilds in memory.
#[derive(Default)]
pub(crate) struct Directory {
    slots: RwLock<HashMap<GuildId, Slot>>,
}

impl Directory {
    /// The directory of the host that makes its ids with `ids`.
    ///
    /// When the module is replaced, changes that the old instance has queued are committed while the new one already
    /// reads. Both must hear of them, so they share one directory, for as long as either instance or a queued change is left.
    pub(crate) fn of_host(ids: &Arc<Ids>) -> Arc<Self> {
        static HOSTS: Mutex<Vec<(Weak<Ids>, Weak<Directory>)>> = Mutex::new(Vec::new());
        let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|(_, directory)| directory.strong_count() > 0);
        let found = hosts
            .iter()
            .find(|(host, _)| std::ptr::eq(host.as_ptr(), Arc::as_ptr(ids)))
            .and_then(|(_, directory)| directory.upgrade());
        found.unwrap_or_else(|| {
            let directory = Arc::new(Self::default());
            hosts.push((Arc::downgrade(ids), Arc::downgrade(&directory)));
            directory
        })
    }

    /// The guild, if there is one. `load` reads it from the database; it is called when the guild is not in memory, by
    /// one caller at a time.
    ///
    /// # Errors
    /// Those of `load`.
    pub(crate) async fn get<F>(&self, id: GuildId, load: F) -> Result<Option<Arc<Guild>>, ApiError>
    where
        F: AsyncFnOnce() -> Result<Option<Roster>, ApiError>,
    {
        if let Some(Slot::Loaded(guild)) = self.read().get(&id) {
            return Ok(Some(guild.clone()));
        }
        let place = match self.queue(id) {
            Ok(place) => place,
            Err(guild) => return Ok(Some(guild)),
        };
        let _turn = place.loading.turn.lock().await;
        if let Some(Slot::Loaded(guild)) = self.read().get(&id) {
            return Ok(Some(guild.clone()));
        }
        Ok(load().await?.map(|roster| place.settle(roster)))
    }

    /// Takes in what was committed to a guild. A guild that is not in memory will be read as it is then.
    pub(crate) fn note(&self, id: GuildId, fact: Fact) {
        // The lock is held to the end: a guild must not turn from loading to loaded in between.
        match self.read().get(&id) {
            Some(Slot::Loaded(guild)) => guild.apply(fact),
            Some(Slot::Loading(loading)) => loading
                .committed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(fact),
            None => {}
        }
    }

    /// A place among those who wait for the guild, or the guild if it has just been loaded.
    fn queue(&self, id: GuildId) -> Result<Place<'_>, Arc<Guild>> {
        let mut slots = self.write();
        let slot = slots
            .entry(id)
            .or_insert_with(|| Slot::Loading(Arc::default()));
        match slot {
            Slot::Loaded(guild) => Err(guild.clone()),
            Slot::Loading(loading) => Ok(Place {
                directory: self,
                id,
                loading: loading.clone(),
            }),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<GuildId, Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<GuildId, Slot>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait for a guild. The last to leave without having found one takes the slot away.
struct Place<'a> {
    directory: &'a Directory,
    id: GuildId,
    loading: Arc<Loading>,
}

impl Place<'_> {
    /// The guild was read: brings it up to date and puts it where everybody finds it.
    fn settle(&self, mut roster: Roster) -> Arc<Guild> {
        let mut slots = self.directory.write();
        let committed = std::mem::take(
            &mut *self
                .loading
                .committed
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for fact in committed {
            roster.apply(fact);
        }
        let guild = Arc::new(Guild {
            id: self.id,
            roster: RwLock::new(roster),
        });
        slots.insert(self.id, Slot::Loaded(guild.clone()));
        guild
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut slots = self.directory.write();
        // Places are made under the same lock, so the count cannot grow meanwhile: one for the slot, one for this place.
        let last = matches!(
            slots.get(&self.id),
            Some(Slot::Loading(loading))
                if Arc::ptr_eq(loading, &self.loading) && Arc::strong_count(loading) == 2
        );
        if last {
            slots.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use filament_kernel::id::RoleId;
    use tokio::sync::Notify;

    use super::*;
    use crate::domain::{
        channel::ChannelKind,
        member::Role,
        permission::PermissionSet,
        role::{RoleKind, Standing},
    };

    struct World {
        ids: Ids,
        guild: GuildId,
        moderator: RoleId,
    }

    impl World {
        fn new() -> Self {
            let ids = Ids::default();
            Self {
                guild: ids.next(),
                moderator: ids.next(),
                ids,
            }
        }

        fn roster(&self) -> Roster {
            let role = Role {
                kind: RoleKind::Moderator,
                permissions: PermissionSet::NONE,
            };
            Roster::new(Visibility::Public, [], [(self.moderator, role)])
        }

        fn joined(&self, user_id: UserId) -> Fact {
            Fact::Member {
                user_id,
                role_ids: vec![self.moderator],
            }
        }
    }

    #[tokio::test]
    async fn what_is_committed_while_a_guild_is_read_is_not_lost() {
        let world = World::new();
        let directory = Directory::default();
        let (early, late) = (world.ids.next(), world.ids.next());
        let channel = Channel {
            channel_id: world.ids.next::<ChannelId>(),
            name: "general".into(),
            kind: ChannelKind::Text,
        };
        let (has_read, go_on) = (Notify::new(), Notify::new());

        let load = directory.get(world.guild, async || {
            let mut roster = world.roster();
            roster.apply(world.joined(early));
            has_read.notify_one();
            go_on.notified().await;
            Ok(Some(roster))
        });
        let commit = async {
            has_read.notified().await;
            directory.note(world.guild, world.joined(early));
            directory.note(world.guild, world.joined(late));
            directory.note(world.guild, Fact::Channel(channel.clone()));
            go_on.notify_one();
        };
        let (loaded, ()) = tokio::join!(load, commit);

        let guild = loaded.expect("loads").expect("there is one");
        for user in [early, late] {
            assert_eq!(
                guild.member(user).map(|m| m.standing),
                Some(Standing::Moderator)
            );
        }
        assert_eq!(guild.channels_after(None, 9), [channel]);

        let later = world.ids.next();
        directory.note(world.guild, world.joined(later));
        assert!(guild.member(later).is_some(), "and after it was read");
    }

    #[tokio::test]
    async fn a_guild_is_read_once_however_many_ask() {
        let world = World::new();
        let directory = Directory::default();
        let reads = AtomicUsize::new(0);
        let ask = || {
            directory.get(world.guild, async || {
                reads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(Some(world.roster()))
            })
        };
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        for found in [a, b, c, ask().await] {
            assert!(found.expect("loads").is_some());
        }
        assert_eq!(reads.into_inner(), 1);
    }

    #[tokio::test]
    async fn unknown_failed_and_abandoned_loads_leave_nothing_behind() {
        let world = World::new();
        let directory = Directory::default();

        let none = directory.get(world.guild, async || Ok(None)).await;
        assert!(none.expect("answers").is_none());
        assert!(directory.read().is_empty());

        let failed = directory
            .get(world.guild, async || Err(ApiError::unavailable("away")))
            .await;
        assert!(failed.is_err());
        assert!(directory.read().is_empty());

        let never = directory.get(world.guild, async || std::future::pending().await);
        let abandoned = tokio::time::timeout(std::time::Duration::from_millis(5), never).await;
        assert!(abandoned.is_err());
        assert!(directory.read().is_empty());
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_the_reader_gives_up() {
        let world = World::new();
        let directory = Directory::default();
        let started = Notify::new();
        let gives_up = async {
            let stuck = directory.get(world.guild, async || {
                started.notify_one();
                std::future::pending().await
            });
            tokio::time::timeout(std::time::Duration::from_millis(20), stuck).await
        };
        let waits = async {
            started.notified().await;
            directory
                .get(world.guild, async || Ok(Some(world.roster())))
                .await
        };
        let (given_up, found) = tokio::join!(gives_up, waits);
        assert!(given_up.is_err());
        assert!(found.expect("loads").is_some());
    }

    #[test]
    fn instances_of_one_host_share_a_directory_and_hosts_do_not() {
        let (here, there) = (Arc::new(Ids::default()), Arc::new(Ids::default()));
        let first = Directory::of_host(&here);
        assert!(Arc::ptr_eq(&first, &Directory::of_host(&here)));
        assert!(!Arc::ptr_eq(&first, &Directory::of_host(&there)));
    }
}

//! The guilds in memory, so that a send or a subscribe is judged without the database.
//!
//! A guild is loaded when it is first asked for, and stays until the guilds in memory are too many; then those that were not asked
//! for the longest, and that nobody holds, are forgotten and will be read again. It is exact: what is committed is [noted](Directory::note) by
//! [`Change::committed`](filament_kernel::log::Change::committed), before anybody is told of it.
//!
//! Loading must not race with a commit. While a guild is being read, what is committed to it is kept aside, and applied to what
//! was read: a [`Fact`] says how things are, so it does no harm where the reading saw it already. Nothing has to be
//! read twice, however busy the guild is.
//!
//! Ids that belong to no guild leave nothing behind.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use filament_kernel::{
    ApiError,
    id::{ChannelId, GuildId, RoleId, UserId},
    kept::Kept,
};

use crate::domain::{
    channel::Channel,
    channel_override::Overrides,
    member::Member,
    role::{RoleKind, Standing},
    roster::{Fact, Roster},
};

/// What is kept in memory of all guilds together, in [`Roster::entries`] of some 50 bytes each.
const ENTRIES_MAX: usize = 500_000;

/// A guild in memory.
#[derive(Debug)]
pub(crate) struct Guild {
    pub(crate) id: GuildId,
    roster: RwLock<Roster>,
    /// When it was last asked for, by the directory's count.
    asked: AtomicU64,
}

impl Guild {
    /// What the guild holds; to be looked at and let go, never across an await.
    pub(crate) fn roster(&self) -> RwLockReadGuard<'_, Roster> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn member(&self, user: UserId) -> Option<Member> {
        self.roster().member(user)
    }

    pub(crate) fn sees(&self, user: UserId, channel: ChannelId) -> bool {
        self.roster()
            .member_in(channel, user)
            .is_some_and(Member::sees_channel)
    }

    /// Whether the user would see a channel with these overrides.
    pub(crate) fn would_see(&self, user: UserId, overrides: &Overrides) -> bool {
        self.member(user)
            .is_some_and(|member| member.in_channel(overrides).sees_channel())
    }

    /// What somebody with these roles is.
    pub(crate) fn standing_of(&self, role_ids: &[RoleId]) -> Standing {
        let roster = self.roster();
        let kinds = role_ids
            .iter()
            .filter_map(|id| Some(roster.role(*id)?.kind));
        kinds
            .map(RoleKind::standing)
            .max()
            .unwrap_or(Standing::Member)
    }

    pub(crate) fn is_address_banned(&self, address: IpAddr, now: i64) -> bool {
        self.roster().is_address_banned(address, now)
    }

    /// Up to `limit` channels that the user sees after the channel `cursor`, in their order.
    pub(crate) fn channels_after(
        &self,
        user: UserId,
        cursor: Option<ChannelId>,
        limit: usize,
    ) -> Vec<Channel> {
        let roster = self.roster();
        let mut channels = roster.channels_of(user);
        if let Some(cursor) = cursor {
            // A channel that has gone meanwhile, or moved out of sight, ends the list: there is no telling where it stood.
            let after = channels.iter().position(|one| one.channel_id == cursor);
            channels.drain(..after.map_or(channels.len(), |at| at + 1));
        }
        channels.truncate(limit);
        channels
    }

    /// Answers how the number of entries has changed: before, and after.
    fn apply(&self, facts: impl IntoIterator<Item = Fact>) -> (usize, usize) {
        let mut roster = self.roster.write().unwrap_or_else(PoisonError::into_inner);
        let before = roster.entries();
        facts.into_iter().for_each(|fact| roster.apply(fact));
        (before, roster.entries())
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
    /// Counts what is asked, so that guilds can be told apart by when they were asked for.
    asked: AtomicU64,
    /// The entries of all guilds that are loaded.
    entries: AtomicUsize,
}

impl Directory {
    /// The directory of the host that keeps it in `kept`.
    ///
    /// When the module is replaced, changes that the old instance has queued are committed while the new one already
    /// reads. Both must hear of them, so they share one directory, for as long as either instance or a queued change is left.
    pub(crate) fn of_host(kept: &Kept) -> Arc<Self> {
        let place = kept.get::<Mutex<Weak<Self>>>();
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        place.upgrade().unwrap_or_else(|| {
            let directory = Arc::new(Self::default());
            *place = Arc::downgrade(&directory);
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
        if let Some(guild) = self.loaded(id) {
            return Ok(Some(guild));
        }
        let place = match self.queue(id) {
            Ok(place) => place,
            Err(guild) => return Ok(Some(guild)),
        };
        let _turn = place.loading.turn.lock().await;
        if let Some(guild) = self.loaded(id) {
            return Ok(Some(guild));
        }
        Ok(load().await?.and_then(|roster| place.settle(roster)))
    }

    /// Takes in what was committed to a guild, in order. A guild that is not in memory will be read as it is then.
    pub(crate) fn note(&self, id: GuildId, facts: impl IntoIterator<Item = Fact>) {
        // The lock is held to the end: a guild must not turn from loading to loaded in between.
        let slots = self.read();
        let is_deleted = match slots.get(&id) {
            Some(Slot::Loaded(guild)) => {
                self.recount(guild.apply(facts));
                guild.roster().is_deleted()
            }
            Some(Slot::Loading(loading)) => {
                let mut committed = loading
                    .committed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                committed.extend(facts);
                false
            }
            None => false,
        };
        drop(slots);
        if is_deleted {
            self.forget(id);
        }
    }

    fn loaded(&self, id: GuildId) -> Option<Arc<Guild>> {
        let slots = self.read();
        let Some(Slot::Loaded(guild)) = slots.get(&id) else {
            return None;
        };
        guild.asked.store(self.tick(), Ordering::Relaxed);
        Some(guild.clone())
    }

    fn tick(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed)
    }

    fn recount(&self, (before, after): (usize, usize)) {
        self.entries.fetch_add(after, Ordering::Relaxed);
        self.entries.fetch_sub(before, Ordering::Relaxed);
    }

    fn forget(&self, id: GuildId) {
        let mut slots = self.write();
        if let Some(Slot::Loaded(guild)) = slots.get(&id) {
            self.recount((guild.roster().entries(), 0));
            slots.remove(&id);
        }
    }

    /// Forgets what was not asked for the longest until the rest is well within `max` entries. A guild that somebody holds stays: what
    /// is committed to it must reach whoever holds it.
    fn make_room(&self, slots: &mut HashMap<GuildId, Slot>, max: usize) {
        if self.entries.load(Ordering::Relaxed) <= max {
            return;
        }
        let mut idle: Vec<(u64, GuildId, usize)> = slots
            .values()
            .filter_map(|slot| match slot {
                Slot::Loaded(guild) if Arc::strong_count(guild) == 1 => Some((
                    guild.asked.load(Ordering::Relaxed),
                    guild.id,
                    guild.roster().entries(),
                )),
                Slot::Loaded(_) | Slot::Loading(_) => None,
            })
            .collect();
        idle.sort_unstable();
        for (_, id, entries) in idle {
            if self.entries.load(Ordering::Relaxed) <= max / 8 * 7 {
                break;
            }
            slots.remove(&id);
            self.recount((entries, 0));
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
    /// The guild was read: brings it up to date and puts it where everybody finds it. `None` when it was deleted meanwhile.
    fn settle(&self, mut roster: Roster) -> Option<Arc<Guild>> {
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
        if roster.is_deleted() {
            return None;
        }
        self.directory.recount((0, roster.entries()));
        let guild = Arc::new(Guild {
            id: self.id,
            roster: RwLock::new(roster),
            asked: AtomicU64::new(self.directory.tick()),
        });
        slots.insert(self.id, Slot::Loaded(guild.clone()));
        self.directory.make_room(&mut slots, ENTRIES_MAX);
        Some(guild)
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
    use filament_kernel::id::Ids;
    use tokio::sync::Notify;

    use super::*;
    use crate::domain::{
        channel::ChannelKind, guild::Visibility, member::Powers, permission::PermissionSet,
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
            let mut roster = Roster::new(Visibility::Public);
            roster.apply(Fact::Role {
                role_id: self.moderator,
                role: Powers {
                    kind: RoleKind::Moderator,
                    position: 2,
                    permissions: PermissionSet::ALL,
                },
            });
            roster
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
            topic: String::new(),
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
            directory.note(world.guild, [world.joined(early), world.joined(late)]);
            let opened = Fact::Channel {
                channel: channel.clone(),
                position: 0,
            };
            directory.note(world.guild, [opened]);
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
        assert_eq!(guild.channels_after(late, None, 9), [channel]);

        let later = world.ids.next();
        directory.note(world.guild, [world.joined(later)]);
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

    #[tokio::test]
    async fn a_deleted_guild_is_gone_for_who_holds_it_who_reads_it_and_who_asks() {
        let world = World::new();
        let directory = Directory::default();
        let user = world.ids.next();
        let joined = async || {
            let mut roster = world.roster();
            roster.apply(world.joined(user));
            Ok(Some(roster))
        };
        let held = directory.get(world.guild, joined).await;
        let held = held.expect("loads").expect("there is one");
        directory.note(world.guild, [Fact::GuildGone]);
        assert!(held.member(user).is_none());
        assert!(directory.read().is_empty());

        let late = directory.get(world.guild, async || {
            let roster = joined().await;
            directory.note(world.guild, [Fact::GuildGone]);
            roster
        });
        assert!(late.await.expect("loads").is_none());
        assert!(directory.read().is_empty());
        assert_eq!(directory.entries.into_inner(), 0);
    }

    #[tokio::test]
    async fn what_was_not_asked_for_the_longest_is_forgotten_unless_somebody_holds_it() {
        let world = World::new();
        let directory = Directory::default();
        let guilds: Vec<GuildId> = (0..8).map(|_| world.ids.next()).collect();
        let ask = async |id| {
            let found = directory.get(id, async || Ok(Some(world.roster()))).await;
            found.expect("loads").expect("there is one")
        };
        for id in &guilds {
            ask(*id).await;
        }
        let held = ask(guilds[1]).await;
        ask(guilds[0]).await;
        let each = world.roster().entries();
        directory.make_room(&mut directory.write(), each * 4);

        let mut kept: Vec<GuildId> = directory.read().keys().copied().collect();
        kept.sort_unstable();
        assert_eq!(kept, [guilds[0], guilds[1], guilds[7]]);
        assert_eq!(directory.entries.load(Ordering::Relaxed), each * 3);
        directory.note(guilds[1], [world.joined(world.ids.next())]);
        assert_eq!(held.roster().entries(), each + 1);
    }

    #[test]
    fn instances_of_one_host_share_a_directory_and_hosts_do_not() {
        let (here, there) = (Kept::default(), Kept::default());
        let first = Directory::of_host(&here);
        assert!(Arc::ptr_eq(&first, &Directory::of_host(&here)));
        assert!(!Arc::ptr_eq(&first, &Directory::of_host(&there)));
    }
}

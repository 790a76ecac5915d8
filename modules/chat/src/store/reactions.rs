//! Reactions. All changes are made inside the transaction of the one writer of the log: what they touch is read, changed in memory by
//! [`Thread`], and written, in about ten statements for any number of them. What is shown of an emoji is written along with it,
//! so that a page reads no user's row.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::RangeInclusive,
};

use filament_kernel::{
    db::{WriteTx, chunk, insert_all},
    id::{ChannelId, MessageId, UserId},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, Insert, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict,
};

use super::messages;
use crate::{
    domain::{
        emoji::Emoji,
        reaction::{Operation, Outcome, REACTORS_LISTED, Reaction, Tally, Thread},
    },
    entity::{message_emoji, reaction},
};

/// Somebody adds or removes a reaction.
#[derive(Debug, Clone)]
pub(crate) struct Toggle {
    pub(crate) channel_id: ChannelId,
    pub(crate) message_id: MessageId,
    pub(crate) emoji: Emoji,
    pub(crate) user_id: UserId,
    pub(crate) operation: Operation,
}

/// A message's key.
pub(super) type Key = (ChannelId, MessageId);

type Threads = HashMap<Key, Thread>;

/// Makes the changes one after the other and answers for each, in the same order. A message has no more than `emoji_max` distinct
/// emoji.
pub(crate) async fn toggle(
    tx: &WriteTx,
    toggles: &[&Toggle],
    emoji_max: u32,
) -> Result<Vec<Outcome>, DbErr> {
    let before = load(tx, toggles).await?;
    let mut after = before.clone();
    let outcomes = toggles
        .iter()
        .map(|toggle| match after.get_mut(&toggle.message()) {
            None => Outcome::NoMessage,
            Some(thread) => match toggle.operation {
                Operation::Add => thread.add(&toggle.emoji, toggle.user_id, emoji_max),
                Operation::Remove => thread.remove(&toggle.emoji, toggle.user_id),
            },
        })
        .collect();
    save(tx, &before, &after).await?;
    Ok(outcomes)
}

impl Toggle {
    fn message(&self) -> Key {
        (self.channel_id, self.message_id)
    }
}

/// Reads of each message what `toggles` touch. Messages that are not there are left out.
async fn load(tx: &WriteTx, toggles: &[&Toggle]) -> Result<Threads, DbErr> {
    let keys: BTreeSet<Key> = toggles.iter().map(|toggle| toggle.message()).collect();
    let mut threads = Threads::with_capacity(keys.len());
    for part in chunks(&Vec::from_iter(keys)) {
        threads.extend(messages::threads(tx, part).await?);
    }
    let there = || {
        toggles
            .iter()
            .filter(|t| threads.contains_key(&t.message()))
    };

    let spots: BTreeSet<(Key, &Emoji)> = there().map(|t| (t.message(), &t.emoji)).collect();
    let mut tallies = Vec::with_capacity(spots.len());
    for part in chunks(&Vec::from_iter(spots)) {
        let found = message_emoji::Entity::find().filter(any(part, |(key, emoji)| {
            emoji_of(*key).add(message_emoji::Column::Emoji.eq((*emoji).clone()))
        }));
        tallies.extend(found.all(tx).await?);
    }
    let asked: BTreeSet<(Key, &Emoji, UserId)> = there()
        .map(|t| (t.message(), &t.emoji, t.user_id))
        .collect();
    let mut set = Vec::with_capacity(asked.len());
    for part in chunks(&Vec::from_iter(asked)) {
        let found = reaction::Entity::find().filter(any(part, |(key, emoji, user)| {
            reactions_of(*key)
                .add(reaction::Column::Emoji.eq((*emoji).clone()))
                .add(reaction::Column::UserId.eq(*user))
        }));
        set.extend(found.all(tx).await?);
    }

    for row in tallies {
        let key = (row.channel_id, row.message_id);
        let mut tally = tally(&row);
        let leaving = toggles.iter().filter(|toggle| {
            toggle.operation == Operation::Remove
                && toggle.message() == key
                && toggle.emoji == row.emoji
        });
        let leaving = leaving.count();
        if leaving > 0 && !tally.lists_all() {
            // As many more as may have to move up.
            tally.first = first(tx, key, &row.emoji, REACTORS_LISTED + leaving).await?;
        }
        let thread = threads.entry(key).or_default();
        thread.tallies.insert(row.emoji, tally);
    }
    for row in set {
        let thread = threads.entry((row.channel_id, row.message_id)).or_default();
        thread.places.insert((row.emoji, row.user_id), row.place);
    }
    Ok(threads)
}

/// Writes what has changed.
async fn save(tx: &WriteTx, before: &Threads, after: &Threads) -> Result<(), DbErr> {
    let (mut unset, mut set) = (Vec::new(), Vec::new());
    let (mut gone, mut shown) = (Vec::new(), Vec::new());
    let mut changed = Vec::new();
    let none = Thread::default();
    for (key, thread) in after {
        let old = before.get(key).unwrap_or(&none);
        let differs = |one: &Thread, other: &Thread| {
            let places = one.places.clone().into_iter();
            let other = other.places.clone();
            places
                .filter(move |(whose, place)| other.get(whose) != Some(place))
                .map(|((emoji, user_id), place)| reaction::Model {
                    channel_id: key.0,
                    user_id,
                    message_id: key.1,
                    emoji,
                    place,
                })
        };
        unset.extend(differs(old, thread));
        set.extend(differs(thread, old).map(IntoActiveModel::into_active_model));
        for (emoji, tally) in &thread.tallies {
            match old.tallies.get(emoji) {
                Some(old) if old == tally => {}
                Some(_) if tally.count == 0 => gone.push((*key, emoji)),
                None if tally.count == 0 => {}
                _ => shown.push(row(*key, emoji, tally).into_active_model()),
            }
        }
        if (old.emoji, old.last_place) != (thread.emoji, thread.last_place) {
            changed.push((*key, thread));
        }
    }
    for part in chunks(&unset) {
        let rows = any(part, |row| {
            reactions_of((row.channel_id, row.message_id))
                .add(reaction::Column::Emoji.eq(row.emoji.clone()))
                .add(reaction::Column::UserId.eq(row.user_id))
        });
        reaction::Entity::delete_many()
            .filter(rows)
            .exec(tx)
            .await?;
    }
    insert_all(tx, set).await?;
    for part in chunks(&gone) {
        let rows = any(part, |(key, emoji)| {
            emoji_of(*key).add(message_emoji::Column::Emoji.eq((*emoji).clone()))
        });
        message_emoji::Entity::delete_many()
            .filter(rows)
            .exec(tx)
            .await?;
    }
    for part in chunks(&shown) {
        use message_emoji::Column;
        let replace = OnConflict::columns([Column::ChannelId, Column::MessageId, Column::Emoji])
            .update_columns([
                Column::Place,
                Column::Count,
                Column::LastPlace,
                Column::FirstUserIds,
            ])
            .to_owned();
        Insert::many(part.iter().cloned())
            .on_conflict(replace)
            .exec_without_returning(tx)
            .await?;
    }
    for (key, thread) in changed {
        messages::set_emoji(tx, key, thread).await?;
    }
    Ok(())
}

/// Removes all reactions of a message that goes itself.
pub(super) async fn remove_all(tx: &WriteTx, message: Key) -> Result<(), DbErr> {
    reaction::Entity::delete_many()
        .filter(reactions_of(message))
        .exec(tx)
        .await?;
    message_emoji::Entity::delete_many()
        .filter(emoji_of(message))
        .exec(tx)
        .await?;
    Ok(())
}

/// The reactions to messages that follow each other in a channel, as `viewer` sees them: each message's in the order in which its emoji
/// came, with `listed` users each at most. Two queries at most, whatever the number of messages and users; none where nobody has reacted.
pub(crate) async fn of_messages(
    db: &impl ConnectionTrait,
    channel: ChannelId,
    messages: &[messages::Stored],
    viewer: UserId,
    listed: usize,
) -> Result<HashMap<MessageId, Vec<Reaction>>, DbErr> {
    let ids = || {
        messages
            .iter()
            .filter(|m| m.emoji > 0)
            .map(|m| m.message_id)
    };
    let (Some(oldest), Some(newest)) = (ids().min(), ids().max()) else {
        return Ok(HashMap::new());
    };
    // The messages of a page stand side by side, and so do their emoji: a range does it, and is one statement for all sizes.
    let rows = message_emoji::Entity::find()
        .filter(message_emoji::Column::ChannelId.eq(channel))
        .filter(message_emoji::Column::MessageId.gte(oldest))
        .filter(message_emoji::Column::MessageId.lte(newest))
        .order_by_asc(message_emoji::Column::MessageId)
        .order_by_asc(message_emoji::Column::Place)
        .all(db)
        .await?;
    let tallies: Vec<(MessageId, Emoji, Tally)> = rows
        .into_iter()
        .map(|row| {
            let tally = tally(&row);
            (row.message_id, row.emoji, tally)
        })
        .collect();
    // Who is not among the first of many may be one of the others.
    let unsure = |tally: &Tally| !tally.lists_all() && !tally.first.contains(&viewer);
    let own = if tallies.iter().any(|(_, _, tally)| unsure(tally)) {
        set_by(db, channel, oldest..=newest, viewer).await?
    } else {
        HashSet::new()
    };
    let mut reactions: HashMap<MessageId, Vec<Reaction>> = HashMap::new();
    for (message, emoji, tally) in tallies {
        let by_me = if unsure(&tally) {
            own.contains(&(message, emoji.clone()))
        } else {
            tally.first.contains(&viewer)
        };
        let seen = tally.seen(emoji, by_me, listed);
        reactions.entry(message).or_default().push(seen);
    }
    Ok(reactions)
}

async fn set_by(
    db: &impl ConnectionTrait,
    channel: ChannelId,
    messages: RangeInclusive<MessageId>,
    user: UserId,
) -> Result<HashSet<(MessageId, Emoji)>, DbErr> {
    let set: Vec<(MessageId, Emoji)> = reaction::Entity::find()
        .select_only()
        .column(reaction::Column::MessageId)
        .column(reaction::Column::Emoji)
        .filter(reaction::Column::ChannelId.eq(channel))
        .filter(reaction::Column::UserId.eq(user))
        .filter(reaction::Column::MessageId.gte(*messages.start()))
        .filter(reaction::Column::MessageId.lte(*messages.end()))
        .into_tuple()
        .all(db)
        .await?;
    Ok(set.into_iter().collect())
}

/// The first `limit` users who have an emoji set.
async fn first(
    tx: &WriteTx,
    message: Key,
    emoji: &Emoji,
    limit: usize,
) -> Result<Vec<UserId>, DbErr> {
    reaction::Entity::find()
        .select_only()
        .column(reaction::Column::UserId)
        .filter(reactions_of(message).add(reaction::Column::Emoji.eq(emoji.clone())))
        .order_by_asc(reaction::Column::Place)
        .limit(limit as u64)
        .into_tuple()
        .all(tx)
        .await
}

fn reactions_of((channel, message): Key) -> Condition {
    Condition::all()
        .add(reaction::Column::ChannelId.eq(channel))
        .add(reaction::Column::MessageId.eq(message))
}

fn emoji_of((channel, message): Key) -> Condition {
    Condition::all()
        .add(message_emoji::Column::ChannelId.eq(channel))
        .add(message_emoji::Column::MessageId.eq(message))
}

/// Parts whose sizes are powers of two, so that there are few distinct statements.
pub(super) fn chunks<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (part, rest) = items.split_at_checked(chunk(items.len()))?;
        items = rest;
        Some(part)
    })
}

/// What fits one of `items`.
pub(super) fn any<T>(items: &[T], one: impl Fn(&T) -> Condition) -> Condition {
    items
        .iter()
        .fold(Condition::any(), |all, item| all.add(one(item)))
}

fn tally(row: &message_emoji::Model) -> Tally {
    Tally {
        place: row.place,
        count: row.count.unsigned_abs(),
        last_place: row.last_place,
        first: ids(&row.first_user_ids),
    }
}

fn row((channel_id, message_id): Key, emoji: &Emoji, tally: &Tally) -> message_emoji::Model {
    let first = tally.first.iter().take(REACTORS_LISTED);
    message_emoji::Model {
        channel_id,
        message_id,
        emoji: emoji.clone(),
        place: tally.place,
        count: i64::try_from(tally.count).unwrap_or(i64::MAX),
        last_place: tally.last_place,
        first_user_ids: first.map(UserId::to_string).collect(),
    }
}

/// Reads ids that stand side by side.
fn ids(joined: &str) -> Vec<UserId> {
    const ID_BYTES: usize = 26;
    joined
        .as_bytes()
        .chunks_exact(ID_BYTES)
        .filter_map(|id| std::str::from_utf8(id).ok()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{changes, domain::guild::Visibility, testing::World};

    struct Topic {
        world: World,
        channel_id: ChannelId,
        message_id: MessageId,
    }

    impl Topic {
        async fn new() -> Self {
            let world = World::new().await;
            let author = world.user();
            let guild = world.guild(author, Visibility::Private).await;
            let channel_id = world.channel(guild, author).await.channel_id();
            let access = world.post_access(guild, author, channel_id).await;
            changes::message_create(&world.state, access, "hello".into(), &[])
                .await
                .expect("a message");
            let db = world.state.host.db.read();
            let stored = messages::history(db, channel_id, None, 1).await;
            let message_id = stored.expect("reads")[0].message_id;
            Self {
                world,
                channel_id,
                message_id,
            }
        }

        fn toggle(&self, operation: Operation, emoji: &str, user_id: UserId) -> Toggle {
            Toggle {
                channel_id: self.channel_id,
                message_id: self.message_id,
                emoji: Emoji::new(emoji).expect("an emoji"),
                user_id,
                operation,
            }
        }

        async fn all(&self, toggles: &[Toggle]) -> Vec<Outcome> {
            let tx = self.world.state.host.db.begin().await.expect("begins");
            let toggles: Vec<&Toggle> = toggles.iter().collect();
            let outcomes = toggle(&tx, &toggles, 64).await.expect("toggles");
            tx.commit().await.expect("commits");
            outcomes
        }

        async fn add(&self, emoji: &str, user: UserId) -> Outcome {
            let toggle = self.toggle(Operation::Add, emoji, user);
            self.all(&[toggle]).await.remove(0)
        }

        async fn remove(&self, emoji: &str, user: UserId) -> Outcome {
            let toggle = self.toggle(Operation::Remove, emoji, user);
            self.all(&[toggle]).await.remove(0)
        }

        async fn seen_by(&self, viewer: UserId) -> Vec<Reaction> {
            let db = self.world.state.host.db.read();
            let message = messages::find(db, self.channel_id, self.message_id)
                .await
                .expect("reads")
                .expect("a message");
            let mut reactions = of_messages(db, self.channel_id, &[message], viewer, 32)
                .await
                .expect("reads");
            reactions.remove(&self.message_id).unwrap_or_default()
        }
    }

    #[tokio::test]
    async fn the_first_32_are_listed_and_the_next_moves_up_when_one_of_them_leaves() {
        let topic = Topic::new().await;
        let users: Vec<UserId> = (0..40).map(|_| topic.world.user()).collect();
        // Not in the order of their ids.
        for user in users.iter().rev() {
            topic.add("a", *user).await;
        }
        let order: Vec<UserId> = users.iter().rev().copied().collect();
        let last = order[39];
        let seen = topic.seen_by(last).await;
        assert_eq!((seen[0].count, seen[0].reacted_by_me), (40, true));
        assert_eq!(seen[0].reactor_user_ids, order[..32]);
        assert!(!topic.seen_by(topic.world.user()).await[0].reacted_by_me);

        topic.remove("a", order[35]).await;
        assert_eq!(topic.seen_by(last).await[0].reactor_user_ids, order[..32]);
        topic.remove("a", order[3]).await;
        let mut expected: Vec<UserId> = order[..33].to_vec();
        expected.remove(3);
        let seen = topic.seen_by(last).await;
        assert_eq!((seen[0].count, &seen[0].reactor_user_ids), (38, &expected));

        // Who comes back comes last.
        topic.add("a", order[3]).await;
        let seen = topic.seen_by(last).await;
        assert_eq!((seen[0].count, &seen[0].reactor_user_ids), (39, &expected));
    }

    #[tokio::test]
    async fn an_emoji_goes_with_its_last_user_and_comes_back_at_the_end() {
        let topic = Topic::new().await;
        let user = topic.world.user();
        for emoji in ["b", "a", "c"] {
            topic.add(emoji, user).await;
        }
        let emoji = |seen: Vec<Reaction>| -> Vec<String> {
            let names = seen.iter().map(|r| serde_json::json!(r.emoji));
            names
                .map(|name| name.as_str().unwrap_or("").into())
                .collect()
        };
        assert_eq!(emoji(topic.seen_by(user).await), ["b", "a", "c"]);
        topic.remove("b", user).await;
        assert_eq!(emoji(topic.seen_by(user).await), ["a", "c"]);
        topic.add("b", user).await;
        assert_eq!(emoji(topic.seen_by(user).await), ["a", "c", "b"]);
        for emoji in ["a", "b", "c"] {
            topic.remove(emoji, user).await;
        }
        assert!(topic.seen_by(user).await.is_empty());
    }

    #[tokio::test]
    async fn a_batch_comes_to_the_same_as_its_changes_one_by_one() {
        let (together, apart) = (Topic::new().await, Topic::new().await);
        let users: Vec<UserId> = (0..50).map(|_| together.world.user()).collect();
        let mut dice = 7_u64;
        let mut throw = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from((dice >> 33) % sides).unwrap_or(0)
        };
        for round in 0..12 {
            let toggles: Vec<(Operation, &str, UserId)> = (0..64)
                .map(|_| {
                    // Many come at first and many go in the end.
                    let operation = if throw(12) >= round {
                        Operation::Add
                    } else {
                        Operation::Remove
                    };
                    (operation, ["a", "b", "c"][throw(3)], users[throw(50)])
                })
                .collect();
            let of = |topic: &Topic| -> Vec<Toggle> {
                toggles
                    .iter()
                    .map(|(operation, emoji, user)| topic.toggle(*operation, emoji, *user))
                    .collect()
            };
            let batch = together.all(&of(&together)).await;
            for (toggle, batched) in of(&apart).into_iter().zip(batch) {
                let seen = |outcome: Outcome| match outcome {
                    Outcome::Changed(tally) => (true, tally.seen(toggle.emoji.clone(), true, 32)),
                    Outcome::Unchanged(tally) => {
                        (false, tally.seen(toggle.emoji.clone(), true, 32))
                    }
                    other => panic!("{other:?}"),
                };
                let single = apart.all(std::slice::from_ref(&toggle)).await.remove(0);
                assert_eq!(seen(batched), seen(single));
            }
            for viewer in [users[0], users[49]] {
                assert_eq!(together.seen_by(viewer).await, apart.seen_by(viewer).await);
            }
        }
    }

    #[tokio::test]
    async fn what_is_deleted_leaves_nothing_behind() {
        let topic = Topic::new().await;
        let user = topic.world.user();
        topic.add("a", user).await;
        let db = &topic.world.state.host.db;
        let message = messages::find(db.read(), topic.channel_id, topic.message_id)
            .await
            .expect("reads")
            .expect("a message");
        let tx = db.begin().await.expect("begins");
        messages::delete(&tx, topic.channel_id, &message)
            .await
            .expect("deletes");
        tx.commit().await.expect("commits");
        assert_eq!(topic.add("a", user).await, Outcome::NoMessage);
        assert_eq!(topic.remove("a", user).await, Outcome::NoMessage);
        let rows = reaction::Entity::find()
            .all(db.read())
            .await
            .expect("reads");
        assert!(rows.is_empty());
        let rows = message_emoji::Entity::find().all(db.read()).await;
        assert!(rows.expect("reads").is_empty());
    }
}

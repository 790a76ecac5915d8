//! Reactions: the emoji under a message, how many set each, and who was first.

use std::collections::HashMap;

use filament_kernel::id::UserId;
use poem_openapi::Object;
use serde::Serialize;

use super::emoji::Emoji;

/// Distinct emoji under one message at most; the configuration may undercut it.
pub(crate) const MESSAGE_EMOJI_MAX: u32 = 64;

/// Users that one reaction lists at most; the configuration may undercut it.
pub(crate) const REACTORS_LISTED: usize = 32;

/// One emoji under a message, as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Reaction {
    pub emoji: Emoji,
    /// How many users have it set, exactly.
    pub count: u64,
    /// Whether the caller is one of them.
    pub reacted_by_me: bool,
    /// The first of them, in the order in which they set it: 32 at most, and fewer where the message would not fit into an answer
    /// otherwise.
    pub reactor_user_ids: Vec<UserId>,
}

/// What is being done with a reaction; both are idempotent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Add,
    Remove,
}

/// What came of an [`Operation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done, and stands like this now.
    Changed(Tally),
    /// It was so before.
    Unchanged(Tally),
    /// There is no such message in the channel.
    NoMessage,
    /// The message has as many emoji as it may have.
    TooManyEmoji,
}

/// One emoji under a message, whoever asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Its order among the message's emoji.
    pub(crate) place: i64,
    /// How many users have it set.
    pub(crate) count: u64,
    /// The place of the latest who set it. Places grow, and are given once.
    pub(crate) last_place: i64,
    /// The first of those who have it set, in the order of their places: all of them, or [`REACTORS_LISTED`] at least.
    pub(crate) first: Vec<UserId>,
}

impl Tally {
    /// Whether all who have it set are listed.
    pub(crate) fn lists_all(&self) -> bool {
        self.count <= self.first.len() as u64
    }

    /// As somebody sees it who has it set, or has not, with `listed` users at most.
    pub(crate) fn seen(mut self, emoji: Emoji, reacted_by_me: bool, listed: usize) -> Reaction {
        self.first.truncate(listed);
        Reaction {
            emoji,
            count: self.count,
            reacted_by_me,
            reactor_user_ids: self.first,
        }
    }

    fn add(&mut self, user: UserId) {
        if self.lists_all() {
            self.first.push(user);
        }
        self.count += 1;
        self.last_place += 1;
    }

    fn remove(&mut self, user: UserId) {
        self.first.retain(|listed| *listed != user);
        self.count = self.count.saturating_sub(1);
    }
}

/// The reactions to a message, as far as a batch of changes touches them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thread {
    /// How many distinct emoji are under the message.
    pub(crate) emoji: i64,
    /// The place of the latest emoji. Places grow.
    pub(crate) last_place: i64,
    /// The emoji that are touched; one with a count of 0 is not there.
    pub(crate) tallies: HashMap<Emoji, Tally>,
    /// Who of those that change something has which emoji set, and at which place.
    pub(crate) places: HashMap<(Emoji, UserId), i64>,
}

impl Thread {
    /// `user` reacts. There are no more than `emoji_max` distinct emoji.
    pub(crate) fn add(&mut self, emoji: &Emoji, user: UserId, emoji_max: u32) -> Outcome {
        let tally = self.tallies.entry(emoji.clone()).or_default();
        if tally.count == 0 {
            if self.emoji >= i64::from(emoji_max) {
                return Outcome::TooManyEmoji;
            }
            self.emoji += 1;
            self.last_place += 1;
            tally.place = self.last_place;
        } else if self.places.contains_key(&(emoji.clone(), user)) {
            return Outcome::Unchanged(tally.clone());
        }
        tally.add(user);
        self.places.insert((emoji.clone(), user), tally.last_place);
        Outcome::Changed(tally.clone())
    }

    /// `user` takes their reaction back. The emoji goes with the last of its users.
    pub(crate) fn remove(&mut self, emoji: &Emoji, user: UserId) -> Outcome {
        let tally = self.tallies.entry(emoji.clone()).or_default();
        if self.places.remove(&(emoji.clone(), user)).is_none() {
            return Outcome::Unchanged(tally.clone());
        }
        tally.remove(user);
        if tally.count == 0 {
            self.emoji -= 1;
        }
        Outcome::Changed(tally.clone())
    }
}

/// Shortens the longest lists of users until `removed` of them are gone, or all. Whom a list keeps are its first.
pub(crate) fn unlist(reactions: &mut [Reaction], removed: usize) {
    let listed = |reactions: &[Reaction], longest: usize| -> usize {
        let lengths = reactions.iter().map(|r| r.reactor_user_ids.len());
        lengths.map(|length| length.min(longest)).sum()
    };
    let kept = listed(reactions, REACTORS_LISTED).saturating_sub(removed);
    let longest = (0..=REACTORS_LISTED)
        .rev()
        .find(|longest| listed(reactions, *longest) <= kept)
        .unwrap_or(0);
    for reaction in reactions {
        reaction.reactor_user_ids.truncate(longest);
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::Ids;

    use super::*;

    fn emoji(text: &str) -> Emoji {
        Emoji::new(text).expect("an emoji")
    }

    fn users(count: usize) -> Vec<UserId> {
        let ids = Ids::default();
        (0..count).map(|_| ids.next()).collect()
    }

    #[test]
    fn a_message_has_so_many_emoji_and_room_again_when_one_goes() {
        let (mut thread, users) = (Thread::default(), users(2));
        for text in ["a", "b"] {
            assert!(matches!(
                thread.add(&emoji(text), users[0], 2),
                Outcome::Changed(Tally { count: 1, .. })
            ));
        }
        assert_eq!(thread.add(&emoji("c"), users[0], 2), Outcome::TooManyEmoji);
        assert!(matches!(
            thread.add(&emoji("a"), users[1], 2),
            Outcome::Changed(Tally { count: 2, .. })
        ));
        thread.remove(&emoji("b"), users[0]);
        let come = thread.add(&emoji("c"), users[0], 2);
        assert!(matches!(
            come,
            Outcome::Changed(Tally {
                count: 1,
                place: 3,
                ..
            })
        ));
    }

    #[test]
    fn who_comes_back_comes_last() {
        let (mut thread, users) = (Thread::default(), users(3));
        let a = emoji("a");
        for user in &users {
            thread.add(&a, *user, 64);
        }
        assert!(matches!(
            thread.add(&a, users[0], 64),
            Outcome::Unchanged(Tally { count: 3, .. })
        ));
        thread.remove(&a, users[0]);
        thread.add(&a, users[0], 64);
        assert_eq!(thread.tallies[&a].first, [users[1], users[2], users[0]]);
        assert_eq!(thread.places[&(a, users[0])], 4);
    }

    #[test]
    fn the_longest_lists_are_shortened_first_and_keep_their_beginnings() {
        let users = users(32);
        let mut reactions: Vec<Reaction> = [32, 3, 20]
            .map(|length| {
                let tally = Tally {
                    count: 99,
                    first: users[..length].to_vec(),
                    ..Tally::default()
                };
                tally.seen(emoji("a"), false, REACTORS_LISTED)
            })
            .into();
        let lengths = |reactions: &[Reaction]| -> Vec<usize> {
            reactions.iter().map(|r| r.reactor_user_ids.len()).collect()
        };
        unlist(&mut reactions, 0);
        assert_eq!(lengths(&reactions), [32, 3, 20]);
        unlist(&mut reactions, 14);
        assert_eq!(lengths(&reactions), [19, 3, 19]);
        assert_eq!(reactions[0].reactor_user_ids, users[..19]);
        unlist(&mut reactions, 1_000);
        assert_eq!(lengths(&reactions), [0, 0, 0]);
        assert_eq!(reactions[0].count, 99);
    }
}

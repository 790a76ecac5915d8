//! The compiled roster against a naive model that says the contract's words, over random guilds.

use std::collections::{BTreeMap, BTreeSet};

use filament_kernel::id::Ids;
use proptest::prelude::*;

use super::*;
use crate::domain::{
    channel::ChannelKind, hierarchy::Rank, permission::Permission, role::Standing,
};

const USERS: usize = 4;
const ROLES: usize = 6;
const CHANNELS: usize = 2;

/// Names of things, by number: the model and the roster speak of the same.
struct Names {
    users: Vec<UserId>,
    roles: Vec<RoleId>,
    channels: Vec<ChannelId>,
}

impl Names {
    fn new() -> Self {
        let ids = Ids::default();
        Self {
            users: (0..USERS).map(|_| ids.next()).collect(),
            roles: (0..ROLES).map(|_| ids.next()).collect(),
            channels: (0..CHANNELS).map(|_| ids.next()).collect(),
        }
    }
}

/// Something that happens to a guild; things are named by number.
#[derive(Debug, Clone)]
enum Step {
    Role(usize, u16),
    RoleGone(usize),
    Member(usize, Vec<usize>),
    MemberGone(usize),
    Channel(usize),
    ChannelGone(usize),
    RoleOverride(usize, usize, u16, u16),
    MemberOverride(usize, usize, u16, u16),
}

/// The kinds of the roles, by number: the first four are the standing ones.
fn kind(role: usize) -> RoleKind {
    RoleKind::STANDING
        .get(role)
        .copied()
        .unwrap_or(RoleKind::Custom)
}

fn position(role: usize) -> i64 {
    match kind(role) {
        RoleKind::Custom => 10 + i64::try_from(role).unwrap_or(0),
        standing => standing.initial_position(),
    }
}

fn set(bits: u16) -> PermissionSet {
    PermissionSet::from_bits(bits.into())
}

fn says(allow: u16, deny: u16) -> Override {
    Override {
        allow: set(allow),
        deny: set(deny & !allow),
    }
}

fn step() -> impl Strategy<Value = Step> {
    let (user, role, channel) = (0..USERS, 0..ROLES, 0..CHANNELS);
    let bits = any::<u16>;
    let held = proptest::collection::vec(1..ROLES, 0..4);
    prop_oneof![
        4 => (role.clone(), bits()).prop_map(|(r, p)| Step::Role(r, p)),
        1 => (1..ROLES).prop_map(Step::RoleGone),
        4 => (user.clone(), held).prop_map(|(u, r)| Step::Member(u, r)),
        1 => user.clone().prop_map(Step::MemberGone),
        3 => channel.clone().prop_map(Step::Channel),
        1 => channel.clone().prop_map(Step::ChannelGone),
        3 => (channel.clone(), role, bits(), bits())
            .prop_map(|(c, r, allow, deny)| Step::RoleOverride(c, r, allow, deny)),
        3 => (channel, user, bits(), bits())
            .prop_map(|(c, u, allow, deny)| Step::MemberOverride(c, u, allow, deny)),
    ]
}

/// The naive model: everything is a set, and nothing is compiled.
#[derive(Default)]
struct Model {
    roles: BTreeMap<usize, BTreeSet<Word>>,
    members: BTreeMap<usize, BTreeSet<usize>>,
    channels: BTreeMap<usize, BTreeMap<Whom, Said>>,
}

type Word = &'static str;

/// What is allowed and what is denied.
type Said = (BTreeSet<Word>, BTreeSet<Word>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Role(usize),
    Member(usize),
}

fn words(set: PermissionSet) -> BTreeSet<Word> {
    set.iter().map(Permission::word).collect()
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Role(role, bits) => {
                self.roles.insert(*role, words(set(*bits)));
            }
            Step::RoleGone(role) => {
                self.roles.remove(role);
                for held in self.members.values_mut() {
                    held.remove(role);
                }
                for says in self.channels.values_mut() {
                    says.remove(&Whom::Role(*role));
                }
            }
            Step::Member(user, roles) => {
                let there = roles.iter().filter(|role| self.roles.contains_key(role));
                let held = there.copied().collect();
                self.members.insert(*user, held);
            }
            Step::MemberGone(user) => {
                self.members.remove(user);
            }
            Step::Channel(channel) => {
                self.channels.entry(*channel).or_default();
            }
            Step::ChannelGone(channel) => {
                self.channels.remove(channel);
            }
            Step::RoleOverride(channel, role, allow, deny) => {
                if self.roles.contains_key(role) {
                    self.say(*channel, Whom::Role(*role), says(*allow, *deny));
                }
            }
            Step::MemberOverride(channel, user, allow, deny) => {
                self.say(*channel, Whom::Member(*user), says(*allow, *deny));
            }
        }
    }

    fn say(&mut self, channel: usize, whom: Whom, says: Override) {
        if let Some(all) = self.channels.get_mut(&channel) {
            all.insert(whom, (words(says.allow), words(says.deny)));
        }
    }

    fn in_guild(&self, user: usize) -> Option<BTreeSet<Word>> {
        let held = self.members.get(&user)?;
        if held
            .iter()
            .any(|role| kind(*role) == RoleKind::WorkspaceOwner)
        {
            return Some(words(PermissionSet::ALL));
        }
        let everyone = self.roles.get(&0).into_iter().flatten();
        let given = held
            .iter()
            .filter_map(|role| self.roles.get(role))
            .flatten();
        Some(everyone.chain(given).copied().collect())
    }

    fn in_channel(&self, channel: usize, user: usize) -> Option<BTreeSet<Word>> {
        let all = self.channels.get(&channel)?;
        let mut may = self.in_guild(user)?;
        let held = self.members.get(&user)?;
        if held
            .iter()
            .any(|role| kind(*role) == RoleKind::WorkspaceOwner)
        {
            return Some(may);
        }
        let levels: [Vec<Whom>; 3] = [
            vec![Whom::Role(0)],
            held.iter()
                .filter(|role| kind(**role) != RoleKind::Everyone)
                .map(|role| Whom::Role(*role))
                .collect(),
            vec![Whom::Member(user)],
        ];
        for level in levels {
            let said: Vec<_> = level.iter().filter_map(|whom| all.get(whom)).collect();
            for (_, denied) in &said {
                may.retain(|word| !denied.contains(word));
            }
            for (allowed, _) in &said {
                may.extend(allowed);
            }
        }
        Some(may)
    }

    fn standing(&self, user: usize) -> Option<Standing> {
        let held = self.members.get(&user)?;
        let has = |wanted| held.iter().any(|role| kind(*role) == wanted);
        Some(if has(RoleKind::WorkspaceOwner) {
            Standing::Owner
        } else if has(RoleKind::Moderator) {
            Standing::Moderator
        } else {
            Standing::Member
        })
    }

    fn rank(&self, user: usize) -> Option<Rank> {
        let held = self.members.get(&user)?;
        if self.standing(user) == Some(Standing::Owner) {
            return Some(Rank::Owner);
        }
        let highest = held.iter().map(|role| position(*role)).max();
        Some(Rank::Position(highest.unwrap_or(0)))
    }
}

fn fact(names: &Names, step: &Step) -> Fact {
    match step {
        Step::Role(role, bits) => Fact::Role {
            role_id: names.roles[*role],
            role: Powers {
                kind: kind(*role),
                position: position(*role),
                permissions: set(*bits),
            },
        },
        Step::RoleGone(role) => Fact::RoleGone(names.roles[*role]),
        Step::Member(user, roles) => Fact::Member {
            user_id: names.users[*user],
            role_ids: roles.iter().map(|role| names.roles[*role]).collect(),
        },
        Step::MemberGone(user) => Fact::MemberGone(names.users[*user]),
        Step::Channel(channel) => Fact::Channel {
            channel: Channel {
                channel_id: names.channels[*channel],
                name: "channel".into(),
                kind: ChannelKind::Text,
                topic: String::new(),
            },
            position: 0,
        },
        Step::ChannelGone(channel) => Fact::ChannelGone(names.channels[*channel]),
        Step::RoleOverride(channel, role, allow, deny) => Fact::Override {
            channel_id: names.channels[*channel],
            target: Target::Role(names.roles[*role]),
            says: says(*allow, *deny),
        },
        Step::MemberOverride(channel, user, allow, deny) => Fact::Override {
            channel_id: names.channels[*channel],
            target: Target::Member(names.users[*user]),
            says: says(*allow, *deny),
        },
    }
}

/// Those of the steps that can come to be: nothing happens to what is not there, and what is gone does not come back, as no id is
/// given twice.
fn possible(steps: &[Step]) -> impl Iterator<Item = &Step> {
    let (mut roles, mut channels) = ([None; ROLES], [None; CHANNELS]);
    steps.iter().filter(move |step| {
        let there = |known: &[Option<bool>], number: usize| known[number] == Some(true);
        match step {
            Step::Role(role, _) => *roles[*role].get_or_insert(true),
            Step::RoleGone(role) => there(&roles, *role) && roles[*role].replace(false).is_some(),
            Step::Member(_, held) => held.iter().all(|role| there(&roles, *role)),
            Step::MemberGone(_) => true,
            Step::Channel(channel) => *channels[*channel].get_or_insert(true),
            Step::ChannelGone(channel) => {
                there(&channels, *channel) && channels[*channel].replace(false).is_some()
            }
            Step::RoleOverride(channel, role, ..) => {
                there(&channels, *channel) && there(&roles, *role)
            }
            Step::MemberOverride(channel, ..) => there(&channels, *channel),
        }
    })
}

proptest! {
    #[test]
    fn every_member_may_do_in_every_channel_what_the_contract_says(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let names = Names::new();
        let mut roster = Roster::new(Visibility::Public);
        let mut model = Model::default();
        for step in &steps {
            roster.apply(fact(&names, step));
            model.apply(step);
            for (user, user_id) in names.users.iter().enumerate() {
                let member = roster.member(*user_id);
                prop_assert_eq!(member.map(|m| words(m.permissions())), model.in_guild(user));
                prop_assert_eq!(member.map(|m| m.standing), model.standing(user));
                prop_assert_eq!(member.map(|m| m.rank), model.rank(user));
                for (channel, channel_id) in names.channels.iter().enumerate() {
                    let member = roster.member_in(*channel_id, *user_id);
                    let may = member.map(|m| words(m.permissions()));
                    prop_assert_eq!(may, model.in_channel(channel, user));
                }
            }
        }
    }

    #[test]
    fn a_roster_that_knows_of_it_already_may_be_told_again(
        steps in proptest::collection::vec(step(), 1..40),
        late in any::<prop::sample::Index>(),
    ) {
        // What is committed while a guild is read is applied to what was read, which may have seen a part of it or all.
        let names = Names::new();
        let all: Vec<Fact> = possible(&steps).map(|step| fact(&names, step)).collect();
        prop_assume!(!all.is_empty());
        let mut told = Roster::new(Visibility::Public);
        all.iter().cloned().for_each(|fact| told.apply(fact));
        let mut again = told.clone();
        let since = late.index(all.len());
        all[since..].iter().cloned().for_each(|fact| again.apply(fact));
        for user in &names.users {
            for channel in &names.channels {
                let now = told.member_in(*channel, *user).map(|m| (m.standing, m.permissions()));
                let then = again.member_in(*channel, *user).map(|m| (m.standing, m.permissions()));
                prop_assert_eq!(now, then);
            }
        }
    }
}

#[test]
fn a_slot_that_is_used_again_gives_nothing_to_who_held_the_role_before() {
    let names = Names::new();
    let mut roster = Roster::new(Visibility::Public);
    for step in [
        Step::Channel(0),
        Step::Role(4, u16::MAX),
        Step::Member(0, vec![4]),
        Step::RoleOverride(0, 4, 0, u16::MAX),
        Step::RoleGone(4),
        Step::Role(5, u16::MAX),
    ] {
        roster.apply(fact(&names, &step));
    }
    let member = roster.member(names.users[0]).expect("a member");
    assert_eq!(member.permissions(), PermissionSet::NONE);
    let target = Target::Role(names.roles[5]);
    assert_eq!(
        roster.override_of(names.channels[0], target),
        Some(Override::default())
    );
}

#[test]
fn an_address_is_banned_until_its_ban_ends() {
    let mut roster = Roster::new(Visibility::Public);
    let address: IpAddr = "192.0.2.1".parse().expect("an address");
    let ban = |expires_at| Fact::IpBan {
        address,
        expires_at,
    };
    assert!(!roster.is_address_banned(address, 0));
    roster.apply(ban(Some(10)));
    assert!(roster.is_address_banned(address, 9) && !roster.is_address_banned(address, 10));
    roster.apply(ban(None));
    assert!(roster.is_address_banned(address, i64::MAX));
    roster.apply(Fact::IpBanGone(address));
    assert!(!roster.is_address_banned(address, 0));
}

#[test]
fn a_channel_is_seen_by_everyone_only_when_it_is_hidden_from_nobody() {
    let names = Names::new();
    let mut roster = Roster::new(Visibility::Public);
    let sight = 1 << Permission::CreateMessage as u16;
    for step in [Step::Role(0, sight), Step::Role(4, 0), Step::Channel(0)] {
        roster.apply(fact(&names, &step));
    }
    let mut seen_after = |step| {
        roster.apply(fact(&names, &step));
        roster.is_seen_by_everyone(names.channels[0])
    };
    assert!(seen_after(Step::RoleOverride(0, 4, sight, 0)));
    assert!(!seen_after(Step::RoleOverride(0, 4, 0, sight)));
    assert!(seen_after(Step::RoleOverride(0, 4, 0, 0)));
    assert!(!seen_after(Step::MemberOverride(0, 0, 0, sight)));
    assert!(seen_after(Step::MemberOverride(0, 0, 0, 0)));
    assert!(!seen_after(Step::RoleOverride(0, 0, 0, sight)));
}

#[test]
fn the_channels_of_a_guild_fit_into_one_answer() {
    let ids = Ids::default();
    let mut roster = Roster::new(Visibility::Public);
    let of = |letters: usize| Channel {
        channel_id: ids.next(),
        name: "general".into(),
        kind: ChannelKind::Text,
        topic: "\u{4e00}".repeat(letters),
    };
    let mut channel = of(1_024);
    while roster.has_room_for(&channel) {
        roster.apply(Fact::Channel {
            channel: std::mem::replace(&mut channel, of(1_024)),
            position: 0,
        });
    }
    let all: Vec<&Channel> = roster.channels.values().map(|one| &one.channel).collect();
    let bytes = serde_json::to_string(&all).expect("JSON").len();
    assert!((60_000..CHANNELS_BYTES_MAX + 1).contains(&bytes), "{bytes}");
    let (mut longer, mut shorter) = (all[0].clone(), all[0].clone());
    longer
        .topic
        .push_str(&"x".repeat(CHANNELS_BYTES_MAX - bytes + 2));
    shorter.topic.clear();
    assert!(!roster.has_room_for(&longer) && roster.has_room_for(&shorter));
}

#[test]
fn of_those_a_channel_speaks_of_only_who_has_left_makes_room() {
    let names = Names::new();
    let mut roster = Roster::new(Visibility::Public);
    roster.apply(fact(&names, &Step::Channel(0)));
    for user in 0..3 {
        roster.apply(fact(&names, &Step::Member(user, Vec::new())));
        roster.apply(fact(&names, &Step::MemberOverride(0, user, 1, 0)));
    }
    assert_eq!(roster.overridden_leaver(names.channels[0]), None);
    for user in [2, 1] {
        roster.apply(fact(&names, &Step::MemberGone(user)));
    }
    let leaver = roster.overridden_leaver(names.channels[0]);
    assert_eq!(leaver, Some(names.users[1]));
}

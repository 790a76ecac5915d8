//! What a channel allows and denies otherwise than the guild's roles do.

use std::collections::HashMap;

use filament_kernel::id::{RoleId, UserId};
use poem_openapi::Enum;
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::Serialize;

use super::{
    permission::{Permission, PermissionSet},
    role_set::{RoleSet, RoleSlot},
};

/// Members that one channel may have overrides for at most.
pub(crate) const OVERRIDDEN_MEMBERS_MAX: usize = 256;

/// What kind of thing an override is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "OverrideTargetKind")]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// Everybody who holds a role.
    Role,
    /// One member.
    Member,
}

/// Whom an override is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Role(RoleId),
    Member(UserId),
}

/// What is allowed and denied: nothing stands in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Override {
    pub(crate) allow: PermissionSet,
    pub(crate) deny: PermissionSet,
}

impl Override {
    /// On one level: first what is denied is taken away, then what is allowed is added.
    pub(crate) const fn apply(self, permissions: PermissionSet) -> PermissionSet {
        permissions.minus(self.deny).union(self.allow)
    }

    /// Two overrides of the same level, united: where one allows what the other denies, it is allowed.
    const fn beside(self, other: Self) -> Self {
        Self {
            allow: self.allow.union(other.allow),
            deny: self.deny.union(other.deny),
        }
    }

    /// The permissions about which the two say something different.
    pub(crate) const fn difference(self, other: Self) -> PermissionSet {
        self.allow
            .difference(other.allow)
            .union(self.deny.difference(other.deny))
    }

    /// Whether it says nothing, which is the same as not being there.
    pub(crate) const fn is_silent(self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

/// All overrides of one channel, by level.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Overrides {
    everyone: Override,
    roles: Vec<(RoleSlot, Override)>,
    members: HashMap<UserId, Override>,
}

impl Overrides {
    /// What `user`, who holds the roles `held`, may do where the guild's roles allow `permissions`: everyone, then the
    /// roles, then the member; on each level what is denied is taken away before what is allowed is added.
    pub(crate) fn apply(
        &self,
        permissions: PermissionSet,
        held: RoleSet,
        user: UserId,
    ) -> PermissionSet {
        let roles = self
            .roles
            .iter()
            .filter(|(slot, _)| held.has(*slot))
            .fold(Override::default(), |all, (_, one)| all.beside(*one));
        let permissions = roles.apply(self.everyone.apply(permissions));
        match self.members.get(&user) {
            Some(member) => member.apply(permissions),
            None => permissions,
        }
    }

    pub(crate) fn everyone(&self) -> Override {
        self.everyone
    }

    pub(crate) fn of_role(&self, slot: RoleSlot) -> Override {
        let found = self.roles.iter().find(|(one, _)| *one == slot);
        found.map(|(_, says)| *says).unwrap_or_default()
    }

    pub(crate) fn of_member(&self, user: UserId) -> Override {
        self.members.get(&user).copied().unwrap_or_default()
    }

    /// Whether it is denied to a role other than `@everyone`, or to a member.
    pub(crate) fn is_denied_to_some(&self, permission: Permission) -> bool {
        let roles = self.roles.iter().map(|(_, says)| says);
        let mut all = roles.chain(self.members.values());
        all.any(|says| says.deny.has(permission))
    }

    /// The members who have an override of their own, in no order.
    pub(crate) fn member_ids(&self) -> impl Iterator<Item = UserId> {
        self.members.keys().copied()
    }

    /// How many members have an override of their own.
    pub(crate) fn members(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn set_everyone(&mut self, says: Override) {
        self.everyone = says;
    }

    pub(crate) fn set_role(&mut self, slot: RoleSlot, says: Override) {
        self.roles.retain(|(one, _)| *one != slot);
        if !says.is_silent() {
            self.roles.push((slot, says));
        }
    }

    pub(crate) fn set_member(&mut self, user: UserId, says: Override) {
        if says.is_silent() {
            self.members.remove(&user);
        } else {
            self.members.insert(user, says);
        }
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::Ids;

    use super::*;

    #[test]
    fn who_holds_two_roles_is_allowed_what_either_allows_and_denied_what_one_denies_alone() {
        let user: UserId = Ids::default().next();
        let slots: Vec<RoleSlot> = (0..2).filter_map(RoleSlot::at).collect();
        let (member, moderator) = (slots[0], slots[1]);
        let see = PermissionSet::NONE.with(Permission::CreateMessage);
        let allows = Override {
            allow: see,
            ..Override::default()
        };
        let denies = Override {
            deny: see,
            ..Override::default()
        };
        let silent = Override::default();
        for (of_member, of_moderator, sees) in [
            (denies, silent, false),
            (silent, denies, false),
            (denies, allows, true),
            (allows, denies, true),
            (denies, denies, false),
        ] {
            let mut overrides = Overrides::default();
            overrides.set_role(member, of_member);
            overrides.set_role(moderator, of_moderator);
            let both = overrides.apply(see, slots.iter().copied().collect(), user);
            assert_eq!(both == see, sees, "{of_member:?} {of_moderator:?}");
        }
    }
}

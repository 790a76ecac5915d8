//! A member's powers, compiled from the roles that they hold.

use filament_kernel::id::UserId;

use super::{
    channel_override::Overrides,
    hierarchy::Rank,
    permission::{Permission, PermissionSet},
    role::{RoleKind, Standing},
    role_set::RoleSet,
};

/// What holding one role gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Powers {
    pub(crate) kind: RoleKind,
    /// Higher is mightier; `@everyone` is 0.
    pub(crate) position: i64,
    pub(crate) permissions: PermissionSet,
}

/// What somebody is and may do, in a guild or in one of its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) user_id: UserId,
    pub(crate) standing: Standing,
    pub(crate) rank: Rank,
    held: RoleSet,
    permissions: PermissionSet,
}

impl Member {
    /// Roles united. `everyone` is what `@everyone` allows; `held` and `roles` are the roles given to the member.
    pub(crate) fn compile(
        user_id: UserId,
        everyone: PermissionSet,
        held: RoleSet,
        roles: impl IntoIterator<Item = Powers>,
    ) -> Self {
        let plain = Self {
            user_id,
            standing: Standing::Member,
            rank: Rank::LOWEST,
            held,
            permissions: everyone,
        };
        roles.into_iter().fold(plain, |so_far, role| Self {
            standing: so_far.standing.max(role.kind.standing()),
            rank: so_far.rank.max(role.rank()),
            permissions: so_far.permissions.union(role.permissions),
            ..so_far
        })
    }

    /// The same member in a channel with these overrides.
    pub(crate) fn in_channel(self, overrides: &Overrides) -> Self {
        Self {
            permissions: overrides.apply(self.permissions, self.held, self.user_id),
            ..self
        }
    }

    /// What they may do; the owner may do everything.
    pub(crate) fn permissions(self) -> PermissionSet {
        match self.standing {
            Standing::Owner => PermissionSet::ALL,
            Standing::Moderator | Standing::Member => self.permissions,
        }
    }

    /// Whether they may do everything.
    pub(crate) fn is_owner(self) -> bool {
        self.standing == Standing::Owner
    }

    pub(crate) fn may(self, permission: Permission) -> bool {
        self.permissions().has(permission)
    }

    /// Whether they see the channel that they were compiled for, which is the right to write in it.
    pub(crate) fn sees_channel(self) -> bool {
        self.may(Permission::CreateMessage)
    }

    pub(crate) fn held(self) -> RoleSet {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::Ids;

    use super::*;

    fn role(kind: RoleKind, position: i64, permissions: &[Permission]) -> Powers {
        Powers {
            kind,
            position,
            permissions: permissions.iter().copied().collect(),
        }
    }

    fn compile(everyone: PermissionSet, roles: &[Powers]) -> Member {
        let user_id = Ids::default().next();
        Member::compile(user_id, everyone, RoleSet::default(), roles.iter().copied())
    }

    #[test]
    fn roles_are_united_and_the_highest_standing_and_rank_count() {
        let everyone = [Permission::CreateMessage].into_iter().collect();
        let member = compile(everyone, &[]);
        assert_eq!(
            (member.standing, member.rank),
            (Standing::Member, Rank::LOWEST)
        );
        assert!(member.sees_channel() && !member.may(Permission::ManageRoles));

        let both = compile(
            everyone,
            &[
                role(RoleKind::Moderator, 3, &[Permission::BanMember]),
                role(RoleKind::Custom, 2, &[Permission::ManageRoles]),
            ],
        );
        assert_eq!(
            (both.standing, both.rank),
            (Standing::Moderator, Rank::Position(3))
        );
        assert!(both.may(Permission::BanMember) && both.may(Permission::ManageRoles));
        assert!(!both.may(Permission::DeleteMessage));
    }

    #[test]
    fn the_owner_may_do_everything_whatever_roles_and_channels_say() {
        let owner = compile(
            PermissionSet::NONE,
            &[role(RoleKind::WorkspaceOwner, 3, &[])],
        );
        assert_eq!(owner.permissions(), PermissionSet::ALL);
        assert_eq!(owner.rank, Rank::Owner);
        let mut overrides = Overrides::default();
        overrides.set_member(
            owner.user_id,
            super::super::channel_override::Override {
                allow: PermissionSet::NONE,
                deny: PermissionSet::ALL,
            },
        );
        assert_eq!(
            owner.in_channel(&overrides).permissions(),
            PermissionSet::ALL
        );
    }
}

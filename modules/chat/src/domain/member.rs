//! A member's powers, compiled from the roles that they hold.

use super::{
    permission::{Permission, PermissionSet},
    role::{RoleKind, Standing},
};

/// One role, as far as it decides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) kind: RoleKind,
    pub(crate) permissions: PermissionSet,
}

/// What somebody is and may do in a guild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) standing: Standing,
    permissions: PermissionSet,
}

impl Member {
    /// Roles united; the owner may do everything. `everyone` is what `@everyone` allows, `held` the roles given to them.
    pub(crate) fn compile(everyone: PermissionSet, held: impl IntoIterator<Item = Role>) -> Self {
        let plain = Self {
            standing: Standing::Member,
            permissions: everyone,
        };
        held.into_iter().fold(plain, |so_far, role| Self {
            standing: so_far.standing.max(role.kind.standing()),
            permissions: so_far.permissions.union(role.permissions),
        })
    }

    /// What they may do in the guild and, as no channel says otherwise, in its channels.
    pub(crate) fn permissions(self) -> PermissionSet {
        match self.standing {
            Standing::Owner => PermissionSet::ALL,
            Standing::Moderator | Standing::Member => self.permissions,
        }
    }

    pub(crate) fn may(self, permission: Permission) -> bool {
        self.permissions().has(permission)
    }

    pub(crate) fn can_see_channels(self) -> bool {
        self.may(Permission::CreateMessage)
    }

    pub(crate) fn can_create_channels(self) -> bool {
        self.may(Permission::ManageRoles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(kind: RoleKind, permissions: &[Permission]) -> Role {
        Role {
            kind,
            permissions: permissions.iter().copied().collect(),
        }
    }

    #[test]
    fn roles_are_united_and_the_highest_standing_counts() {
        let everyone = [Permission::CreateMessage].into_iter().collect();
        let member = Member::compile(everyone, []);
        assert_eq!(member.standing, Standing::Member);
        assert!(member.can_see_channels() && !member.can_create_channels());

        let both = Member::compile(
            everyone,
            [
                role(RoleKind::Moderator, &[Permission::BanMember]),
                role(RoleKind::Custom, &[Permission::ManageRoles]),
            ],
        );
        assert_eq!(both.standing, Standing::Moderator);
        assert!(both.may(Permission::BanMember) && both.can_create_channels());
        assert!(!both.may(Permission::DeleteMessage));
    }

    #[test]
    fn the_owner_may_do_everything_whatever_the_role_says() {
        let owner = Member::compile(PermissionSet::NONE, [role(RoleKind::WorkspaceOwner, &[])]);
        assert_eq!(owner.permissions(), PermissionSet::ALL);
    }
}

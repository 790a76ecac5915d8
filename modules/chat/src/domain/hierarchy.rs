//! Whom and what a member may touch: nobody grants what they lack, and nobody touches a role or a person at or above their own
//! rank. The owner stands above all roles and is bound by neither; other owners are the owner's equals.

use filament_kernel::ApiError;

use super::{
    member::{Member, Powers},
    permission::PermissionSet,
    role::{RoleKind, Standing},
};

/// How high a role or a person stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// The position of the highest role held.
    Position(i64),
    /// Above all positions.
    Owner,
}

impl Rank {
    /// Of somebody who holds no role but `@everyone`, or is no member.
    pub(crate) const LOWEST: Self = Self::Position(0);
}

impl Powers {
    pub(crate) const fn rank(self) -> Rank {
        match self.kind {
            RoleKind::WorkspaceOwner => Rank::Owner,
            RoleKind::Everyone | RoleKind::Member | RoleKind::Moderator | RoleKind::Custom => {
                Rank::Position(self.position)
            }
        }
    }
}

impl Member {
    /// Whether the member may touch somebody of this rank.
    pub(crate) fn outranks(self, rank: Rank) -> bool {
        self.rank > rank
    }

    /// Lets the member touch somebody of this rank.
    pub(crate) fn check_over(self, person: Rank) -> Result<(), ApiError> {
        if self.outranks(person) {
            Ok(())
        } else {
            Err(ApiError::forbidden(
                "this person stands at or above your own rank",
            ))
        }
    }

    /// Lets the member touch a role: change it, give it, take it away.
    pub(crate) fn check_over_role(self, role: Powers) -> Result<(), ApiError> {
        if self.standing == Standing::Owner || self.outranks(role.rank()) {
            Ok(())
        } else {
            Err(ApiError::forbidden(
                "this role stands at or above your own rank",
            ))
        }
    }

    /// Lets the member grant or change these permissions.
    pub(crate) fn check_grant(self, permissions: PermissionSet) -> Result<(), ApiError> {
        let lacking: Vec<&str> = permissions
            .minus(self.permissions())
            .iter()
            .map(|one| one.word())
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        Err(ApiError::forbidden(format!(
            "nobody grants what they lack: {}",
            lacking.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::{Ids, UserId};

    use super::*;
    use crate::domain::{permission::Permission, role_set::RoleSet};

    fn role(kind: RoleKind, position: i64, permissions: &[Permission]) -> Powers {
        Powers {
            kind,
            position,
            permissions: permissions.iter().copied().collect(),
        }
    }

    fn holding(role: Powers) -> Member {
        let user: UserId = Ids::default().next();
        Member::compile(user, PermissionSet::NONE, RoleSet::default(), [role])
    }

    #[test]
    fn who_may_touch_whom() {
        let owner = holding(role(RoleKind::WorkspaceOwner, 9, &[]));
        let high = holding(role(RoleKind::Custom, 5, &[Permission::BanMember]));
        let low = holding(role(RoleKind::Custom, 4, &[]));
        for (actor, target, allowed) in [
            (owner, high.rank, true),
            (owner, owner.rank, false),
            (high, low.rank, true),
            (high, high.rank, false),
            (low, high.rank, false),
            (low, Rank::LOWEST, true),
            (high, owner.rank, false),
        ] {
            assert_eq!(
                actor.check_over(target).is_ok(),
                allowed,
                "{actor:?} {target:?}"
            );
        }
        let top = role(RoleKind::WorkspaceOwner, 9, &[]);
        assert!(owner.check_over_role(top).is_ok());
        assert!(high.check_over_role(top).is_err());
        assert!(
            high.check_over_role(role(RoleKind::Custom, 5, &[]))
                .is_err()
        );
        assert!(high.check_over_role(role(RoleKind::Custom, 4, &[])).is_ok());
    }

    #[test]
    fn nobody_grants_what_they_lack() {
        let ban = [Permission::BanMember].into_iter().collect();
        let high = holding(role(RoleKind::Custom, 5, &[Permission::BanMember]));
        let owner = holding(role(RoleKind::WorkspaceOwner, 9, &[]));
        assert!(high.check_grant(ban).is_ok());
        assert!(owner.check_grant(PermissionSet::ALL).is_ok());
        let refused = high.check_grant(ban.with(Permission::ManageIpBans));
        assert_eq!(
            refused.err().map(|e| e.message().to_string()).as_deref(),
            Some("nobody grants what they lack: manage_ip_bans")
        );
    }
}

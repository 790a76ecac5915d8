//! What can be allowed, and which of a new guild's roles allow it.

use poem_openapi::Enum;
use serde::Serialize;

use super::role::RoleKind;

/// One thing that a role may allow.
// The number is the permission's place in the stored set (`PermissionSet::bits`): it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Permission {
    /// Shape the guild: its roles, its name and visibility, its channels.
    ManageRoles = 0,
    /// Give roles to members and take them away.
    ManageMemberRoles = 1,
    /// Manage the roles that the whole guild shares.
    ManageWorkspaceRoles = 2,
    /// Change what roles and members may do in one channel.
    ManageChannelOverrides = 3,
    /// Delete and edit what others wrote.
    DeleteMessage = 4,
    /// Kick and ban.
    BanMember = 5,
    /// Read who did what to whom.
    ViewAuditLog = 6,
    /// Keep addresses out.
    ManageIpBans = 7,
    /// Write messages; also the right to see a channel.
    CreateMessage = 8,
    /// Publish a camera.
    PublishVideo = 9,
    /// Publish a screen.
    PublishScreenShare = 10,
    /// Hear and see what others publish.
    SubscribeStreams = 11,
}

impl Permission {
    /// Every permission, in the order of the contract.
    pub(crate) const ALL: [Self; 12] = [
        Self::ManageRoles,
        Self::ManageMemberRoles,
        Self::ManageWorkspaceRoles,
        Self::ManageChannelOverrides,
        Self::DeleteMessage,
        Self::BanMember,
        Self::ViewAuditLog,
        Self::ManageIpBans,
        Self::CreateMessage,
        Self::PublishVideo,
        Self::PublishScreenShare,
        Self::SubscribeStreams,
    ];

    /// The lowest of a new guild's standing roles that allows this; those above it do too.
    ///
    /// `@everyone` < `member` < `moderator` < `workspace_owner`. Read it as: people may talk and, once they joined, show
    /// themselves; moderators keep order; what the guild is made of, and who may do what, is the owner's.
    pub(crate) const fn allowed_from(self) -> RoleKind {
        match self {
            Self::CreateMessage => RoleKind::Everyone,
            Self::PublishVideo | Self::PublishScreenShare | Self::SubscribeStreams => {
                RoleKind::Member
            }
            Self::DeleteMessage | Self::BanMember | Self::ViewAuditLog | Self::ManageIpBans => {
                RoleKind::Moderator
            }
            Self::ManageRoles
            | Self::ManageMemberRoles
            | Self::ManageWorkspaceRoles
            | Self::ManageChannelOverrides => RoleKind::WorkspaceOwner,
        }
    }

    /// Its word on the wire.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::ManageRoles => "manage_roles",
            Self::ManageMemberRoles => "manage_member_roles",
            Self::ManageWorkspaceRoles => "manage_workspace_roles",
            Self::ManageChannelOverrides => "manage_channel_overrides",
            Self::DeleteMessage => "delete_message",
            Self::BanMember => "ban_member",
            Self::ViewAuditLog => "view_audit_log",
            Self::ManageIpBans => "manage_ip_bans",
            Self::CreateMessage => "create_message",
            Self::PublishVideo => "publish_video",
            Self::PublishScreenShare => "publish_screen_share",
            Self::SubscribeStreams => "subscribe_streams",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PermissionSet(u16);

impl PermissionSet {
    /// Nothing is allowed.
    pub(crate) const NONE: Self = Self(0);
    /// Everything is.
    pub(crate) const ALL: Self = {
        let mut bits = 0;
        let mut index = 0;
        while index < Permission::ALL.len() {
            bits |= Permission::ALL[index].bit();
            index += 1;
        }
        Self(bits)
    };

    pub(crate) const fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    pub(crate) const fn with(self, permission: Permission) -> Self {
        Self(self.0 | permission.bit())
    }

    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without what `other` holds.
    pub(crate) const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What one of the two holds and the other does not.
    pub(crate) const fn difference(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether nothing is in both.
    pub(crate) const fn is_disjoint(self, other: Self) -> bool {
        self.0 & other.0 == 0
    }

    /// The set as it is stored.
    pub(crate) fn bits(self) -> i64 {
        self.0.into()
    }

    /// A stored set. Bits that mean nothing here (a newer server wrote them) allow nothing.
    pub(crate) fn from_bits(bits: i64) -> Self {
        Self((bits & Self::ALL.bits()) as u16)
    }

    /// The permissions of the set, in the order of [`Permission::ALL`].
    pub(crate) fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .into_iter()
            .filter(move |one| self.has(*one))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(role: RoleKind) -> String {
        let words: Vec<String> = role
            .initial_permissions()
            .iter()
            .filter_map(|one| serde_json::to_value(one).ok()?.as_str().map(String::from))
            .collect();
        words.join(" ")
    }

    #[test]
    fn a_new_guilds_roles_allow_what_the_table_says() {
        assert_eq!(words(RoleKind::Custom), "");
        assert_eq!(words(RoleKind::Everyone), "create_message");
        assert_eq!(
            words(RoleKind::Member),
            "create_message publish_video publish_screen_share subscribe_streams"
        );
        assert_eq!(
            words(RoleKind::Moderator),
            "delete_message ban_member view_audit_log manage_ip_bans \
             create_message publish_video publish_screen_share subscribe_streams"
        );
        assert_eq!(
            words(RoleKind::WorkspaceOwner),
            "manage_roles manage_member_roles manage_workspace_roles manage_channel_overrides \
             delete_message ban_member view_audit_log manage_ip_bans \
             create_message publish_video publish_screen_share subscribe_streams"
        );
        assert_eq!(
            RoleKind::WorkspaceOwner.initial_permissions(),
            PermissionSet::ALL
        );
    }

    #[test]
    fn a_permission_has_one_word_everywhere() {
        use poem_openapi::types::ToJSON;
        for permission in Permission::ALL {
            let word = Some(serde_json::Value::from(permission.word()));
            assert_eq!(serde_json::to_value(permission).ok(), word);
            assert_eq!(permission.to_json(), word);
        }
    }

    #[test]
    fn stored_places_are_stable_and_unknown_ones_allow_nothing() {
        for (place, permission) in Permission::ALL.into_iter().enumerate() {
            assert_eq!(PermissionSet::NONE.with(permission).bits(), 1 << place);
        }
        assert_eq!(PermissionSet::from_bits(i64::MAX), PermissionSet::ALL);
        assert_eq!(PermissionSet::from_bits(1 << 12), PermissionSet::NONE);
    }
}

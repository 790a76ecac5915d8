//! Who may do what in a guild: the one table of it, as a moderator can read it.

use filament_kernel::{ApiError, ErrorCode};

use super::{member::Member, permission::Permission, role::Standing};

/// 403: the caller may not read the guild's audit log.
pub(crate) const AUDIT_ACCESS_DENIED: ErrorCode = ErrorCode::new(403, "audit_access_denied");

/// Something that a member may want to do and that takes a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    GuildUpdate,
    GuildDelete,
    GuildTransfer,
    ChannelCreate,
    ChannelUpdate,
    ChannelDelete,
    ChannelReorder,
    OverrideSet,
    RoleCreate,
    RoleUpdate,
    RoleDelete,
    RoleReorder,
    RoleDefault,
    RoleAssign,
    RoleUnassign,
    MemberAdd,
    MemberUpdate,
    MemberKick,
    MemberBan,
    MemberUnban,
    BanList,
    AuditList,
    IpBanList,
    IpBanCreate,
    IpBanDelete,
}

/// What an act takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// To be an owner.
    Owner,
    /// A permission: for [`Act::OverrideSet`] in the channel, for everything else in the guild, whatever channels say.
    Permission(Permission),
}

impl Act {
    /// The table. Whom and which roles an act may touch is a second question: see [`super::hierarchy`].
    pub(crate) const fn takes(self) -> Right {
        match self {
            Self::GuildDelete | Self::GuildTransfer => Right::Owner,
            Self::GuildUpdate
            | Self::ChannelCreate
            | Self::ChannelUpdate
            | Self::ChannelDelete
            | Self::ChannelReorder
            | Self::MemberAdd => Right::Permission(Permission::ManageRoles),
            Self::RoleCreate
            | Self::RoleUpdate
            | Self::RoleDelete
            | Self::RoleReorder
            | Self::RoleDefault => Right::Permission(Permission::ManageWorkspaceRoles),
            Self::RoleAssign | Self::RoleUnassign | Self::MemberUpdate => {
                Right::Permission(Permission::ManageMemberRoles)
            }
            Self::OverrideSet => Right::Permission(Permission::ManageChannelOverrides),
            Self::MemberKick | Self::MemberBan | Self::MemberUnban | Self::BanList => {
                Right::Permission(Permission::BanMember)
            }
            Self::AuditList => Right::Permission(Permission::ViewAuditLog),
            Self::IpBanList | Self::IpBanCreate | Self::IpBanDelete => {
                Right::Permission(Permission::ManageIpBans)
            }
        }
    }

    /// Its name in the audit log.
    pub(crate) const fn audit_action(self) -> &'static str {
        match self {
            Self::GuildUpdate => "guild.update",
            Self::GuildDelete => "guild.delete",
            Self::GuildTransfer => "guild.transfer",
            Self::ChannelCreate => "channel.create",
            Self::ChannelUpdate => "channel.update",
            Self::ChannelDelete => "channel.delete",
            Self::ChannelReorder => "channel.reorder",
            Self::OverrideSet => "channel.override",
            Self::RoleCreate => "role.create",
            Self::RoleUpdate => "role.update",
            Self::RoleDelete => "role.delete",
            Self::RoleReorder => "role.reorder",
            Self::RoleDefault => "role.default",
            Self::RoleAssign => "role.assign",
            Self::RoleUnassign => "role.unassign",
            Self::MemberAdd => "member.add",
            Self::MemberUpdate => "member.update",
            Self::MemberKick => "member.kick",
            Self::MemberBan => "member.ban",
            Self::MemberUnban => "member.unban",
            Self::BanList => "ban.list",
            Self::AuditList => "audit.list",
            Self::IpBanList => "ip_ban.list",
            Self::IpBanCreate => "ip_ban.create",
            Self::IpBanDelete => "ip_ban.delete",
        }
    }

    /// Lets `member` do it, or says what it takes.
    pub(crate) fn check(self, member: Member) -> Result<(), ApiError> {
        let right = self.takes();
        let (allowed, missing) = match right {
            Right::Owner => (
                member.standing == Standing::Owner,
                "only an owner may do this".to_string(),
            ),
            Right::Permission(permission) => (
                member.may(permission),
                format!("this takes the permission {}", permission.word()),
            ),
        };
        if allowed {
            return Ok(());
        }
        let code = match self {
            Self::AuditList => AUDIT_ACCESS_DENIED,
            _ => ErrorCode::FORBIDDEN,
        };
        Err(ApiError::new(code, missing))
    }
}

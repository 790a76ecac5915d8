//! Roles: those that every guild has, and where they stand.

use poem_openapi::Enum;
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::Serialize;

use super::permission::{Permission, PermissionSet};

/// What a role is to its guild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum RoleKind {
    /// `@everyone`: held by every member without being given.
    Everyone,
    /// `member`: given to whoever joins.
    Member,
    /// `moderator`.
    Moderator,
    /// `workspace_owner`: may do everything, whatever its permissions say.
    WorkspaceOwner,
    /// A role that the guild made itself.
    Custom,
}

impl RoleKind {
    /// The roles that a guild is born with, in the order of their positions.
    pub(crate) const STANDING: [Self; 4] = [
        Self::Everyone,
        Self::Member,
        Self::Moderator,
        Self::WorkspaceOwner,
    ];

    /// The name that it starts with.
    pub(crate) const fn initial_name(self) -> &'static str {
        match self {
            Self::Everyone => "@everyone",
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::WorkspaceOwner => "workspace_owner",
            Self::Custom => "",
        }
    }

    /// The position that it starts at; higher is mightier.
    pub(crate) const fn initial_position(self) -> i64 {
        match self {
            Self::Everyone => 0,
            Self::Member | Self::Custom => 1,
            Self::Moderator => 2,
            Self::WorkspaceOwner => 3,
        }
    }

    /// What it allows at first; see [`Permission::allowed_from`]. A role of the guild's own making starts with nothing.
    pub(crate) fn initial_permissions(self) -> PermissionSet {
        match self {
            Self::Custom => PermissionSet::NONE,
            Self::Everyone | Self::Member | Self::Moderator | Self::WorkspaceOwner => {
                Permission::ALL
                    .into_iter()
                    .filter(|one| one.allowed_from().initial_position() <= self.initial_position())
                    .collect()
            }
        }
    }

    /// The standing of somebody who holds it.
    pub(crate) const fn standing(self) -> Standing {
        match self {
            Self::WorkspaceOwner => Standing::Owner,
            Self::Moderator => Standing::Moderator,
            Self::Everyone | Self::Member | Self::Custom => Standing::Member,
        }
    }
}

/// What somebody is in a guild, in one word. A later one ranks higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enum, Serialize)]
#[oai(rename_all = "snake_case", rename = "GuildRole")]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Member,
    Moderator,
    Owner,
}

//! Roles: those that every guild has, and where they stand.

use filament_kernel::id::RoleId;
use poem_openapi::{Enum, Object};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::Serialize;
use validator::ValidationError;

use super::{
    member::Powers,
    permission::{Permission, PermissionSet},
};

/// What a role is to its guild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum RoleKind {
    /// `@everyone`: held by every member without being given.
    Everyone,
    /// `member`: given to whoever joins, unless the guild says otherwise.
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

    /// Whether no guild can change or delete it.
    pub(crate) const fn is_system(self) -> bool {
        match self {
            Self::Everyone | Self::WorkspaceOwner => true,
            Self::Member | Self::Moderator | Self::Custom => false,
        }
    }

    /// Whether every guild has it, so that none can delete it.
    pub(crate) const fn is_everywhere(self) -> bool {
        match self {
            Self::Everyone | Self::Member | Self::Moderator | Self::WorkspaceOwner => true,
            Self::Custom => false,
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

/// A role, as members see it.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Role {
    pub role_id: RoleId,
    /// 1 to 32 UTF-16 code units, not blank.
    pub name: String,
    /// Higher is mightier; `@everyone` is 0.
    pub position: i64,
    /// Whether every guild has it and no guild can change or delete it.
    pub is_system: bool,
    pub permissions: Vec<Permission>,
    /// `#RRGGBB`; null for none.
    #[oai(nullable)]
    pub color_hex: Option<String>,
}

impl Role {
    pub(crate) fn permission_set(&self) -> PermissionSet {
        self.permissions.iter().copied().collect()
    }

    /// The role as far as it decides anything.
    pub(crate) fn powers(&self, kind: RoleKind) -> Powers {
        Powers {
            kind,
            position: self.position,
            permissions: self.permission_set(),
        }
    }
}

/// For `#[validate(custom(…))]`: `#RRGGBB`.
pub(crate) fn color(text: &str) -> Result<(), ValidationError> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    if digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(ValidationError::new("color").with_message("must be a colour, #RRGGBB".into()))
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

impl Standing {
    /// The role that stands for it.
    pub(crate) const fn role(self) -> RoleKind {
        match self {
            Self::Member => RoleKind::Member,
            Self::Moderator => RoleKind::Moderator,
            Self::Owner => RoleKind::WorkspaceOwner,
        }
    }

    /// Its word on the wire.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }

    /// The standing of this word on the wire.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let mut all = [Self::Member, Self::Moderator, Self::Owner].into_iter();
        all.find(|standing| standing.word() == word)
    }

    /// The standing that a role stands for, if it is one of the three.
    pub(crate) const fn of_role(kind: RoleKind) -> Option<Self> {
        match kind {
            RoleKind::Member => Some(Self::Member),
            RoleKind::Moderator => Some(Self::Moderator),
            RoleKind::WorkspaceOwner => Some(Self::Owner),
            RoleKind::Everyone | RoleKind::Custom => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_a_hash_and_six_hexadecimal_digits() {
        assert!(color("#00ffAA").is_ok());
        for bad in [
            "",
            "#",
            "00ffaa",
            "#00ffa",
            "#00ffaaa",
            "#00ffag",
            "#00ff\u{e9}",
        ] {
            assert!(color(bad).is_err(), "{bad}");
        }
    }
}

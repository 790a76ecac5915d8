//! A guild, as its members and the public directory see it.

use filament_kernel::{ErrorCode, id::GuildId};
use poem_openapi::{Enum, Object};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::Serialize;

/// 403: the caller has made as many guilds as one user may.
pub(crate) const GUILD_CREATION_LIMIT_REACHED: ErrorCode =
    ErrorCode::new(403, "guild_creation_limit_reached");

/// Who may know of a guild and join it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Enum, Serialize, EnumIter, DeriveActiveEnum,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "GuildVisibility")]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Its members alone know of it.
    #[default]
    Private,
    /// It stands in the public directory, and anybody may join.
    Public,
}

/// A guild.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Guild {
    pub guild_id: GuildId,
    pub name: String,
    pub visibility: Visibility,
}

/// The form of a name in which the directory searches. The lower case of a letter can depend on its place in a word
/// (Greek sigma), so that only what went through here may be compared.
pub(crate) fn search_key(name: &str) -> String {
    name.to_lowercase().replace('\u{3c2}', "\u{3c3}")
}

//! A channel of a guild.

use filament_kernel::id::ChannelId;
use poem_openapi::{Enum, Object};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::Serialize;

/// What a channel is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Enum, Serialize, EnumIter, DeriveActiveEnum,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Messages.
    #[default]
    Text,
    /// Voice, and messages beside it.
    Voice,
}

/// The channels of a guild, as JSON, take at most this many bytes together: clients that know of no second page get all of them in one
/// answer, which has 64 KiB.
pub(crate) const CHANNELS_BYTES_MAX: usize = 64 * 1_024 - 128;

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Channel {
    pub channel_id: ChannelId,
    pub name: String,
    pub kind: ChannelKind,
    /// What it is about; empty where nobody said so.
    pub topic: String,
}

impl Channel {
    /// What it takes of [`CHANNELS_BYTES_MAX`], its comma included.
    pub(crate) fn bytes(&self) -> usize {
        serde_json::to_string(self).map_or(CHANNELS_BYTES_MAX, |text| text.len() + 1)
    }
}

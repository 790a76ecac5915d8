//! Who and what is kept out of a guild.

use filament_kernel::{
    ErrorCode,
    id::{IpBanId, UserId},
};
use poem_openapi::Object;
use serde::Serialize;

/// 403: the caller is banned from the guild that they want to join.
pub(crate) const USER_BANNED: ErrorCode = ErrorCode::new(403, "directory_join_user_banned");
/// 403: the address that the caller joins from is banned from the guild.
pub(crate) const IP_BANNED: ErrorCode = ErrorCode::new(403, "directory_join_ip_banned");

/// The longest that a ban with an end may last: 180 days.
pub(crate) const EXPIRES_IN_SECS_MAX: u32 = 15_552_000;
/// Addresses of one user that one act bans at most: those that were seen last.
pub(crate) const ADDRESSES_PER_USER_MAX: u64 = 64;

/// Why and for how long somebody is banned.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    /// At most 240 UTF-16 code units; may be empty.
    pub(crate) reason: String,
    /// 1 to [`EXPIRES_IN_SECS_MAX`]; for good if not given.
    pub(crate) expires_in_secs: Option<u32>,
}

impl Terms {
    /// When a ban that begins `now` ends; both in unix seconds.
    pub(crate) fn expires_at(&self, now: i64) -> Option<i64> {
        self.expires_in_secs.map(|seconds| now + i64::from(seconds))
    }
}

/// A user who is banned from a guild.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(rename = "GuildBan")]
pub struct Ban {
    pub user_id: UserId,
    pub banned_by_user_id: UserId,
    /// At most 240 UTF-16 code units; may be empty.
    pub reason: String,
    pub created_at_unix: i64,
    /// Null for a ban without an end.
    #[oai(nullable)]
    pub expires_at_unix: Option<i64>,
}

/// An address that is banned from a guild, without the address.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(rename = "GuildAddressBan")]
pub struct IpBan {
    pub ban_id: IpBanId,
    /// Whose address it was.
    pub source_user_id: UserId,
    /// At most 240 UTF-16 code units; may be empty.
    pub reason: String,
    pub created_at_unix: i64,
    /// Null for a ban without an end.
    #[oai(nullable)]
    pub expires_at_unix: Option<i64>,
}

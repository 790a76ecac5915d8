//! What the module tells: changes of a profile, to its owner and the owner's friends.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    id::UserId,
    log::{NewEvent, Stream},
    markdown::MarkdownToken,
};
use serde::Serialize;

pub(crate) const PROFILE_UPDATE: &str = "profile_update";
pub(crate) const PROFILE_AVATAR_UPDATE: &str = "profile_avatar_update";
pub(crate) const PROFILE_BANNER_UPDATE: &str = "profile_banner_update";

/// Somebody has another name or says something else of themselves.
#[derive(Debug, Serialize)]
pub(crate) struct ProfileUpdate<'a> {
    pub(crate) user_id: UserId,
    pub(crate) updated_fields: UpdatedFields<'a>,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// What is new; what stayed as it was is left out.
#[derive(Debug, Serialize)]
pub(crate) struct UpdatedFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) about_markdown: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) about_markdown_tokens: Option<Vec<MarkdownToken>>,
}

/// Somebody has another avatar, or none any more.
#[derive(Debug, Serialize)]
pub(crate) struct ProfileAvatarUpdate {
    pub(crate) user_id: UserId,
    pub(crate) avatar_version: i64,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// Somebody has another banner, or none any more.
#[derive(Debug, Serialize)]
pub(crate) struct ProfileBannerUpdate {
    pub(crate) user_id: UserId,
    pub(crate) banner_version: i64,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// One event in the stream of `user` and in that of each friend, with one text for all.
pub(crate) fn to_user_and_friends(
    user: UserId,
    friends: &[UserId],
    name: &'static str,
    payload: &impl Serialize,
) -> Result<Vec<NewEvent>, ApiError> {
    let text: Arc<str> = serde_json::to_string(payload)
        .map_err(ApiError::internal)?
        .into();
    let event = |user| NewEvent::from_text(Stream::User(user), name, text.clone());
    Ok(std::iter::once(user)
        .chain(friends.iter().copied())
        .map(event)
        .collect())
}

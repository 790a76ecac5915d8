//! What an account shows of itself.

use std::sync::Arc;

use filament_kernel::{
    ApiError, Caller, ErrorCode,
    http::{Origin, Valid},
    id::UserId,
    markdown::{self, MarkdownToken},
    text::Text,
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use validator::Validate;

use super::Tag;
use crate::{
    changes::{NewProfile, Profiles, profile_update},
    domain::{
        about::About,
        username::{NewUsername, Username},
    },
    store,
};

/// What an account shows of itself.
#[derive(Object)]
pub struct Profile {
    /// The account.
    user_id: UserId,
    /// Its name, as its owner writes it.
    username: String,
    /// What its owner says of themselves, in markdown; at most 2048 UTF-16 code units.
    about_markdown: String,
    /// The same, as tokens.
    about_markdown_tokens: Vec<MarkdownToken>,
    /// Raised each time that the avatar is changed or removed; 0 before the first.
    avatar_version: i64,
    /// Raised each time that the banner is changed or removed; 0 before the first.
    banner_version: i64,
}

impl From<store::profiles::Profile> for Profile {
    fn from(stored: store::profiles::Profile) -> Self {
        Self {
            about_markdown_tokens: markdown::tokens(&stored.about_markdown),
            user_id: stored.user_id,
            username: stored.username,
            about_markdown: stored.about_markdown,
            avatar_version: stored.avatar_version,
            banner_version: stored.banner_version,
        }
    }
}

/// What is to be changed, one field at least.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct ProfileUpdate {
    /// 3 to 32 of `[A-Za-z0-9_.]`. Names that differ in case only are one name.
    #[validate(custom(function = "Text::check"))]
    username: Option<Text<NewUsername>>,
    /// At most 2048 UTF-16 code units; may be empty.
    #[validate(custom(function = "Text::check"))]
    about_markdown: Option<Text<About>>,
}

pub struct ProfileApi(pub(crate) Arc<Profiles>);

#[OpenApi]
impl ProfileApi {
    /// Change one's name or what one says of oneself
    ///
    /// Oneself and one's friends are told by `profile_update`. A name that is given up is free at once.
    ///
    /// - 409: `username_taken`: somebody else has the name
    #[oai(
        path = "/users/me/profile",
        method = "patch",
        operation_id = "profile_update",
        tag = "Tag::Users"
    )]
    async fn profile_update(
        &self,
        caller: Caller,
        origin: Origin,
        body: Valid<ProfileUpdate>,
    ) -> Result<Json<Profile>, ApiError> {
        let wanted = body.0.parse()?;
        self.0.limit.check(&caller.user_id)?;
        let profile = profile_update(&self.0, caller.user_id, origin, wanted).await?;
        Ok(Json(profile.into()))
    }

    /// Read somebody's profile
    ///
    /// Anybody's, whether it is a friend or not.
    #[oai(
        path = "/users/:user_id/profile",
        method = "get",
        operation_id = "profile_get",
        tag = "Tag::Users"
    )]
    async fn profile_get(
        &self,
        _caller: Caller,
        user_id: Path<UserId>,
    ) -> Result<Json<Profile>, ApiError> {
        let profile = store::profiles::find(self.0.host.db.read(), user_id.0)
            .await?
            .ok_or_else(ApiError::not_found)?;
        Ok(Json(profile.into()))
    }
}

impl ProfileUpdate {
    fn parse(self) -> Result<NewProfile, ApiError> {
        let unchecked = || ApiError::internal("a name was not checked before it was used");
        let username = self
            .username
            .map(|name| Username::parse(&name).ok_or_else(unchecked))
            .transpose()?;
        if username.is_none() && self.about_markdown.is_none() {
            return Err(ApiError::new(
                ErrorCode::INVALID_REQUEST,
                "username, about_markdown: one of them at least must be given",
            ));
        }
        Ok(NewProfile {
            username,
            about_markdown: self.about_markdown.map(String::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::{id::Ids, text::TextRule};
    use poem_openapi::types::ToJSON;

    use super::*;

    /// What a JSON answer and an event of the gateway stay within.
    const MAX_BYTES: usize = 64 * 1024;

    #[test]
    fn the_densest_text_fits_one_answer() {
        for pattern in [
            "\u{1}",
            "\"",
            "\u{4e00}",
            "- ",
            "*a* ",
            "a\n",
            "# a\n",
            "`a`",
            "[a](http://b) ",
            "<http://a> ",
            "1. ",
            "> ",
            "![a](b)",
        ] {
            let mut about = String::new();
            while About::check(&format!("{about}{pattern}")).is_ok() {
                about.push_str(pattern);
            }
            let profile = Profile::from(store::profiles::Profile {
                user_id: Ids::default().next(),
                username: "x".repeat(32),
                about_markdown: about,
                avatar_version: i64::MAX,
                banner_version: i64::MAX,
            });
            let tokens = profile.about_markdown_tokens.len();
            assert!(tokens <= markdown::MAX_TOKENS, "{tokens} of {pattern:?}");
            let bytes = profile.to_json_string().len();
            assert!(bytes <= MAX_BYTES, "{bytes} of {pattern:?}");
        }
    }
}

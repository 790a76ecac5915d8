//! What an account shows of itself.

use filament_kernel::{
    id::UserId,
    markdown::{self, MarkdownToken},
};
use poem_openapi::Object;

use crate::store;

/// What an account shows of itself.
#[derive(Object)]
pub struct Profile {
    /// The account.
    user_id: UserId,
    /// Its name, as its owner writes it.
    username: String,
    /// What its owner says of themselves, in markdown.
    about_markdown: String,
    /// The same, as tokens.
    about_markdown_tokens: Vec<MarkdownToken>,
    /// Raised at each new avatar; 0 is none.
    avatar_version: i64,
    /// Raised at each new banner; 0 is none.
    banner_version: i64,
}

impl From<store::users::Profile> for Profile {
    fn from(stored: store::users::Profile) -> Self {
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

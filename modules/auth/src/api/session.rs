//! The answer to a log-in and to a refresh.

use poem_openapi::Object;

use crate::sessions::Tokens;

/// Tokens to go on with.
#[derive(Object)]
pub struct Session {
    /// For the `Authorization: Bearer` header, until it expires.
    access_token: String,
    /// For one call of `POST /auth/refresh`, or of `POST /auth/logout`.
    refresh_token: String,
    /// Seconds for which the access token is good.
    expires_in_secs: u32,
}

impl From<Tokens> for Session {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access,
            refresh_token: tokens.refresh,
            expires_in_secs: tokens.expires_in_secs,
        }
    }
}

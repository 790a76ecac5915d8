use std::sync::Arc;

use filament_kernel::{
    ApiError,
    http::{Origin, Valid},
};
use poem_openapi::{Object, OpenApi, payload::Json};
use validator::Validate;

use super::{Tag, session::Session};
use crate::{domain::refresh_token::RefreshToken, sessions::Sessions};

/// A refresh token, to be taken for the next one.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The newest refresh token of the session.
    #[validate(length(max = 512))]
    refresh_token: String,
}

pub struct Refresh {
    pub(crate) sessions: Arc<Sessions>,
}

#[OpenApi]
impl Refresh {
    /// Refresh a session
    ///
    /// Each refresh token is good for one use. One that is presented a second time has been stolen, or its thief was faster: the session
    /// ends, and with it all of its tokens and sockets.
    ///
    /// - 401: The token is not the newest of a live session
    #[oai(
        path = "/auth/refresh",
        method = "post",
        operation_id = "refresh",
        tag = "Tag::Auth"
    )]
    async fn refresh(
        &self,
        origin: Origin,
        body: Valid<RefreshRequest>,
    ) -> Result<Json<Session>, ApiError> {
        let token =
            RefreshToken::parse(&body.0.refresh_token).ok_or_else(ApiError::unauthenticated)?;
        let tokens = self.sessions.refresh(token, origin).await?;
        Ok(Json(tokens.into()))
    }
}

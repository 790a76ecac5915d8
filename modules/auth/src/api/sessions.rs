use std::sync::Arc;

use filament_kernel::{
    ApiError, Caller,
    http::{NoContent, Origin},
    id::SessionId,
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

use super::Tag;
use crate::{
    sessions::Sessions,
    store::{
        self,
        sessions::{Shown, Which},
    },
};

/// A log-in of the caller that is live.
#[derive(Object)]
struct SessionShown {
    session_id: SessionId,
    /// When it was opened.
    created_at_unix: i64,
    /// When it was last refreshed, or opened.
    last_used_at_unix: i64,
    /// What the client called itself at the log-in; null if it did not.
    #[oai(nullable)]
    client: Option<String>,
    /// The network of the client's address at the log-in: /24 of IPv4, /48 of IPv6; null where it is not known.
    #[oai(nullable)]
    network: Option<String>,
    /// The one that asks.
    current: bool,
}

/// The caller's live sessions.
#[derive(Object)]
struct SessionList {
    /// The newest first; at most 100.
    sessions: Vec<SessionShown>,
}

pub struct SessionsApi(pub(crate) Arc<Sessions>);

#[OpenApi]
impl SessionsApi {
    /// List one's sessions
    ///
    /// Those that are live. An account has at most 100: one more ends the one that was not used for longest.
    #[oai(
        path = "/auth/sessions",
        method = "get",
        operation_id = "session_list",
        tag = "Tag::Auth"
    )]
    async fn session_list(&self, caller: Caller) -> Result<Json<SessionList>, ApiError> {
        let host = &self.0.host;
        let live =
            store::sessions::live(host.db.read(), caller.user_id, host.clock.now_ms()).await?;
        let sessions = live
            .into_iter()
            .map(|shown| describe(shown, caller.session_id))
            .collect();
        Ok(Json(SessionList { sessions }))
    }

    /// End one of one's sessions
    ///
    /// Its refresh token, its access tokens and its sockets, at once. One that is not live, or another user's, is 404. Ending the one that
    /// asks logs out.
    #[oai(
        path = "/auth/sessions/:session_id",
        method = "delete",
        operation_id = "session_end",
        tag = "Tag::Auth"
    )]
    async fn session_end(
        &self,
        caller: Caller,
        session_id: Path<SessionId>,
        origin: Origin,
    ) -> Result<NoContent, ApiError> {
        let which = Which::Only(session_id.0);
        match self.0.end_own(caller, which, origin).await? {
            0 => Err(ApiError::not_found()),
            _ => Ok(NoContent),
        }
    }

    /// End all of one's other sessions
    ///
    /// All but the one that asks.
    #[oai(
        path = "/auth/sessions",
        method = "delete",
        operation_id = "session_end_others",
        tag = "Tag::Auth"
    )]
    async fn session_end_others(
        &self,
        caller: Caller,
        origin: Origin,
    ) -> Result<NoContent, ApiError> {
        let others = Which::AllBut(caller.session_id);
        self.0.end_own(caller, others, origin).await?;
        Ok(NoContent)
    }
}

fn describe(shown: Shown, current: SessionId) -> SessionShown {
    SessionShown {
        current: shown.session_id == current,
        session_id: shown.session_id,
        created_at_unix: shown.created_at_ms / 1_000,
        last_used_at_unix: shown.last_used_at_ms / 1_000,
        client: shown.client,
        network: shown.network,
    }
}

//! Asking the modules whose streams a user follows: when a socket opens, and when a module comes up.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use filament_kernel::{ApiError, id::UserId, log::Stream, scope::panic_message};
use filament_protocol::CloseCode;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::timeout;
use tracing::{error, warn};

use super::{
    frame,
    hub::Hub,
    outbox::Close,
    socket::Socket,
    user::{Named, User, Watch},
};

/// Users that are asked about at once. A crowd that comes back together must not take every connection of the database.
pub(super) const ASKED_AT_ONCE: usize = 32;
/// After so long without an answer a socket's set-up is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sets a socket up: finds out what its user follows and makes it a follower, with `ready` as its first event.
pub(super) async fn set_up(socket: Arc<Socket>, watch: Option<Watch>) -> Option<Close> {
    let hub = &socket.hub;
    let user = socket.caller.user_id;
    let named = match timeout(PATIENCE, hub.ask(user, None)).await {
        Ok(Ok(named)) => named,
        Ok(Err(error)) => {
            warn!(%user, %error, cause = ?error.cause(), "a socket could not be set up");
            return Some(failed());
        }
        Err(_) => {
            warn!(%user, "a socket could not be set up in time");
            return Some(failed());
        }
    };
    let ready = frame::event("ready", &format!(r#"{{"user_id":"{user}"}}"#));
    if let Some(streams) = hub.directory.seat(&socket, &ready, &named) {
        hub.user_came(user, streams);
    }
    drop(watch);
    None
}

fn failed() -> Close {
    Close::new(
        CloseCode::InternalError,
        "the server could not set this socket up; come back",
    )
}

impl Hub {
    /// The streams that a user follows by right, as the modules name them: all that are up, or some of them.
    async fn ask(&self, user: UserId, only: Option<&[&'static str]>) -> Result<Named, ApiError> {
        let _turn = self.asking.acquire().await.map_err(ApiError::internal)?;
        let mut named = Named::new();
        if only.is_none() {
            // A user's own stream needs no module to say so.
            named.push(("host", vec![Stream::User(user)]));
        }
        for (module, audience) in self.audiences() {
            if only.is_some_and(|only| !only.contains(&module)) {
                continue;
            }
            let asked = AssertUnwindSafe(async { audience.streams_of(user).await }).catch_unwind();
            match asked.await {
                Ok(streams) => named.push((module, streams?)),
                Err(panic) => {
                    let panic = panic_message(panic.as_ref());
                    error!(
                        module,
                        panic, "a module panicked when it was asked for a user's streams"
                    );
                    return Err(ApiError::internal("a module panicked"));
                }
            }
        }
        Ok(named)
    }

    /// Asks `modules`, which came up, about every user that is open here.
    pub(super) async fn ask_again(&self, modules: &[&'static str]) {
        let users = stream::iter(self.directory.all());
        users
            .for_each_concurrent(ASKED_AT_ONCE, |user| self.ask_about(user, modules))
            .await;
    }

    async fn ask_about(&self, user: Arc<User>, modules: &[&'static str]) {
        let watch = Watch::new(&user);
        match timeout(PATIENCE, self.ask(user.id, Some(modules))).await {
            Ok(Ok(named)) => self.directory.renew(&user, &named),
            Ok(Err(error)) => {
                warn!(user = %user.id, %error, cause = ?error.cause(), "a module that came up did not say what a user follows");
            }
            Err(_) => {
                warn!(user = %user.id, "a module that came up did not say in time what a user follows")
            }
        }
        drop(watch);
    }
}

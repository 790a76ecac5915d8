//! A refresh: the newest token of a session is taken for the next one.
//!
//! A client that gives up (it hangs up, or its time is up) never sees the next token and comes back with the one that it has; to
//! take that for a replay would end the session of somebody whose network is bad. So a rotation whose answer nobody took is **taken back**,
//! and whoever comes with a token of the same session waits until it is: at any time one token is good. What remains is an answer that is
//! lost after it was handed to the connection, and a server that dies in between: then the token is spent, and whoever presents it again
//! ends the session.

use std::{sync::Arc, time::Duration};

use filament_kernel::{
    ApiError,
    http::Origin,
    turns::{Turn, Turns},
};
use tokio::sync::oneshot;

use super::{Presented, Purpose, Sessions, Tokens};
use crate::{domain::refresh_token::RefreshToken, store};

/// How long a client waits: less than a request may take by default, so that it is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// Those who come with tokens of one session take turns. By what only its owner, or its thief, knows of it: others cannot hold them up.
#[derive(Default)]
pub(crate) struct TokenTurns(Turns<String>);

impl TokenTurns {
    pub(super) async fn take(&self, token: &RefreshToken) -> Turn<String> {
        self.0.take(token.lineage_hash()).await
    }
}

impl Sessions {
    /// Takes a refresh token for the next one. A caller that goes away leaves it as it was.
    ///
    /// # Errors
    /// 401 when it is not the newest token of a live session; 503 when the database does not answer in time.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        token: RefreshToken,
        origin: Origin,
    ) -> Result<Tokens, ApiError> {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(token, origin)).await;
        answer.unwrap_or_else(|_| {
            Err(ApiError::unavailable("the session cannot be refreshed now")
                .retry_after(Duration::from_secs(1)))
        })
    }

    async fn exchange(
        self: &Arc<Self>,
        token: RefreshToken,
        origin: Origin,
    ) -> Result<Tokens, ApiError> {
        let turn = self.turns.take(&token).await;
        let (offer, offered) = oneshot::channel();
        let sessions = self.clone();
        let work = async move {
            let _turn = turn;
            let next = token.successor();
            let presented = sessions.rotate(&token, &next, origin).await;
            // After an error nobody can tell whether it was committed.
            let may_be_spent = matches!(presented, Ok(Presented::Good(_)) | Err(_));
            let answer = presented.and_then(|presented| match presented {
                Presented::Good(user) => sessions.tokens(user, &next),
                Presented::Replayed(_) | Presented::Bad => Err(ApiError::unauthenticated()),
            });
            let hands_over = answer.is_ok();
            let (take, taken) = oneshot::channel::<()>();
            // Where nobody waits any more, `take` is dropped with the answer.
            let _ = offer.send((answer, take));
            let delivered = taken.await.is_ok() && hands_over;
            if may_be_spent && !delivered {
                sessions.take_back(&token, &next).await;
            }
            Ok(())
        };
        tokio::select! {
            biased;
            Ok((answer, take)) = offered => {
                let _ = take.send(());
                answer
            }
            Err(error) = self.scope.finish(work) => Err(error),
            else => Err(ApiError::internal("a refresh ended without an answer")),
        }
    }

    async fn rotate(
        &self,
        token: &RefreshToken,
        next: &RefreshToken,
        origin: Origin,
    ) -> Result<Presented, ApiError> {
        let purpose = Purpose::Rotate { next: next.clone() };
        let presented = self.present(token.clone(), purpose, origin).await;
        count(match &presented {
            Ok(Presented::Good(_)) => "rotated",
            Ok(Presented::Replayed(_)) => "replayed",
            Ok(Presented::Bad) => "refused",
            Err(_) => "failed",
        });
        presented
    }

    /// Makes `spent` the newest token again, in the place of `next`, which nobody has.
    async fn take_back(&self, spent: &RefreshToken, next: &RefreshToken) {
        count("taken_back");
        let (session, now_ms) = (spent.session, self.host.clock.now_ms());
        let (spent, next) = (spent.clone(), next.clone());
        let restored = self
            .host
            .db
            .write(move |tx| {
                Box::pin(
                    async move { Ok(store::sessions::restore(tx, &spent, &next, now_ms).await?) },
                )
            })
            .await;
        if let Err(error) = restored {
            tracing::warn!(
                %error,
                session_id = %session,
                "a refresh that nobody got the answer of may stand; then the next one ends its session"
            );
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("filament_auth_refreshes_total", "outcome" => outcome).increment(1);
}

//! `Idempotency-Key`: a request that changes something can be sent again without doing it again.
//!
//! A client that got no answer does not know whether it was heard. With a key of its own making it may just ask again: for 24 hours the same
//! key of the same user gets the first answer, with the header `idempotent-replayed: true`. Every operation takes a key whose method changes
//! something and whose document asks for a caller ([`crate::openapi::KeyedRoutes`]); elsewhere the header means nothing, so what
//! hands out log-ins is never kept. A handler whose answer must not be stored wraps it in [`filament_kernel::http::NotStored`].
//!
//! 1. The key is **claimed**: its row is durable before the handler begins.
//! 2. The handler runs to its end, also when the client hangs up or its time is up.
//! 3. The answer is stored, and only then given ([`outcome`] says which are). Retries that came meanwhile wait for it.
//!
//! What was claimed and has no answer when its server has stopped may have been done or not. Nobody can tell, so the retry is told
//! just that (`idempotency_unknown`), and nothing is ever done twice silently.

mod key;
mod outcome;
mod store;

use std::{future::Future, sync::Arc, time::Duration};

use filament_kernel::{
    ApiError, Caller, ErrorCode,
    caller::bearer_token,
    http::RequestContext,
    module::Host,
    turns::{Turn, Turns},
};
use poem::{Error, Request, Response, Result, error::ReadBodyError};
use tokio::{sync::oneshot, time::sleep};
use tokio_util::task::TaskTracker;
use tracing::warn;

pub(super) use self::key::HEADER;
pub use self::store::shapes;
use self::{
    key::{Hash, Key, fingerprint},
    outcome::Outcome,
    store::{Known, Progress, Store},
};
use super::failure::api_error;
use crate::snapshot::Snapshot;

/// The key was used for another request.
const KEY_REUSED: ErrorCode = ErrorCode::new(409, "idempotency_key_reused");
/// It is not known whether the request under this key was carried out.
const UNKNOWN: ErrorCode = ErrorCode::new(409, "idempotency_unknown");

/// A handler that takes longer is given up; as long as a request may take by configuration.
const RUN_AT_MOST: Duration = Duration::from_secs(300);
/// After so long no server works on a request any more, though its clock may differ from ours by a minute.
const NOBODY_AFTER: Duration = Duration::from_secs(300 + 60);
/// How often the database is asked for an answer that another server will write there.
const POLL: Duration = Duration::from_millis(200);
/// For how long the outcome of a request is offered to a database that is away.
const SETTLE_AT_MOST: Duration = Duration::from_secs(120);
/// How often expired keys are deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// See the text above.
pub struct Idempotency {
    store: Store,
    turns: Turns<Key>,
    under_way: TaskTracker,
}

/// What came of the attempt to carry a request out.
enum Attempt {
    Answered(Result<Response>),
    /// Another server was faster: here is the request back.
    Beaten(Box<Request>),
}

impl Idempotency {
    /// `server_id` is the same after a restart, and no other server has it: by it a claim of one's own past is told from that of
    /// another server, which may still be at work.
    pub fn new(host: &Host, server_id: String) -> Arc<Self> {
        Arc::new(Self {
            store: Store::new(
                host.db.clone(),
                host.log.clone(),
                host.clock.clone(),
                server_id,
            ),
            turns: Turns::default(),
            under_way: TaskTracker::new(),
        })
    }

    /// Answers `request`, which has the header: by `run`, or with what `run` answered before.
    ///
    /// # Errors
    /// 401; 400 for a key that is none; 413 for a body longer than that of JSON may be, whatever its type; 409 `idempotency_key_reused`
    /// and `idempotency_unknown`; 429 for too many keys; those of `run`.
    pub(super) async fn answer<F, Fut>(
        self: &Arc<Self>,
        mut request: Request,
        run: F,
    ) -> Result<Response>
    where
        F: FnOnce(Request) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Response>> + Send,
    {
        let context = RequestContext::of(&request)?.clone();
        let token = bearer_token(&request).ok_or_else(ApiError::unauthenticated)?;
        let caller = Caller::authenticate(&context, token).await?;
        let key = Key::of(caller.user_id, request.headers())?;
        let limit = snapshot(&request)?.http.max_json_body_bytes;
        let body = request.take_body().into_bytes_limit(limit).await;
        let body = body.map_err(|error| match error {
            ReadBodyError::PayloadTooLarge => too_large_for_a_key(limit).into(),
            error => Error::from(error),
        })?;
        let fingerprint = fingerprint(&request, &body);
        request.set_body(body);
        loop {
            let turn = self.turns.take(key).await;
            let Some(known) = self.store.find(key).await? else {
                self.store.admit(caller.user_id).await?;
                let attempt = self.attempt(turn, key, fingerprint, request, run.clone());
                match attempt.await? {
                    Attempt::Answered(answer) => return answer,
                    Attempt::Beaten(back) => request = *back,
                }
                continue;
            };
            match judged(known, fingerprint)? {
                Some(answer) => {
                    metrics::counter!("filament_http_replays_total").increment(1);
                    return Ok(answer.replay(&context.request_id));
                }
                None => {
                    drop(turn);
                    sleep(POLL).await;
                }
            }
        }
    }

    /// Claims the key and carries the request out, in a task of its own: a client that goes away ends the wait, not the work.
    async fn attempt<F, Fut>(
        self: &Arc<Self>,
        turn: Turn<Key>,
        key: Key,
        fingerprint: Hash,
        request: Request,
        run: F,
    ) -> Result<Attempt>
    where
        F: FnOnce(Request) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Response>> + Send,
    {
        let (sender, attempt) = oneshot::channel();
        let this = self.clone();
        self.under_way.spawn(async move {
            let (answer, outcome) = match this.store.claim(key, fingerprint).await {
                Ok(true) => carried_out(request, run).await,
                Ok(false) => {
                    drop(turn);
                    let _ = sender.send(Attempt::Beaten(Box::new(request)));
                    return;
                }
                // The claim may have been made all the same; without being released it would stand for something that was begun.
                Err(error) => (Err(error.into()), Outcome::Released),
            };
            let settled = this.store.settle(key, &outcome).await;
            let _ = sender.send(Attempt::Answered(answer));
            if let Err(error) = settled {
                warn!(%error, "the outcome of a request could not be written down; trying again");
                this.settle_later(key, &outcome).await;
            }
            drop(turn);
        });
        Ok(attempt
            .await
            .map_err(|_| ApiError::internal("a request under a key was not carried out"))?)
    }

    /// Goes on with what failed because the database is away. Who asks again meanwhile waits.
    async fn settle_later(&self, key: Key, outcome: &Outcome) {
        let again = async {
            let mut wait = Duration::from_millis(50);
            while self.store.settle(key, outcome).await.is_err() {
                sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(2));
            }
        };
        if tokio::time::timeout(SETTLE_AT_MOST, again).await.is_err() {
            warn!("the outcome of a request could not be written down: its retries cannot be told");
        }
    }

    /// Waits until every request that was begun has ended; for the stop, when no new ones come.
    pub async fn finished(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Deletes expired keys, now and from time to time; for ever.
    pub async fn sweep(&self) {
        loop {
            if let Err(error) = self.store.sweep().await {
                warn!(%error, cause = ?error.cause(), "expired idempotency keys could not be deleted");
            }
            sleep(SWEEP_EVERY).await;
        }
    }
}

/// What a request whose key is known is to be told: the answer, nothing yet, or why there is none.
fn judged(known: Known, fingerprint: Hash) -> Result<Option<outcome::Answer>, ApiError> {
    if known.fingerprint != fingerprint {
        return Err(ApiError::new(
            KEY_REUSED,
            "Idempotency-Key: was used for another request: its method, path, query, media type or body is not the same",
        ));
    }
    match known.progress {
        Progress::Answered(answer) => Ok(Some(answer)),
        Progress::BegunElsewhere(age) if age < NOBODY_AFTER => Ok(None),
        Progress::BegunElsewhere(_) | Progress::BegunHere => Err(ApiError::new(
            UNKNOWN,
            "Idempotency-Key: the request was begun, and it is not known whether it was carried out: look, and if it was not, \
             send it under a new key",
        )),
    }
}

/// Runs the handler to its end, and judges what that means for retries.
async fn carried_out<F, Fut>(request: Request, run: F) -> (Result<Response>, Outcome)
where
    F: FnOnce(Request) -> Fut,
    Fut: Future<Output = Result<Response>>,
{
    let snapshot = match snapshot(&request) {
        Ok(snapshot) => snapshot.clone(),
        Err(error) => return (Err(error.into()), Outcome::Released),
    };
    let path = request.uri().path().to_string();
    let late = || ApiError::new(ErrorCode::REQUEST_TIMEOUT, "this took far too long");
    let answer = tokio::time::timeout(RUN_AT_MOST, run(request)).await;
    match answer.unwrap_or_else(|_| Err(late().into())) {
        Ok(mut response) => {
            let outcome = Outcome::of_response(&mut response).await;
            (Ok(response), outcome)
        }
        Err(error) => {
            let error = api_error(error, &snapshot, &path);
            let outcome = Outcome::of_failure(&error);
            (Err(error.into()), outcome)
        }
    }
}

/// 413. The whole body is held, whatever its type, to tell whether it is the same.
fn too_large_for_a_key(limit: usize) -> ApiError {
    ApiError::new(
        ErrorCode::PAYLOAD_TOO_LARGE,
        format!("the body is longer than {limit} bytes, the most under an Idempotency-Key"),
    )
}

fn snapshot(request: &Request) -> Result<&Arc<Snapshot>, ApiError> {
    request.extensions().get().ok_or_else(|| {
        ApiError::internal("the request has no snapshot: it did not come through the host")
    })
}

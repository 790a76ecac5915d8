use filament_kernel::{ApiError, http::NotStored};
use hyper::body::Body as _;
use poem::{Body, Response, http::header};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::http::failure;

/// A longer body is not kept. The contract keeps JSON answers within it.
const MAX_BODY_BYTES: u64 = 64 * 1024;

/// What carrying out a request came to, as far as its retries are concerned.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// Retries get this answer.
    Kept(Answer),
    /// Nothing was done, or the answer is not to be stored: a retry is carried out.
    Released,
    /// Nobody can tell what was done, or what was answered: retries are told so.
    Unknown,
}

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// What a handler answered.
    Success {
        status: u16,
        content_type: Option<String>,
        body: Vec<u8>,
    },
    /// What a handler refused with.
    Failure { status: u16, failure: Failure },
}

/// The outside of an [`ApiError`]. Without the request id: each retry has its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Failure {
    error: String,
    message: String,
}

impl Outcome {
    /// Judges an answer by its status:
    ///
    /// - 401 (the session ended meanwhile), 429 (a limit of the handler's own) and 503 (a part of the server is away) refuse before
    ///   anything is done. Keeping them would hold against a client for a day what passes in a second.
    /// - Any other 5xx, and a 408 of a handler's own, come out of the midst of the work: it may have been done.
    /// - All others are the answer.
    fn judged(status: u16, answer: impl FnOnce() -> Answer) -> Self {
        match status {
            401 | 429 | 503 => Self::Released,
            408 | 500.. => Self::Unknown,
            _ => Self::Kept(answer()),
        }
    }

    /// The outcome of a refusal or a failure.
    pub(super) fn of_failure(error: &ApiError) -> Self {
        let code = error.code();
        Self::judged(code.status, || Answer::Failure {
            status: code.status,
            failure: Failure {
                error: code.word.to_string(),
                message: error.message().to_string(),
            },
        })
    }

    /// The outcome of an answer, whose body is read and put back.
    pub(super) async fn of_response(response: &mut Response) -> Self {
        if response.extensions().get::<NotStored<()>>().is_some() {
            return Self::Released;
        }
        let body: http_body_util::combinators::BoxBody<_, _> = response.take_body().into();
        let length = body.size_hint().exact();
        let body = Body::from(body);
        if length.is_none_or(|length| length > MAX_BODY_BYTES) {
            warn!(?length, "an answer is too long to be kept for its retries");
            response.set_body(body);
            return Self::Unknown;
        }
        let Ok(bytes) = body.into_bytes().await else {
            return Self::Unknown;
        };
        response.set_body(bytes.clone());
        let status = response.status().as_u16();
        let content_type = response.headers().get(header::CONTENT_TYPE);
        Self::judged(status, || Answer::Success {
            status,
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .map(ToString::to_string),
            body: bytes.into(),
        })
    }
}

impl Answer {
    /// The answer once more, marked as such, for the request `request_id`.
    pub(super) fn replay(self, request_id: &str) -> Response {
        let response = Response::builder().header("idempotent-replayed", "true");
        match self {
            Self::Success {
                status,
                content_type,
                body,
            } => {
                let response = match content_type {
                    Some(content_type) => response.content_type(content_type),
                    None => response,
                };
                response.status(failure::status(status)).body(body)
            }
            Self::Failure { status, failure } => response
                .status(failure::status(status))
                .content_type(failure::CONTENT_TYPE)
                .body(failure::body(&failure.error, &failure.message, request_id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::{ErrorCode, http::NoContent};
    use poem::{IntoResponse, http::StatusCode};

    use super::*;

    #[tokio::test]
    async fn an_answer_is_kept_byte_by_byte() {
        for mut response in [
            Response::builder()
                .content_type("application/json")
                .body("{\"a\": 1}"),
            NoContent.into_response(),
        ] {
            let Outcome::Kept(kept) = Outcome::of_response(&mut response).await else {
                panic!("not kept");
            };
            let replayed = kept.replay("01");
            assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
            assert_eq!(replayed.status(), response.status());
            assert_eq!(replayed.content_type(), response.content_type());
            let bytes = response.into_body().into_bytes().await.expect("a body");
            assert_eq!(
                replayed.into_body().into_bytes().await.expect("a body"),
                bytes
            );
        }
    }

    #[tokio::test]
    async fn a_failure_is_told_again_under_the_id_of_the_new_request() {
        let error = ApiError::new(ErrorCode::QUOTA_EXCEEDED, "too much");
        let Outcome::Kept(kept) = Outcome::of_failure(&error) else {
            panic!("not kept");
        };
        let replayed = kept.replay("02");
        assert_eq!(replayed.status(), StatusCode::CONFLICT);
        let body: serde_json::Value = replayed.into_body().into_json().await.expect("JSON");
        let expected = serde_json::json!({ "error": "quota_exceeded", "message": "too much", "request_id": "02" });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn what_passes_is_released_and_what_nobody_knows_stays_unknown() {
        for error in [ApiError::unauthenticated(), ApiError::unavailable("away")] {
            assert_eq!(Outcome::of_failure(&error), Outcome::Released);
        }
        let error = ApiError::new(ErrorCode::RATE_LIMITED, "too many");
        assert_eq!(Outcome::of_failure(&error), Outcome::Released);
        for error in [
            ApiError::internal("a fault"),
            ApiError::new(ErrorCode::REQUEST_TIMEOUT, "late"),
        ] {
            assert_eq!(Outcome::of_failure(&error), Outcome::Unknown);
        }
        let mut secret = NotStored(NoContent).into_response();
        assert_eq!(Outcome::of_response(&mut secret).await, Outcome::Released);
        let mut long = Response::builder().body(vec![0; 64 * 1024 + 1]);
        assert_eq!(Outcome::of_response(&mut long).await, Outcome::Unknown);
        let left = long.into_body().into_bytes().await.expect("a body");
        assert_eq!(left.len(), 64 * 1024 + 1, "the first one gets it");
    }
}

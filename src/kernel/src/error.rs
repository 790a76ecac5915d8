//! What goes wrong, with an outside and an inside.
//!
//! The outside of an [`ApiError`] is its code and message: a client reads them. The inside is its source: it goes
//! to the log, and has no way out to a client.

use std::{borrow::Cow, error::Error, fmt, time::Duration};

use poem::{IntoResponse, Response, error::ResponseError, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};

use crate::limits::Allowance;

/// A stable word for a kind of failure, and the HTTP status that it answers with.
///
/// Modules may have codes of their own: a constant of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    /// The HTTP status.
    pub status: u16,
    /// The snake_case word on the wire.
    pub word: &'static str,
}

impl ErrorCode {
    /// A code of a module's own.
    pub const fn new(status: u16, word: &'static str) -> Self {
        Self { status, word }
    }

    pub const INVALID_REQUEST: Self = Self::new(400, "invalid_request");
    pub const INVALID_CREDENTIALS: Self = Self::new(401, "invalid_credentials");
    pub const FORBIDDEN: Self = Self::new(403, "forbidden");
    pub const NOT_FOUND: Self = Self::new(404, "not_found");
    pub const MODULE_DISABLED: Self = Self::new(404, "module_disabled");
    pub const METHOD_NOT_ALLOWED: Self = Self::new(405, "method_not_allowed");
    pub const REQUEST_TIMEOUT: Self = Self::new(408, "request_timeout");
    pub const QUOTA_EXCEEDED: Self = Self::new(409, "quota_exceeded");
    pub const PAYLOAD_TOO_LARGE: Self = Self::new(413, "payload_too_large");
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self::new(415, "unsupported_media_type");
    pub const RATE_LIMITED: Self = Self::new(429, "rate_limited");
    pub const INTERNAL_ERROR: Self = Self::new(500, "internal_error");
    pub const SERVICE_UNAVAILABLE: Self = Self::new(503, "service_unavailable");
}

type Source = Box<dyn Error + Send + Sync>;

/// A failure that is answered to a client.
#[derive(Debug)]
pub struct ApiError {
    code: ErrorCode,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    allowance: Option<Allowance>,
    source: Option<Source>,
}

impl ApiError {
    /// A failure with a message for a person: lower case, no full stop, naming the field and the bound.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            allowance: None,
            source: None,
        }
    }

    /// 400 about one field of the request.
    pub fn invalid(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(ErrorCode::INVALID_REQUEST, format!("{field}: {problem}"))
    }

    /// 401: no, wrong or ended credentials, always in the same words.
    pub fn unauthenticated() -> Self {
        Self::new(
            ErrorCode::INVALID_CREDENTIALS,
            "the credentials are missing or not valid",
        )
    }

    /// 403.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::FORBIDDEN, message)
    }

    /// 404, for what does not exist and for what the caller may not know exists.
    pub fn not_found() -> Self {
        Self::new(ErrorCode::NOT_FOUND, "there is no such thing here")
    }

    /// 503.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::SERVICE_UNAVAILABLE, message)
    }

    /// 500. The cause is logged with the request id and told to nobody else.
    pub fn internal(cause: impl Into<Source>) -> Self {
        Self::new(
            ErrorCode::INTERNAL_ERROR,
            "the server failed to answer this request",
        )
        .caused_by(cause)
    }

    /// Adds the inside.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Source>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// Adds when to come back, sent as `Retry-After` in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds the limit that refused, for the `RateLimit` headers of the answer.
    #[must_use]
    pub fn with_allowance(mut self, allowance: Allowance) -> Self {
        self.allowance = Some(allowance);
        self
    }

    /// The outside: its code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The outside: its message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When to come back.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The limit that refused.
    pub fn allowance(&self) -> Option<Allowance> {
        self.allowance
    }

    /// The inside, for the log.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync)> {
        self.source.as_deref()
    }
}

/// Shows the outside only.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.word, self.message)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A database that cannot be reached is 503, so that clients come back; everything else it says is our fault.
impl From<sea_orm::DbErr> for ApiError {
    fn from(error: sea_orm::DbErr) -> Self {
        if crate::db::is_unreachable(&error) {
            Self::unavailable("the database cannot do this now")
                .retry_after(Duration::from_secs(1))
                .caused_by(error)
        } else {
            Self::internal(error)
        }
    }
}

/// The body of every failure.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Error")]
pub struct ErrorBody {
    /// A stable word for the kind of failure.
    pub error: String,
    /// What is wrong, for a person.
    pub message: String,
    /// The request's id, as in the `x-request-id` header; quote it when asking an operator.
    pub request_id: String,
}

/// The host renders every failure in one place, where the request id is known: the error travels there as an error.
impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn as_response(&self) -> Response {
        self.status().into_response()
    }
}

/// What any operation may answer besides its success.
const FAILURES: &[(u16, &str)] = &[
    (
        400,
        "The request is not valid; the message names the field and its bound",
    ),
    (401, "No access token, or not a valid one"),
    (403, "The caller may not do this"),
    (
        404,
        "It does not exist, or the caller may not know that it does; `module_disabled` where its module is off",
    ),
    (408, "The request took too long"),
    (
        409,
        "A limit on how many there may be is reached, or the request collides with another; the message says which",
    ),
    (413, "The body is too large"),
    (415, "The body is not of a supported media type"),
    (
        429,
        "Too many requests; `Retry-After` says when to come back",
    ),
    (500, "The server failed"),
    (503, "A part of the server that this needs is away for now"),
];

impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: FAILURES
                .iter()
                .map(|(status, description)| MetaResponse {
                    description,
                    status: Some(*status),
                    status_range: None,
                    content: vec![MetaMediaType {
                        content_type: Json::<ErrorBody>::CONTENT_TYPE,
                        schema: ErrorBody::schema_ref(),
                    }],
                    headers: vec![],
                })
                .collect(),
        }
    }

    fn register(registry: &mut Registry) {
        ErrorBody::register(registry);
    }
}

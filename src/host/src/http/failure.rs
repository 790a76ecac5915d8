use filament_kernel::{
    ApiError, ErrorCode,
    http::{body_broken_off, payload_too_large, plain_reason},
    limits::whole_secs,
};
use poem::{
    Error, Response,
    error::{MethodNotAllowedError, NotFoundError, ReadBodyError},
    http::{StatusCode, header},
};
use poem_openapi::error::{
    ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError,
};
use tracing::error;

use super::upload::OverLimit;
use crate::snapshot::Snapshot;

/// Any error that a request ended with, as one of ours.
pub(super) fn api_error(error: Error, snapshot: &Snapshot, path: &str) -> ApiError {
    let error = match error.downcast::<ApiError>() {
        Ok(ours) => return ours,
        Err(error) => error,
    };
    let invalid = |message: String| ApiError::new(ErrorCode::INVALID_REQUEST, message);
    if error.is::<NotFoundError>() {
        return match snapshot.absent_owner(path) {
            Some((module, absence)) => absence.of(module),
            None => ApiError::not_found(),
        };
    }
    if error.is::<MethodNotAllowedError>() {
        // A path may be served for one method by a module that is on, and for another by one that is off.
        return ApiError::new(
            ErrorCode::METHOD_NOT_ALLOWED,
            format!("this path allows {}", snapshot.methods(path).join(", ")),
        );
    }
    if let Some(param) = error.downcast_ref::<ParseParamError>() {
        return invalid(format!("{}: {}", param.name, plain_reason(&param.reason)));
    }
    if let Some(param) = error.downcast_ref::<ParsePathError>() {
        // The framework numbers the parameters of a path: param0, param1 …
        let name = param
            .name
            .strip_prefix("param")
            .and_then(|number| number.parse().ok())
            .and_then(|number: usize| snapshot.parameter(path, number))
            .unwrap_or(param.name);
        return invalid(format!("{name}: {}", plain_reason(&param.reason)));
    }
    if let Some(body) = error.downcast_ref::<ParseRequestPayloadError>() {
        return invalid(format!(
            "the body is not acceptable: {}",
            plain_reason(&body.reason)
        ));
    }
    if error.is::<ContentTypeError>() {
        return ApiError::new(
            ErrorCode::UNSUPPORTED_MEDIA_TYPE,
            error.to_string().replace('`', ""),
        );
    }
    if let Some(body) = error.downcast_ref::<ReadBodyError>() {
        return match body {
            ReadBodyError::Io(io) if is_over_limit(io) => {
                payload_too_large(snapshot.http.max_json_body_bytes)
            }
            _ => body_broken_off(),
        };
    }
    by_status(error)
}

/// The limit's error may be wrapped in several others by the time that it gets here.
fn is_over_limit(io: &std::io::Error) -> bool {
    let mut inner: Option<&(dyn std::error::Error + 'static)> =
        io.get_ref().map(|inner| inner as _);
    while let Some(error) = inner {
        if error.is::<OverLimit>() {
            return true;
        }
        inner = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    false
}

fn by_status(error: Error) -> ApiError {
    let said = error.to_string();
    let code = match error.status().as_u16() {
        400 => ErrorCode::INVALID_REQUEST,
        401 => return ApiError::unauthenticated(),
        403 => ErrorCode::FORBIDDEN,
        404 => return ApiError::not_found(),
        405 => ErrorCode::METHOD_NOT_ALLOWED,
        408 => ErrorCode::REQUEST_TIMEOUT,
        413 => ErrorCode::PAYLOAD_TOO_LARGE,
        415 => ErrorCode::UNSUPPORTED_MEDIA_TYPE,
        429 => ErrorCode::RATE_LIMITED,
        503 => ErrorCode::SERVICE_UNAVAILABLE,
        status if status < 500 => ErrorCode::INVALID_REQUEST,
        _ => return ApiError::internal(said),
    };
    ApiError::new(code, said)
}

/// The one shape of a failure. Its inside goes to the log.
pub(super) fn render(error: &ApiError, request_id: &str) -> Response {
    let code = error.code();
    if code.status >= 500 {
        let cause = error.cause().map(ToString::to_string);
        error!(
            request_id,
            code = code.word,
            message = error.message(),
            cause,
            "a request failed"
        );
    } else if let Some(cause) = error.cause() {
        tracing::debug!(request_id, code = code.word, %cause, "a request was refused");
    }
    let mut response = Response::builder()
        .status(status(code.status))
        .content_type(CONTENT_TYPE);
    if let Some(wait) = error.wait() {
        response = response.header(header::RETRY_AFTER, whole_secs(wait).to_string());
    }
    if code.status == 401 {
        response = response.header(header::WWW_AUTHENTICATE, "Bearer");
    }
    response.body(body(code.word, error.message(), request_id))
}

/// The media type of [`body`].
pub(super) const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// A message may quote what was sent; a longer one is cut here, so that nobody is sent their own body back.
const MESSAGE_CHARS: usize = 1_000;

/// The body of every failure.
pub(super) fn body(code: &str, message: &str, request_id: &str) -> String {
    let message = match message.char_indices().nth(MESSAGE_CHARS) {
        Some((end, _)) => format!("{} …", &message[..end]),
        None => message.to_string(),
    };
    serde_json::json!({ "error": code, "message": message, "request_id": request_id }).to_string()
}

/// A status by its number.
pub(super) fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

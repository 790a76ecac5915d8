//! A body that is no JSON: its handler says how long it may be.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited, combinators::BoxBody};
use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::{Binary, Payload},
    registry::{MetaMediaType, MetaRequest, Registry},
};

use crate::error::{ApiError, ErrorCode};

/// How much of a request's body may be read. The host bounds every body, so that no handler forgets to, and puts this into the
/// request's extensions; [`RawBody`] lifts the bound in favour of its handler's own. Clones are one bound.
#[derive(Debug, Clone)]
pub struct BodyLimit(Arc<AtomicUsize>);

impl BodyLimit {
    /// At most `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// How many bytes may be read.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn lift(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }
}

/// 413: a body is longer than `limit` bytes.
pub fn payload_too_large(limit: usize) -> ApiError {
    ApiError::new(
        ErrorCode::PAYLOAD_TOO_LARGE,
        format!("the body is longer than {limit} bytes"),
    )
}

/// 400: a body ended before its end.
pub fn body_broken_off() -> ApiError {
    ApiError::new(
        ErrorCode::INVALID_REQUEST,
        "the body could not be read to its end",
    )
}

/// A body of any media type or none, as a handler's argument. Nothing of it is read before the handler asks, so that what is not
/// allowed, or too long by its own word, is refused unread.
pub struct RawBody {
    /// The media type that the client declares: without parameters, in lower case; `None` when it declares none.
    pub declared: Option<String>,
    body: BoxBody<Bytes, std::io::Error>,
}

impl RawBody {
    /// The whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// 413 as soon as it is known to be longer: at once when its length was announced, else while it is read. 400 when it breaks off.
    pub async fn bytes(self, limit: usize) -> Result<Bytes, ApiError> {
        let announced = self.body.size_hint().lower();
        if usize::try_from(announced).map_or(true, |length| length > limit) {
            return Err(payload_too_large(limit));
        }
        match Limited::new(self.body, limit).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(payload_too_large(limit)),
            Err(error) => Err(body_broken_off().caused_by(error)),
        }
    }
}

impl<'a> ApiExtractor<'a> for RawBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(_registry: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: Binary::<Bytes>::CONTENT_TYPE,
                schema: Binary::<Bytes>::schema_ref(),
            }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        if let Some(limit) = request.extensions().get::<BodyLimit>() {
            limit.lift();
        }
        let declared = request
            .content_type()
            .map(|kind| kind.split(';').next().unwrap_or(kind).trim())
            .filter(|kind| !kind.is_empty())
            .map(str::to_ascii_lowercase);
        Ok(Self {
            declared,
            body: body.take()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use poem::Body;

    use super::*;

    async fn raw(content_type: Option<&str>, body: Body) -> RawBody {
        let mut request = Request::builder();
        if let Some(content_type) = content_type {
            request = request.content_type(content_type);
        }
        let (request, mut body) = request.body(body).split();
        RawBody::from_request(&request, &mut body, ExtractParamOptions::default())
            .await
            .expect("a body")
    }

    /// A body of unknown length.
    fn chunked(chunks: &[Result<&'static str, io::ErrorKind>]) -> Body {
        let chunks: Vec<io::Result<&str>> = chunks
            .iter()
            .map(|chunk| chunk.map_err(io::Error::from))
            .collect();
        Body::from_bytes_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn the_declared_media_type_is_told_without_its_parameters() {
        for (header, declared) in [
            (None, None),
            (Some(""), None),
            (Some("image/png"), Some("image/png")),
            (Some("Image/PNG; charset=x"), Some("image/png")),
        ] {
            let body = raw(header, Body::empty()).await;
            assert_eq!(body.declared.as_deref(), declared, "{header:?}");
        }
    }

    #[tokio::test]
    async fn the_bound_is_exact_whether_the_length_was_announced_or_not() {
        for body in [|| Body::from("12345"), || chunked(&[Ok("123"), Ok("45")])] {
            let whole = raw(None, body()).await.bytes(5).await.expect("five bytes");
            assert_eq!(whole, "12345");
            let refused = raw(None, body()).await.bytes(4).await;
            let refused = refused.expect_err("five bytes are too many");
            assert_eq!(refused.code(), ErrorCode::PAYLOAD_TOO_LARGE);
            assert_eq!(refused.message(), "the body is longer than 4 bytes");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_a_bad_request() {
        let broken = chunked(&[Ok("123"), Err(io::ErrorKind::UnexpectedEof)]);
        let refused = raw(None, broken).await.bytes(100).await;
        let refused = refused.expect_err("it broke off");
        assert_eq!(refused.code(), ErrorCode::INVALID_REQUEST);
    }

    #[tokio::test]
    async fn taking_a_raw_body_lifts_the_hosts_bound_for_this_request() {
        let limit = BodyLimit::new(3);
        let mut request = Request::builder().body("12345");
        request.extensions_mut().insert(limit.clone());
        let (request, mut body) = request.split();
        assert_eq!(limit.bytes(), 3);
        RawBody::from_request(&request, &mut body, ExtractParamOptions::default())
            .await
            .expect("a body");
        assert_eq!(limit.bytes(), usize::MAX);
    }
}

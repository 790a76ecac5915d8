//! An image as the answer to a request: with what browsers need to show it, to keep it, and to do nothing else with it.

use filament_kernel::{ApiError, ports::Blob};
use poem::{
    IntoResponse, Response,
    http::{StatusCode, header},
    web::headers::{ETag, HeaderMapExt, IfNoneMatch},
};
use poem_openapi::{
    ApiResponse,
    payload::{Binary, Payload},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};

use crate::domain::image::ImageType;

/// Who asked for this very version may keep it: another picture has another version.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Who asked for whatever is there may keep it too, but has to ask whether it still is.
const ASK_AGAIN: &str = "public, no-cache";

/// An image, or the word that the client has it already.
pub struct ImageAnswer {
    etag: ETag,
    cache_control: &'static str,
    image: Option<Blob>,
}

impl ImageAnswer {
    /// An answer without the image, of its `version`; `asked` is the one that the client asked for, if it did.
    pub(super) fn new(version: i64, asked: Option<i64>) -> Result<Self, ApiError> {
        Ok(Self {
            etag: format!("\"{version}\"")
                .parse()
                .map_err(ApiError::internal)?,
            cache_control: if asked == Some(version) {
                FOR_EVER
            } else {
                ASK_AGAIN
            },
            image: None,
        })
    }

    /// Whether the client has this version.
    pub(super) fn is_known(&self, known: &IfNoneMatch) -> bool {
        !known.precondition_passes(&self.etag)
    }

    /// The same with the image.
    pub(super) fn with(self, image: Blob) -> Self {
        Self {
            image: Some(image),
            ..self
        }
    }
}

impl IntoResponse for ImageAnswer {
    fn into_response(self) -> Response {
        let answer = Response::builder().header(header::CACHE_CONTROL, self.cache_control);
        let mut response = match self.image {
            None => answer.status(StatusCode::NOT_MODIFIED).finish(),
            Some(image) => answer
                .content_type(image.media_type)
                // Said here, so that HEAD says it too.
                .header(header::CONTENT_LENGTH, image.bytes.len())
                .header(header::CONTENT_DISPOSITION, "inline")
                // Opened by itself, it must not become a page of this origin. The host adds `nosniff` to every answer.
                .header(
                    header::CONTENT_SECURITY_POLICY,
                    "sandbox; default-src 'none'",
                )
                // Clients are pages of other origins.
                .header("cross-origin-resource-policy", "cross-origin")
                .body(image.bytes),
        };
        response.headers_mut().typed_insert(self.etag);
        response
    }
}

impl ApiResponse for ImageAnswer {
    fn meta() -> MetaResponses {
        let headers = || {
            let described = [
                ("ETag", "The version"),
                ("Cache-Control", "How long it may be kept"),
            ];
            described.map(|(name, description)| MetaHeader {
                name: name.to_string(),
                description: Some(description.to_string()),
                required: true,
                deprecated: false,
                schema: String::schema_ref(),
            })
        };
        let content = ImageType::ALL.map(|image| MetaMediaType {
            content_type: image.media_type(),
            schema: Binary::<Vec<u8>>::schema_ref(),
        });
        MetaResponses {
            responses: vec![
                MetaResponse {
                    description: "The image",
                    status: Some(200),
                    status_range: None,
                    content: content.into(),
                    headers: headers().into(),
                },
                MetaResponse {
                    description: "The client has it already, as `If-None-Match` says",
                    status: Some(304),
                    status_range: None,
                    content: vec![],
                    headers: headers().into(),
                },
            ],
        }
    }

    fn register(_registry: &mut Registry) {}
}

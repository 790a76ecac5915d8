use filament_kernel::http::RawBody;
use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::{Binary, Payload},
    registry::{MetaMediaType, MetaRequest, Registry},
};

use crate::domain::image::ImageType;

/// A body that is to be an image. The document lists the types of images that there are; what the body is, its bytes tell.
pub(super) struct ImageBody(pub(super) RawBody);

impl<'a> ApiExtractor<'a> for ImageBody {
    const TYPES: &'static [ApiExtractorType] = RawBody::TYPES;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        RawBody::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let images = ImageType::ALL.map(ImageType::media_type);
        // Which is what a client says that does not know.
        let unspecific = Binary::<Vec<u8>>::CONTENT_TYPE;
        let content = images.into_iter().chain([unspecific]);
        Some(MetaRequest {
            description: None,
            content: content
                .map(|content_type| MetaMediaType {
                    content_type,
                    schema: Binary::<Vec<u8>>::schema_ref(),
                })
                .collect(),
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        RawBody::from_request(request, body, options)
            .await
            .map(Self)
    }
}

use bytes::Bytes;
use filament_kernel::http::Valid;
use poem::{FromRequest, Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaRequest, Registry},
    types::ParseFromJSON,
};
use validator::Validate;

/// A JSON body that may be left out: without one it is the default, and no Content-Type is asked for.
pub(super) struct OptionalBody<T>(pub(super) T);

impl<'a, T: ParseFromJSON + Validate + Default + 'static> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let meta = <Valid<T> as ApiExtractor>::request_meta()?;
        Some(MetaRequest {
            required: false,
            ..meta
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let bytes = <Bytes as FromRequest>::from_request(request, body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let mut body = RequestBody::new(bytes.into());
        let Valid(value) =
            <Valid<T> as ApiExtractor>::from_request(request, &mut body, options).await?;
        Ok(Self(value))
    }
}

use std::sync::Arc;

use filament_kernel::ApiError;
use poem_openapi::{Enum, Object, OpenApi, payload::Json};

use super::Tag;
use crate::captcha::Captcha;

/// Who checks that people are people.
#[derive(Enum)]
#[oai(rename_all = "lowercase")]
enum Provider {
    /// <https://www.hcaptcha.com>.
    Hcaptcha,
}

/// The captcha that has to be solved before registering and logging in.
#[derive(Object)]
struct CaptchaShown {
    /// Null where there is none to solve.
    #[oai(nullable)]
    provider: Option<Provider>,
    /// What the provider's widget is shown with; null where there is none.
    #[oai(nullable)]
    site_key: Option<String>,
}

pub struct CaptchaApi(pub(crate) Option<Arc<Captcha>>);

#[OpenApi]
impl CaptchaApi {
    /// Which captcha to show
    ///
    /// What it gives goes into `captcha_token` of `POST /auth/register` and `POST /auth/login`.
    #[oai(
        path = "/auth/captcha",
        method = "get",
        operation_id = "captcha",
        tag = "Tag::Auth"
    )]
    async fn captcha(&self) -> Result<Json<CaptchaShown>, ApiError> {
        let site_key = self
            .0
            .as_ref()
            .map(|captcha| captcha.site_key().to_string());
        Ok(Json(CaptchaShown {
            provider: site_key.as_ref().map(|_| Provider::Hcaptcha),
            site_key,
        }))
    }
}

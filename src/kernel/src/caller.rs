//! The authenticated principal.

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use crate::{
    error::ApiError,
    http::RequestContext,
    id::{SessionId, UserId},
    ports::{Authenticator, TokenKeyId},
};

/// Who makes a request: taken as a handler's first argument, it authenticates before anything else is read.
///
/// Answers 401 `invalid_credentials` without a good access token, and 503 when no module authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub user_id: UserId,
    /// The log-in that the token belongs to.
    pub session_id: SessionId,
    /// The key that the token was made with.
    pub key: TokenKeyId,
}

impl Caller {
    /// Authenticates an access token with whichever module does that now.
    ///
    /// # Errors
    /// 401, or 503 when no module authenticates.
    pub async fn authenticate(context: &RequestContext, token: &str) -> Result<Self, ApiError> {
        context
            .services
            .get::<dyn Authenticator>()
            .ok_or_else(|| {
                ApiError::unavailable("nobody can be authenticated: the auth module is off")
            })?
            .authenticate(token)
            .await
    }
}

/// The token of an `Authorization: Bearer` header (RFC 6750, section 2.1).
pub fn bearer_token(request: &Request) -> Option<&str> {
    let value = request.header("authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            "bearer",
            MetaSecurityScheme {
                ty: "http",
                description: Some("The access token of POST /auth/login"),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: Some("PASETO v4.local"),
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["bearer"]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let context = RequestContext::of(request)?;
        let token = bearer_token(request).ok_or_else(ApiError::unauthenticated)?;
        Ok(Self::authenticate(context, token).await?)
    }
}

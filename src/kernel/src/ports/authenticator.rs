use crate::{caller::Caller, error::ApiError, service::Port};

/// Tells keys of access tokens apart, and nothing else of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenKeyId(pub [u8; 12]);

/// Access token to caller. Provided by `auth`, used by the host for HTTP and the gateway; without a provider every
/// protected call answers 503.
///
/// When a session ends, the provider closes its sockets through [`crate::gateway::Gateway::end_session`].
#[async_trait::async_trait]
pub trait Authenticator: Send + Sync {
    /// Whose token this is.
    ///
    /// # Errors
    /// 401 for a token that is malformed, not ours, expired, not yet valid, or of a session that has ended; always the same
    /// words.
    async fn authenticate(&self, access_token: &str) -> Result<Caller, ApiError>;

    /// Whether tokens that were made with `key` are good now. Asked for every open socket when a provider comes up: a socket whose
    /// key is trusted no more is closed.
    fn trusts(&self, key: TokenKeyId) -> bool;
}

impl Port for dyn Authenticator {
    const NAME: &'static str = "authenticator";
}

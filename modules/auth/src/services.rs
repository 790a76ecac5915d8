//! What other modules and the host get from this one.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    caller::Caller,
    db::{Database, WriteTx},
    id::UserId,
    ports::{Account, Accounts, Authenticator, TokenKeyId},
};

use crate::{sessions::Sessions, store};

/// Recognises access tokens, without the database.
pub(crate) struct TokenAuthenticator(pub(crate) Arc<Sessions>);

#[async_trait::async_trait]
impl Authenticator for TokenAuthenticator {
    async fn authenticate(&self, access_token: &str) -> Result<Caller, ApiError> {
        self.0.recognise(access_token)
    }

    fn trusts(&self, key: TokenKeyId) -> bool {
        self.0.keyring.has(key)
    }
}

/// Looks up accounts.
pub(crate) struct StoredAccounts(pub(crate) Database);

#[async_trait::async_trait]
impl Accounts for StoredAccounts {
    async fn accounts(&self, ids: &[UserId]) -> Result<Vec<Account>, ApiError> {
        Ok(store::users::accounts(self.0.read(), ids).await?)
    }

    async fn accounts_in(&self, tx: &WriteTx, ids: &[UserId]) -> Result<Vec<Account>, ApiError> {
        Ok(store::users::accounts(tx, ids).await?)
    }
}

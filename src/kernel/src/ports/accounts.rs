use crate::{db::WriteTx, error::ApiError, id::UserId, service::Port};

/// What other modules may know of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub user_id: UserId,
    /// Its name, as its owner writes it.
    pub username: String,
    /// Raised at each new avatar; 0 is none.
    pub avatar_version: i64,
}

/// Look-up of users. Provided by `auth`, required by `chat` and `social`.
#[async_trait::async_trait]
pub trait Accounts: Send + Sync {
    /// The accounts of `ids` that exist, in no particular order.
    ///
    /// # Errors
    /// When the database is away.
    async fn accounts(&self, ids: &[UserId]) -> Result<Vec<Account>, ApiError>;

    /// The same, as `tx` sees them: what a change of the log reads in its transaction, no other change replaces before it is committed.
    ///
    /// # Errors
    /// When the database is away.
    async fn accounts_in(&self, tx: &WriteTx, ids: &[UserId]) -> Result<Vec<Account>, ApiError>;
}

impl Port for dyn Accounts {
    const NAME: &'static str = "accounts";
}

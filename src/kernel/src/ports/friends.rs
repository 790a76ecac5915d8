use crate::{db::WriteTx, error::ApiError, id::UserId, service::Port};

/// Who is whose friend. Provided by `social`; `auth` uses it to tell a user's friends of a changed profile.
#[async_trait::async_trait]
pub trait Friends: Send + Sync {
    /// The friends of `user` as `tx` sees them, in no particular order; bounded by the provider's limit on friends. Asked in the transaction
    /// of the change that they are told of, so that nobody is told who has become or ceased to be a friend before it.
    ///
    /// # Errors
    /// When the database is away.
    async fn friends_of(&self, tx: &WriteTx, user: UserId) -> Result<Vec<UserId>, ApiError>;
}

impl Port for dyn Friends {
    const NAME: &'static str = "friends";
}

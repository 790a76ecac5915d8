use crate::{error::ApiError, id::UserId, service::Port};

/// Who is whose friend. Provided by `social`; `auth` uses it to tell a user's friends of a changed profile.
#[async_trait::async_trait]
pub trait Friends: Send + Sync {
    /// The friends of `user`, in no particular order; bounded by the provider's limit on friends.
    ///
    /// # Errors
    /// When the database is away.
    async fn friends_of(&self, user: UserId) -> Result<Vec<UserId>, ApiError>;
}

impl Port for dyn Friends {
    const NAME: &'static str = "friends";
}

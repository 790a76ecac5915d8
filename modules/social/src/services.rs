//! What other modules get from this one.

use filament_kernel::{ApiError, db::WriteTx, id::UserId, ports::Friends};

use crate::store;

/// Looks up friends.
pub(crate) struct StoredFriends;

#[async_trait::async_trait]
impl Friends for StoredFriends {
    async fn friends_of(&self, tx: &WriteTx, user: UserId) -> Result<Vec<UserId>, ApiError> {
        let friends = store::friendships::of_user(tx, user).await?;
        Ok(friends.into_iter().map(|(friend, _)| friend).collect())
    }
}

//! What handlers share.

use std::{collections::HashMap, sync::Arc};

use filament_kernel::{
    ApiError, Required, id::UserId, limits::RateLimit, module::Host, ports::Accounts,
};
use metrics::Counter;

use crate::Config;

pub(crate) const FRIEND_REQUESTS_TOTAL: &str = "filament_social_friend_requests_total";
pub(crate) const FRIENDSHIPS_TOTAL: &str = "filament_social_friendships_total";
pub(crate) const BLOCKS_TOTAL: &str = "filament_social_blocks_total";

/// One instance of the module.
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) host: Host,
    accounts: Required<dyn Accounts>,
    pub(crate) requests_by_user: RateLimit<UserId>,
    pub(crate) friend_requests_total: Counter,
    pub(crate) friendships_total: Counter,
    pub(crate) blocks_total: Counter,
}

impl State {
    pub(crate) fn new(config: Arc<Config>, host: Host, accounts: Required<dyn Accounts>) -> Self {
        Self {
            requests_by_user: RateLimit::per_minute(config.friend_requests_per_minute_per_user),
            friend_requests_total: metrics::counter!(FRIEND_REQUESTS_TOTAL),
            friendships_total: metrics::counter!(FRIENDSHIPS_TOTAL),
            blocks_total: metrics::counter!(BLOCKS_TOTAL),
            config,
            host,
            accounts,
        }
    }

    /// The names of those of `users` that exist.
    ///
    /// # Errors
    /// When the database is away.
    pub(crate) async fn usernames(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, String>, ApiError> {
        let accounts = self.accounts.accounts(users).await?;
        Ok(accounts
            .into_iter()
            .map(|account| (account.user_id, account.username))
            .collect())
    }

    /// The names of two users.
    ///
    /// # Errors
    /// 404 when one of them does not exist, and when the database is away.
    pub(crate) async fn both_usernames(
        &self,
        one: UserId,
        other: UserId,
    ) -> Result<(String, String), ApiError> {
        let mut names = self.usernames(&[one, other]).await?;
        match (names.remove(&one), names.remove(&other)) {
            (Some(one), Some(other)) => Ok((one, other)),
            _ => Err(ApiError::not_found()),
        }
    }
}

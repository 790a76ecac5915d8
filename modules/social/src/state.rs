//! What handlers share.

use std::{collections::HashMap, sync::Arc};

use filament_kernel::{
    ApiError, Required,
    db::WriteTx,
    id::UserId,
    limits::RateLimit,
    log::Stop,
    module::Host,
    ports::{Account, Accounts},
};
use metrics::Counter;

use crate::{Config, domain::refusal::Refusal};

pub(crate) const FRIEND_REQUESTS_TOTAL: &str = "filament_social_friend_requests_total";
pub(crate) const FRIENDSHIPS_TOTAL: &str = "filament_social_friendships_total";
pub(crate) const BLOCKS_TOTAL: &str = "filament_social_blocks_total";

/// One instance of the module.
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) host: Host,
    accounts: Required<dyn Accounts>,
    pub(crate) requests_by_user: RateLimit<UserId>,
    /// Blocks and their lifting together: each is written, and told to the audit log.
    pub(crate) block_changes_by_user: RateLimit<UserId>,
    pub(crate) friend_requests_total: Counter,
    pub(crate) friendships_total: Counter,
    pub(crate) blocks_total: Counter,
}

impl State {
    pub(crate) fn new(config: Arc<Config>, host: Host, accounts: Required<dyn Accounts>) -> Self {
        Self {
            requests_by_user: RateLimit::per_minute(config.friend_requests_per_minute_per_user),
            block_changes_by_user: RateLimit::per_minute(config.block_changes_per_minute_per_user),
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
        Ok(by_user(self.accounts.accounts(users).await?))
    }

    /// The names of two users as `tx` sees them: nobody gets another name before it is committed.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when one of them does not exist, and when the database is away.
    pub(crate) async fn both_usernames(
        &self,
        tx: &WriteTx,
        one: UserId,
        other: UserId,
    ) -> Result<(String, String), Stop> {
        let mut names = by_user(self.accounts.accounts_in(tx, &[one, other]).await?);
        match (names.remove(&one), names.remove(&other)) {
            (Some(one), Some(other)) => Ok((one, other)),
            _ => Err(Refusal::NotFound.into()),
        }
    }
}

fn by_user(accounts: Vec<Account>) -> HashMap<UserId, String> {
    accounts
        .into_iter()
        .map(|account| (account.user_id, account.username))
        .collect()
}

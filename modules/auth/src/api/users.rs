use std::collections::HashMap;

use filament_kernel::{ApiError, Caller, db::Database, http::Valid, id::UserId, ports::Account};
use poem_openapi::{Object, OpenApi, payload::Json};
use validator::Validate;

use super::Tag;
use crate::store;

/// Users whose names are wanted.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct UserLookup {
    /// 1 to 64 of them.
    #[oai(validator(min_items = 1, max_items = 64))]
    user_ids: Vec<UserId>,
}

/// A user, in short.
#[derive(Object)]
pub struct UserSummary {
    user_id: UserId,
    /// The name, as its owner writes it.
    username: String,
    /// Raised each time that the avatar is changed or removed; 0 before the first.
    avatar_version: i64,
}

/// Users, in the order in which they were asked for.
#[derive(Object)]
pub struct UserSummaries {
    users: Vec<UserSummary>,
}

pub struct Users {
    pub(crate) db: Database,
}

#[OpenApi]
impl Users {
    /// Look up users by their ids
    ///
    /// In the order asked, each once; those that do not exist are left out.
    #[oai(
        path = "/users/lookup",
        method = "post",
        operation_id = "user_lookup",
        tag = "Tag::Users"
    )]
    async fn user_lookup(
        &self,
        _caller: Caller,
        body: Valid<UserLookup>,
    ) -> Result<Json<UserSummaries>, ApiError> {
        let accounts = store::users::accounts(self.db.read(), &body.0.user_ids).await?;
        Ok(Json(in_order(accounts, &body.0.user_ids)))
    }
}

fn in_order(accounts: Vec<Account>, asked: &[UserId]) -> UserSummaries {
    let mut found: HashMap<UserId, Account> = accounts
        .into_iter()
        .map(|account| (account.user_id, account))
        .collect();
    let users = asked
        .iter()
        .filter_map(|user_id| found.remove(user_id))
        .map(|account| UserSummary {
            user_id: account.user_id,
            username: account.username,
            avatar_version: account.avatar_version,
        })
        .collect();
    UserSummaries { users }
}

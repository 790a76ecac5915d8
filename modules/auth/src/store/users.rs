//! Accounts.

use filament_kernel::{db::chunk, id::UserId, ports::Account};
use sea_orm::{ActiveValue::Set, QuerySelect};
use sea_orm::{ConnectionTrait, DbErr, entity::prelude::*, prelude::Expr, sea_query::OnConflict};

use crate::{
    domain::username::Username,
    entity::user::{ActiveModel, Column, Entity},
};

/// Adds an account. Answers whether the name was free; if it was not, nothing has changed.
pub(crate) async fn add(
    db: &impl ConnectionTrait,
    user_id: UserId,
    username: Username,
    password_hash: String,
    now_ms: i64,
) -> Result<bool, DbErr> {
    let row = ActiveModel {
        user_id: Set(user_id),
        username: Set(username.shown),
        username_key: Set(username.key),
        password_hash: Set(password_hash),
        about_markdown: Set(String::new()),
        avatar_version: Set(0),
        banner_version: Set(0),
        created_at_ms: Set(now_ms),
        disabled_at_ms: Set(None),
        avatar_blob: Set(None),
        banner_blob: Set(None),
    };
    let added = Entity::insert(row)
        .on_conflict(
            OnConflict::column(Column::UsernameKey)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(db)
        .await?;
    Ok(added == 1)
}

/// What a log-in is checked against.
pub(crate) struct Credentials {
    pub(crate) user_id: UserId,
    pub(crate) password_hash: String,
}

/// The credentials of the account with a name.
pub(crate) async fn credentials(
    db: &impl ConnectionTrait,
    username: &Username,
) -> Result<Option<Credentials>, DbErr> {
    let found: Option<(UserId, String)> = Entity::find()
        .select_only()
        .columns([Column::UserId, Column::PasswordHash])
        .filter(Column::UsernameKey.eq(username.key.as_str()))
        .into_tuple()
        .one(db)
        .await?;
    Ok(found.map(|(user_id, password_hash)| Credentials {
        user_id,
        password_hash,
    }))
}

/// Replaces the hash of an unchanged password. Does nothing when the password was changed in the meantime.
pub(crate) async fn renew_hash(
    db: &impl ConnectionTrait,
    user_id: UserId,
    from: &str,
    to: &str,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(to))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::PasswordHash.eq(from))
        .exec(db)
        .await?;
    Ok(())
}

/// What an account shows of itself.
pub(crate) struct Profile {
    pub(crate) user_id: UserId,
    pub(crate) username: String,
    pub(crate) about_markdown: String,
    pub(crate) avatar_version: i64,
    pub(crate) banner_version: i64,
}

/// The profile of an account.
pub(crate) async fn profile(
    db: &impl ConnectionTrait,
    user_id: UserId,
) -> Result<Option<Profile>, DbErr> {
    let found = Entity::find_by_id(user_id).one(db).await?;
    Ok(found.map(|row| Profile {
        user_id: row.user_id,
        username: row.username,
        about_markdown: row.about_markdown,
        avatar_version: row.avatar_version,
        banner_version: row.banner_version,
    }))
}

/// Those of `ids` that exist. The queries take powers of two of them, so that there are few distinct statements.
pub(crate) async fn accounts(
    db: &impl ConnectionTrait,
    ids: &[UserId],
) -> Result<Vec<Account>, DbErr> {
    let mut left = ids.to_vec();
    left.sort_unstable();
    left.dedup();
    let mut accounts = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let some = left.split_off(left.len() - chunk(left.len()));
        let found: Vec<(UserId, String, i64)> = Entity::find()
            .select_only()
            .columns([Column::UserId, Column::Username, Column::AvatarVersion])
            .filter(Column::UserId.is_in(some))
            .into_tuple()
            .all(db)
            .await?;
        accounts.extend(
            found
                .into_iter()
                .map(|(user_id, username, avatar_version)| Account {
                    user_id,
                    username,
                    avatar_version,
                }),
        );
    }
    Ok(accounts)
}

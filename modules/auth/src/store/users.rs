//! Accounts.

use filament_kernel::{
    db::{WriteTx, chunk},
    id::UserId,
    ports::Account,
};
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, DbErr, QueryOrder, QuerySelect, QueryTrait,
    entity::prelude::*,
    prelude::Expr,
    sea_query::{ExprTrait, LikeExpr, LockType, OnConflict, Query},
};

use crate::{
    domain::username::Username,
    entity::{
        session,
        user::{ActiveModel, Column, Entity},
    },
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
    /// The operator has switched the account off.
    pub(crate) disabled: bool,
}

/// The credentials of the account with a name.
pub(crate) async fn credentials(
    db: &impl ConnectionTrait,
    username: &Username,
) -> Result<Option<Credentials>, DbErr> {
    credentials_of(
        db,
        Entity::find().filter(Column::UsernameKey.eq(username.key.as_str())),
    )
    .await
}

/// The credentials of an account, whose row no other transaction changes or locks before this one ends: what is decided by them still
/// holds when it is written. (SQLite has one writer, and needs no lock.)
pub(crate) async fn lock(tx: &WriteTx, user_id: UserId) -> Result<Option<Credentials>, DbErr> {
    credentials_of(tx, Entity::find_by_id(user_id).lock(LockType::NoKeyUpdate)).await
}

async fn credentials_of(
    db: &impl ConnectionTrait,
    account: Select<Entity>,
) -> Result<Option<Credentials>, DbErr> {
    let found: Option<(UserId, String, Option<i64>)> = account
        .select_only()
        .columns([Column::UserId, Column::PasswordHash, Column::DisabledAtMs])
        .into_tuple()
        .one(db)
        .await?;
    Ok(
        found.map(|(user_id, password_hash, disabled_at_ms)| Credentials {
            user_id,
            password_hash,
            disabled: disabled_at_ms.is_some(),
        }),
    )
}

/// The hash of an account's password.
pub(crate) async fn password_hash(
    db: &impl ConnectionTrait,
    user_id: UserId,
) -> Result<Option<String>, DbErr> {
    let found = credentials_of(db, Entity::find_by_id(user_id)).await?;
    Ok(found.map(|credentials| credentials.password_hash))
}

/// Replaces the hash of the password.
pub(crate) async fn set_password_hash(
    db: &impl ConnectionTrait,
    user_id: UserId,
    password_hash: &str,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(password_hash))
        .filter(Column::UserId.eq(user_id))
        .exec(db)
        .await?;
    Ok(())
}

/// Switches an account off from a time on, or on again.
pub(crate) async fn set_disabled(
    db: &impl ConnectionTrait,
    user_id: UserId,
    since_ms: Option<i64>,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::DisabledAtMs, Expr::value(since_ms))
        .filter(Column::UserId.eq(user_id))
        .exec(db)
        .await?;
    Ok(())
}

/// The account with a name, and the name as its owner writes it.
pub(crate) async fn named(
    db: &impl ConnectionTrait,
    username: &Username,
) -> Result<Option<(UserId, String)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::UserId, Column::Username])
        .filter(Column::UsernameKey.eq(username.key.as_str()))
        .into_tuple()
        .one(db)
        .await
}

/// Whether there is any account.
pub(crate) async fn any(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    // sea-orm's `exists` sets no limit, and would read them all.
    let one: Option<UserId> = Entity::find()
        .select_only()
        .column(Column::UserId)
        .into_tuple()
        .one(db)
        .await?;
    Ok(one.is_some())
}

/// An account in the operator's list.
pub(crate) struct Listed {
    pub(crate) user_id: UserId,
    pub(crate) username: String,
    pub(crate) username_key: String,
    pub(crate) created_at_ms: i64,
    pub(crate) disabled: bool,
    pub(crate) live_sessions: i64,
    /// Of the sessions that are still stored.
    pub(crate) last_used_at_ms: Option<i64>,
}

/// Up to `limit` accounts in the order of their names, those after the name `after`, and those whose name holds `search`; both are
/// lower-cased.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    search: Option<&str>,
    after: Option<&str>,
    limit: u64,
    now_ms: i64,
) -> Result<Vec<Listed>, DbErr> {
    let sessions = Query::select()
        .from(session::Entity)
        .and_where(ExprTrait::equals(
            Expr::col((session::Entity, session::Column::UserId)),
            (Entity, Column::UserId),
        ))
        .to_owned();
    let live = sessions
        .clone()
        .expr(session::Column::SessionId.count())
        .and_where(session::Column::RevokedAtMs.is_null())
        .and_where(session::Column::ExpiresAtMs.gt(now_ms))
        .to_owned();
    let last_used = sessions
        .clone()
        .expr(session::Column::RefreshedAtMs.max())
        .to_owned();
    type Row = (UserId, String, String, i64, Option<i64>, i64, Option<i64>);
    let rows: Vec<Row> = Entity::find()
        .select_only()
        .columns([
            Column::UserId,
            Column::Username,
            Column::UsernameKey,
            Column::CreatedAtMs,
            Column::DisabledAtMs,
        ])
        .expr_as(Expr::from(live), "live_sessions")
        .expr_as(Expr::from(last_used), "last_used_at_ms")
        .apply_if(search, |query, part| {
            query.filter(Column::UsernameKey.like(holding(part)))
        })
        .apply_if(after, |query, name| {
            query.filter(Column::UsernameKey.gt(name))
        })
        .order_by_asc(Column::UsernameKey)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Listed {
            user_id: row.0,
            username: row.1,
            username_key: row.2,
            created_at_ms: row.3,
            disabled: row.4.is_some(),
            live_sessions: row.5,
            last_used_at_ms: row.6,
        })
        .collect())
}

/// A pattern for names that hold `part` as it is. The escape is no backslash, which the databases quote differently.
fn holding(part: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for character in part.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('!')
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

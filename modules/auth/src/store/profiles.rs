//! What accounts show of themselves, pictures apart.

use filament_kernel::{db::WriteTx, id::UserId};
use sea_orm::{ConnectionTrait, DbErr, QuerySelect, Select, entity::prelude::*};

use crate::{
    domain::username::Username,
    entity::user::{Column, Entity},
};

/// What an account shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) user_id: UserId,
    pub(crate) username: String,
    pub(crate) about_markdown: String,
    pub(crate) avatar_version: i64,
    pub(crate) banner_version: i64,
}

/// The profile of an account.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    user_id: UserId,
) -> Result<Option<Profile>, DbErr> {
    read(db, Entity::find_by_id(user_id)).await
}

/// The profile of an account, which nobody else changes before `tx` ends.
pub(crate) async fn find_locked(tx: &WriteTx, user_id: UserId) -> Result<Option<Profile>, DbErr> {
    read(tx, Entity::find_by_id(user_id).lock_exclusive()).await
}

async fn read(db: &impl ConnectionTrait, row: Select<Entity>) -> Result<Option<Profile>, DbErr> {
    let found: Option<(UserId, String, String, i64, i64)> = row
        .select_only()
        .columns([
            Column::UserId,
            Column::Username,
            Column::AboutMarkdown,
            Column::AvatarVersion,
            Column::BannerVersion,
        ])
        .into_tuple()
        .one(db)
        .await?;
    Ok(found.map(
        |(user_id, username, about_markdown, avatar_version, banner_version)| Profile {
            user_id,
            username,
            about_markdown,
            avatar_version,
            banner_version,
        },
    ))
}

/// Whether an account other than `user_id` has the name.
pub(crate) async fn is_taken(
    db: &impl ConnectionTrait,
    username: &Username,
    user_id: UserId,
) -> Result<bool, DbErr> {
    let holder: Option<UserId> = Entity::find()
        .select_only()
        .column(Column::UserId)
        .filter(Column::UsernameKey.eq(username.key.as_str()))
        .into_tuple()
        .one(db)
        .await?;
    Ok(holder.is_some_and(|holder| holder != user_id))
}

/// Gives an account another name. Fails on the unique key when somebody else took it since [`is_taken`].
pub(crate) async fn set_username(
    tx: &WriteTx,
    user_id: UserId,
    username: &Username,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::Username, Expr::value(username.shown.as_str()))
        .col_expr(Column::UsernameKey, Expr::value(username.key.as_str()))
        .filter(Column::UserId.eq(user_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Replaces what an account says of itself.
pub(crate) async fn set_about(tx: &WriteTx, user_id: UserId, about: &str) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::AboutMarkdown, Expr::value(about))
        .filter(Column::UserId.eq(user_id))
        .exec(tx)
        .await?;
    Ok(())
}

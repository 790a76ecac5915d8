//! The pictures of accounts: which version, and where its bytes are.

use filament_kernel::{
    db::WriteTx,
    id::{BlobId, UserId},
};
use sea_orm::{ConnectionTrait, DbErr, QuerySelect, Select, entity::prelude::*};

use crate::{
    domain::picture::Picture,
    entity::user::{Column, Entity},
};

/// A picture as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredPicture {
    /// Raised at each change; 0 before the first.
    pub(crate) version: i64,
    /// The bytes, as the port `Blobs` knows them; `None` without a picture.
    pub(crate) blob: Option<BlobId>,
}

fn columns(picture: Picture) -> [Column; 2] {
    match picture {
        Picture::Avatar => [Column::AvatarVersion, Column::AvatarBlob],
        Picture::Banner => [Column::BannerVersion, Column::BannerBlob],
    }
}

/// A picture of an account, if there is the account.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    user_id: UserId,
    picture: Picture,
) -> Result<Option<StoredPicture>, DbErr> {
    read(db, Entity::find_by_id(user_id), picture).await
}

/// A picture of an account, which nobody else changes before `tx` ends.
pub(crate) async fn find_locked(
    tx: &WriteTx,
    user_id: UserId,
    picture: Picture,
) -> Result<Option<StoredPicture>, DbErr> {
    read(tx, Entity::find_by_id(user_id).lock_exclusive(), picture).await
}

async fn read(
    db: &impl ConnectionTrait,
    row: Select<Entity>,
    picture: Picture,
) -> Result<Option<StoredPicture>, DbErr> {
    let found: Option<(i64, Option<BlobId>)> = row
        .select_only()
        .columns(columns(picture))
        .into_tuple()
        .one(db)
        .await?;
    Ok(found.map(|(version, blob)| StoredPicture { version, blob }))
}

/// Puts another picture, or none, in the place of what is there.
pub(crate) async fn set(
    tx: &WriteTx,
    user_id: UserId,
    picture: Picture,
    next: StoredPicture,
) -> Result<(), DbErr> {
    let [version, blob] = columns(picture);
    Entity::update_many()
        .col_expr(version, Expr::value(next.version))
        .col_expr(blob, Expr::value(next.blob))
        .filter(Column::UserId.eq(user_id))
        .exec(tx)
        .await?;
    Ok(())
}

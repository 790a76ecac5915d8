use filament_kernel::{
    db::{WriteTx, insert_all},
    id::{GuildId, Ids, RoleId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::{
    domain::{member::Role, permission::PermissionSet, role::RoleKind},
    entity::role,
};

/// Gives a new guild its standing roles.
pub(crate) async fn insert_standing(tx: &WriteTx, guild: GuildId, ids: &Ids) -> Result<(), DbErr> {
    let rows = RoleKind::STANDING.map(|kind| role::ActiveModel {
        guild_id: Set(guild),
        role_id: Set(ids.next()),
        kind: Set(kind),
        name: Set(kind.initial_name().to_string()),
        position: Set(kind.initial_position()),
        permissions: Set(kind.initial_permissions().bits()),
    });
    insert_all(tx, rows.to_vec()).await
}

/// A guild's standing role. A guild without it answers [`DbErr::RecordNotFound`].
pub(crate) async fn standing(
    db: &impl ConnectionTrait,
    guild: GuildId,
    kind: RoleKind,
) -> Result<RoleId, DbErr> {
    role::Entity::find()
        .select_only()
        .column(role::Column::RoleId)
        .filter(role::Column::GuildId.eq(guild))
        .filter(role::Column::Kind.eq(kind))
        .order_by_asc(role::Column::RoleId)
        .into_tuple()
        .one(db)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound(format!("guild {guild} has no role {kind:?}")))
}

pub(crate) async fn of_guild(
    db: &impl ConnectionTrait,
    guild: GuildId,
) -> Result<Vec<(RoleId, Role)>, DbErr> {
    let rows = role::Entity::find()
        .filter(role::Column::GuildId.eq(guild))
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let role = Role {
                kind: row.kind,
                permissions: PermissionSet::from_bits(row.permissions),
            };
            (row.role_id, role)
        })
        .collect())
}

use filament_kernel::{
    db::{WriteTx, insert_all},
    id::{GuildId, Ids, RoleId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait,
    Insert, QueryFilter, QueryOrder, sea_query::Expr,
};

use crate::{
    domain::{
        permission::PermissionSet,
        role::{Role, RoleKind},
    },
    entity::role,
};

/// Gives a new guild its standing roles. Answers those that others refer to.
pub(crate) async fn insert_standing(
    tx: &WriteTx,
    guild: GuildId,
    ids: &Ids,
) -> Result<Standing, DbErr> {
    let rows = RoleKind::STANDING.map(|kind| role::ActiveModel {
        guild_id: Set(guild),
        role_id: Set(ids.next()),
        kind: Set(kind),
        name: Set(kind.initial_name().to_string()),
        position: Set(kind.initial_position()),
        permissions: Set(kind.initial_permissions().bits()),
        color_hex: Set(None),
    });
    let id = |kind| {
        let row = rows.iter().find(|row| row.kind == Set(kind));
        let id = row.and_then(|row| row.role_id.try_as_ref().copied());
        id.ok_or_else(|| DbErr::Custom(format!("no standing role {kind:?}")))
    };
    let standing = Standing {
        owner: id(RoleKind::WorkspaceOwner)?,
        member: id(RoleKind::Member)?,
    };
    insert_all(tx, rows.to_vec()).await?;
    Ok(standing)
}

/// Roles of a new guild.
pub(crate) struct Standing {
    pub(crate) owner: RoleId,
    pub(crate) member: RoleId,
}

pub(crate) async fn insert(
    tx: &WriteTx,
    guild: GuildId,
    kind: RoleKind,
    role: &Role,
) -> Result<(), DbErr> {
    let row = role::ActiveModel {
        guild_id: Set(guild),
        role_id: Set(role.role_id),
        kind: Set(kind),
        name: Set(role.name.clone()),
        position: Set(role.position),
        permissions: Set(role.permission_set().bits()),
        color_hex: Set(role.color_hex.clone()),
    };
    Insert::one(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Writes what may change of a role, all but its position.
pub(crate) async fn update(tx: &WriteTx, guild: GuildId, role: &Role) -> Result<(), DbErr> {
    role::Entity::update_many()
        .col_expr(role::Column::Name, Expr::value(role.name.clone()))
        .col_expr(
            role::Column::Permissions,
            Expr::value(role.permission_set().bits()),
        )
        .col_expr(role::Column::ColorHex, Expr::value(role.color_hex.clone()))
        .filter(is(guild, role.role_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Moves a role.
pub(crate) async fn place(
    tx: &WriteTx,
    guild: GuildId,
    role: RoleId,
    position: i64,
) -> Result<(), DbErr> {
    role::Entity::update_many()
        .col_expr(role::Column::Position, Expr::value(position))
        .filter(is(guild, role))
        .exec(tx)
        .await?;
    Ok(())
}

/// Moves every role that stands at `position` or above up by one.
pub(crate) async fn make_room(tx: &WriteTx, guild: GuildId, position: i64) -> Result<(), DbErr> {
    role::Entity::update_many()
        .col_expr(
            role::Column::Position,
            Expr::col(role::Column::Position).add(1),
        )
        .filter(role::Column::GuildId.eq(guild))
        .filter(role::Column::Position.gte(position))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes a role, and with it that anybody holds it and what channels say about it.
pub(crate) async fn delete(tx: &WriteTx, guild: GuildId, role: RoleId) -> Result<(), DbErr> {
    role::Entity::delete_many()
        .filter(is(guild, role))
        .exec(tx)
        .await?;
    Ok(())
}

/// All roles of a guild, the mightiest first.
pub(crate) async fn of_guild(
    db: &impl ConnectionTrait,
    guild: GuildId,
) -> Result<Vec<(RoleKind, Role)>, DbErr> {
    let rows = role::Entity::find()
        .filter(role::Column::GuildId.eq(guild))
        .order_by_desc(role::Column::Position)
        .order_by_asc(role::Column::RoleId)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(seen).collect())
}

/// One role of a guild.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    guild: GuildId,
    role: RoleId,
) -> Result<Option<(RoleKind, Role)>, DbErr> {
    let row = role::Entity::find_by_id((guild, role)).one(db).await?;
    Ok(row.map(seen))
}

fn seen(row: role::Model) -> (RoleKind, Role) {
    let permissions = PermissionSet::from_bits(row.permissions);
    let role = Role {
        role_id: row.role_id,
        name: row.name,
        position: row.position,
        is_system: row.kind.is_system(),
        permissions: permissions.iter().collect(),
        color_hex: row.color_hex,
    };
    (row.kind, role)
}

fn is(guild: GuildId, role: RoleId) -> Condition {
    Condition::all()
        .add(role::Column::GuildId.eq(guild))
        .add(role::Column::RoleId.eq(role))
}

use std::collections::HashMap;

use filament_kernel::{
    db::WriteTx,
    id::{GuildId, RoleId, UserId},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, Insert, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, OnConflict},
};

use crate::entity::{guild, guild_member, guild_member_role};

/// What came of making somebody a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// They are one now.
    New,
    /// They were one before.
    Known,
    /// The guild has as many as it may.
    Full,
}

/// Makes `user` a member with the roles `roles`, unless they are one or the guild has `max` members. Exact under parallel
/// requests: the second waits for the first one's row of the guild, and then sees what it wrote.
pub(crate) async fn insert(
    tx: &WriteTx,
    guild: GuildId,
    user: UserId,
    roles: &[RoleId],
    now: i64,
    max: u32,
) -> Result<Inserted, DbErr> {
    if is_member(tx, guild, user).await? {
        return Ok(Inserted::Known);
    }
    let counted = guild::Entity::update_many()
        .col_expr(
            guild::Column::MemberCount,
            Expr::col(guild::Column::MemberCount).add(1),
        )
        .filter(guild::Column::GuildId.eq(guild))
        .filter(guild::Column::MemberCount.lt(i64::from(max)))
        .exec(tx)
        .await?;
    if counted.rows_affected == 0 {
        return Ok(Inserted::Full);
    }
    let member = guild_member::ActiveModel {
        guild_id: Set(guild),
        user_id: Set(user),
        joined_at: Set(now),
    };
    Insert::one(member).exec_without_returning(tx).await?;
    for role in roles {
        give_role(tx, guild, user, *role).await?;
    }
    Ok(Inserted::New)
}

/// Takes a member out of the guild, with the roles that they held. Answers whether they were one.
pub(crate) async fn delete(tx: &WriteTx, guild: GuildId, user: UserId) -> Result<bool, DbErr> {
    let deleted = guild_member::Entity::delete_by_id((guild, user))
        .exec(tx)
        .await?;
    if deleted.rows_affected == 0 {
        return Ok(false);
    }
    guild::Entity::update_many()
        .col_expr(
            guild::Column::MemberCount,
            Expr::col(guild::Column::MemberCount).sub(1),
        )
        .filter(guild::Column::GuildId.eq(guild))
        .exec(tx)
        .await?;
    Ok(true)
}

pub(crate) async fn is_member(
    db: &impl ConnectionTrait,
    guild: GuildId,
    user: UserId,
) -> Result<bool, DbErr> {
    let row = guild_member::Entity::find_by_id((guild, user))
        .one(db)
        .await?;
    Ok(row.is_some())
}

/// Gives a member a role, unless they have it.
pub(crate) async fn give_role(
    tx: &WriteTx,
    guild: GuildId,
    user: UserId,
    role: RoleId,
) -> Result<(), DbErr> {
    let held = guild_member_role::ActiveModel {
        guild_id: Set(guild),
        user_id: Set(user),
        role_id: Set(role),
    };
    let has_it = OnConflict::columns([
        guild_member_role::Column::GuildId,
        guild_member_role::Column::UserId,
        guild_member_role::Column::RoleId,
    ])
    .do_nothing()
    .to_owned();
    Insert::one(held)
        .on_conflict(has_it)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Takes a role from a member.
pub(crate) async fn take_role(
    tx: &WriteTx,
    guild: GuildId,
    user: UserId,
    role: RoleId,
) -> Result<(), DbErr> {
    guild_member_role::Entity::delete_by_id((guild, user, role))
        .exec(tx)
        .await?;
    Ok(())
}

/// The roles that a member was given.
pub(crate) async fn roles_of(
    db: &impl ConnectionTrait,
    guild: GuildId,
    user: UserId,
) -> Result<Vec<RoleId>, DbErr> {
    guild_member_role::Entity::find()
        .select_only()
        .column(guild_member_role::Column::RoleId)
        .filter(guild_member_role::Column::GuildId.eq(guild))
        .filter(guild_member_role::Column::UserId.eq(user))
        .order_by_asc(guild_member_role::Column::RoleId)
        .into_tuple()
        .all(db)
        .await
}

/// Every member of a guild with the roles that they were given.
pub(crate) async fn of_guild(
    db: &impl ConnectionTrait,
    guild: GuildId,
) -> Result<Vec<(UserId, Vec<RoleId>)>, DbErr> {
    page(db, guild, None, None).await
}

/// Up to `limit` members after `cursor`, in the order of their ids, with the roles that they were given.
pub(crate) async fn page(
    db: &impl ConnectionTrait,
    guild: GuildId,
    cursor: Option<UserId>,
    limit: Option<u64>,
) -> Result<Vec<(UserId, Vec<RoleId>)>, DbErr> {
    let mut query = guild_member::Entity::find()
        .select_only()
        .column(guild_member::Column::UserId)
        .filter(guild_member::Column::GuildId.eq(guild));
    if let Some(cursor) = cursor {
        query = query.filter(guild_member::Column::UserId.gt(cursor));
    }
    let members: Vec<UserId> = query
        .order_by_asc(guild_member::Column::UserId)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    let (Some(first), Some(last)) = (members.first(), members.last()) else {
        return Ok(Vec::new());
    };
    // The members of a page stand side by side, and so do their roles: a range does it, and is one statement for all sizes.
    let held: Vec<(UserId, RoleId)> = guild_member_role::Entity::find()
        .select_only()
        .column(guild_member_role::Column::UserId)
        .column(guild_member_role::Column::RoleId)
        .filter(guild_member_role::Column::GuildId.eq(guild))
        .filter(guild_member_role::Column::UserId.gte(*first))
        .filter(guild_member_role::Column::UserId.lte(*last))
        .order_by_asc(guild_member_role::Column::UserId)
        .order_by_asc(guild_member_role::Column::RoleId)
        .into_tuple()
        .all(db)
        .await?;
    let mut roles: HashMap<UserId, Vec<RoleId>> = HashMap::with_capacity(members.len());
    for (user, role) in held {
        roles.entry(user).or_default().push(role);
    }
    Ok(members
        .into_iter()
        .map(|user| (user, roles.remove(&user).unwrap_or_default()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::guild::Visibility, testing::World};

    #[tokio::test]
    async fn members_come_in_pages_that_lose_and_repeat_none() {
        let world = World::new().await;
        let owner = world.user();
        let guild = world.guild(owner, Visibility::Public).await;
        let other = world.guild(owner, Visibility::Public).await;
        let mut everybody = vec![owner];
        for _ in 0..6 {
            let user = world.user();
            world.join(guild, user).await;
            world.join(other, user).await;
            everybody.push(user);
        }
        let db = world.state.host.db.read();
        let mut seen: Vec<UserId> = Vec::new();
        loop {
            let rows = page(db, guild, seen.last().copied(), Some(3))
                .await
                .expect("reads");
            if rows.is_empty() {
                break;
            }
            assert!(rows.iter().all(|(_, roles)| roles.len() == 1));
            seen.extend(rows.into_iter().map(|(user, _)| user));
        }
        assert_eq!(seen, everybody);
        assert_eq!(of_guild(db, guild).await.expect("reads").len(), 7);
    }
}

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, RoleId, UserId},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, Insert, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, LikeExpr, OnConflict},
};

use super::{channels, ip_bans, members, overrides, roles};
use crate::{
    domain::{
        guild::{Guild, Visibility, search_key},
        roster::{Fact, Roster},
    },
    entity::{guild, guild_creator, guild_member},
};

/// Counts one more guild of `user`'s making, unless they have `max` already. Exact under parallel requests: the second waits for
/// the first one's row, and then sees what it wrote.
pub(crate) async fn count_creation(tx: &WriteTx, user: UserId, max: u32) -> Result<bool, DbErr> {
    let none_yet = guild_creator::ActiveModel {
        user_id: Set(user),
        guilds: Set(0),
    };
    let known = OnConflict::column(guild_creator::Column::UserId)
        .do_nothing()
        .to_owned();
    Insert::one(none_yet)
        .on_conflict(known)
        .exec_without_returning(tx)
        .await?;
    let raised = guild_creator::Entity::update_many()
        .col_expr(
            guild_creator::Column::Guilds,
            Expr::col(guild_creator::Column::Guilds).add(1),
        )
        .filter(guild_creator::Column::UserId.eq(user))
        .filter(guild_creator::Column::Guilds.lt(i64::from(max)))
        .exec(tx)
        .await?;
    Ok(raised.rows_affected == 1)
}

/// Counts one guild less of its maker's.
pub(crate) async fn uncount_creation(tx: &WriteTx, user: UserId) -> Result<(), DbErr> {
    guild_creator::Entity::update_many()
        .col_expr(
            guild_creator::Column::Guilds,
            Expr::col(guild_creator::Column::Guilds).sub(1),
        )
        .filter(guild_creator::Column::UserId.eq(user))
        .filter(guild_creator::Column::Guilds.gt(0))
        .exec(tx)
        .await?;
    Ok(())
}

/// A new guild without members.
pub(crate) async fn insert(
    tx: &WriteTx,
    guild: &Guild,
    created_by: UserId,
    now: i64,
) -> Result<(), DbErr> {
    let row = guild::ActiveModel {
        guild_id: Set(guild.guild_id),
        name: Set(guild.name.clone()),
        name_key: Set(search_key(&guild.name)),
        visibility: Set(guild.visibility),
        created_by: Set(created_by),
        created_at: Set(now),
        member_count: Set(0),
        default_join_role_id: Set(None),
        deleted_at: Set(None),
    };
    Insert::one(row).exec_without_returning(tx).await?;
    Ok(())
}

pub(crate) async fn find(db: &impl ConnectionTrait, id: GuildId) -> Result<Option<Guild>, DbErr> {
    Ok(row(db, id).await?.map(Guild::from))
}

/// Writes the name and the visibility of a guild.
pub(crate) async fn update(tx: &WriteTx, guild: &Guild) -> Result<(), DbErr> {
    guild::Entity::update_many()
        .col_expr(guild::Column::Name, Expr::value(guild.name.clone()))
        .col_expr(guild::Column::NameKey, Expr::value(search_key(&guild.name)))
        .col_expr(guild::Column::Visibility, Expr::value(guild.visibility))
        .filter(guild::Column::GuildId.eq(guild.guild_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// What who joins is given from now on.
pub(crate) async fn set_default_join_role(
    tx: &WriteTx,
    id: GuildId,
    role: Option<RoleId>,
) -> Result<(), DbErr> {
    guild::Entity::update_many()
        .col_expr(guild::Column::DefaultJoinRoleId, Expr::value(role))
        .filter(guild::Column::GuildId.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Marks a guild as deleted: nothing here knows of it from then on. Answers who had made it. What belongs to it is [`super::doomed`].
pub(crate) async fn delete(tx: &WriteTx, id: GuildId, now: i64) -> Result<Option<UserId>, DbErr> {
    let Some(guild) = row(tx, id).await? else {
        return Ok(None);
    };
    // Private, so that the directory needs to look at nothing else.
    guild::Entity::update_many()
        .col_expr(guild::Column::DeletedAt, Expr::value(now))
        .col_expr(guild::Column::Visibility, Expr::value(Visibility::Private))
        .filter(guild::Column::GuildId.eq(id))
        .exec(tx)
        .await?;
    Ok(Some(guild.created_by))
}

async fn row(db: &impl ConnectionTrait, id: GuildId) -> Result<Option<guild::Model>, DbErr> {
    guild::Entity::find_by_id(id)
        .filter(guild::Column::DeletedAt.is_null())
        .one(db)
        .await
}

/// Up to `limit` guilds of a user after `cursor`, oldest first.
pub(crate) async fn of_user(
    db: &impl ConnectionTrait,
    user: UserId,
    cursor: Option<GuildId>,
    limit: u64,
) -> Result<Vec<Guild>, DbErr> {
    let mut query = guild::Entity::find()
        .inner_join(guild_member::Entity)
        .filter(guild_member::Column::UserId.eq(user))
        .filter(guild::Column::DeletedAt.is_null());
    if let Some(cursor) = cursor {
        query = query.filter(guild_member::Column::GuildId.gt(cursor));
    }
    let rows = query
        .order_by_asc(guild_member::Column::GuildId)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(Guild::from).collect())
}

/// The ids of all guilds of a user.
pub(crate) async fn ids_of_user(
    db: &impl ConnectionTrait,
    user: UserId,
) -> Result<Vec<GuildId>, DbErr> {
    guild_member::Entity::find()
        .inner_join(guild::Entity)
        .select_only()
        .column(guild_member::Column::GuildId)
        .filter(guild_member::Column::UserId.eq(user))
        .filter(guild::Column::DeletedAt.is_null())
        .into_tuple()
        .all(db)
        .await
}

/// Up to `limit` public guilds, oldest first, whose name holds `part`, whatever the case.
pub(crate) async fn public(
    db: &impl ConnectionTrait,
    part: Option<&str>,
    limit: u64,
) -> Result<Vec<Guild>, DbErr> {
    let mut query = guild::Entity::find().filter(guild::Column::Visibility.eq(Visibility::Public));
    if let Some(part) = part {
        query = query.filter(guild::Column::NameKey.like(holding(&search_key(part))));
    }
    let rows = query
        .order_by_asc(guild::Column::GuildId)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(Guild::from).collect())
}

/// A pattern for texts that hold `part` as it is. The escape is no backslash, which the databases quote differently.
fn holding(part: &str) -> LikeExpr {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('!')
}

/// Reads what is kept of a guild in memory.
pub(crate) async fn roster(
    db: &impl ConnectionTrait,
    id: GuildId,
) -> Result<Option<Roster>, ApiError> {
    let Some(guild) = row(db, id).await? else {
        return Ok(None);
    };
    let mut roster = Roster::new(guild.visibility);
    for (kind, role) in roles::of_guild(db, id).await? {
        roster.apply(Fact::of_role(kind, &role));
    }
    roster.apply(Fact::DefaultJoinRole(guild.default_join_role_id));
    for (channel, position) in channels::of_guild(db, id).await? {
        roster.apply(Fact::Channel { channel, position });
    }
    for (channel_id, target, says) in overrides::of_guild(db, id).await? {
        roster.apply(Fact::Override {
            channel_id,
            target,
            says,
        });
    }
    for (user_id, role_ids) in members::of_guild(db, id).await? {
        roster.apply(Fact::Member { user_id, role_ids });
    }
    for (address, expires_at) in ip_bans::addresses(db, id).await? {
        roster.apply(Fact::IpBan {
            address,
            expires_at,
        });
    }
    Ok(Some(roster))
}

impl From<guild::Model> for Guild {
    fn from(row: guild::Model) -> Self {
        Self {
            guild_id: row.guild_id,
            name: row.name,
            visibility: row.visibility,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{changes::guild_create, testing::World};

    #[tokio::test]
    async fn the_directory_finds_a_part_of_a_public_name_whatever_its_case_and_takes_it_literally()
    {
        let world = World::new().await;
        for (name, visibility) in [
            ("Gro\u{df}e \u{c4}rzte", Visibility::Public),
            ("100% fun", Visibility::Public),
            ("100 funds", Visibility::Public),
            ("snake_case!", Visibility::Public),
            ("\u{3a3}\u{39f}\u{3a6}\u{39f}\u{3a3}", Visibility::Public),
            ("Hidden fun", Visibility::Private),
        ] {
            guild_create(&world.state, world.user(), name.into(), visibility)
                .await
                .expect("a guild");
        }
        let find = async |part| -> Vec<String> {
            let found = public(world.state.host.db.read(), part, 50)
                .await
                .expect("reads");
            found.into_iter().map(|guild| guild.name).collect()
        };
        assert_eq!(find(Some("FUN")).await, ["100% fun", "100 funds"]);
        assert_eq!(find(Some("0% f")).await, ["100% fun"]);
        assert_eq!(find(Some("E_C")).await, ["snake_case!"]);
        assert_eq!(find(Some("e!")).await, ["snake_case!"]);
        assert_eq!(find(Some("\u{e4}RZ")).await, ["Gro\u{df}e \u{c4}rzte"]);
        assert_eq!(find(Some("\u{3c6}\u{3bf}\u{3c3}")).await.len(), 1);
        assert_eq!(find(Some("\\")).await.len(), 0);
        assert_eq!(find(None).await.len(), 5);
    }

    #[tokio::test]
    async fn a_users_guilds_come_in_pages_that_lose_and_repeat_none() {
        let world = World::new().await;
        let (user, owner) = (world.user(), world.user());
        let mut mine = Vec::new();
        for _ in 0..5 {
            let guild = world.guild(owner, Visibility::Public).await;
            world.join(guild, user).await;
            mine.push(guild);
        }
        let db = world.state.host.db.read();
        let mut seen = Vec::new();
        loop {
            let page = of_user(db, user, seen.last().copied(), 2)
                .await
                .expect("reads");
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|guild| guild.guild_id));
        }
        assert_eq!(seen, mine);
        let mut all = ids_of_user(db, user).await.expect("reads");
        all.sort_unstable();
        assert_eq!(all, mine);
    }
}

use filament_kernel::{
    db::WriteTx,
    id::{ChannelId, GuildId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, Insert, QueryFilter,
    sea_query::OnConflict,
};

use crate::{
    domain::{
        channel_override::{Override, Target},
        permission::PermissionSet,
    },
    entity::{channel_member_override as of_member, channel_role_override as of_role},
};

/// The channel says this about the target from now on; one that says nothing is none.
pub(crate) async fn set(
    tx: &WriteTx,
    guild: GuildId,
    channel: ChannelId,
    target: Target,
    says: Override,
) -> Result<(), DbErr> {
    match target {
        Target::Role(role) if says.is_silent() => {
            of_role::Entity::delete_by_id((guild, channel, role))
                .exec(tx)
                .await?;
        }
        Target::Member(user) if says.is_silent() => {
            of_member::Entity::delete_by_id((guild, channel, user))
                .exec(tx)
                .await?;
        }
        Target::Role(role) => {
            let row = of_role::ActiveModel {
                guild_id: Set(guild),
                channel_id: Set(channel),
                role_id: Set(role),
                allow: Set(says.allow.bits()),
                deny: Set(says.deny.bits()),
            };
            let known = OnConflict::columns([
                of_role::Column::GuildId,
                of_role::Column::ChannelId,
                of_role::Column::RoleId,
            ])
            .update_columns([of_role::Column::Allow, of_role::Column::Deny])
            .to_owned();
            Insert::one(row)
                .on_conflict(known)
                .exec_without_returning(tx)
                .await?;
        }
        Target::Member(user) => {
            let row = of_member::ActiveModel {
                guild_id: Set(guild),
                channel_id: Set(channel),
                user_id: Set(user),
                allow: Set(says.allow.bits()),
                deny: Set(says.deny.bits()),
            };
            let known = OnConflict::columns([
                of_member::Column::GuildId,
                of_member::Column::ChannelId,
                of_member::Column::UserId,
            ])
            .update_columns([of_member::Column::Allow, of_member::Column::Deny])
            .to_owned();
            Insert::one(row)
                .on_conflict(known)
                .exec_without_returning(tx)
                .await?;
        }
    }
    Ok(())
}

/// Everything that the channels of a guild say.
pub(crate) async fn of_guild(
    db: &impl ConnectionTrait,
    guild: GuildId,
) -> Result<Vec<(ChannelId, Target, Override)>, DbErr> {
    let says = |allow, deny| Override {
        allow: PermissionSet::from_bits(allow),
        deny: PermissionSet::from_bits(deny),
    };
    let roles = of_role::Entity::find()
        .filter(of_role::Column::GuildId.eq(guild))
        .all(db)
        .await?;
    let members = of_member::Entity::find()
        .filter(of_member::Column::GuildId.eq(guild))
        .all(db)
        .await?;
    let roles = roles.into_iter().map(|row| {
        let target = Target::Role(row.role_id);
        (row.channel_id, target, says(row.allow, row.deny))
    });
    let members = members.into_iter().map(|row| {
        let target = Target::Member(row.user_id);
        (row.channel_id, target, says(row.allow, row.deny))
    });
    Ok(roles.chain(members).collect())
}

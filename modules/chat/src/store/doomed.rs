//! Channels that are deleted, while their messages are still being deleted: no foreign key binds those to their channel. And guilds that
//! are deleted, while the rows of which they may have many are.

use filament_kernel::{
    db::{WriteTx, insert_all},
    id::{ChannelId, GuildId, MessageId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::entity::{
    channel_member_override, doomed_channel, guild, guild_address, guild_ban, guild_member,
    message, message_emoji, reaction,
};

/// The messages of these channels are to be deleted.
pub(crate) async fn insert(tx: &WriteTx, channels: &[ChannelId]) -> Result<(), DbErr> {
    let rows = channels.iter().map(|channel| doomed_channel::ActiveModel {
        channel_id: Set(*channel),
    });
    insert_all(tx, rows.collect()).await
}

/// One of the channels whose messages are to be deleted.
pub(crate) async fn first_channel(db: &impl ConnectionTrait) -> Result<Option<ChannelId>, DbErr> {
    let row = doomed_channel::Entity::find()
        .order_by_asc(doomed_channel::Column::ChannelId)
        .one(db)
        .await?;
    Ok(row.map(|row| row.channel_id))
}

/// Deletes up to `limit` of the channel's messages with all that hangs on them. Answers whether there are more; after the last the
/// channel is not doomed any more.
pub(crate) async fn delete_messages(
    tx: &WriteTx,
    channel: ChannelId,
    limit: u64,
) -> Result<bool, DbErr> {
    let beyond: Option<MessageId> = message::Entity::find()
        .select_only()
        .column(message::Column::MessageId)
        .filter(message::Column::ChannelId.eq(channel))
        .order_by_asc(message::Column::MessageId)
        .offset(limit)
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    let mut reactions =
        reaction::Entity::delete_many().filter(reaction::Column::ChannelId.eq(channel));
    let mut emoji =
        message_emoji::Entity::delete_many().filter(message_emoji::Column::ChannelId.eq(channel));
    let mut messages =
        message::Entity::delete_many().filter(message::Column::ChannelId.eq(channel));
    if let Some(beyond) = beyond {
        reactions = reactions.filter(reaction::Column::MessageId.lt(beyond));
        emoji = emoji.filter(message_emoji::Column::MessageId.lt(beyond));
        messages = messages.filter(message::Column::MessageId.lt(beyond));
    }
    reactions.exec(tx).await?;
    emoji.exec(tx).await?;
    messages.exec(tx).await?;
    if beyond.is_none() {
        doomed_channel::Entity::delete_by_id(channel)
            .exec(tx)
            .await?;
    }
    Ok(beyond.is_some())
}

/// One of the guilds whose rows are to be deleted.
pub(crate) async fn first_guild(db: &impl ConnectionTrait) -> Result<Option<GuildId>, DbErr> {
    guild::Entity::find()
        .select_only()
        .column(guild::Column::GuildId)
        .filter(guild::Column::DeletedAt.is_not_null())
        .order_by_asc(guild::Column::DeletedAt)
        .into_tuple()
        .one(db)
        .await
}

/// Deletes about `limit` of the rows that belong to a guild, those of one kind at a time. Answers whether there are more; after the last
/// the guild itself is gone, with what a guild has only few of.
pub(crate) async fn delete_rows(tx: &WriteTx, guild: GuildId, limit: u64) -> Result<bool, DbErr> {
    let members = (guild_member::Column::GuildId, guild_member::Column::UserId);
    let addresses = (
        guild_address::Column::GuildId,
        guild_address::Column::UserId,
    );
    let bans = (guild_ban::Column::GuildId, guild_ban::Column::UserId);
    let overrides = (
        channel_member_override::Column::GuildId,
        channel_member_override::Column::ChannelId,
    );
    let more = delete_some::<guild_member::Entity>(tx, members, guild, limit).await?
        || delete_some::<guild_address::Entity>(tx, addresses, guild, limit).await?
        || delete_some::<guild_ban::Entity>(tx, bans, guild, limit).await?
        || delete_some::<channel_member_override::Entity>(tx, overrides, guild, limit).await?;
    if !more {
        guild::Entity::delete_by_id(guild).exec(tx).await?;
    }
    Ok(more)
}

/// Deletes the first `limit` rows of a guild, and those that share the last one's key, which keeps it going whatever the keys. `columns`
/// are those of the guild and of the key that follows it in the index. Answers whether there may be more.
async fn delete_some<E: EntityTrait>(
    tx: &WriteTx,
    (of_guild, key): (E::Column, E::Column),
    guild: GuildId,
    limit: u64,
) -> Result<bool, DbErr> {
    let last: Option<String> = E::find()
        .select_only()
        .column(key)
        .filter(of_guild.eq(guild))
        .order_by_asc(key)
        .offset(limit.saturating_sub(1))
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    let mut rows = E::delete_many().filter(of_guild.eq(guild));
    if let Some(last) = &last {
        rows = rows.filter(key.lte(last));
    }
    rows.exec(tx).await?;
    Ok(last.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        changes,
        domain::{act::Act, guild::Visibility},
        store,
        testing::World,
    };

    #[tokio::test]
    async fn a_deleted_guild_is_gone_at_once_and_its_rows_go_in_steps() {
        let world = World::new().await;
        let owner = world.user();
        let guild = world.guild(owner, Visibility::Public).await;
        let kept = world.guild(owner, Visibility::Public).await;
        for _ in 0..4 {
            let user = world.user();
            world.join(guild, user).await;
            world.join(kept, user).await;
        }
        let actor = world.actor(guild, owner, Act::GuildDelete).await;
        changes::guild_delete(&world.state, actor)
            .await
            .expect("is deleted");

        let db = &world.state.host.db;
        let left = async || {
            store::members::of_guild(db.read(), guild)
                .await
                .expect("reads")
                .len()
        };
        let guilds = store::guilds::ids_of_user(db.read(), owner).await;
        assert_eq!(guilds.ok(), Some(vec![kept]));
        let listed = store::guilds::of_user(db.read(), owner, None, 9).await;
        assert_eq!(listed.map(|guilds| guilds.len()).ok(), Some(1));
        let public = store::guilds::public(db.read(), None, 9).await;
        assert_eq!(public.map(|guilds| guilds.len()).ok(), Some(1));
        assert_eq!(
            world
                .state
                .guild(guild)
                .await
                .err()
                .map(|e| e.code().status),
            Some(404)
        );
        assert_eq!(first_guild(db.read()).await.ok(), Some(Some(guild)));
        assert_eq!(left().await, 5);

        let step = async || {
            let tx = db.begin().await.expect("begins");
            let more = delete_rows(&tx, guild, 2).await.expect("deletes");
            tx.commit().await.expect("commits");
            more
        };
        assert!(step().await);
        assert_eq!(left().await, 3);
        while step().await {}
        assert_eq!(left().await, 0);
        assert_eq!(first_guild(db.read()).await.ok(), Some(None));
        let others = store::members::of_guild(db.read(), kept).await;
        assert_eq!(others.map(|members| members.len()).ok(), Some(5));
    }
}

//! The tables.
// What the derives generate is `pub`.
#![allow(unreachable_pub)]

pub(crate) mod channel;
pub(crate) mod channel_member_override;
pub(crate) mod channel_role_override;
pub(crate) mod doomed_channel;
pub(crate) mod guild;
pub(crate) mod guild_address;
pub(crate) mod guild_ban;
pub(crate) mod guild_creator;
pub(crate) mod guild_ip_ban;
pub(crate) mod guild_member;
pub(crate) mod guild_member_role;
pub(crate) mod message;
pub(crate) mod message_emoji;
pub(crate) mod reaction;
pub(crate) mod role;

use filament_kernel::db::EntityShape;

/// The shapes of all of them.
pub(crate) fn shapes() -> Vec<EntityShape> {
    vec![
        EntityShape::of::<guild::Entity>(),
        EntityShape::of::<guild_creator::Entity>(),
        EntityShape::of::<channel::Entity>(),
        EntityShape::of::<role::Entity>(),
        EntityShape::of::<guild_member::Entity>(),
        EntityShape::of::<guild_member_role::Entity>(),
        EntityShape::of::<channel_role_override::Entity>(),
        EntityShape::of::<channel_member_override::Entity>(),
        EntityShape::of::<guild_ban::Entity>(),
        EntityShape::of::<guild_ip_ban::Entity>(),
        EntityShape::of::<guild_address::Entity>(),
        EntityShape::of::<doomed_channel::Entity>(),
        EntityShape::of::<message::Entity>(),
        EntityShape::of::<message_emoji::Entity>(),
        EntityShape::of::<reaction::Entity>(),
    ]
}

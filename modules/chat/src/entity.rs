//! The tables.
// What the derives generate is `pub`.
#![allow(unreachable_pub)]

pub(crate) mod channel;
pub(crate) mod guild;
pub(crate) mod guild_creator;
pub(crate) mod guild_member;
pub(crate) mod guild_member_role;
pub(crate) mod message;
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
        EntityShape::of::<message::Entity>(),
    ]
}

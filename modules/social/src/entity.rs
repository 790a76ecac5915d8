//! The tables.
// What the derives generate is `pub`.
#![allow(unreachable_pub)]

pub(crate) mod friend_request;
pub(crate) mod friend_request_tally;
pub(crate) mod friendship;
pub(crate) mod user_block;

use filament_kernel::db::EntityShape;

/// The shapes of all of them.
pub(crate) fn shapes() -> Vec<EntityShape> {
    vec![
        EntityShape::of::<friendship::Entity>(),
        EntityShape::of::<friend_request::Entity>(),
        EntityShape::of::<friend_request_tally::Entity>(),
        EntityShape::of::<user_block::Entity>(),
    ]
}

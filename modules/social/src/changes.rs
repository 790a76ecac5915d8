//! What can be changed: one file per change, each a function that a route calls, and the
//! [`SingleChange`](filament_kernel::log::SingleChange) that it commits. A [`Refusal`](crate::domain::refusal::Refusal) comes before the
//! first write.

mod friend_remove;
mod friend_request_accept;
mod friend_request_create;
mod friend_request_delete;
mod user_block;
mod user_unblock;

pub(crate) use friend_remove::friend_remove;
pub(crate) use friend_request_accept::friend_request_accept;
pub(crate) use friend_request_create::friend_request_create;
pub(crate) use friend_request_delete::friend_request_delete;
pub(crate) use user_block::user_block;
pub(crate) use user_unblock::user_unblock;

//! What can be changed: one file per change, each a function that HTTP and the gateway call, and the
//! [`Change`](filament_kernel::log::Change) that it commits.
//!
//! A change that is refused answers the refusal as its output. As an error it would roll back the transaction, and with it
//! everybody else's changes that share it.

mod channel_create;
mod guild_create;
mod guild_join;
mod message_create;

pub(crate) use channel_create::channel_create;
pub(crate) use guild_create::guild_create;
pub(crate) use guild_join::{JoinOutcome, guild_join};
pub(crate) use message_create::message_create;

//! What can be changed: one file per change, each a function that HTTP and the gateway call, and the
//! [`Change`](filament_kernel::log::Change) that it commits.
//!
//! A change that is refused answers the refusal as its output. As an error it would roll back the transaction, and with it
//! everybody else's changes that share it.

mod channel_create;
mod channel_delete;
mod channel_reorder;
mod channel_update;
mod deed;
mod effects;
mod guild_create;
mod guild_delete;
mod guild_join;
mod guild_transfer;
mod guild_update;
mod ip_ban_create;
mod ip_ban_delete;
mod member_add;
mod member_ban;
mod member_kick;
mod member_leave;
mod member_unban;
mod member_update;
mod message_create;
mod message_delete;
mod message_target;
mod message_update;
mod override_set;
mod reaction;
mod reassign;
mod role_assign;
mod role_create;
mod role_default;
mod role_delete;
mod role_reorder;
mod role_update;

pub(crate) use channel_create::channel_create;
pub(crate) use channel_delete::channel_delete;
pub(crate) use channel_reorder::channel_reorder;
pub(crate) use channel_update::channel_update;
pub(crate) use guild_create::guild_create;
pub(crate) use guild_delete::guild_delete;
pub(crate) use guild_join::{JoinOutcome, guild_join};
pub(crate) use guild_transfer::guild_transfer;
pub(crate) use guild_update::{GuildChange, guild_update};
pub(crate) use ip_ban_create::ip_ban_create;
pub(crate) use ip_ban_delete::ip_ban_delete;
pub(crate) use member_add::member_add;
pub(crate) use member_ban::member_ban;
pub(crate) use member_kick::member_kick;
pub(crate) use member_leave::member_leave;
pub(crate) use member_unban::member_unban;
pub(crate) use member_update::member_update;
pub(crate) use message_create::message_create;
pub(crate) use message_delete::message_delete;
pub(crate) use message_update::message_update;
pub(crate) use override_set::{Subject, override_set};
pub(crate) use reaction::{reaction_add, reaction_remove};
pub(crate) use role_assign::{role_assign, role_unassign};
pub(crate) use role_create::{NewRole, role_create};
pub(crate) use role_default::role_default;
pub(crate) use role_delete::role_delete;
pub(crate) use role_reorder::role_reorder;
pub(crate) use role_update::{RoleChange, role_update};

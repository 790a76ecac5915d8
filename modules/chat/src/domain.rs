//! The rules, without IO.

pub(crate) mod act;
pub(crate) mod ban;
pub(crate) mod channel;
pub(crate) mod channel_override;
pub(crate) mod emoji;
pub(crate) mod guild;
pub(crate) mod hierarchy;
pub(crate) mod markdown_tokens;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod name;
pub(crate) mod permission;
pub(crate) mod reaction;
pub(crate) mod role;
pub(crate) mod role_set;
pub(crate) mod roster;

//! The rules, without IO.

pub(crate) mod channel;
pub(crate) mod guild;
pub(crate) mod markdown_tokens;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod name;
pub(crate) mod permission;
pub(crate) mod role;
pub(crate) mod roster;

//! The tables, one entity each.

pub(crate) mod session;
pub(crate) mod user;

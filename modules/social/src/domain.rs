//! The rules, without IO.

pub(crate) mod contact;
pub(crate) mod friend_request;
pub(crate) mod pair;
pub(crate) mod refusal;
pub(crate) mod tally;

//! Rules without IO: what a name may be, what a password costs, what a token holds, and when an account is locked.

pub(crate) mod access_token;
pub(crate) mod lockout;
pub(crate) mod password;
pub(crate) mod refresh_token;
pub(crate) mod token_key;
pub(crate) mod username;

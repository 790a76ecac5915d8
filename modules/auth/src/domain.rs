//! Rules without IO: what a name may be, what a password costs, what a token holds, when an account is locked, and which bytes are an
//! image.

pub(crate) mod about;
pub(crate) mod access_token;
pub(crate) mod attempts;
pub(crate) mod device;
pub(crate) mod image;
pub(crate) mod lifetime;
pub(crate) mod lockout;
pub(crate) mod password;
pub(crate) mod picture;
pub(crate) mod refresh_token;
pub(crate) mod token_key;
pub(crate) mod username;

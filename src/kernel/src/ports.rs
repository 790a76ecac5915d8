//! The contracts between modules, one file each. A port is added when a second crate needs it, not before.

mod accounts;
mod authenticator;
mod blobs;
mod friends;

pub use accounts::{Account, Accounts};
pub use authenticator::{Authenticator, TokenKeyId};
pub use blobs::{Blob, Blobs, NewBlob};
pub use friends::Friends;

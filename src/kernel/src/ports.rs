//! The contracts between modules, one file each. A port is added when a second crate needs it, not before.

mod accounts;
mod authenticator;

pub use accounts::{Account, Accounts};
pub use authenticator::Authenticator;

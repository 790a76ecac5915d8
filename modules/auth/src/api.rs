//! The routes, one file each.

mod login;
mod logout;
mod me;
mod profile;
mod refresh;
mod register;
mod session;

use poem_openapi::Tags;

pub use self::{login::Login, logout::Logout, me::Me, refresh::Refresh, register::Register};

/// All routes of the module.
pub type Api = (Register, Login, Refresh, Logout, Me);

/// The heading under which the document lists them.
#[derive(Tags)]
#[oai(rename_all = "lowercase")]
enum Tag {
    /// Accounts and sessions.
    Auth,
}

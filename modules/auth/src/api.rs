//! The routes, one file each.

mod captcha;
mod image;
mod image_body;
mod login;
mod logout;
mod me;
mod password;
mod pictures;
mod profile;
mod refresh;
mod register;
mod session;
mod sessions;
mod users;

use poem_openapi::Tags;

pub use self::{
    captcha::CaptchaApi, login::Login, logout::Logout, me::Me, password::PasswordApi,
    pictures::Pictures, profile::ProfileApi, refresh::Refresh, register::Register,
    sessions::SessionsApi, users::Users,
};

/// All routes of the module.
pub type Api = (
    Register,
    Login,
    Refresh,
    Logout,
    CaptchaApi,
    SessionsApi,
    PasswordApi,
    Me,
    ProfileApi,
    Users,
    Pictures,
);

/// The heading under which the document lists them.
#[derive(Tags)]
enum Tag {
    /// Accounts, sessions and passwords.
    Auth,
    /// Profiles and pictures.
    Users,
}

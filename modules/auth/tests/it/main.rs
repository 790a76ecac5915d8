//! The module alone, on both databases: its routes are called as the host calls them, and what the host would give it is faked where
//! it is not the database.

#![allow(clippy::disallowed_methods, reason = "a test is a host of its own")]

mod accounts_model;
mod captcha;
mod document;
mod harness;
mod log_in;
mod operator;
mod passwords;
mod ports;
mod profiles;
mod register;
mod session_list;
mod sessions;
mod sessions_model;
mod several_servers;

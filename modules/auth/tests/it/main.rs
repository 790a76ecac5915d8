//! The module alone, on both databases: its routes are called as the host calls them, and what the host would give it is faked where
//! it is not the database.

mod document;
mod harness;
mod log_in;
mod register;
mod sessions;
mod sessions_model;
mod several_servers;

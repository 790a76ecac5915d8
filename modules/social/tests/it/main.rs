//! The module alone, on both databases: its routes are called as the host calls them, and what the host would give it is faked where
//! it is not the database. The stories with sockets, and the races, are in the workspace's `tests/it`.

mod accounts;
mod blocks;
mod document;
mod friends;
mod harness;
mod requests;

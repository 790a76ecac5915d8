//! Journeys across the whole product, through the real binary.

#![allow(clippy::disallowed_methods, reason = "a test is a host of its own")]

mod arrows;
mod configuration;
mod crashes;
mod documents;
mod edges;
mod event_log;
mod faults;
mod friends;
mod identity;
mod limits;
mod main_job;
mod operator;
mod profiles;
mod restarts;
mod schema;
mod secrets;
mod sessions;
mod strangers;
mod toggles;

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
mod guilds;
mod idempotency;
mod identity;
mod limits;
mod main_job;
mod messages;
mod moderation;
mod operator;
mod permissions;
mod profiles;
mod query_plans;
mod reactions;
mod restarts;
mod schema;
mod secrets;
mod sessions;
mod strangers;
mod toggles;

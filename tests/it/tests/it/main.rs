//! Journeys across the whole product, through the real binary.

mod arrows;
mod configuration;
mod crashes;
mod documents;
mod event_log;
mod faults;
mod limits;
mod main_job;
mod restarts;
mod schema;
mod sessions;
mod strangers;
mod toggles;

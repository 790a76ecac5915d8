//! The schema: one global order, one file per migration, the same on SQLite and Postgres.
//!
//! Rules: a migration that has been released is never edited; names are `m<date>_<number>_<what>`; identifiers are
//! [`columns::id`] columns. The host runs the migrations under a lock, so that several servers may start at once.

pub use sea_orm_migration::{MigrationTrait, MigratorTrait};

pub mod columns;
mod m20261122_000001_event_log;
mod m20261122_000002_auth;
mod m20261122_000003_chat;
mod m20261123_000004_identity;
mod m20261123_000005_social;
mod m20261123_000006_moderation;
mod m20261123_000007_idempotency;
mod m20261123_000008_reactions;
mod m20261123_000009_audit_by_action;
mod m20261123_000010_guild_deletion;

/// All migrations, oldest first.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_event_log::Migration),
            Box::new(m20261122_000002_auth::Migration),
            Box::new(m20261122_000003_chat::Migration),
            Box::new(m20261123_000004_identity::Migration),
            Box::new(m20261123_000005_social::Migration),
            Box::new(m20261123_000006_moderation::Migration),
            Box::new(m20261123_000007_idempotency::Migration),
            Box::new(m20261123_000008_reactions::Migration),
            Box::new(m20261123_000009_audit_by_action::Migration),
            Box::new(m20261123_000010_guild_deletion::Migration),
        ]
    }
}

//! The audit log: who did what to whom, durable before the answer.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    db::WriteTx,
    error::ApiError,
    id::{AuditId, GuildId, UserId},
};

/// One entry.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Who did it; `None` for the server itself.
    pub actor: Option<UserId>,
    /// What: dotted words, for example `session.replay`.
    pub action: &'static str,
    /// In which guild, if in one.
    pub guild: Option<GuildId>,
    /// To whom.
    pub target: Option<UserId>,
    /// More, as a JSON object. Never a secret, never an address.
    pub details: Option<Value>,
    /// The request that did it, as its `x-request-id`, or the operator's command, as in the log; `None` for the server itself.
    pub request_id: Option<Arc<str>>,
}

/// An entry as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Its id; later entries have greater ones.
    pub audit_id: AuditId,
    /// When it was done, in unix seconds.
    pub at_unix: i64,
    /// Who did it; `None` for the server itself.
    pub actor: Option<UserId>,
    /// What.
    pub action: String,
    /// To whom.
    pub target: Option<UserId>,
    /// More.
    pub details: Option<Value>,
}

/// The audit log. The host implements it.
#[async_trait::async_trait]
pub trait Audit: Send + Sync + 'static {
    /// Records `entry` in the transaction of the act itself, so that neither is there without the other.
    ///
    /// # Errors
    /// When the database is away.
    async fn record(&self, tx: &WriteTx, entry: AuditEntry) -> Result<(), ApiError>;

    /// Up to `limit` entries of a guild, newest first: only those before `before`, if given, and only those whose action begins
    /// with `action_prefix`, taken literally.
    ///
    /// # Errors
    /// When the database is away.
    async fn of_guild(
        &self,
        guild: GuildId,
        before: Option<AuditId>,
        action_prefix: Option<&str>,
        limit: u64,
    ) -> Result<Vec<AuditRecord>, ApiError>;
}

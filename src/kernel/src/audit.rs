//! The audit log: who did what to whom, durable before the answer.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    db::WriteTx,
    error::ApiError,
    id::{GuildId, UserId},
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
    /// The request that did it, as its `x-request-id`; `None` for the server itself and for the operator on its machine.
    pub request_id: Option<Arc<str>>,
}

/// Writes the audit log. The host implements it.
#[async_trait::async_trait]
pub trait Audit: Send + Sync + 'static {
    /// Records `entry` in the transaction of the act itself, so that neither is there without the other.
    ///
    /// # Errors
    /// When the database is away.
    async fn record(&self, tx: &WriteTx, entry: AuditEntry) -> Result<(), ApiError>;
}

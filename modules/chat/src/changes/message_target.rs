//! A message that is to be changed: by its author, or by a moderator, who leaves a trace.

use std::sync::Arc;

use filament_kernel::{ApiError, audit::AuditEntry, db::WriteTx, id::MessageId, log::Stop};
use serde_json::json;

use crate::{
    access::ChannelAccess,
    domain::permission::Permission,
    state::State,
    store::{self, messages::Stored},
};

/// Which message, and who asks.
pub(super) struct Target {
    pub(super) state: Arc<State>,
    pub(super) access: ChannelAccess,
    pub(super) message_id: MessageId,
    /// The request that asks, for the audit log.
    pub(super) request_id: Arc<str>,
}

impl Target {
    /// The message.
    ///
    /// # Errors
    /// The refusal when it is not there or the caller may not change it at this moment; and when the database is away.
    pub(super) async fn judge(&self, tx: &WriteTx) -> Result<Stored, Stop> {
        let member = self.access.now().map_err(Stop::Refused)?;
        let channel = self.access.channel_id();
        match store::messages::find(tx, channel, self.message_id).await? {
            None => Err(Stop::Refused(ApiError::not_found())),
            Some(message) if self.is_by_caller(&message) => Ok(message),
            Some(message) if member.may(Permission::DeleteMessage) => Ok(message),
            Some(_) => Err(Stop::Refused(ApiError::forbidden(
                "only the author and members with delete_message may change this message",
            ))),
        }
    }

    /// Records what is done to somebody else's message. What one does to one's own is nobody's business.
    ///
    /// # Errors
    /// When the database is away.
    pub(super) async fn audit(
        &self,
        tx: &WriteTx,
        action: &'static str,
        message: &Stored,
    ) -> Result<(), ApiError> {
        if self.is_by_caller(message) {
            return Ok(());
        }
        let entry = AuditEntry {
            actor: Some(self.access.user_id()),
            action,
            guild: Some(self.access.guild_id()),
            target: Some(message.author_id),
            details: Some(json!({
                "channel_id": self.access.channel_id(),
                "message_id": message.message_id,
            })),
            request_id: Some(self.request_id.clone()),
        };
        self.state.host.audit.record(tx, entry).await
    }

    fn is_by_caller(&self, message: &Stored) -> bool {
        message.author_id == self.access.user_id()
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::MessageId,
    log::{Applied, NewEvent, SingleChange, Stop, Topic},
};

use super::message_target::Target;
use crate::{
    access::ChannelAccess,
    events::{self, MESSAGE_DELETE},
    state::State,
    store,
};

/// Deletes a message with its reactions.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn message_delete(
    state: &Arc<State>,
    access: ChannelAccess,
    message_id: MessageId,
    request_id: Arc<str>,
) -> Result<(), ApiError> {
    let change = MessageDelete(Target {
        state: state.clone(),
        access,
        message_id,
        request_id,
    });
    state.host.log.commit(change).await?
}

struct MessageDelete(Target);

#[async_trait::async_trait]
impl SingleChange for MessageDelete {
    type Output = ();

    async fn make(&self, tx: &WriteTx) -> Result<Applied<()>, Stop> {
        let message = self.0.judge(tx).await?;
        let Target {
            state,
            access,
            message_id,
            ..
        } = &self.0;
        let (guild_id, channel_id) = (access.guild_id(), access.channel_id());
        store::messages::delete(tx, channel_id, &message).await?;
        self.0.audit(tx, "message.delete", &message).await?;
        let event = NewEvent::new(
            Topic::channel(guild_id, channel_id),
            MESSAGE_DELETE,
            &events::MessageDelete {
                guild_id,
                channel_id,
                message_id: *message_id,
                deleted_at_unix: state.host.clock.now_unix(),
                actor_user_id: access.user_id(),
            },
        )?;
        Ok(Applied {
            output: (),
            events: vec![event],
        })
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError, ErrorCode,
    db::WriteTx,
    id::MessageId,
    log::{Applied, Change, NewEvent, Topic},
};

use crate::{
    access::ChannelAccess,
    domain::{
        emoji::Emoji,
        reaction::{Operation, Outcome, Reaction, Tally},
    },
    events::{self, MESSAGE_REACTION},
    state::State,
    store::reactions::{self, Toggle},
};

/// Adds the caller's reaction to a message; answers the emoji as it stands. Nothing happens where they had reacted before.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn reaction_add(
    state: &Arc<State>,
    access: ChannelAccess,
    message_id: MessageId,
    emoji: Emoji,
) -> Result<Reaction, ApiError> {
    toggle(state, access, message_id, emoji, Operation::Add).await
}

/// Takes the caller's reaction back; answers the emoji as it stands. Nothing happens where there is none.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn reaction_remove(
    state: &Arc<State>,
    access: ChannelAccess,
    message_id: MessageId,
    emoji: Emoji,
) -> Result<Reaction, ApiError> {
    toggle(state, access, message_id, emoji, Operation::Remove).await
}

async fn toggle(
    state: &Arc<State>,
    access: ChannelAccess,
    message_id: MessageId,
    emoji: Emoji,
    operation: Operation,
) -> Result<Reaction, ApiError> {
    let toggle = Toggle {
        channel_id: access.channel_id(),
        message_id,
        emoji,
        user_id: access.user_id(),
        operation,
    };
    let change = ReactionToggle {
        state: state.clone(),
        access,
        toggle,
    };
    state.host.log.commit(change).await?
}

struct ReactionToggle {
    state: Arc<State>,
    access: ChannelAccess,
    toggle: Toggle,
}

impl ReactionToggle {
    fn emoji_max(&self) -> u32 {
        self.state.config.reactions_per_message_max
    }

    fn applied(&self, outcome: Outcome) -> Result<Applied<Result<Reaction, ApiError>>, ApiError> {
        Ok(match outcome {
            Outcome::Changed(tally) => Applied {
                events: vec![self.event(&tally)?],
                output: Ok(self.seen(tally)),
            },
            Outcome::Unchanged(tally) => Applied::silent(Ok(self.seen(tally))),
            Outcome::NoMessage => Applied::silent(Err(ApiError::not_found())),
            Outcome::TooManyEmoji => Applied::silent(Err(ApiError::new(
                ErrorCode::QUOTA_EXCEEDED,
                format!(
                    "a message has at most {} different reactions",
                    self.emoji_max()
                ),
            ))),
        })
    }

    fn event(&self, tally: &Tally) -> Result<NewEvent, ApiError> {
        let guild_id = self.access.guild_id();
        let Toggle {
            channel_id,
            message_id,
            ref emoji,
            user_id,
            operation,
        } = self.toggle;
        NewEvent::new(
            Topic::channel(guild_id, channel_id),
            MESSAGE_REACTION,
            &events::MessageReaction {
                guild_id,
                channel_id,
                message_id,
                emoji,
                count: tally.count,
                operation,
                actor_user_id: user_id,
            },
        )
    }

    fn seen(&self, tally: Tally) -> Reaction {
        let reacted_by_me = self.toggle.operation == Operation::Add;
        let listed = self.state.config.reactors_listed_max;
        tally.seen(self.toggle.emoji.clone(), reacted_by_me, listed)
    }
}

#[async_trait::async_trait]
impl Change for ReactionToggle {
    type Output = Result<Reaction, ApiError>;

    const BATCH: usize = 128;

    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<Self::Output>>, ApiError> {
        let judged: Vec<_> = batch.iter().map(|one| one.access.now()).collect();
        let allowed = batch.iter().zip(&judged).filter(|(_, now)| now.is_ok());
        let toggles: Vec<&Toggle> = allowed.map(|(one, _)| &one.toggle).collect();
        let emoji_max = batch.first().map_or(0, |one| one.emoji_max());
        let mut outcomes = reactions::toggle(tx, &toggles, emoji_max)
            .await?
            .into_iter();
        batch
            .iter()
            .zip(judged)
            .filter_map(|(one, now)| match now {
                Ok(_) => outcomes.next().map(|outcome| one.applied(outcome)),
                Err(refusal) => Some(Ok(Applied::silent(Err(refusal)))),
            })
            .collect()
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError, ErrorCode,
    db::WriteTx,
    id::MessageId,
    log::{Applied, Change, NewEvent, Topic},
};

use crate::{
    access::{ChannelAccess, PostAccess},
    domain::{
        emoji::Emoji,
        reaction::{Operation, Outcome, Reaction, Tally},
    },
    events::{self, MESSAGE_REACTION},
    sightings::Sighting,
    state::State,
    store::{
        self,
        reactions::{self, Toggle},
    },
};

/// Adds the caller's reaction to a message; answers the emoji as it stands. Nothing happens where they had reacted before.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn reaction_add(
    state: &Arc<State>,
    access: PostAccess,
    message_id: MessageId,
    emoji: Emoji,
) -> Result<Reaction, ApiError> {
    toggle(state, Access::Add(access), message_id, emoji).await
}

/// Takes the caller's reaction back; answers the emoji as it stands. Nothing happens where there is none.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn reaction_remove(
    state: &Arc<State>,
    access: ChannelAccess,
    message_id: MessageId,
    emoji: Emoji,
) -> Result<Reaction, ApiError> {
    toggle(state, Access::Remove(access), message_id, emoji).await
}

async fn toggle(
    state: &Arc<State>,
    access: Access,
    message_id: MessageId,
    emoji: Emoji,
) -> Result<Reaction, ApiError> {
    let toggle = Toggle {
        channel_id: access.channel().channel_id(),
        message_id,
        emoji,
        user_id: access.channel().user_id(),
        operation: access.operation(),
    };
    let change = ReactionToggle {
        state: state.clone(),
        access,
        toggle,
    };
    state.host.log.commit(change).await?
}

/// What is to be done, with the proof that it takes: to react is to write, to take a reaction back is not.
enum Access {
    Add(PostAccess),
    Remove(ChannelAccess),
}

impl Access {
    fn operation(&self) -> Operation {
        match self {
            Self::Add(_) => Operation::Add,
            Self::Remove(_) => Operation::Remove,
        }
    }

    fn channel(&self) -> &ChannelAccess {
        match self {
            Self::Add(access) => access.channel(),
            Self::Remove(access) => access,
        }
    }

    /// Asks the proof again; `now_unix` is this moment.
    fn check(&self, now_unix: i64) -> Result<(), ApiError> {
        match self {
            Self::Add(access) => access.now(now_unix).map(drop),
            Self::Remove(access) => access.now().map(drop),
        }
    }

    /// From where the caller writes, if they do.
    fn sighting(&self) -> Option<&Sighting> {
        match self {
            Self::Add(access) => Some(access.sighting()),
            Self::Remove(_) => None,
        }
    }
}

struct ReactionToggle {
    state: Arc<State>,
    access: Access,
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
        let guild_id = self.access.channel().guild_id();
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
        let Some(first) = batch.first() else {
            return Ok(Vec::new());
        };
        let now = first.state.host.clock.now_unix();
        let judged: Vec<_> = batch.iter().map(|one| one.access.check(now)).collect();
        let allowed = batch
            .iter()
            .zip(&judged)
            .filter(|(_, judged)| judged.is_ok());
        let toggles: Vec<&Toggle> = allowed.map(|(one, _)| &one.toggle).collect();
        let mut outcomes = reactions::toggle(tx, &toggles, first.emoji_max())
            .await?
            .into_iter();
        let mut applied = Vec::with_capacity(batch.len());
        for (one, judged) in batch.iter().zip(judged) {
            if let Err(refusal) = judged {
                applied.push(Applied::silent(Err(refusal)));
                continue;
            }
            let Some(outcome) = outcomes.next() else {
                return Err(ApiError::internal("a toggle has no outcome"));
            };
            let done = one.applied(outcome)?;
            let sighting = one.access.sighting().filter(|_| done.output.is_ok());
            if let Some(seen) = sighting.and_then(|sighting| sighting.unrecorded()) {
                store::addresses::record(tx, seen, now).await?;
            }
            applied.push(done);
        }
        Ok(applied)
    }

    fn committed(&self, output: &Self::Output) {
        if let (Ok(_), Some(sighting)) = (output, self.access.sighting()) {
            let now = self.state.host.clock.now_unix();
            self.state.sightings.recorded(sighting, now);
        }
    }
}

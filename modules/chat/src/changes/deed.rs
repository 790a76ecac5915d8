//! What members do to their guild, with a trace: the frame that all such changes share.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    audit::AuditEntry,
    db::WriteTx,
    id::GuildId,
    log::{Applied, NewEvent, SingleChange, Stop},
};

use crate::{domain::roster::Fact, state::State};

/// Something that a member does to their guild.
pub(super) trait Deed: Send + Sync + Sized + 'static {
    /// What the caller gets.
    type Output: Send + 'static;

    /// To which guild.
    fn guild_id(&self) -> GuildId;

    /// Does it. The proofs of what the member may do are to be asked again here. What is refused (a status below 500) must be refused
    /// before anything is written, because the transaction is shared and goes on.
    fn make(
        &self,
        state: &State,
        tx: &WriteTx,
    ) -> impl Future<Output = Result<Done<Self::Output>, ApiError>> + Send;
}

/// What was done.
pub(super) struct Done<T> {
    /// What the caller gets.
    pub(super) output: T,
    /// What everybody else gets.
    pub(super) events: Vec<NewEvent>,
    /// What memory learns.
    pub(super) facts: Vec<Fact>,
    /// What the audit log says.
    pub(super) entry: Option<AuditEntry>,
}

impl<T> Done<T> {
    /// There was nothing to do.
    pub(super) fn nothing(output: T) -> Self {
        Self {
            output,
            events: Vec::new(),
            facts: Vec::new(),
            entry: None,
        }
    }
}

/// Does it, and answers when it is durable and holds everywhere.
pub(super) async fn carry_out<D: Deed>(state: &Arc<State>, deed: D) -> Result<D::Output, ApiError> {
    let state = state.clone();
    let (output, _) = state
        .host
        .log
        .commit(Carried {
            state: state.clone(),
            deed,
        })
        .await??;
    Ok(output)
}

struct Carried<D> {
    state: Arc<State>,
    deed: D,
}

#[async_trait::async_trait]
impl<D: Deed> SingleChange for Carried<D> {
    type Output = (D::Output, Vec<Fact>);

    const BARRIER: bool = true;

    async fn make(&self, tx: &WriteTx) -> Result<Applied<Self::Output>, Stop> {
        let done = match self.deed.make(&self.state, tx).await {
            Ok(done) => done,
            Err(refusal) if refusal.code().status < 500 => return Err(Stop::Refused(refusal)),
            Err(failure) => return Err(Stop::Failed(failure)),
        };
        if let Some(entry) = done.entry {
            self.state.host.audit.record(tx, entry).await?;
        }
        Ok(Applied {
            output: (done.output, done.facts),
            events: done.events,
        })
    }

    fn made(&self, (_, facts): &Self::Output) {
        if facts.iter().any(Fact::leaves_remains) {
            self.state.doomed.notify_one();
        }
        let facts = facts.iter().cloned();
        self.state.directory.note(self.deed.guild_id(), facts);
    }
}

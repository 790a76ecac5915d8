//! How a change is committed: refused without hurting those who share its transaction.

use filament_kernel::{
    ApiError,
    db::WriteTx,
    log::{Applied, Change},
};
use sea_orm::DbErr;

use crate::{domain::refusal::Refusal, state::State};

/// Why an act was not done.
pub(super) enum Stop {
    /// It is not allowed. Must come before the act has written anything: what is written stays.
    Refused(Refusal),
    /// It went wrong. The transaction is rolled back.
    Failed(ApiError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<DbErr> for Stop {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}

/// Something that one person does, as one change of the log. The log makes changes one after the other, so what an act reads in its
/// transaction holds until the act is committed.
#[async_trait::async_trait]
pub(super) trait Act: Send + Sync + 'static {
    /// What the person is answered.
    type Output: Send + 'static;

    /// Does it in `tx`. May run more than once, and must touch nothing else.
    async fn make(&self, tx: &WriteTx) -> Result<Applied<Self::Output>, Stop>;

    /// Runs once after the commit.
    fn committed(&self, output: &Self::Output) {
        let _ = output;
    }
}

/// An act as the log takes it: a refusal is an output, as an error would roll back everybody who shares the transaction.
struct Committing<A>(A);

#[async_trait::async_trait]
impl<A: Act> Change for Committing<A> {
    type Output = Result<A::Output, Refusal>;

    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<Self::Output>>, ApiError> {
        let mut applied = Vec::with_capacity(batch.len());
        for Self(act) in batch {
            applied.push(match act.make(tx).await {
                Ok(Applied { output, events }) => Applied {
                    output: Ok(output),
                    events,
                },
                Err(Stop::Refused(refusal)) => Applied::silent(Err(refusal)),
                Err(Stop::Failed(error)) => return Err(error),
            });
        }
        Ok(applied)
    }

    fn committed(&self, output: &Self::Output) {
        if let Ok(output) = output {
            self.0.committed(output);
        }
    }
}

/// Does it.
///
/// # Errors
/// The refusal, and what the log says.
pub(super) async fn commit<A: Act>(state: &State, act: A) -> Result<A::Output, ApiError> {
    Ok(state.host.log.commit(Committing(act)).await??)
}

use async_trait::async_trait;
use sea_orm::DbErr;

use super::{Applied, Change};
use crate::{db::WriteTx, error::ApiError};

/// Why a [`SingleChange`] was not made.
#[derive(Debug)]
pub enum Stop {
    /// It is not allowed. Must come before anything was written: the transaction is shared and goes on.
    Refused(ApiError),
    /// It went wrong. The transaction is rolled back.
    Failed(ApiError),
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

/// A [`Change`] that is made by itself and may be refused. The log makes changes one after the other, so what one reads in its
/// transaction holds until it is committed. A refusal is an output, as an error would roll back everybody who shares the transaction.
///
/// `log.commit(change).await??` makes it: the first `?` is the log's, the second the refusal.
#[async_trait]
pub trait SingleChange: Send + Sync + Sized + 'static {
    /// What the caller gets if it was made.
    type Output: Send + 'static;

    /// [`Change::BARRIER`].
    const BARRIER: bool = false;

    /// Makes the change in `tx`. May run more than once, and must touch nothing else.
    ///
    /// # Errors
    /// See [`Stop`].
    async fn make(&self, tx: &WriteTx) -> Result<Applied<Self::Output>, Stop>;

    /// [`Change::committed`], if it was made.
    fn made(&self, output: &Self::Output) {
        let _ = output;
    }
}

#[async_trait]
impl<C: SingleChange> Change for C {
    type Output = Result<C::Output, ApiError>;

    const BARRIER: bool = <C as SingleChange>::BARRIER;

    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<Self::Output>>, ApiError> {
        let mut applied = Vec::with_capacity(batch.len());
        for change in batch {
            applied.push(match change.make(tx).await {
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
            self.made(output);
        }
    }
}

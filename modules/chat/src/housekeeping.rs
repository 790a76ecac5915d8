//! What is deleted little by little, beside everything else: the messages of channels that are gone, and addresses that were not
//! seen for long. What is to be done stands in the tables, so that it goes on after a crash.

use std::{sync::Arc, time::Duration};

use filament_kernel::{ApiError, id::ChannelId};

use crate::{state::State, store};

/// Messages that are deleted in one transaction: few enough that nobody who writes has to wait.
const MESSAGES_PER_STEP: u64 = 500;
/// How long to rest between two steps, so that those who write come first.
const BETWEEN_STEPS: Duration = Duration::from_millis(20);
/// How often to look for old addresses, and for what an earlier failure has left.
const ROUND: Duration = Duration::from_secs(600);
/// How long an address is remembered after it was seen last.
const REMEMBERED_SECS: i64 = 90 * 86_400;

/// Runs as long as the module lives.
pub(crate) async fn run(state: Arc<State>) {
    tokio::select! {
        // Wherever it is: a transaction that is dropped is rolled back.
        () = state.scope.cancelled() => {}
        () = rounds(&state) => {}
    }
}

async fn rounds(state: &State) {
    loop {
        if let Err(error) = round(state).await {
            tracing::warn!(%error, cause = ?error.cause(), "housekeeping was interrupted and will go on later");
        }
        tokio::select! {
            () = state.doomed.notified() => {}
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

async fn round(state: &State) -> Result<(), ApiError> {
    while let Some(channel) = store::doomed::first(state.host.db.read()).await? {
        while delete_some(state, channel).await? {
            tokio::time::sleep(BETWEEN_STEPS).await;
        }
    }
    let before = state.host.clock.now_unix() - REMEMBERED_SECS;
    let db = &state.host.db;
    db.write(move |tx| Box::pin(async move { Ok(store::addresses::forget(tx, before).await?) }))
        .await
}

/// Answers whether there is more.
async fn delete_some(state: &State, channel: ChannelId) -> Result<bool, ApiError> {
    let db = &state.host.db;
    db.write(move |tx| {
        Box::pin(
            async move { Ok(store::doomed::delete_some(tx, channel, MESSAGES_PER_STEP).await?) },
        )
    })
    .await
}

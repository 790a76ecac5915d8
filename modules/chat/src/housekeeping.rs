//! What is deleted little by little, beside everything else: the messages of channels that are gone, the rows of guilds that are gone,
//! and addresses that were not seen for long. What is to be done stands in the tables, so that it goes on after a crash.

use std::{sync::Arc, time::Duration};

use filament_kernel::{
    ApiError,
    id::{ChannelId, GuildId},
};

use crate::{state::State, store};

/// Messages, or rows of a guild, that are deleted in one transaction: few enough that nobody who writes has to wait.
const ROWS_PER_STEP: u64 = 500;
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
    while let Some(channel) = store::doomed::first_channel(state.host.db.read()).await? {
        while delete_messages(state, channel).await? {
            tokio::time::sleep(BETWEEN_STEPS).await;
        }
    }
    while let Some(guild) = store::doomed::first_guild(state.host.db.read()).await? {
        while delete_rows(state, guild).await? {
            tokio::time::sleep(BETWEEN_STEPS).await;
        }
    }
    let before = state.host.clock.now_unix() - REMEMBERED_SECS;
    let db = &state.host.db;
    db.write(move |tx| Box::pin(async move { Ok(store::addresses::forget(tx, before).await?) }))
        .await
}

/// Answers whether there is more.
async fn delete_messages(state: &State, channel: ChannelId) -> Result<bool, ApiError> {
    let db = &state.host.db;
    db.write(move |tx| {
        Box::pin(
            async move { Ok(store::doomed::delete_messages(tx, channel, ROWS_PER_STEP).await?) },
        )
    })
    .await
}

/// Answers whether there is more.
async fn delete_rows(state: &State, guild: GuildId) -> Result<bool, ApiError> {
    let db = &state.host.db;
    db.write(move |tx| {
        Box::pin(async move { Ok(store::doomed::delete_rows(tx, guild, ROWS_PER_STEP).await?) })
    })
    .await
}

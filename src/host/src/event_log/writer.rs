use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use filament_kernel::{
    ApiError, ErrorCode,
    clock::Clock,
    db::{Database, WriteTx, is_unreachable},
    id::Ids,
    log::{Applied, LogBackend, LoggedEvent, NewEvent, PendingChange, Stream},
    scope::panic_message,
};
use futures_util::FutureExt;
use sea_orm::DbErr;
use tokio::sync::mpsc;
use tracing::{error, warn};

use super::store;

/// Changes that may wait; beyond, callers are told to come back.
const QUEUE: usize = 8_192;
/// Changes that share a transaction at most.
const MAX_BATCH: usize = 256;
/// Batches of committed events that may wait for delivery before the writer waits for them.
const DELIVERY_QUEUE: usize = 64;
/// A transaction that takes longer is given up.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(8);

type Change = Box<dyn PendingChange>;
type Output = Box<dyn Any + Send>;

/// The events of one commit, in the order of their numbers within each stream.
pub type Committed = Vec<(i64, NewEvent)>;

/// The log's side towards modules.
pub struct EventLogBackend {
    db: Database,
    queue: mpsc::Sender<Change>,
}

#[async_trait::async_trait]
impl LogBackend for EventLogBackend {
    fn enqueue(&self, change: Change) -> Result<(), Change> {
        self.queue.try_send(change).map_err(|refused| {
            metrics::counter!("filament_log_refused_total").increment(1);
            refused.into_inner()
        })
    }

    async fn read(
        &self,
        stream: Stream,
        after: i64,
        limit: u64,
    ) -> Result<Vec<LoggedEvent>, ApiError> {
        Ok(store::read(self.db.read(), stream, after, limit).await?)
    }

    async fn head(&self, stream: Stream) -> Result<i64, ApiError> {
        Ok(store::head(self.db.read(), stream).await?)
    }
}

/// The only one that writes events. Run it in a task; it ends when every [`EventLogBackend`] is gone and all is written.
pub struct Writer {
    db: Database,
    clock: Clock,
    ids: Arc<Ids>,
    queue: mpsc::Receiver<Change>,
    delivery: mpsc::Sender<Committed>,
}

/// Prepares the log of a migrated database. From then on `ids` are later than anything the log knows, whatever the clock says.
///
/// # Errors
/// When the database does not answer.
pub async fn start(
    db: &Database,
    clock: &Clock,
    ids: &Arc<Ids>,
) -> Result<(EventLogBackend, Writer, mpsc::Receiver<Committed>), DbErr> {
    if let Some(latest) = store::latest_ms(db.read()).await? {
        ids.not_before(UNIX_EPOCH + Duration::from_millis(u64::try_from(latest).unwrap_or(0)));
    }
    let (sender, queue) = mpsc::channel(QUEUE);
    let (delivery, events) = mpsc::channel(DELIVERY_QUEUE);
    let backend = EventLogBackend {
        db: db.clone(),
        queue: sender,
    };
    let writer = Writer {
        db: db.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        queue,
        delivery,
    };
    Ok((backend, writer, events))
}

/// What a transaction left to do once it is known to be committed.
struct Made {
    outputs: Vec<Output>,
    events: Committed,
}

/// How a transaction failed.
enum Failure {
    /// Nothing was written. With `away` the fault is the database's; without, it may be that of one change among several.
    Refused { error: ApiError, away: bool },
    /// The commit was sent and nobody knows what came of it.
    Unknown {
        made: Made,
        at_ms: i64,
        error: DbErr,
    },
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub async fn run(mut self) {
        let mut waiting = Vec::with_capacity(MAX_BATCH);
        while self.queue.recv_many(&mut waiting, MAX_BATCH).await > 0 {
            // Whoever has given up by now is told nothing any more, so nothing is done: a retry would do it twice.
            waiting.retain(|change| !change.is_abandoned());
            if waiting.is_empty() {
                continue;
            }
            let batch = std::mem::take(&mut waiting);
            metrics::histogram!("filament_log_batch_changes").record(batch.len() as f64);
            for part in split_at_barriers(batch) {
                self.write_all(part).await;
            }
        }
    }

    /// Writes a batch in one transaction or, if that is refused, each change in its own.
    async fn write_all(&self, batch: Vec<Change>) {
        match self.write(&batch).await {
            Ok(made) => self.finish(batch, made).await,
            Err(Failure::Refused { away: false, .. }) if batch.len() > 1 => {
                let mut rest = batch.into_iter();
                while let Some(change) = rest.next() {
                    let one = vec![change];
                    match self.write(&one).await {
                        Ok(made) => self.finish(one, made).await,
                        Err(failure @ Failure::Refused { away: true, .. }) => {
                            // The database is away: the others need not find that out one by one.
                            let all = one.into_iter().chain(rest).collect();
                            return self.fail(all, failure).await;
                        }
                        Err(failure) => self.fail(one, failure).await,
                    }
                }
            }
            Err(failure) => self.fail(batch, failure).await,
        }
    }

    async fn write(&self, batch: &[Change]) -> Result<Made, Failure> {
        let refused = |error: ApiError| {
            let away = error.code() == ErrorCode::SERVICE_UNAVAILABLE;
            Failure::Refused { error, away }
        };
        let work = AssertUnwindSafe(self.transact(batch)).catch_unwind();
        let (tx, made, at_ms) = match tokio::time::timeout(TRANSACTION_TIMEOUT, work).await {
            Ok(Ok(result)) => result?,
            Ok(Err(panic)) => {
                let message = panic_message(&*panic);
                error!(message, "a change panicked");
                return Err(refused(ApiError::internal(format!("panic: {message}"))));
            }
            Err(_) => {
                return Err(refused(ApiError::unavailable(
                    "the database did not answer in time",
                )));
            }
        };
        // Once the commit is sent, no answer is no refusal any more.
        let late = || DbErr::Custom("the commit was not answered in time".to_string());
        let committed = tokio::time::timeout(TRANSACTION_TIMEOUT, tx.commit()).await;
        match committed.unwrap_or_else(|_| Err(late())) {
            Ok(()) => Ok(made),
            Err(error) => Err(Failure::Unknown { made, at_ms, error }),
        }
    }

    /// Everything but the commit.
    async fn transact(&self, batch: &[Change]) -> Result<(WriteTx, Made, i64), Failure> {
        let refuse = |error: DbErr| Failure::Refused {
            away: is_unreachable(&error),
            error: error.into(),
        };
        let tx = self.db.begin().await.map_err(refuse)?;
        let mut outputs = Vec::with_capacity(batch.len());
        let mut events: Vec<NewEvent> = Vec::with_capacity(batch.len());
        for run in runs(batch) {
            let changes: Vec<&dyn PendingChange> = run.iter().map(|change| &**change).collect();
            let applied =
                changes[0]
                    .apply(&changes, &tx)
                    .await
                    .map_err(|error| Failure::Refused {
                        away: error.code() == ErrorCode::SERVICE_UNAVAILABLE,
                        error,
                    })?;
            for Applied {
                output,
                events: new,
            } in applied
            {
                outputs.push(output);
                events.extend(new);
            }
        }
        let mut counts = BTreeMap::<Stream, i64>::new();
        for event in &events {
            *counts.entry(event.topic.stream).or_default() += 1;
        }
        // Not before the last id: after a restart, new ids begin behind the latest time that stands here.
        let now_ms = self.clock.now_ms().max(self.ids.latest_ms());
        let mut next = store::take_numbers(&tx, &counts, now_ms)
            .await
            .map_err(refuse)?;
        let events: Committed = events
            .into_iter()
            .map(|event| {
                let number = next.entry(event.topic.stream).or_default();
                *number += 1;
                (*number - 1, event)
            })
            .collect();
        store::append(&tx, &events, now_ms).await.map_err(refuse)?;
        Ok((tx, Made { outputs, events }, now_ms))
    }

    /// Brings memory up to date and answers the callers, then hands the events on.
    async fn finish(&self, batch: Vec<Change>, made: Made) {
        metrics::counter!("filament_log_changes_total").increment(batch.len() as u64);
        metrics::counter!("filament_log_events_total").increment(made.events.len() as u64);
        for (change, output) in batch.into_iter().zip(made.outputs) {
            // `committed` is the module's code; a panic in it must not take the log down.
            let told = std::panic::catch_unwind(AssertUnwindSafe(|| change.succeed(output)));
            if let Err(panic) = told {
                error!(
                    message = panic_message(&*panic),
                    "a committed change panicked"
                );
            }
        }
        if !made.events.is_empty() {
            let _ = self.delivery.send(made.events).await;
        }
    }

    async fn fail(&self, batch: Vec<Change>, failure: Failure) {
        match failure {
            Failure::Refused { error, .. } => {
                let mut batch = batch.into_iter();
                let code = error.code();
                let message = error.message().to_string();
                if let Some(first) = batch.next() {
                    first.fail(error);
                }
                for change in batch {
                    change.fail(ApiError::new(code, message.clone()));
                }
            }
            Failure::Unknown { made, at_ms, error } => {
                warn!(%error, "a commit was cut off; finding out whether it was made");
                let first = made.events.first().cloned();
                if self.was_made(first, at_ms).await {
                    self.finish(batch, made).await;
                } else {
                    for change in batch {
                        change.fail(ApiError::unavailable(
                            "the database was cut off; nothing was written",
                        ));
                    }
                }
            }
        }
    }

    /// Asks the database, for as long as it takes, whether a commit with an unknown end was made. Nothing else can be written
    /// meanwhile: whoever writes next must know the numbers. The transaction is all or nothing, so one event answers for all.
    async fn was_made(&self, first: Option<(i64, NewEvent)>, at_ms: i64) -> bool {
        let Some((number, event)) = first else {
            return false;
        };
        let mut wait = Duration::from_millis(50);
        let since = Instant::now();
        loop {
            // The lost transaction may still be open on the database's side, and not to be seen is then not to be not made.
            let look = async {
                let tx = self.db.begin().await?;
                store::wait_for_others(&tx, event.topic.stream).await?;
                let answer = store::contains(&tx, number, &event, at_ms).await?;
                tx.rollback().await?;
                Ok::<_, DbErr>(answer)
            };
            match tokio::time::timeout(TRANSACTION_TIMEOUT, look).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => warn!(%error, waited = ?since.elapsed(), "the database is away"),
                Err(_) => warn!(waited = ?since.elapsed(), "the database does not answer"),
            }
            if self.queue.is_closed() && since.elapsed() > Duration::from_secs(10) {
                return false;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }
}

/// Splits a batch into what shares a transaction, keeping the order. A barrier stands alone: what comes before it is committed and
/// noted in memory before the barrier is judged by that, and what comes after is judged by what the barrier left.
fn split_at_barriers(batch: Vec<Change>) -> Vec<Vec<Change>> {
    let mut parts: Vec<Vec<Change>> = Vec::new();
    let mut is_open = false;
    for change in batch {
        let is_barrier = change.is_barrier();
        match parts.last_mut() {
            Some(part) if is_open && !is_barrier => part.push(change),
            _ => parts.push(vec![change]),
        }
        is_open = !is_barrier;
    }
    parts
}

/// Splits a batch into runs of changes that may be applied by one call, keeping the order.
fn runs(batch: &[Change]) -> Vec<&[Change]> {
    let mut found = Vec::new();
    let mut rest = batch;
    while let Some(first) = rest.first() {
        let kind: TypeId = first.kind();
        let length = rest
            .iter()
            .take(first.batch_limit())
            .take_while(|change| change.kind() == kind)
            .count();
        let (run, later) = rest.split_at(length);
        found.push(run);
        rest = later;
    }
    found
}

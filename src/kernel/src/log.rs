//! The event log as modules see it: what was acknowledged is never lost.
//!
//! Everything that clients must see is an **event** in a **stream**: one stream per guild, one per user. A module
//! describes a change to the database and the events that tell of it as a [`Change`] and hands it to
//! [`EventLog::commit`]. In one transaction the change is made, its events get the next numbers of their streams, and
//! all of it is stored; only after the commit is the change acknowledged and are the events delivered, in the order of
//! their numbers. Changes that wait at the same time share a transaction, so that a busy server pays for one commit
//! where it would have paid for a hundred.
//!
//! Facts that are of the moment only (presence, typing) do not belong here; see [`crate::gateway`].

mod single_change;

use std::{
    any::{Any, TypeId},
    fmt,
    future::Future,
    pin::Pin,
    str::FromStr,
    sync::Arc,
};

use serde::Serialize;
use tokio::sync::oneshot;

pub use self::single_change::{SingleChange, Stop};
use crate::{
    db::WriteTx,
    error::ApiError,
    id::{ChannelId, GuildId, UserId},
};

/// A sequence of events with gapless numbers from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// What happens in a guild.
    Guild(GuildId),
    /// What concerns one user, whatever the guild.
    User(UserId),
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guild(id) => write!(f, "guild:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
        }
    }
}

impl FromStr for Stream {
    type Err = crate::id::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("guild", id)) => id.parse().map(Self::Guild),
            Some(("user", id)) => id.parse().map(Self::User),
            _ => Err(crate::id::InvalidId),
        }
    }
}

/// Whom an event is for: everybody who follows a stream, or those who follow one channel of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The stream whose numbers the event takes.
    pub stream: Stream,
    /// Only for the followers of this channel.
    pub channel: Option<ChannelId>,
}

impl From<Stream> for Topic {
    fn from(stream: Stream) -> Self {
        Self {
            stream,
            channel: None,
        }
    }
}

impl Topic {
    /// A channel of a guild.
    pub fn channel(guild: GuildId, channel: ChannelId) -> Self {
        Self {
            stream: Stream::Guild(guild),
            channel: Some(channel),
        }
    }
}

/// Judges users, as an event is delivered.
#[derive(Clone)]
pub struct Judge<T>(Arc<dyn Fn(&T) -> bool + Send + Sync>);

impl<T> Judge<T> {
    /// Asks `judge`, which must be quick: it is asked for each follower.
    pub fn new(judge: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }

    /// What it says of `subject`.
    pub fn allows(&self, subject: &T) -> bool {
        (self.0)(subject)
    }
}

impl<T> fmt::Debug for Judge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

/// What an event does to those who follow its stream, beside admitting and expelling one user. All of it is judged and done as
/// the event is delivered; by then [`Change::committed`] has run, so a judge that looks at what is kept in memory sees the change.
#[derive(Debug, Clone, Default)]
pub struct Effect {
    /// Only these of the stream's followers get the event; all of them where nobody judges.
    pub heard_by: Option<Judge<UserId>>,
    /// From this event on only these users follow these channels of the stream; who follows another stops.
    pub seen_by: Option<Judge<(UserId, ChannelId)>>,
    /// Nobody follows the stream after this event.
    pub ends_stream: bool,
}

/// An event that is about to be logged.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// For whom.
    pub topic: Topic,
    /// Its name, claimed in the module's manifest.
    pub name: &'static str,
    /// Its payload: the text of one JSON object.
    pub data: Arc<str>,
    /// This user follows the stream from this event on, this event included.
    pub admits: Option<UserId>,
    /// This user follows the stream up to this event, this event included.
    pub expels: Option<UserId>,
    /// What else it does to those who follow the stream; not stored.
    pub effect: Option<Arc<Effect>>,
}

impl NewEvent {
    /// An event whose payload is `data`, which must serialise as a JSON object.
    ///
    /// # Errors
    /// 500 when `data` does not serialise.
    pub fn new(
        topic: impl Into<Topic>,
        name: &'static str,
        data: &impl Serialize,
    ) -> Result<Self, ApiError> {
        let text = serde_json::to_string(data).map_err(ApiError::internal)?;
        Ok(Self::from_text(topic, name, text))
    }

    /// An event whose payload is already the text of one JSON object.
    pub fn from_text(
        topic: impl Into<Topic>,
        name: &'static str,
        data: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            topic: topic.into(),
            name,
            data: data.into(),
            admits: None,
            expels: None,
            effect: None,
        }
    }

    /// `user` follows the stream from this event on.
    #[must_use]
    pub fn admitting(mut self, user: UserId) -> Self {
        self.admits = Some(user);
        self
    }

    /// `user` follows the stream no further than this event.
    #[must_use]
    pub fn expelling(mut self, user: UserId) -> Self {
        self.expels = Some(user);
        self
    }

    /// The event does more to those who follow the stream.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = Some(Arc::new(effect));
        self
    }
}

/// An event as it stands in the log.
#[derive(Debug, Clone)]
pub struct LoggedEvent {
    /// Its place in its stream.
    pub number: i64,
    /// When it was committed, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The event itself; the name is owned, as it comes from the database.
    pub name: String,
    /// For whom.
    pub topic: Topic,
    /// Its payload.
    pub data: Arc<str>,
    /// Who was admitted by it.
    pub admits: Option<UserId>,
    /// Who was expelled by it.
    pub expels: Option<UserId>,
}

/// What a change came to, inside its transaction.
#[derive(Debug)]
pub struct Applied<T> {
    /// What the caller gets once it is committed.
    pub output: T,
    /// What everybody else gets.
    pub events: Vec<NewEvent>,
}

impl<T> Applied<T> {
    /// A change that tells nobody.
    pub fn silent(output: T) -> Self {
        Self {
            output,
            events: Vec::new(),
        }
    }
}

/// A change to the database together with the events that tell of it.
///
/// [`Change::apply`] may run more than once: when one change of a shared transaction fails, the transaction is rolled back and
/// each is tried by itself. It must therefore do nothing but work on `tx`; what belongs into memory is done in
/// [`Change::committed`]. It should be quick: changes of all streams share the way to the database. A refusal that is to be
/// expected (over a limit, not allowed any more) is better made an [`Change::Output`] that says so, with no events: an error makes the
/// whole batch run again one by one, which somebody who keeps asking could use against everybody. [`SingleChange`] sees to that, for all
/// changes that gain nothing from being written many at once.
#[async_trait::async_trait]
pub trait Change: Send + Sync + Sized + 'static {
    /// What the caller gets.
    type Output: Send + 'static;

    /// How many changes of this kind one call of `apply` takes at most. Raise it where many can be written by one statement.
    const BATCH: usize = 1;

    /// Whether a change of this kind has a transaction of its own. It finds in memory what [`Change::committed`] made of everything before
    /// it in the queue, and what comes after it finds what it made itself, and is judged by that: for changes that take rights away.
    const BARRIER: bool = false;

    /// Makes the changes of `batch` (1 to [`Change::BATCH`], oldest first), answering for each, in the same order.
    ///
    /// # Errors
    /// Whatever refuses the change. Nothing of it is kept, and only its own caller hears of it.
    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<Self::Output>>, ApiError>;

    /// Runs once after the commit, in commit order, before the caller is answered and before the events are delivered: the
    /// place to bring what is kept in memory up to date. Must not block.
    fn committed(&self, output: &Self::Output) {
        let _ = output;
    }
}

/// A future that borrows.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a batch of changes of erased types came to.
pub type AppliedBatch = Result<Vec<Applied<Box<dyn Any + Send>>>, ApiError>;

/// A change in the queue, its types erased; the host's end of [`EventLog::commit`].
pub trait PendingChange: Send + Sync {
    /// Changes of the same kind may share a call of `apply`.
    fn kind(&self) -> TypeId;
    /// [`Change::BATCH`].
    fn batch_limit(&self) -> usize;
    /// [`Change::BARRIER`].
    fn is_barrier(&self) -> bool;
    /// The change itself.
    fn as_any(&self) -> &dyn Any;
    /// Applies a batch of changes that are all of this one's kind; outputs are the boxed [`Change::Output`].
    fn apply<'a>(
        &self,
        batch: &'a [&'a dyn PendingChange],
        tx: &'a WriteTx,
    ) -> BoxFuture<'a, AppliedBatch>;
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Runs [`Change::committed`] and answers the caller.
    fn succeed(self: Box<Self>, output: Box<dyn Any + Send>);
    /// Answers the caller.
    fn fail(self: Box<Self>, error: ApiError);
}

struct Pending<C: Change> {
    change: C,
    reply: oneshot::Sender<Result<C::Output, ApiError>>,
}

impl<C: Change> PendingChange for Pending<C> {
    fn kind(&self) -> TypeId {
        TypeId::of::<C>()
    }

    fn batch_limit(&self) -> usize {
        C::BATCH.max(1)
    }

    fn is_barrier(&self) -> bool {
        C::BARRIER
    }

    fn as_any(&self) -> &dyn Any {
        &self.change
    }

    fn apply<'a>(
        &self,
        batch: &'a [&'a dyn PendingChange],
        tx: &'a WriteTx,
    ) -> BoxFuture<'a, AppliedBatch> {
        Box::pin(async move {
            let changes: Vec<&C> = batch
                .iter()
                .filter_map(|pending| pending.as_any().downcast_ref::<C>())
                .collect();
            let applied = C::apply(&changes, tx).await?;
            if applied.len() != batch.len() {
                return Err(ApiError::internal(format!(
                    "{} answered {} of {} changes",
                    std::any::type_name::<C>(),
                    applied.len(),
                    batch.len()
                )));
            }
            Ok(applied
                .into_iter()
                .map(|one| Applied {
                    output: Box::new(one.output) as Box<dyn Any + Send>,
                    events: one.events,
                })
                .collect())
        })
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn succeed(self: Box<Self>, output: Box<dyn Any + Send>) {
        if let Ok(output) = output.downcast::<C::Output>() {
            self.change.committed(&output);
            // The caller may have gone; the change stands all the same.
            let _ = self.reply.send(Ok(*output));
        }
    }

    fn fail(self: Box<Self>, error: ApiError) {
        let _ = self.reply.send(Err(error));
    }
}

/// What the host does for [`EventLog`].
#[async_trait::async_trait]
pub trait LogBackend: Send + Sync + 'static {
    /// Queues a change.
    ///
    /// # Errors
    /// Gives the change back when the queue is full or the server stops.
    fn enqueue(&self, change: Box<dyn PendingChange>) -> Result<(), Box<dyn PendingChange>>;

    /// Up to `limit` events of `stream` with numbers above `after`, in order.
    async fn read(
        &self,
        stream: Stream,
        after: i64,
        limit: u64,
    ) -> Result<Vec<LoggedEvent>, ApiError>;

    /// The number of the stream's last event, 0 when there is none.
    async fn head(&self, stream: Stream) -> Result<i64, ApiError>;
}

/// The event log.
#[derive(Clone)]
pub struct EventLog(Arc<dyn LogBackend>);

impl EventLog {
    /// For the host, and for tests.
    pub fn new(backend: Arc<dyn LogBackend>) -> Self {
        Self(backend)
    }

    /// Makes a change and tells of it. Once its turn has come it is carried out even if the caller goes away; a caller that goes away
    /// before takes its change along. What must be done either way goes through [`crate::scope::Scope::finish`].
    ///
    /// # Errors
    /// Those of [`Change::apply`]; 503 when too many changes wait, the database is away, or the server stops. A 503 here means
    /// that the change was not made, or that nobody can tell: never that it was acknowledged.
    pub async fn commit<C: Change>(&self, change: C) -> Result<C::Output, ApiError> {
        let (reply, answer) = oneshot::channel();
        if let Err(refused) = self.0.enqueue(Box::new(Pending { change, reply })) {
            refused.fail(
                ApiError::unavailable("too many changes wait to be written")
                    .retry_after(std::time::Duration::from_secs(1)),
            );
        }
        answer
            .await
            .unwrap_or_else(|_| Err(ApiError::unavailable("the server is stopping")))
    }

    /// Up to `limit` events of `stream` with numbers above `after`, oldest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn read(
        &self,
        stream: Stream,
        after: i64,
        limit: u64,
    ) -> Result<Vec<LoggedEvent>, ApiError> {
        self.0.read(stream, after, limit).await
    }

    /// The number of the stream's last event, 0 when there is none.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn head(&self, stream: Stream) -> Result<i64, ApiError> {
        self.0.head(stream).await
    }
}

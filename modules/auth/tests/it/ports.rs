//! What other modules would provide, and a log that writes: for tests of what the module changes and tells.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use filament_kernel::{
    ApiError,
    db::{Database, WriteTx},
    id::{BlobId, Ids, UserId},
    log::{LogBackend, LoggedEvent, NewEvent, PendingChange, Stream},
    ports::{Blob, Blobs, Friends, NewBlob},
    scope::ScopeOwner,
    service::{CurrentServices, Provided, ServiceTable},
};
use tokio::sync::mpsc;

/// The services of other modules, which come and go.
#[derive(Clone, Default)]
pub(crate) struct Ports(Arc<Mutex<Arc<ServiceTable>>>);

impl Ports {
    /// These are there from now on, and no others.
    pub(crate) fn are(&self, provided: impl IntoIterator<Item = Provided>) {
        *self.0.lock().expect("not poisoned") = Arc::new(ServiceTable::new(provided));
    }
}

impl CurrentServices for Ports {
    fn current(&self) -> Arc<ServiceTable> {
        self.0.lock().expect("not poisoned").clone()
    }
}

/// A log that makes one change after the other, each in a transaction of its own, and remembers what it tells.
pub(crate) struct WritingLog {
    queue: mpsc::UnboundedSender<Box<dyn PendingChange>>,
    told: Arc<Mutex<Vec<NewEvent>>>,
    _scope: ScopeOwner,
}

impl WritingLog {
    pub(crate) fn new(db: Database) -> Self {
        let (queue, mut changes) = mpsc::unbounded_channel::<Box<dyn PendingChange>>();
        let told = Arc::new(Mutex::new(Vec::new()));
        let scope = ScopeOwner::new(|panic| panic!("the log panicked: {panic:?}"));
        scope.start();
        let remembered = told.clone();
        scope.scope().task("log", async move {
            while let Some(change) = changes.recv().await {
                match write(&db, &*change).await {
                    Ok((output, events)) => {
                        remembered.lock().expect("not poisoned").extend(events);
                        change.succeed(output);
                    }
                    Err(error) => change.fail(error),
                }
            }
        });
        Self {
            queue,
            told,
            _scope: scope,
        }
    }

    /// What has been told since the last time.
    pub(crate) fn told(&self) -> Vec<NewEvent> {
        std::mem::take(&mut *self.told.lock().expect("not poisoned"))
    }
}

type Written = (Box<dyn std::any::Any + Send>, Vec<NewEvent>);

async fn write(db: &Database, change: &dyn PendingChange) -> Result<Written, ApiError> {
    let tx = db.begin().await?;
    let mut applied = change.apply(&[change], &tx).await?;
    tx.commit().await?;
    let one = applied.remove(0);
    Ok((one.output, one.events))
}

#[async_trait::async_trait]
impl LogBackend for WritingLog {
    fn enqueue(&self, change: Box<dyn PendingChange>) -> Result<(), Box<dyn PendingChange>> {
        self.queue.send(change).map_err(|refused| refused.0)
    }

    async fn read(&self, _: Stream, _: i64, _: u64) -> Result<Vec<LoggedEvent>, ApiError> {
        Ok(Vec::new())
    }

    async fn head(&self, _: Stream) -> Result<i64, ApiError> {
        Ok(0)
    }
}

/// Everybody has these friends; `None` when they cannot be told.
pub(crate) struct TheseFriends(pub(crate) Option<Vec<UserId>>);

impl TheseFriends {
    pub(crate) fn provided(self) -> Provided {
        Provided::new::<dyn Friends>("friends", Arc::new(self))
    }
}

#[async_trait::async_trait]
impl Friends for TheseFriends {
    async fn friends_of(&self, _: &WriteTx, _: UserId) -> Result<Vec<UserId>, ApiError> {
        let away = || ApiError::unavailable("nobody knows who is whose friend");
        self.0.clone().ok_or_else(away)
    }
}

/// A shelf that takes everything, and can be made to refuse claims.
#[derive(Default)]
pub(crate) struct Shelf {
    ids: Ids,
    claimed: Mutex<Vec<BlobId>>,
    refuses: AtomicBool,
}

impl Shelf {
    pub(crate) fn provided(self: &Arc<Self>) -> Provided {
        Provided::new::<dyn Blobs>("shelf", self.clone())
    }

    pub(crate) fn refuses(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// What is claimed and not released.
    pub(crate) fn claimed(&self) -> Vec<BlobId> {
        self.claimed.lock().expect("not poisoned").clone()
    }
}

#[async_trait::async_trait]
impl Blobs for Shelf {
    async fn put(&self, _: NewBlob) -> Result<BlobId, ApiError> {
        Ok(self.ids.next())
    }

    async fn claim(&self, _: &WriteTx, id: BlobId) -> Result<(), ApiError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(ApiError::unavailable("nothing can be claimed"));
        }
        self.claimed.lock().expect("not poisoned").push(id);
        Ok(())
    }

    async fn release(&self, _: &WriteTx, id: BlobId) -> Result<(), ApiError> {
        self.claimed
            .lock()
            .expect("not poisoned")
            .retain(|claimed| *claimed != id);
        Ok(())
    }

    async fn get(&self, _: BlobId) -> Result<Option<Blob>, ApiError> {
        Ok(None)
    }
}

//! The owner of a module's tasks: nothing outlives its module.
//!
//! Only the host spawns. A module asks its [`Scope`]; the host holds the [`ScopeOwner`], and dropping that ends every task
//! of the scope. Tasks registered while a module is prepared start only when it goes live, so a start that is rolled
//! back leaks nothing.

mod workers;

use std::{
    any::Any,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::task::AbortHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::workers::Pool;
pub use self::workers::Workers;
use crate::error::ApiError;

/// A task ended by a panic.
#[derive(Debug, Clone)]
pub struct TaskPanic {
    /// The task's name.
    pub task: &'static str,
    /// What the panic said.
    pub message: String,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
type PanicHook = Arc<dyn Fn(TaskPanic) + Send + Sync>;

enum State {
    /// Tasks wait for the module to go live.
    Waiting(Vec<(&'static str, Work)>),
    Live(Vec<AbortHandle>),
    Ended,
}

struct Inner {
    cancel: CancellationToken,
    tracker: TaskTracker,
    state: Mutex<State>,
    /// To be closed with the scope, those that still are.
    pools: Mutex<Vec<Weak<Pool>>>,
    on_panic: PanicHook,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Weak<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, task: &'static str, work: Work) -> AbortHandle {
        let on_panic = self.on_panic.clone();
        let guarded = async move {
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                on_panic(TaskPanic {
                    task,
                    message: panic_message(&*panic),
                });
            }
        };
        self.tracker.spawn(guarded).abort_handle()
    }
}

/// What a module spawns with. Cheap to clone; keeps nothing alive.
#[derive(Clone)]
pub struct Scope(Arc<Inner>);

impl Scope {
    /// A task that lives as long as the module: started when the module goes live, cancelled when it goes. A panic in it
    /// restarts the module. Race it against [`Scope::cancelled`] where it has something to put in order at the end.
    pub fn task(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.0.state();
        match &mut *state {
            State::Waiting(tasks) => tasks.push((name, Box::pin(work))),
            State::Live(handles) => {
                handles.retain(|handle| !handle.is_finished());
                handles.push(self.0.spawn(name, Box::pin(work)));
            }
            State::Ended => {}
        }
    }

    /// Runs `work` to its end even if the caller goes away (a client that hangs up drops its handler at the next await).
    /// The module is not unloaded before it has ended, within the drain time.
    ///
    /// # Errors
    /// 500 when `work` panics, 503 when the module is unloaded first.
    pub async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        ended(self.0.tracker.spawn(work).await)?
    }

    /// Runs `work` on a thread that may block: files. Bound how many you ask for at once. For work that burns processor time, such as
    /// hashing passwords, see [`Scope::workers`].
    ///
    /// # Errors
    /// 500 when `work` panics.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        ended(self.0.tracker.spawn_blocking(work).await)
    }

    /// Dedicated threads, at most so many (0 counts as 1), named `name`, for work that burns processor time, such as hashing
    /// passwords. On Linux they have a lower priority than the threads that serve requests. They end when the last [`Workers`] is
    /// dropped or the scope ends.
    pub fn workers(&self, name: &'static str, threads: usize) -> Workers {
        let (workers, pool) = Workers::new(name, threads);
        let mut pools = self.0.pools();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(&pool));
        drop(pools);
        if matches!(*self.0.state(), State::Ended) {
            pool.close();
        }
        workers
    }

    /// Ends when the module is about to be unloaded.
    pub async fn cancelled(&self) {
        self.0.cancel.cancelled().await;
    }
}

fn ended<T>(joined: Result<T, tokio::task::JoinError>) -> Result<T, ApiError> {
    joined.map_err(|error| {
        if error.is_panic() {
            ApiError::internal(format!("panic: {}", panic_message(&*error.into_panic())))
        } else {
            stopping()
        }
    })
}

/// 503: the module goes before its work is done.
fn stopping() -> ApiError {
    ApiError::unavailable("this part of the server is being stopped")
}

/// What a panic said, as far as it said it in words.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_string())
}

/// The host's end of a scope. Dropping it cancels and aborts every task.
pub struct ScopeOwner(Scope);

impl ScopeOwner {
    /// A scope whose tasks wait; `on_panic` hears of each task that panics.
    pub fn new(on_panic: impl Fn(TaskPanic) + Send + Sync + 'static) -> Self {
        Self(Scope(Arc::new(Inner {
            cancel: CancellationToken::new(),
            tracker: TaskTracker::new(),
            state: Mutex::new(State::Waiting(Vec::new())),
            pools: Mutex::default(),
            on_panic: Arc::new(on_panic),
        })))
    }

    /// The module's end.
    pub fn scope(&self) -> Scope {
        self.0.clone()
    }

    /// The module goes live: its tasks start.
    pub fn start(&self) {
        let inner = &self.0.0;
        let mut state = inner.state();
        if let State::Waiting(tasks) = &mut *state {
            let handles = tasks
                .drain(..)
                .map(|(name, work)| inner.spawn(name, work))
                .collect();
            *state = State::Live(handles);
        }
    }

    /// Asks the tasks to end, waits for them up to `grace`, then aborts what is left. Answers whether all ended by themselves.
    pub async fn stop(self, grace: Duration) -> bool {
        let inner = &self.0.0;
        inner.cancel.cancel();
        inner.tracker.close();
        tokio::time::timeout(grace, inner.tracker.wait())
            .await
            .is_ok()
    }
}

impl Drop for ScopeOwner {
    fn drop(&mut self) {
        let inner = &self.0.0;
        inner.cancel.cancel();
        inner.tracker.close();
        let state = std::mem::replace(&mut *inner.state(), State::Ended);
        if let State::Live(handles) = state {
            handles.iter().for_each(AbortHandle::abort);
        }
        let pools = std::mem::take(&mut *inner.pools());
        pools
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|pool| pool.close());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn tasks_start_when_the_module_goes_live_and_end_with_it() {
        let owner = ScopeOwner::new(|_| {});
        let scope = owner.scope();
        let ran = Arc::new(AtomicUsize::new(0));
        let inside = (ran.clone(), scope.clone());
        scope.task("count", async move {
            inside.0.fetch_add(1, Ordering::SeqCst);
            inside.1.cancelled().await;
            inside.0.fetch_add(10, Ordering::SeqCst);
        });
        tokio::task::yield_now().await;
        assert_eq!(ran.load(Ordering::SeqCst), 0, "not live yet");
        owner.start();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        assert!(owner.stop(Duration::from_secs(1)).await);
        assert_eq!(ran.load(Ordering::SeqCst), 11);
    }

    #[tokio::test]
    async fn dropping_the_owner_aborts_a_task_that_does_not_listen() {
        let owner = ScopeOwner::new(|_| {});
        let held = Arc::new(());
        let inside = held.clone();
        owner.scope().task("deaf", async move {
            let _held = inside;
            std::future::pending::<()>().await;
        });
        owner.start();
        assert!(!owner.stop(Duration::from_millis(20)).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn a_panic_in_a_task_is_reported_with_its_name_and_words() {
        let (sender, mut panics) = tokio::sync::mpsc::unbounded_channel();
        let owner = ScopeOwner::new(move |panic| {
            let _ = sender.send(panic);
        });
        owner.scope().task("fragile", async { panic!("it broke") });
        owner.start();
        let panic = panics.recv().await.expect("a report");
        assert_eq!(
            (panic.task, panic.message.as_str()),
            ("fragile", "it broke")
        );
    }
}

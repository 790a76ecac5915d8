//! Threads for work that burns processor time. They run at a lower scheduling priority than the threads that serve requests, which
//! therefore keep their turn when every processor is wanted.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::sync::oneshot;
use tracing::debug;

use super::{panic_message, stopping};
use crate::error::ApiError;

/// How much nicer than the rest of the process the threads are (see nice(2)).
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads of a module's own; see [`super::Scope::workers`]. Cheap to clone; the threads end with the last clone, or with the
/// scope.
#[derive(Clone)]
pub struct Workers(Arc<Owner>);

/// Closes the pool when the last [`Workers`] is dropped: the threads hold the pool, and not this.
struct Owner(Arc<Pool>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Workers {
    pub(super) fn new(name: &'static str, threads: usize) -> (Self, Arc<Pool>) {
        let pool = Arc::new(Pool {
            name,
            threads: threads.max(1),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        (Self(Arc::new(Owner(pool.clone()))), pool)
    }

    /// Runs `work` on one of the threads, after the work that was asked for before. The queue has no bound of its own: bound how many
    /// you ask for at once. Work that nobody waits for any more when its turn comes is skipped.
    ///
    /// # Errors
    /// 500 when `work` panics. 503 when the scope ends before its turn, or when the system has no thread left to give.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let (answer, answered) = oneshot::channel();
        self.0.0.submit(Box::new(move || {
            let done = catch_unwind(AssertUnwindSafe(|| (!answer.is_closed()).then(work)));
            let _ = answer.send(done);
        }))?;
        match answered.await {
            Ok(Ok(Some(done))) => Ok(done),
            Ok(Ok(None)) | Err(_) => Err(stopping()),
            Ok(Err(panic)) => Err(ApiError::internal(format!(
                "panic: {}",
                panic_message(&*panic)
            ))),
        }
    }
}

/// The queue and its threads. They are started when they are first needed.
pub(super) struct Pool {
    name: &'static str,
    threads: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Threads that exist.
    alive: usize,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, job: Job) -> Result<(), ApiError> {
        let mut state = self.state();
        if state.closed {
            return Err(stopping());
        }
        // As many idle threads as there is work in the queue are on their way to it.
        if state.queue.len() >= state.idle && state.alive < self.threads {
            match self.start_thread() {
                Ok(()) => state.alive += 1,
                Err(error) if state.alive == 0 => {
                    return Err(
                        ApiError::unavailable("the server has no thread left for this")
                            .caused_by(error),
                    );
                }
                Err(error) => debug!(pool = self.name, %error, "a thread cannot be started"),
            }
        }
        state.queue.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where threads are made: they end with their scope"
    )]
    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let pool = self.clone();
        thread::Builder::new()
            .name(self.name.to_string())
            .spawn(move || {
                lower_priority();
                pool.work();
            })
            .map(drop)
    }

    /// What each thread does until the pool is closed.
    fn work(&self) {
        let mut state = self.state();
        while !state.closed {
            match state.queue.pop_front() {
                Some(job) => {
                    drop(state);
                    job();
                    state = self.state();
                }
                None => {
                    state.idle += 1;
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                    state.idle -= 1;
                }
            }
        }
        state.alive -= 1;
    }

    /// Ends the threads after the work that they are at. What still waits is dropped, and whoever waits for it hears so.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let dropped = std::mem::take(&mut state.queue);
        drop(state);
        self.changed.notify_all();
        // Outside the lock: work may own anything, also what comes back here when it is dropped.
        drop(dropped);
    }
}

/// On Linux each thread has a priority of its own.
#[cfg(target_os = "linux")]
fn lower_priority() {
    use rustix::{
        process::{getpriority_process, setpriority_process},
        thread::gettid,
    };
    let me = Some(gettid());
    let lowered = getpriority_process(me).and_then(|now| setpriority_process(me, now + NICER_BY));
    if let Err(error) = lowered {
        debug!(%error, "a thread's priority cannot be lowered");
    }
}

/// Elsewhere a priority is the whole process's.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Weak,
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::{Duration, Instant},
    };

    use futures_util::future::join_all;

    use super::*;
    use crate::{ErrorCode, scope::ScopeOwner};

    /// Waits until every thread of the pool, each of which holds it, has ended.
    async fn ended(pool: Weak<Pool>) {
        let since = Instant::now();
        while pool.strong_count() > 0 {
            assert!(since.elapsed() < Duration::from_secs(10), "a thread stays");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn pool_of(workers: &Workers) -> Weak<Pool> {
        Arc::downgrade(&workers.0.0)
    }

    #[tokio::test]
    async fn work_runs_before_the_module_is_live_on_no_more_threads_than_were_asked_for() {
        let owner = ScopeOwner::new(|_| {});
        let workers = owner.scope().workers("two", 2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = (0..20).map(|n| {
            let (running, most) = (running.clone(), most.clone());
            workers.run(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(1));
                running.fetch_sub(1, Ordering::SeqCst);
                assert_eq!(thread::current().name(), Some("two"));
                n
            })
        });
        let done: Result<Vec<i32>, ApiError> = join_all(work).await.into_iter().collect();
        assert_eq!(done.expect("all of it"), (0..20).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_threads_give_way_to_those_that_serve_requests() {
        let priority = || {
            rustix::process::getpriority_process(Some(rustix::thread::gettid()))
                .expect("a priority")
        };
        let owner = ScopeOwner::new(|_| {});
        let theirs = owner.scope().workers("nice", 1).run(priority).await;
        let theirs = theirs.expect("it runs");
        assert_eq!(theirs, (priority() + NICER_BY).min(19));
    }

    #[tokio::test]
    async fn a_panic_is_a_500_and_the_thread_goes_on() {
        let owner = ScopeOwner::new(|_| {});
        let workers = owner.scope().workers("fragile", 1);
        let before = workers.run(|| thread::current().id()).await;
        let panicked = workers.run(|| panic!("it broke")).await;
        let error: ApiError = panicked.expect_err("a panic");
        assert_eq!(error.code(), ErrorCode::INTERNAL_ERROR);
        assert!(
            error
                .cause()
                .is_some_and(|cause| cause.to_string().contains("it broke"))
        );
        let after = workers.run(|| thread::current().id()).await;
        assert_eq!(before.expect("it runs"), after.expect("it runs"));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_skipped() {
        let owner = ScopeOwner::new(|_| {});
        let workers = owner.scope().workers("busy", 1);
        let (release, blocked) = mpsc::channel::<()>();
        let ran = Arc::new(AtomicUsize::new(0));
        let first = workers.run(move || blocked.recv());
        let others = async {
            let counted = ran.clone();
            let given_up = workers.run(move || counted.fetch_add(1, Ordering::SeqCst));
            let given_up = tokio::time::timeout(Duration::from_millis(5), given_up).await;
            assert!(given_up.is_err(), "the thread is busy");
            release.send(()).expect("somebody listens");
            workers.run(|| ()).await.expect("its turn comes");
        };
        let (first, ()) = tokio::join!(biased; first, others);
        assert!(first.is_ok_and(|released| released.is_ok()));
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn the_end_of_the_scope_ends_the_threads_and_refuses_what_waits() {
        let owner = ScopeOwner::new(|_| {});
        let scope = owner.scope();
        let workers = scope.workers("ending", 1);
        let (release, blocked) = mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let running = workers.run(move || {
            let _ = begun.send(());
            blocked.recv()
        });
        let waiting = workers.run(|| ());
        let end = async {
            begins.await.expect("it runs");
            drop(owner);
            release.send(()).expect("somebody listens");
        };
        let (ran, waited, ()) = tokio::join!(biased; running, waiting, end);
        assert!(
            ran.is_ok_and(|released| released.is_ok()),
            "what runs is finished"
        );
        for refused in [
            waited,
            workers.run(|| ()).await,
            scope.workers("too late", 1).run(|| ()).await,
        ] {
            let refused = refused.expect_err("the scope has ended");
            assert_eq!(refused.code(), ErrorCode::SERVICE_UNAVAILABLE);
        }
        let pool = pool_of(&workers);
        drop(workers);
        ended(pool).await;
    }

    #[tokio::test]
    async fn the_threads_end_with_the_last_of_the_workers_while_the_scope_lives() {
        let owner = ScopeOwner::new(|_| {});
        let workers = owner.scope().workers("passing", 4);
        let pool = pool_of(&workers);
        let again = workers.clone();
        drop(workers);
        join_all((0..8).map(|_| again.run(|| thread::sleep(Duration::from_millis(2))))).await;
        drop(again);
        ended(pool).await;
    }
}

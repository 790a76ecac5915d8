use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tracing::{error, info, warn};

use super::{
    bring_up::Panicked,
    change::{Engine, Machinery, Options, Outcome},
    plan::Plan,
    refusal::Refusal,
    state::Phase,
};
use crate::config::{Loaded, Problems};

/// Panics older than this are forgiven.
const PANIC_WINDOW: Duration = Duration::from_secs(600);
/// The longest pause before what failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a change came to, for whoever asked for it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The generation that runs now.
    pub generation: u64,
    /// What was done.
    pub plan: Plan,
    /// Time to prepare and probe, in milliseconds.
    pub prepare_ms: f64,
    /// Time from there until the new generation answered, in milliseconds.
    pub commit_ms: f64,
    /// Time until the old one was gone, in milliseconds.
    pub drain_ms: f64,
    /// Modules that are on and did not come up, with the reason; they are tried again.
    pub failed: BTreeMap<&'static str, String>,
}

impl From<Outcome> for Report {
    fn from(outcome: Outcome) -> Self {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            generation: outcome.generation,
            plan: outcome.plan,
            prepare_ms: ms(outcome.prepare),
            commit_ms: ms(outcome.commit),
            drain_ms: ms(outcome.drain),
            failed: outcome.failed,
        }
    }
}

/// Reads the configuration anew.
pub type Load = Arc<dyn Fn() -> Result<Loaded, Problems> + Send + Sync>;

enum Request {
    Reload {
        trigger: &'static str,
        reply: oneshot::Sender<Result<Report, Refusal>>,
    },
    ShutDown {
        grace: Duration,
        reply: oneshot::Sender<()>,
    },
}

/// How the rest of the host asks for changes.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<Request>);

impl Handle {
    /// Reads the configuration and makes it so. `trigger` is for the log.
    ///
    /// # Errors
    /// [`Refusal`]: the running generation is as it was.
    pub async fn reload(&self, trigger: &'static str) -> Option<Result<Report, Refusal>> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Request::Reload { trigger, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Stops all modules; the reconciler then ends.
    pub async fn shut_down(&self, grace: Duration) {
        let (reply, answer) = oneshot::channel();
        if self
            .0
            .send(Request::ShutDown { grace, reply })
            .await
            .is_ok()
        {
            let _ = answer.await;
        }
    }
}

struct Trouble {
    panics: VecDeque<Instant>,
    failures: u32,
    retry_at: Option<Instant>,
}

struct Task {
    engine: Engine,
    load: Load,
    requests: mpsc::Receiver<Request>,
    panics: mpsc::UnboundedReceiver<Panicked>,
    trouble: BTreeMap<&'static str, Trouble>,
    quarantined: BTreeSet<&'static str>,
}

/// Brings `first` up and starts the task that makes every later change. Modules that do not come up are left out and
/// tried again; the others serve.
///
/// # Errors
/// [`Refusal`] when the configuration itself is refused.
pub async fn start(
    machinery: Machinery,
    first: Arc<Loaded>,
    load: Load,
) -> Result<(Handle, Report, JoinHandle<()>), Refusal> {
    let (panic_sender, panics) = mpsc::unbounded_channel();
    let (sender, requests) = mpsc::channel(8);
    let mut task = Task {
        engine: Engine::new(machinery, panic_sender),
        load,
        requests,
        panics,
        trouble: BTreeMap::new(),
        quarantined: BTreeSet::new(),
    };
    let everything = task
        .engine
        .machinery()
        .catalogue
        .ids()
        .into_iter()
        .collect();
    let outcome = task
        .engine
        .apply(
            first,
            Options {
                may_fail: everything,
                ..Options::default()
            },
        )
        .await?;
    task.note_failures(&outcome);
    #[expect(clippy::disallowed_methods, reason = "the host spawns")]
    let joined = tokio::spawn(task.run());
    Ok((Handle(sender), outcome.into(), joined))
}

impl Task {
    async fn run(mut self) {
        loop {
            let retry = self
                .trouble
                .values()
                .filter_map(|trouble| trouble.retry_at)
                .min();
            let timer = async {
                match retry {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(Request::Reload { trigger, reply }) => {
                        let result = self.reload(trigger).await;
                        let _ = reply.send(result);
                    }
                    Some(Request::ShutDown { grace, reply }) => {
                        self.engine.shut_down(grace).await;
                        let _ = reply.send(());
                        return;
                    }
                    None => return,
                },
                Some(panicked) = self.panics.recv() => self.panicked(panicked).await,
                () = timer => self.recover().await,
            }
        }
    }

    async fn reload(&mut self, trigger: &'static str) -> Result<Report, Refusal> {
        info!(trigger, "reload");
        let result = self.try_reload().await;
        match &result {
            Ok(report) if report.plan.is_empty() => {
                info!(
                    generation = report.generation,
                    "nothing has changed; the running generation goes on"
                );
            }
            Ok(report) => info!(
                generation = report.generation,
                prepare_ms = report.prepare_ms,
                commit_ms = report.commit_ms,
                drain_ms = report.drain_ms,
                "the change is made"
            ),
            Err(refusal) => {
                metrics::counter!("filament_reloads_refused_total").increment(1);
                error!(step = refusal.step(), %refusal, "the change is refused; the running generation goes on");
            }
        }
        result
    }

    async fn try_reload(&mut self) -> Result<Report, Refusal> {
        let wanted = (self.load)().map_err(Refusal::Configuration)?;
        // An operator's reload gives everybody another chance. What was down before may stay down without holding up the rest.
        let down: BTreeSet<&'static str> = self
            .trouble
            .keys()
            .copied()
            .chain(self.quarantined.iter().copied())
            .collect();
        let options = Options {
            forced: down
                .iter()
                .copied()
                .filter(|id| wanted.is_enabled(id))
                .collect(),
            may_fail: down,
            ..Options::default()
        };
        let outcome = self.engine.apply(Arc::new(wanted), options).await?;
        self.trouble.clear();
        self.quarantined.clear();
        self.note_failures(&outcome);
        Ok(outcome.into())
    }

    /// A task panicked: the module is replaced after a pause that doubles, and put into quarantine when it happens too often.
    async fn panicked(&mut self, panicked: Panicked) {
        let Panicked {
            module,
            incarnation,
            panic,
        } = panicked;
        if self.engine.incarnation(module) != Some(incarnation) {
            return;
        }
        let Some(config) = self.engine.config().cloned() else {
            return;
        };
        let limits = &config.host.reconciler;
        let trouble = self.trouble.entry(module).or_insert_with(Trouble::new);
        let now = Instant::now();
        trouble
            .panics
            .retain(|at| now.duration_since(*at) < PANIC_WINDOW);
        trouble.panics.push_back(now);
        let panics = u32::try_from(trouble.panics.len()).unwrap_or(u32::MAX);
        let reason = format!("task `{}`: {}", panic.task, panic.message);
        if panics >= limits.max_task_panics {
            error!(module, panics, reason, "a module is put into quarantine");
            self.trouble.remove(module);
            self.quarantined.insert(module);
            let states = self.engine.machinery().states.clone();
            states.set(
                module,
                Phase::Quarantined {
                    reason: reason.clone(),
                },
            );
            self.change(BTreeSet::new()).await;
            states.set(module, Phase::Quarantined { reason });
            return;
        }
        let until = now + pause(Duration::from_millis(limits.panic_backoff_millis), panics);
        warn!(module, panics, reason, wait = ?until.duration_since(now), "a task panicked; the module will be replaced");
        trouble.retry_at = Some(until);
        self.engine.machinery().states.set(
            module,
            Phase::Backoff {
                panics,
                reason,
                until,
            },
        );
    }

    /// The pause is over for at least one module.
    async fn recover(&mut self) {
        let now = Instant::now();
        let due: BTreeSet<&'static str> = self
            .trouble
            .iter_mut()
            .filter(|(_, trouble)| trouble.retry_at.is_some_and(|at| at <= now))
            .map(|(id, trouble)| {
                trouble.retry_at = None;
                *id
            })
            .collect();
        self.change(due).await;
    }

    /// The running configuration again, with some modules replaced and those in quarantine left out.
    async fn change(&mut self, forced: BTreeSet<&'static str>) {
        let Some(config) = self.engine.config().cloned() else {
            return;
        };
        let options = Options {
            forced: forced.clone(),
            held: self.quarantined.clone(),
            may_fail: self
                .engine
                .machinery()
                .catalogue
                .ids()
                .into_iter()
                .collect(),
        };
        match self.engine.apply(config, options).await {
            Ok(outcome) => {
                // A module that came up and never panicked has only failed to start: that is over.
                for id in forced {
                    if !outcome.failed.contains_key(id)
                        && let Some(trouble) = self.trouble.get_mut(id)
                    {
                        trouble.failures = 0;
                    }
                }
                self.trouble.retain(|_, trouble| {
                    trouble.retry_at.is_some() || trouble.failures > 0 || !trouble.panics.is_empty()
                });
                self.note_failures(&outcome);
            }
            Err(refusal) => error!(%refusal, "recovery is refused"),
        }
    }

    fn note_failures(&mut self, outcome: &Outcome) {
        for (id, reason) in &outcome.failed {
            let trouble = self.trouble.entry(id).or_insert_with(Trouble::new);
            trouble.failures += 1;
            let retry_at = Instant::now() + pause(Duration::from_secs(1), trouble.failures);
            trouble.retry_at = Some(retry_at);
            self.engine.machinery().states.set(
                id,
                Phase::Failed {
                    reason: reason.clone(),
                    retry_at,
                },
            );
        }
    }
}

impl Trouble {
    fn new() -> Self {
        Self {
            panics: VecDeque::new(),
            failures: 0,
            retry_at: None,
        }
    }
}

/// `first`, doubled at each further time.
fn pause(first: Duration, times: u32) -> Duration {
    first
        .saturating_mul(1 << times.saturating_sub(1).min(16))
        .min(LONGEST_PAUSE)
}

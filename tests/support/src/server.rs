//! The real server, as a process of its own.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    backend::Backend, http::Api, port::free_port, postgres::TestDatabase, process::Usage,
    secrets::Secrets,
};

mod binary;
mod builder;
mod cli;
mod guard;
mod log;

pub use builder::Builder;
pub use cli::CliOutput;

use guard::Guard;

const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// How often another port is tried when somebody took the one that was free a moment ago.
const PORT_ATTEMPTS: u32 = 5;

/// A server process with its folder. Dropping it kills the process, looks for secrets in its log, and removes the folder.
pub struct Server {
    program: PathBuf,
    variables: BTreeMap<String, String>,
    child: Option<Child>,
    addr: Option<SocketAddr>,
    client: reqwest::Client,
    secrets: Secrets,
    dir: PathBuf,
    guard: Guard,
    _database: Option<TestDatabase>,
}

impl Server {
    /// A running server with the defaults for tests.
    pub async fn start(backend: Backend) -> Self {
        Self::builder(backend).start().await
    }

    /// A server that is still to be described.
    pub fn builder(backend: Backend) -> Builder {
        Builder::new(backend)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr.expect("the server has been started once")
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// `ws://127.0.0.1:<port>/gateway/ws`.
    pub fn ws_url(&self) -> String {
        self.api().ws_url()
    }

    /// Its data folder.
    pub fn data_dir(&self) -> PathBuf {
        PathBuf::from(&self.variables["FILAMENT_DATA__DIR"])
    }

    /// Its `filament.toml`.
    pub fn config_file(&self) -> PathBuf {
        PathBuf::from(&self.variables["FILAMENT_CONFIG"])
    }

    /// A client without a token.
    pub fn api(&self) -> Api {
        Api::new(self.client.clone(), self.url(), self.secrets.clone())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// What its process uses now.
    pub fn usage(&self) -> Usage {
        Usage::of(self.pid())
    }

    /// Sets a variable for the next start.
    pub fn set_env(&mut self, name: &str, value: impl ToString) {
        let value = value.to_string();
        self.secrets.note_setting(name, &value);
        self.variables.insert(name.to_owned(), value);
    }

    /// Starts it where it was before: the same folder, database and port. Does nothing when it runs.
    pub async fn start_again(&mut self) {
        if self.child.is_some() && self.has_ended().is_none() {
            return;
        }
        if let Err(why) = self.try_start().await {
            panic!("the server {why}; its log:\n{}", self.log());
        }
    }

    /// Starts it and says why it did not come up, for tests that want that.
    ///
    /// # Errors
    /// That it ended, and how, or that it was not healthy in time.
    pub async fn try_start(&mut self) -> Result<(), String> {
        let chosen = self.variables.contains_key("FILAMENT_BIND_ADDR");
        for attempt in 1.. {
            let bind = match (chosen, self.addr) {
                (true, _) => None,
                (false, Some(addr)) => Some(addr.to_string()),
                (false, None) => Some(format!("127.0.0.1:{}", free_port())),
            };
            let logged = self.log().len();
            self.spawn(bind.as_deref());
            let Err(why) = self.until_healthy().await else {
                return Ok(());
            };
            let taken = self
                .log()
                .get(logged..)
                .is_some_and(|new| new.contains("in use"));
            if chosen || self.addr.is_some() || !taken || attempt == PORT_ATTEMPTS {
                return Err(why);
            }
        }
        Ok(())
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            // The guard first: a pid is somebody else's once its process has been waited for.
            self.guard.ended();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// When it still runs after 30 seconds.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// SIGHUP: read the configuration again.
    pub fn signal_hup(&self) {
        self.signal(Signal::HUP);
    }

    /// Any signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("the server's process takes signals");
    }

    /// SIGTERM and a start with the same folder, database and port.
    pub async fn restart(&mut self) {
        self.terminate().await;
        self.start_again().await;
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// When it still runs after 30 seconds.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + STOP_DEADLINE;
        loop {
            if let Some(status) = self.has_ended() {
                self.kill9();
                return status;
            }
            if Instant::now() > deadline {
                panic!(
                    "the server runs after {STOP_DEADLINE:?} still; its log:\n{}",
                    self.log()
                );
            }
            sleep(POLL).await;
        }
    }

    /// Replaces `filament.toml` as an editor does: a new file, renamed over the old one.
    pub fn write_config(&self, toml: &str) {
        self.secrets.note_settings(toml);
        let file = self.config_file();
        let new = file.with_extension("toml.new");
        fs::write(&new, toml)
            .and_then(|()| fs::rename(&new, &file))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    fn note_file(&self) -> PathBuf {
        self.data_dir().join("server.json")
    }

    fn spawn(&mut self, bind: Option<&str>) {
        self.kill9();
        let _ = fs::remove_file(self.note_file());
        let log = self.open_log();
        let mut command = self.command();
        if let Some(bind) = bind {
            command.env("FILAMENT_BIND_ADDR", bind);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        self.guard.runs(child.id());
        self.child = Some(child);
    }

    async fn until_healthy(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Some(status) = self.has_ended() {
                self.kill9();
                return Err(match status.code() {
                    Some(code) => format!("ended with exit code {code}"),
                    None => format!("was ended by signal {:?}", status.signal()),
                });
            }
            if let Some(addr) = fs::read_to_string(self.note_file())
                .ok()
                .and_then(|note| noted_address(&note, self.pid()))
            {
                let health = self
                    .client
                    .get(format!("http://{addr}/health"))
                    .send()
                    .await;
                if health.is_ok_and(|answer| answer.status() == 200) {
                    self.addr = Some(addr);
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                self.kill9();
                return Err(format!("is not healthy after {START_DEADLINE:?}"));
            }
            sleep(POLL).await;
        }
    }

    /// How the process ended, when it has.
    fn has_ended(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        child.try_wait().expect("the process can be waited for")
    }
}

/// Kills the process and removes the folder. A test that fails shows what the server said last.
///
/// # Panics
/// When a secret is in the log, unless the test has failed already.
impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
        let leak = self.leak();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            eprintln!("the server's log ends with:\n{}", last.join("\n"));
        } else if let Some(leak) = leak {
            panic!("the server's log shows a secret: {leak}");
        }
    }
}

/// The address in the server's note, when process `pid` wrote it.
fn noted_address(note: &str, pid: u32) -> Option<SocketAddr> {
    let note: Value = serde_json::from_str(note).ok()?;
    if note["pid"] != pid {
        return None;
    }
    note["addr"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_only_from_the_process_that_was_started() {
        let note = r#"{"pid":7,"addr":"127.0.0.1:8080"}"#;
        assert_eq!(
            noted_address(note, 7),
            Some(SocketAddr::from(([127, 0, 0, 1], 8080)))
        );
        assert_eq!(noted_address(note, 8), None);
        assert_eq!(noted_address(r#"{"pid":7,"addr":"127.0.0.1:80"#, 7), None);
        assert_eq!(noted_address(r#"{"pid":7,"addr":"here"}"#, 7), None);
    }
}

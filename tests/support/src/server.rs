//! The real server, as a process of its own.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    net::SocketAddr,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::sleep;

use crate::{backend::Backend, http::Api, port::free_port, postgres::TestDatabase, process::Usage};

/// The server's binary, where it is not the one beside the tests.
const BIN_VARIABLE: &str = "FILAMENT_TEST_SERVER_BIN";

/// The binary's name, and that of its package.
const DEFAULT_BINARY: &str = "filament-server";

const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// How often another port is tried when somebody took the one that was free a moment ago.
const PORT_ATTEMPTS: u32 = 5;

/// What every test server gets: limits that no test meets by accident, and work that is cheap. A test about one of
/// them sets its own with [`Builder::env`].
const DEFAULTS: &[(&str, &str)] = &[
    ("FILAMENT_RATE_LIMIT_REQUESTS_PER_MINUTE", "1000000"),
    ("FILAMENT_AUTH_ROUTE_REQUESTS_PER_MINUTE", "1000000"),
    (
        "FILAMENT_DIRECTORY_JOIN_REQUESTS_PER_MINUTE_PER_IP",
        "1000000",
    ),
    (
        "FILAMENT_DIRECTORY_JOIN_REQUESTS_PER_MINUTE_PER_USER",
        "1000000",
    ),
    ("FILAMENT_GATEWAY_INGRESS_EVENTS_PER_WINDOW", "100000"),
    ("FILAMENT_GATEWAY__OFFLINE_GRACE_SECS", "1"),
    ("FILAMENT_GATEWAY__MAX_SOCKETS_PER_USER", "100000"),
    ("FILAMENT_GATEWAY__MAX_SOCKETS_PER_IP", "100000"),
    ("FILAMENT_MAX_CREATED_GUILDS_PER_USER", "1000"),
    ("FILAMENT_AUTH__ARGON2_MEMORY_KIB", "64"),
    ("FILAMENT_AUTH__ARGON2_ITERATIONS", "1"),
    ("FILAMENT_LOG__LEVEL", "info"),
];

/// A server to be: see [`Server::builder`].
pub struct Builder {
    backend: Backend,
    database: Option<TestDatabase>,
    binary: Binary,
    variables: BTreeMap<String, String>,
    config: String,
}

enum Binary {
    Server,
    Example(String),
}

impl Builder {
    /// Sets a variable of the server's environment, over the defaults for tests.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.insert(name.to_owned(), value.to_string());
        self
    }

    /// Unsets a variable that tests set by default, so that the configuration file or the server's own default rules.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// The text of `filament.toml`.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.config);
        self
    }

    /// Another program in place of the server: an example of this workspace, by its name.
    #[must_use]
    pub fn binary(mut self, example: &str) -> Self {
        self.binary = Binary::Example(example.to_owned());
        self
    }

    /// This database in place of a fresh one.
    #[must_use]
    pub fn database(mut self, database: TestDatabase) -> Self {
        self.database = Some(database);
        self
    }

    /// Prepares the folder, the configuration and the database, and starts nothing: for tests of the command line, or of
    /// a start that fails.
    ///
    /// # Panics
    /// When the binary is missing or older than its sources, and when PostgreSQL is wanted and not installed.
    pub async fn prepare(self) -> Server {
        let program = self.binary.find();
        let dir = tempfile::Builder::new()
            .prefix("filament-server-")
            .tempdir()
            .expect("a temporary folder for the server")
            .keep();
        let guard = Guard::of(&dir);
        let mut variables = self.variables;
        let mut set = |name: &str, value: String| {
            variables.entry(name.to_owned()).or_insert(value);
        };
        set("FILAMENT_DATA__DIR", dir.join("data").display().to_string());
        set(
            "FILAMENT_CONFIG",
            dir.join("filament.toml").display().to_string(),
        );
        let database = match (self.backend, self.database) {
            (_, Some(database)) => Some(database),
            (Backend::Sqlite, None) => None,
            (Backend::Postgres, None) => {
                let database = Backend::Postgres.database().await;
                Some(database.expect("PostgreSQL is not installed; `on_both_databases!` would have skipped this test"))
            }
        };
        if let Some(database) = &database {
            // The parameter is for tests that open the file themselves; the server makes it anyway and takes none.
            let url = database.url.trim_end_matches("?mode=rwc");
            set("FILAMENT_DATABASE_URL", url.to_owned());
        }
        let server = Server {
            program,
            variables,
            dir,
            guard,
            child: None,
            addr: None,
            client: http_client(),
            _database: database,
        };
        server.write_config(&self.config);
        server
    }

    /// Starts the server and waits until it is healthy.
    ///
    /// # Panics
    /// As [`Builder::prepare`], and when the server does not become healthy; its log is in the message.
    pub async fn start(self) -> Server {
        let mut server = self.prepare().await;
        server.start_again().await;
        server
    }
}

/// A server process with its folder. Dropping it kills the process and removes the folder.
pub struct Server {
    program: PathBuf,
    variables: BTreeMap<String, String>,
    child: Option<Child>,
    addr: Option<SocketAddr>,
    client: reqwest::Client,
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
        Builder {
            backend,
            database: None,
            binary: Binary::Server,
            variables: DEFAULTS
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            config: String::new(),
        }
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
        Api::new(self.client.clone(), self.url())
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
        self.variables.insert(name.to_owned(), value.to_string());
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
            self.guard.tell("ended");
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

    /// Runs the binary's command line with the server's environment.
    pub async fn cli(&self, arguments: &[&str]) -> CliOutput {
        let mut command = tokio::process::Command::from(self.command());
        command
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(START_DEADLINE, command.output()).await;
        let output = output
            .unwrap_or_else(|_| {
                panic!(
                    "`{arguments:?}` has not ended; the server's log:\n{}",
                    self.log()
                )
            })
            .expect("the server's binary runs");
        CliOutput {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }

    /// Replaces `filament.toml` as an editor does: a new file, renamed over the old one.
    pub fn write_config(&self, toml: &str) {
        let file = self.config_file();
        let new = file.with_extension("toml.new");
        fs::write(&new, toml)
            .and_then(|()| fs::rename(&new, &file))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Everything that it has printed since its first start.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    fn note_file(&self) -> PathBuf {
        self.data_dir().join("server.json")
    }

    /// The binary in a clean environment, in a folder that holds nothing that it could pick up by accident.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("FILAMENT_") {
                command.env_remove(name);
            }
        }
        command.envs(&self.variables).current_dir(&self.dir);
        command
    }

    fn spawn(&mut self, bind: Option<&str>) {
        self.kill9();
        let _ = fs::remove_file(self.note_file());
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("the server's log can be written");
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
        self.guard.tell(&format!("run {}", child.id()));
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

/// Kills the process and waits until the folder is gone. A test that fails shows what the server said last.
impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            eprintln!("the server's log ends with:\n{}", last.join("\n"));
        }
        self.guard.shell.stdin = None;
        let _ = self.guard.shell.wait();
    }
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct CliOutput {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl CliOutput {
    /// Asserts the exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code; stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in stdout:\n{}", self.stdout))
    }
}

/// Removes the server's folder in the end, and kills the server when the test is gone without having done so.
struct Guard {
    shell: Child,
}

/// `sh -c GUARD guard <dir>`. It is told which process runs; the end of its pipe is the end of the test.
const GUARD: &str = r#"
pid=
while read -r order argument; do
    case $order in run) pid=$argument ;; ended) pid= ;; esac
done
if [ -n "$pid" ]; then kill -9 "$pid"; fi
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

impl Guard {
    fn of(dir: &Path) -> Self {
        let shell = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard"])
            .arg(dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Interrupting the tests in a terminal interrupts them, and not the one who cleans up after them.
            .process_group(0)
            .spawn()
            .expect("/bin/sh runs");
        Self { shell }
    }

    fn tell(&mut self, order: &str) {
        let pipe = self
            .shell
            .stdin
            .as_mut()
            .expect("the guard's stdin is piped");
        writeln!(pipe, "{order}").expect("the guard listens");
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

/// No proxies, no redirects, and no surprises from the environment.
fn http_client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .expect("an HTTP client")
}

impl Binary {
    /// # Panics
    /// When it is not there, or older than what it is made of.
    fn find(&self) -> PathBuf {
        match self {
            Self::Server => {
                static FOUND: OnceLock<PathBuf> = OnceLock::new();
                FOUND
                    .get_or_init(|| match env::var_os(BIN_VARIABLE) {
                        Some(named) => present(named.into()),
                        None => fresh(present(target_folder().join(DEFAULT_BINARY))),
                    })
                    .clone()
            }
            Self::Example(name) => fresh(present(target_folder().join("examples").join(name))),
        }
    }
}

/// `target/<profile>`: tests are in its `deps`, programs and benches in it or in its `examples`.
fn target_folder() -> PathBuf {
    let here = env::current_exe().expect("this program knows its path");
    let folder = here.parent().expect("a program is in a folder");
    let inner = folder.ends_with("deps") || folder.ends_with("examples");
    let folder = if inner { folder.parent() } else { Some(folder) };
    folder.expect("target has a profile's folder").to_owned()
}

fn present(program: PathBuf) -> PathBuf {
    assert!(
        program.is_file(),
        "{} is not there: build it with `cargo build --workspace` (and `--examples`), or name another in {BIN_VARIABLE}",
        program.display()
    );
    program
}

/// Refuses a binary that was built before one of its sources was changed. Cargo lists them in the `.d` file beside it.
fn fresh(program: PathBuf) -> PathBuf {
    if let Some(source) = newer_source(&program).unwrap_or_default() {
        panic!(
            "{} is older than {source}: build it with `cargo build --workspace`, or name it in {BIN_VARIABLE} to run it as it is",
            program.display()
        );
    }
    program
}

fn newer_source(program: &Path) -> io::Result<Option<String>> {
    let built = fs::metadata(program)?.modified()?;
    let sources = fs::read_to_string(program.with_added_extension("d"))?;
    let changed = |source: &&str| {
        fs::metadata(source)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|changed| changed > built)
    };
    Ok(sources
        .split_whitespace()
        .skip(1)
        .find(changed)
        .map(str::to_owned))
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

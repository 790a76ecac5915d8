//! Throwaway PostgreSQL clusters from the installed binaries.
//!
//! A cluster never outlives the process that asked for it, however that process ends: it runs under a small shell that
//! reads its orders from a pipe. When the pipe ends, because the cluster was dropped or because its owner is gone, the
//! shell stops PostgreSQL and removes the folder.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex, Once, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::port::free_port;

/// The folder of PostgreSQL's programs, where they are in none of the usual places.
const BIN_VARIABLE: &str = "FILAMENT_TEST_POSTGRES_BIN";

/// With `1`, tests fail where PostgreSQL is not installed, in place of being skipped.
const REQUIRE_VARIABLE: &str = "FILAMENT_TEST_REQUIRE_POSTGRES";

const PROGRAMS: [&str; 4] = ["postgres", "initdb", "pg_ctl", "createdb"];

/// The superuser of every cluster.
const USER: &str = "filament";

/// How often another port is tried when somebody took the one that was free a moment ago.
const PORT_ATTEMPTS: u32 = 5;

/// `sh -c WATCHDOG watchdog <bin> <dir> <settings>`. It takes one order a line and answers each with `ok` or `failed`.
///
/// It survives the death of its reader (the trap), and one order is finished before the end of the pipe is seen.
const WATCHDOG: &str = r#"
trap '' PIPE
bin=$1 dir=$2 settings=$3
exec 2>>"$dir/watchdog.log"
cd "$dir" || exit 1
init() { "$bin/initdb" -D "$dir/data" -U filament -A trust -E UTF8 --locale=C --no-sync; }
start() { "$bin/pg_ctl" -D "$dir/data" -l "$dir/postgres.log" -o "$settings -p $1" -w -t 60 start; }
stop() { "$bin/pg_ctl" -D "$dir/data" -m immediate -w -t 60 stop; }
while read -r order argument; do
    if "$order" "$argument" </dev/null >&2; then echo ok; else echo failed; fi
done
if [ -e "$dir/data/postmaster.pid" ]; then stop </dev/null >&2; fi
cd / && rm -rf "$dir"
"#;

/// An empty database of its own, for one test. It goes away with its cluster or its folder.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// What the driver takes; `FILAMENT_DATABASE_URL` takes it without the parameter of SQLite.
    pub url: String,
    _folder: Option<Arc<TempDir>>,
}

impl TestDatabase {
    /// A file that SQLite makes when it is opened.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("filament-sqlite-")
            .tempdir()
            .expect("a temporary folder for SQLite");
        let file = folder.path().join("filament.sqlite3");
        Self {
            url: format!("sqlite://{}?mode=rwc", file.display()),
            _folder: Some(Arc::new(folder)),
        }
    }
}

/// What a cluster does for a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Nothing: right for tests that do not stop PostgreSQL.
    Fast,
    /// What a production server does.
    Durable,
}

impl Durability {
    fn settings(self) -> &'static str {
        match self {
            Self::Fast => "-c fsync=off -c synchronous_commit=off -c full_page_writes=off",
            Self::Durable => "-c fsync=on -c synchronous_commit=on -c full_page_writes=on",
        }
    }
}

/// A PostgreSQL cluster that belongs to this process.
pub struct Postgres {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    databases: AtomicU32,
    watchdog: Mutex<Watchdog>,
}

impl Postgres {
    /// A fresh, empty database in the cluster that all tests of this process share; the first call starts it. It is
    /// quick and not durable.
    ///
    /// `None` where PostgreSQL is not installed, after saying so on stderr.
    ///
    /// # Panics
    /// When it is installed and does not start; and where it is not installed and `FILAMENT_TEST_REQUIRE_POSTGRES` is
    /// `1`.
    pub async fn database() -> Option<TestDatabase> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        let database = spawn_blocking(|| {
            let shared = SHARED.get_or_init(|| Postgres::launch(Durability::Fast));
            shared.as_ref().map(Postgres::create_database_now)
        });
        finished(database.await)
    }

    /// Whether there is PostgreSQL here; says so on stderr where not, and panics as [`Postgres::database`].
    pub fn is_installed() -> bool {
        programs().is_some()
    }

    /// A cluster of the caller's own with the durability of a production server. `None` and panics as
    /// [`Postgres::database`].
    pub async fn durable() -> Option<Self> {
        finished(spawn_blocking(|| Self::launch(Durability::Durable)).await)
    }

    /// A cluster of the caller's own that is quick and not durable. `None` and panics as [`Postgres::database`].
    pub async fn fast() -> Option<Self> {
        finished(spawn_blocking(|| Self::launch(Durability::Fast)).await)
    }

    /// A fresh, empty database in this cluster.
    pub async fn create_database(self: &Arc<Self>) -> TestDatabase {
        let this = Arc::clone(self);
        finished(spawn_blocking(move || this.create_database_now()).await)
    }

    /// Stops PostgreSQL as a crash would: connections break, nothing is flushed. What was committed durably stays.
    pub async fn stop_immediately(self: &Arc<Self>) {
        let this = Arc::clone(self);
        finished(spawn_blocking(move || this.order("stop")).await);
    }

    /// Starts it again on the same port.
    pub async fn start(self: &Arc<Self>) {
        let this = Arc::clone(self);
        finished(spawn_blocking(move || this.order(&format!("start {}", this.port))).await);
    }

    /// The process of the running cluster whose children serve the connections.
    pub fn pid(&self) -> u32 {
        let file = self.dir.join("data/postmaster.pid");
        let text =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let pid = text
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok());
        pid.unwrap_or_else(|| panic!("{} holds no pid: {text:?}", file.display()))
    }

    /// The folder of the cluster.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn launch(durability: Durability) -> Option<Self> {
        let bin = programs()?;
        let account = Account::for_postgres();
        let dir = cluster_folder(account.as_ref()).expect("a temporary folder for PostgreSQL");
        // The socket would be of no use and its path may be too long: connections come over TCP.
        let settings = format!(
            "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=400 -c shared_buffers=64MB {}",
            durability.settings()
        );
        let mut watchdog = Watchdog::start(&bin, &dir, &settings, account.as_ref());
        let port = watchdog.bring_up(&dir);
        Some(Self {
            bin,
            dir,
            port,
            databases: AtomicU32::new(0),
            watchdog: Mutex::new(watchdog),
        })
    }

    fn order(&self, order: &str) {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            watchdog.order(order),
            "PostgreSQL did not carry out `{order}`:\n{}",
            logs(&self.dir)
        );
    }

    fn create_database_now(&self) -> TestDatabase {
        let name = format!(
            "test_{}",
            self.databases.fetch_add(1, Ordering::Relaxed) + 1
        );
        let output = clean(Command::new(self.bin.join("createdb")))
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                USER,
                "-p",
                &self.port.to_string(),
                &name,
            ])
            .output()
            .expect("createdb runs");
        assert!(
            output.status.success(),
            "createdb {name}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            logs(&self.dir)
        );
        TestDatabase {
            url: format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port),
            _folder: None,
        }
    }
}

/// The shell above, and the two ends of its pipes.
struct Watchdog {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Watchdog {
    fn start(bin: &Path, dir: &Path, settings: &str, account: Option<&Account>) -> Self {
        let mut command = clean(Command::new("/bin/sh"));
        command
            .args(["-c", WATCHDOG, "watchdog"])
            .args([bin, dir])
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Interrupting the tests in a terminal interrupts them, and not the one who cleans up after them.
            .process_group(0);
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
        let mut child = command.spawn().expect("/bin/sh runs");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self {
            child,
            orders,
            answers,
        }
    }

    fn order(&mut self, order: &str) -> bool {
        let Some(orders) = &mut self.orders else {
            return false;
        };
        let mut answer = String::new();
        let told = writeln!(orders, "{order}").and_then(|()| self.answers.read_line(&mut answer));
        told.is_ok() && answer.trim() == "ok"
    }

    /// Makes the cluster and starts it; answers its port.
    fn bring_up(&mut self, dir: &Path) -> u16 {
        assert!(self.order("init"), "initdb failed:\n{}", logs(dir));
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port();
            if self.order(&format!("start {port}")) {
                return port;
            }
        }
        panic!("PostgreSQL does not start:\n{}", logs(dir));
    }
}

/// Ends the pipe and waits until the shell has cleaned up.
impl Drop for Watchdog {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// A user of the system that is not root, whom PostgreSQL does not refuse to run as.
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// `None` when this process is not root's and can run PostgreSQL itself.
    fn for_postgres() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
        let account = ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::find(&passwd, name));
        Some(account.expect(
            "PostgreSQL does not run as root, and /etc/passwd has neither `postgres` nor `nobody`",
        ))
    }

    fn find(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            (uid != 0).then_some(Self { uid, gid })
        })
    }
}

/// Makes the folder of a cluster, and gives it to the account that will run it.
fn cluster_folder(account: Option<&Account>) -> io::Result<PathBuf> {
    let folder = tempfile::Builder::new()
        .prefix("filament-postgres-")
        .tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
    if let Some(account) = account {
        chown(folder.path(), Some(account.uid), Some(account.gid))?;
    }
    // From here on the watchdog removes it.
    Ok(folder.keep())
}

/// Drops what the environment says to PostgreSQL's programs: `PGHOST`, `PGDATA` and the like.
fn clean(mut command: Command) -> Command {
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    if let Some(path) = env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

fn finished<T>(result: Result<T, tokio::task::JoinError>) -> T {
    result.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => panic!("{error}"),
    })
}

fn logs(dir: &Path) -> String {
    let read = |name| fs::read_to_string(dir.join(name)).unwrap_or_default();
    format!("{}{}", read("watchdog.log"), read("postgres.log"))
}

const HINT: &str = "install its server package, or say in FILAMENT_TEST_POSTGRES_BIN in which folder `initdb` and `postgres` are";

/// Once for each process, past libtest's capturing: a test that did not run must not look as if it had.
fn say_skipped() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let text = format!(
            "\nSKIPPED: every test on PostgreSQL, because PostgreSQL is not installed; {HINT}\n\n"
        );
        let _ = io::stderr().write_all(text.as_bytes());
    });
}

/// The folder with all of [`PROGRAMS`]. Where there is none, says so, or panics where tests must not be skipped.
fn programs() -> Option<PathBuf> {
    let found = find_programs();
    if found.is_none() {
        assert!(
            env::var_os(REQUIRE_VARIABLE).is_none_or(|value| value != "1"),
            "PostgreSQL is not installed and {REQUIRE_VARIABLE}=1 forbids to go on without; {HINT}"
        );
        say_skipped();
    }
    found
}

/// The folder that was named, else that of the newest installed version.
fn find_programs() -> Option<PathBuf> {
    let complete = |dir: &PathBuf| PROGRAMS.iter().all(|program| dir.join(program).is_file());
    if let Some(named) = env::var_os(BIN_VARIABLE) {
        let named = PathBuf::from(named);
        assert!(
            complete(&named),
            "{BIN_VARIABLE} is {}, which lacks one of {PROGRAMS:?}",
            named.display()
        );
        return Some(named);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(installed_versions())
        .find(complete)
}

/// Where Debian's and the PostgreSQL project's packages put them, newest first.
fn installed_versions() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for root in ["/usr/lib/postgresql", "/usr"] {
        let Ok(entries) = fs::read_dir(root) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let version = name.to_string_lossy().trim_start_matches("pgsql-").parse();
            if let Ok(version) = version {
                versions.push((version, entry.path().join("bin")));
            }
        }
    }
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, bin)| bin).collect()
}

#[cfg(test)]
mod tests;

//! What a server is before it runs.

use std::collections::BTreeMap;

use super::{Server, binary::Binary, guard::Guard};
use crate::{backend::Backend, http, postgres::TestDatabase, secrets::Secrets};

/// What every test server gets: limits that no test meets by accident, work that is cheap, and a log of everything, in which no secret
/// may be. A test about one of them sets its own with [`Builder::env`].
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
    ("FILAMENT_LOG__LEVEL", "trace"),
    ("FILAMENT_LOG__LEVELS", EVERY_LIBRARY),
];

/// A level holds for every target that begins with these letters: for all of them.
const EVERY_LIBRARY: &str = "a=trace,b=trace,c=trace,d=trace,e=trace,f=trace,g=trace,h=trace,i=trace,j=trace,k=trace,l=trace,m=trace,\
    n=trace,o=trace,p=trace,q=trace,r=trace,s=trace,t=trace,u=trace,v=trace,w=trace,x=trace,y=trace,z=trace";

/// Postgres in tests lets everybody in and so takes any password; this one shows where it would be told.
const DATABASE_PASSWORD: &str = "the-password-of-the-database";

/// A server to be: see [`Server::builder`].
pub struct Builder {
    backend: Backend,
    database: Option<TestDatabase>,
    binary: Binary,
    variables: BTreeMap<String, String>,
    config: String,
}

impl Builder {
    pub(super) fn new(backend: Backend) -> Self {
        let variables = DEFAULTS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            backend,
            database: None,
            binary: Binary::Server,
            variables: variables.collect(),
            config: String::new(),
        }
    }

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

    /// Logs as much as a server does by itself: for measurements.
    #[must_use]
    pub fn usual_log(self) -> Self {
        self.without_env("FILAMENT_LOG__LEVEL")
            .without_env("FILAMENT_LOG__LEVELS")
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
            let url = url.replacen('@', &format!(":{DATABASE_PASSWORD}@"), 1);
            set("FILAMENT_DATABASE_URL", url);
        }
        let secrets = Secrets::default();
        for (name, value) in &variables {
            secrets.note_setting(name, value);
        }
        let server = Server {
            program,
            variables,
            dir,
            guard,
            child: None,
            addr: None,
            client: http::client(),
            secrets,
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

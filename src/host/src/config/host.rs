//! The host's own sections, typed: what the server is told about its surroundings.
//!
//! Each struct has its commented defaults beside it, and the comments there are the documentation of the keys.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use filament_kernel::config::{Complaint, Profile, Secret, Section, unset_if_empty};
use ipnet::IpNet;
use sea_orm::sqlx::postgres::PgConnectOptions;
use serde::{Deserialize, Serialize};
use validator::Validate;

use self::forms::{address, networks};
pub use self::log::{Level, Log, LogFormat};
use super::sections::{SectionSpec, TypedSections};

mod forms;
mod log;

/// The sections of the host, in the order in which they are documented.
pub(super) const SECTIONS: [SectionSpec; 8] = [
    SectionSpec::of::<Server>("server"),
    SectionSpec::of::<Data>("data"),
    SectionSpec::of::<Database>("database"),
    SectionSpec::of::<Storage>("storage"),
    SectionSpec::of::<Http>("http"),
    SectionSpec::of::<Gateway>("gateway"),
    SectionSpec::of::<Log>("log"),
    SectionSpec::of::<Reconciler>("reconciler"),
];

/// All sections of the host. Cloning it clones references.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// `[server]`
    pub server: Arc<Server>,
    /// `[data]`
    pub data: Arc<Data>,
    /// `[database]`
    pub database: Arc<Database>,
    /// `[storage]`
    pub storage: Arc<Storage>,
    /// `[http]`
    pub http: Arc<Http>,
    /// `[gateway]`
    pub gateway: Arc<Gateway>,
    /// `[log]`
    pub log: Arc<Log>,
    /// `[reconciler]`
    pub reconciler: Arc<Reconciler>,
}

impl HostConfig {
    /// Picks the host's sections out of all; `None` when one is missing.
    pub(super) fn pick(sections: &TypedSections) -> Option<Self> {
        Some(Self {
            server: sections.get("server")?,
            data: sections.get("data")?,
            database: sections.get("database")?,
            storage: sections.get("storage")?,
            http: sections.get("http")?,
            gateway: sections.get("gateway")?,
            log: sections.get("log")?,
            reconciler: sections.get("reconciler")?,
        })
    }

    /// The folder of all that the server keeps by itself.
    pub fn data_dir(&self) -> &Path {
        &self.data.dir
    }

    /// The URL of the database: `database.url`, or that of the SQLite file in the data folder.
    pub fn database_url(&self) -> Secret {
        self.database.url.clone().unwrap_or_else(|| {
            let file = self.data.dir.join("filament.sqlite3");
            Secret::new(format!("sqlite://{}", file.display()))
        })
    }

    /// The folder of attachments: `storage.attachment_root`, or `attachments` in the data folder.
    pub fn attachment_root(&self) -> PathBuf {
        match &self.storage.attachment_root {
            Some(root) => root.clone(),
            None => self.data.dir.join("attachments"),
        }
    }

    /// The Unix socket through which the running server is asked and told.
    pub fn socket_path(&self) -> PathBuf {
        crate::admin::socket_path(&self.data.dir)
    }
}

/// Gives each `…_secs` or `…_millis` key of a section its value as a [`Duration`].
macro_rules! durations {
    ($section:ty { $($name:ident = $from:ident($key:ident)),* $(,)? }) => {
        impl $section {
            $(
                #[doc = concat!("`", stringify!($key), "` as a duration.")]
                pub fn $name(&self) -> Duration {
                    Duration::$from(self.$key)
                }
            )*
        }
    };
}

/// `[server]`: where the server listens and whom it believes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Server {
    #[serde(deserialize_with = "address")]
    pub bind_addr: SocketAddr,
    #[serde(deserialize_with = "networks")]
    pub trusted_proxy_cidrs: Vec<IpNet>,
    pub public_origins: Vec<String>,
    #[validate(range(min = 1, max = 300))]
    pub shutdown_grace_secs: u64,
}

durations!(Server { shutdown_grace = from_secs(shutdown_grace_secs) });

impl Section for Server {
    const DEFAULTS: &'static str = include_str!("server.toml");

    fn check(&self, _: Profile) -> Vec<Complaint> {
        let wrong = |(index, origin): (usize, &String)| {
            (!is_origin(origin)).then(|| {
                Complaint::new(
                    format!("public_origins[{index}]"),
                    "must be an origin like \"https://chat.example.org\", without a path, or \"*\"",
                )
            })
        };
        self.public_origins
            .iter()
            .enumerate()
            .filter_map(wrong)
            .collect()
    }
}

/// Whether `text` is what a browser sends as `Origin`: scheme, host and perhaps a port, or stands for all of them.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else {
        return text == "*";
    };
    !scheme.is_empty()
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !host.is_empty()
        && !host.contains(|c: char| c.is_whitespace() || "/?#@*".contains(c))
}

/// `[data]`: where the server keeps its own files.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}

impl Section for Data {
    const DEFAULTS: &'static str = include_str!("data.toml");

    fn check(&self, _: Profile) -> Vec<Complaint> {
        if self.dir.as_os_str().is_empty() {
            return vec![Complaint::new("dir", "must name a folder")];
        }
        Vec::new()
    }
}

/// `[database]`: the database and its pool.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Database {
    #[serde(deserialize_with = "unset_if_empty")]
    pub url: Option<Secret>,
    #[validate(range(min = 1, max = 1000))]
    pub max_connections: u32,
    #[validate(range(min = 1, max = 300))]
    pub acquire_timeout_secs: u64,
    #[validate(range(min = 1, max = 300))]
    pub connect_timeout_secs: u64,
}

durations!(Database {
    acquire_timeout = from_secs(acquire_timeout_secs),
    connect_timeout = from_secs(connect_timeout_secs),
});

impl Section for Database {
    const DEFAULTS: &'static str = include_str!("database.toml");

    fn check(&self, profile: Profile) -> Vec<Complaint> {
        let message = match (self.url.as_ref().map(Secret::expose), profile) {
            (None, Profile::Dev) => None,
            (None, Profile::Production) => {
                Some("must be set in profile production, to a postgres:// or postgresql:// URL")
            }
            (Some(url), _) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                (!is_postgres(url)).then_some(
                    "must be a URL like postgres://user:password@host:5432/name, with a port of 1 to 65535 and the \
                     special characters of the password percent-encoded",
                )
            }
            (Some(url), Profile::Dev) if url.starts_with("sqlite://") => (!is_sqlite(url))
                .then_some("must be sqlite://<path>, with the path of a file and without parameters"),
            (Some(_), Profile::Dev) => Some(
                "must begin with postgres://, postgresql:// or sqlite://, or be empty for a file in data.dir",
            ),
            (Some(_), Profile::Production) => {
                Some("must begin with postgres:// or postgresql:// in profile production")
            }
        };
        let complaint = message.map(|message| Complaint::new("url", message));
        complaint.into_iter().collect()
    }
}

/// Whether the driver can read `url`. What it says about one that it cannot read may quote it, so nobody is told.
fn is_postgres(url: &str) -> bool {
    url.parse::<PgConnectOptions>()
        .is_ok_and(|options| options.get_port() != 0)
}

/// Whether `url` names a file, and nothing else: not the memory, and no parameters.
fn is_sqlite(url: &str) -> bool {
    let path = url.strip_prefix("sqlite://").unwrap_or_default();
    !path.is_empty() && path != ":memory:" && !path.contains('?')
}

/// `[storage]`: where uploaded bytes go.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    #[serde(deserialize_with = "unset_if_empty")]
    pub attachment_root: Option<PathBuf>,
}

impl Section for Storage {
    const DEFAULTS: &'static str = include_str!("storage.toml");

    fn check(&self, profile: Profile) -> Vec<Complaint> {
        if profile == Profile::Production && self.attachment_root.is_none() {
            return vec![Complaint::new(
                "attachment_root",
                "must be set in profile production, to the folder of attachments",
            )];
        }
        Vec::new()
    }
}

/// `[http]`: the bounds of requests.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Http {
    #[validate(range(min = 1, max = 300))]
    pub request_timeout_secs: u64,
    #[validate(range(min = 1, max = 300))]
    pub header_timeout_secs: u64,
    #[validate(range(min = 1, max = 3600))]
    pub idle_timeout_secs: u64,
    #[validate(range(min = 1024, max = 67_108_864))]
    pub max_json_body_bytes: usize,
    #[validate(range(min = 8192, max = 1_048_576))]
    pub max_header_bytes: usize,
    #[validate(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    #[validate(range(min = 1, max = 1_000_000))]
    pub rate_limit_requests_per_minute: u32,
    #[serde(deserialize_with = "networks")]
    pub metrics_allowed_cidrs: Vec<IpNet>,
    pub compression: bool,
}

durations!(Http {
    request_timeout = from_secs(request_timeout_secs),
    header_timeout = from_secs(header_timeout_secs),
    idle_timeout = from_secs(idle_timeout_secs),
});

impl Section for Http {
    const DEFAULTS: &'static str = include_str!("http.toml");
}

/// `[gateway]`: the bounds of WebSocket connections.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    #[validate(range(min = 1, max = 100_000))]
    pub ingress_events_per_window: u32,
    #[validate(range(min = 1, max = 3600))]
    pub ingress_window_secs: u64,
    #[validate(range(min = 1024, max = 65_536))]
    pub max_frame_bytes: usize,
    #[validate(range(min = 1, max = 65_536))]
    pub outbound_queue_events: usize,
    #[validate(range(min = 1, max = 3600))]
    pub ping_interval_secs: u64,
    #[validate(range(min = 1, max = 3600))]
    pub pong_timeout_secs: u64,
    #[validate(range(min = 1, max = 3600))]
    pub write_timeout_secs: u64,
    #[validate(range(max = 3600))]
    pub offline_grace_secs: u64,
    pub query_token: bool,
    #[validate(range(min = 1, max = 100_000))]
    pub max_sockets_per_user: usize,
    #[validate(range(min = 1, max = 1_000_000))]
    pub max_sockets_per_ip: usize,
}

durations!(Gateway {
    ingress_window = from_secs(ingress_window_secs),
    ping_interval = from_secs(ping_interval_secs),
    pong_timeout = from_secs(pong_timeout_secs),
    write_timeout = from_secs(write_timeout_secs),
    offline_grace = from_secs(offline_grace_secs),
});

impl Section for Gateway {
    const DEFAULTS: &'static str = include_str!("gateway.toml");

    fn check(&self, _: Profile) -> Vec<Complaint> {
        if self.pong_timeout_secs > self.ping_interval_secs {
            let most = self.ping_interval_secs;
            return vec![Complaint::new(
                "pong_timeout_secs",
                format!("must be at most {most}, the value of gateway.ping_interval_secs"),
            )];
        }
        Vec::new()
    }
}

/// `[reconciler]`: how long the steps of a change may take.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Reconciler {
    #[validate(range(min = 1, max = 600))]
    pub prepare_timeout_secs: u64,
    #[validate(range(min = 1, max = 600))]
    pub probe_timeout_secs: u64,
    #[validate(range(min = 1, max = 600))]
    pub drain_timeout_secs: u64,
    #[validate(range(min = 10, max = 60_000))]
    pub debounce_millis: u64,
    #[validate(range(min = 1, max = 1000))]
    pub max_task_panics: u32,
    #[validate(range(min = 10, max = 600_000))]
    pub panic_backoff_millis: u64,
}

durations!(Reconciler {
    prepare_timeout = from_secs(prepare_timeout_secs),
    probe_timeout = from_secs(probe_timeout_secs),
    drain_timeout = from_secs(drain_timeout_secs),
    debounce = from_millis(debounce_millis),
    panic_backoff = from_millis(panic_backoff_millis),
});

impl Section for Reconciler {
    const DEFAULTS: &'static str = include_str!("reconciler.toml");
}

//! `[log]`: what is logged and how it looks.

use std::{collections::BTreeMap, str::FromStr};

use filament_kernel::config::{Complaint, Profile, Section};
use serde::{Deserialize, Serialize};
use validator::Validate;

/// `[log]`: what is logged and how it looks.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub level: Level,
    pub levels: String,
    pub format: LogFormat,
}

impl Log {
    /// `levels`, parsed: the level of each module or crate that is named there. Pairs that are not one are left out,
    /// which a loaded configuration has none of.
    pub fn levels_by_module(&self) -> BTreeMap<&str, Level> {
        self.pairs().flatten().collect()
    }

    /// Each pair of `levels`, or `Err` with its place when it is not one.
    fn pairs(&self) -> impl Iterator<Item = Result<(&str, Level), usize>> {
        let pairs = self.levels.split(',').map(str::trim);
        pairs
            .enumerate()
            .filter(|(_, pair)| !pair.is_empty())
            .map(|(index, pair)| {
                let (module, level) = pair.split_once('=').ok_or(index)?;
                let (module, level) = (module.trim(), level.trim().parse().map_err(|()| index)?);
                if module.is_empty() {
                    Err(index)
                } else {
                    Ok((module, level))
                }
            })
    }
}

impl Section for Log {
    const DEFAULTS: &'static str = include_str!("../log.toml");

    fn check(&self, _: Profile) -> Vec<Complaint> {
        let wrong = self.pairs().filter_map(Result::err).map(|index| {
            let nth = index + 1;
            Complaint::new(
                "levels",
                format!(
                    "pair {nth} must be `module=level`, with off, error, warn, info, debug or trace"
                ),
            )
        });
        wrong.collect()
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    const ALL: [Self; 6] = [
        Self::Off,
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// The name, as it stands in the file and in the directives of `tracing_subscriber`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let named = Self::ALL.into_iter().find(|level| level.as_str() == text);
        named.ok_or(())
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For programs: one JSON object a line.
    Json,
}

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
    /// `levels`, parsed: the level of each target, the id of a module or the name of a library. Pairs that are not one are
    /// left out, which a loaded configuration has none of.
    pub fn levels_by_module(&self) -> BTreeMap<&str, Level> {
        self.pairs().filter_map(|(_, pair)| pair.ok()).collect()
    }

    /// Each pair of `levels` with its place, from 1.
    fn pairs(&self) -> impl Iterator<Item = (usize, Result<(&str, Level), NoPair>)> {
        let pairs = (1..).zip(self.levels.split(',').map(str::trim));
        pairs
            .filter(|(_, pair)| !pair.is_empty())
            .map(|(nth, pair)| (nth, pair_of(pair)))
    }
}

/// What is wrong with a pair of `levels`.
enum NoPair {
    Form,
    Target,
}

fn pair_of(text: &str) -> Result<(&str, Level), NoPair> {
    let (target, level) = text.split_once('=').ok_or(NoPair::Form)?;
    let level = level.trim().parse().map_err(|()| NoPair::Form)?;
    let target = target.trim();
    let is_good = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | ':');
    if target.is_empty() || !target.chars().all(is_good) {
        return Err(NoPair::Target);
    }
    Ok((target, level))
}

impl Section for Log {
    const DEFAULTS: &'static str = include_str!("../log.toml");

    fn check(&self, _: Profile) -> Vec<Complaint> {
        let wrong = self.pairs().filter_map(|(nth, pair)| {
            let must = match pair.err()? {
                NoPair::Form => {
                    "must be `target=level`, with off, error, warn, info, debug or trace"
                }
                NoPair::Target => {
                    "must name a module or a library before its =, with a to z, 0 to 9, _ and : only"
                }
            };
            Some(Complaint::new("levels", format!("pair {nth} {must}")))
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

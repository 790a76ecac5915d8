use std::fmt;

use super::plan::Conflict;
use crate::config::Problems;

/// Why a change was not made. The running generation is as it was.
#[derive(Debug)]
pub enum Refusal {
    /// The configuration is not valid.
    Configuration(Problems),
    /// The configuration is valid, but not for what runs.
    Conflict(Conflict),
    /// A module did not come up.
    Prepare {
        module: &'static str,
        reason: String,
    },
    /// A module came up but does not work.
    Probe {
        module: &'static str,
        reason: String,
    },
    /// The modules do not fit together.
    Assemble(String),
}

impl Refusal {
    /// What went wrong, without the module's name where one is concerned.
    pub fn reason(&self) -> String {
        match self {
            Self::Prepare { reason, .. } => reason.clone(),
            Self::Probe { reason, .. } => format!("its probe failed: {reason}"),
            other => other.to_string(),
        }
    }

    /// The step that failed.
    pub fn step(&self) -> &'static str {
        match self {
            Self::Configuration(_) | Self::Conflict(_) => "validate",
            Self::Prepare { .. } => "prepare",
            Self::Probe { .. } => "probe",
            Self::Assemble(_) => "commit",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(problems) => write!(f, "{problems}"),
            Self::Conflict(conflict) => write!(f, "{conflict}"),
            Self::Prepare { module, reason } => write!(f, "{module} did not come up: {reason}"),
            Self::Probe { module, reason } => {
                write!(f, "{module} came up but does not work: {reason}")
            }
            Self::Assemble(reason) => write!(f, "the modules do not fit together: {reason}"),
        }
    }
}

impl std::error::Error for Refusal {}

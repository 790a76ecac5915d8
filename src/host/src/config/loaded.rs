//! A configuration that has been loaded: immutable, typed, and without problems.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use filament_kernel::config::{Profile, Section};

use super::{
    host::HostConfig,
    layers::Settled,
    problem::Note,
    schema::{Schema, section_of},
    sections::TypedSections,
};

/// The section that says which modules are on.
pub(super) const MODULES: &str = "modules";

/// A loaded configuration. It never changes; a reload makes another one.
#[derive(Clone)]
pub struct Loaded {
    /// The profile that the server runs under.
    pub profile: Profile,
    /// The host's own sections.
    pub host: HostConfig,
    pub(super) file: PathBuf,
    pub(super) enabled: BTreeMap<String, bool>,
    pub(super) notes: Vec<Note>,
    pub(super) schema: Schema,
    pub(super) settled: Settled,
    pub(super) sections: TypedSections,
    /// Each section as it may be shown, with the values that it has and with its defaults.
    pub(super) shown: BTreeMap<String, Shown>,
}

/// A section as it may be shown.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) values: serde_json::Value,
    pub(super) defaults: serde_json::Value,
}

impl Loaded {
    /// Whether the module `id` is to be on; `false` for one that this build does not have.
    pub fn is_enabled(&self, id: &str) -> bool {
        self.enabled.get(id).copied().unwrap_or(false)
    }

    /// The section `name` as an `S`. Fails when there is no such section, or when it has another type: both are
    /// mistakes of the caller and not of the configuration.
    pub fn section<S: Section>(&self, name: &str) -> Result<Arc<S>, SectionError> {
        if !self.sections.has(name) {
            return Err(SectionError::Absent {
                section: name.to_owned(),
            });
        }
        self.sections
            .get(name)
            .ok_or_else(|| SectionError::OtherType {
                section: name.to_owned(),
                wanted: std::any::type_name::<S>(),
            })
    }

    /// The keys whose values differ from those of `other`, in order. Secrets are compared by their values.
    pub fn changed_keys(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (self.settled.values(), other.settled.values());
        let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let differs = |key: &&String| ours.get(*key) != theirs.get(*key);
        keys.into_iter().filter(differs).cloned().collect()
    }

    /// The sections that hold a changed key, in order. A changed profile is named as `profile`.
    pub fn changed_sections(&self, other: &Self) -> Vec<String> {
        let keys = self.changed_keys(other);
        let sections: BTreeSet<&str> = keys
            .iter()
            .map(|key| match section_of(key) {
                "" => key.as_str(),
                section => section,
            })
            .collect();
        sections.into_iter().map(str::to_owned).collect()
    }

    /// What was seen while loading and is no problem.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The configuration file, absolute, to be watched: it may not exist yet.
    pub fn file_path(&self) -> &Path {
        &self.file
    }
}

impl fmt::Debug for Loaded {
    /// Shows what may be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown.iter().map(|(name, shown)| (name, &shown.values));
        let sections: BTreeMap<_, _> = shown.collect();
        f.debug_struct("Loaded")
            .field("profile", &self.profile)
            .field("file", &self.file)
            .field("sections", &sections)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// Why [`Loaded::section`] has nothing to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionError {
    /// No such section was described to the loader.
    Absent {
        /// The section that was asked for.
        section: String,
    },
    /// The section was described with another type.
    OtherType {
        /// The section that was asked for.
        section: String,
        /// The type that it was asked for as.
        wanted: &'static str,
    },
}

impl fmt::Display for SectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { section } => write!(f, "there is no section [{section}]"),
            Self::OtherType { section, wanted } => {
                write!(f, "section [{section}] is not read as {wanted}")
            }
        }
    }
}

impl std::error::Error for SectionError {}

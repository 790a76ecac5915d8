//! What a configuration is loaded from.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

use filament_kernel::config::Profile;

use super::{aliases::CONFIG_VARIABLE, problem::Source};

/// Variables that begin so belong to the server.
pub(super) const PREFIX: &str = "FILAMENT_";

/// The file that is read when it exists and no other is named.
const DEFAULT_FILE: &str = "filament.toml";

/// Everything from outside that decides about the configuration. Nothing else is looked at, so tests need no
/// environment of their own.
#[derive(Clone, Default)]
pub struct Inputs {
    /// The file that the command line names.
    pub file: Option<PathBuf>,
    /// The environment; only variables that begin with `FILAMENT_` are looked at.
    pub env: BTreeMap<String, String>,
    /// The profile that the command line names; it wins over all other sources.
    pub profile: Option<Profile>,
}

impl Inputs {
    /// The inputs of this process: its environment, and what its command line says.
    pub fn from_process(file: Option<PathBuf>, profile: Option<Profile>) -> Self {
        // A variable that is not UTF-8 gets a replacement character here, by which loading knows it.
        let text = |text: &OsStr| text.to_string_lossy().into_owned();
        let env = std::env::vars_os()
            .map(|(name, value)| (text(&name), text(&value)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        Self { file, env, profile }
    }

    /// The configuration file: which one, and who named it.
    pub(super) fn chosen_file(&self) -> ChosenFile {
        let variable = self.env.get(CONFIG_VARIABLE);
        let (path, named_by) = match (&self.file, variable) {
            (Some(path), _) => {
                let option = "--config".to_owned();
                (path.clone(), Some(Source::CommandLine { option }))
            }
            (None, Some(path)) if !path.is_empty() => {
                let name = CONFIG_VARIABLE.to_owned();
                (PathBuf::from(path), Some(Source::Variable { name }))
            }
            _ => (PathBuf::from(DEFAULT_FILE), None),
        };
        ChosenFile { path, named_by }
    }
}

impl fmt::Debug for Inputs {
    /// Shows the names of the variables only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self
            .env
            .keys()
            .filter(|name| name.starts_with(PREFIX))
            .collect();
        f.debug_struct("Inputs")
            .field("file", &self.file)
            .field("env", &names)
            .field("profile", &self.profile)
            .finish()
    }
}

/// The configuration file, which need not exist when nobody named it.
pub(super) struct ChosenFile {
    pub(super) path: PathBuf,
    pub(super) named_by: Option<Source>,
}

impl ChosenFile {
    /// The file's text; `None` when it does not exist and need not.
    pub(super) fn text(&self) -> Result<Option<String>, String> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && self.named_by.is_none() =>
            {
                Ok(None)
            }
            Err(error) => Err(unreadable(&self.path, &error)),
        }
    }
}

/// Why a file cannot be read, without anything of what it holds.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("file {path} does not exist"),
        std::io::ErrorKind::InvalidData => format!("file {path} is not UTF-8"),
        kind => format!("file {path} cannot be read: {kind}"),
    }
}

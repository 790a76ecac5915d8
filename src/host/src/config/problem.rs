//! What loading has to say: problems, which refuse the configuration, and notes, which do not.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::loaded::Loaded;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// The commented defaults in the binary.
    Default,
    /// What the profile changes in the defaults.
    Profile,
    /// The configuration file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
        /// The column, from 1; known for errors of syntax.
        #[serde(skip_serializing_if = "Option::is_none")]
        column: Option<usize>,
    },
    /// A file that a variable names.
    SecretFile {
        /// The variable, `FILAMENT_…_FILE`.
        variable: String,
        /// The file that it names.
        path: PathBuf,
    },
    /// A variable of the environment.
    Variable {
        /// Its name.
        name: String,
    },
    /// An option of the command line.
    CommandLine {
        /// Its name, `--config`.
        option: String,
    },
    /// Nowhere in particular.
    None,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile => f.write_str("profile"),
            Self::File { path, line, column } => {
                write!(f, "{}", path.display())?;
                for place in [line, column].into_iter().flatten() {
                    write!(f, ":{place}")?;
                }
                Ok(())
            }
            Self::SecretFile { variable, path } => {
                write!(f, "file {} of {variable}", path.display())
            }
            Self::Variable { name } => f.write_str(name),
            Self::CommandLine { option } => f.write_str(option),
            Self::None => Ok(()),
        }
    }
}

/// One thing that is wrong. It never holds a value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The key, `gateway.ping_interval_secs`, or the unknown variable; empty when a file as a whole is the problem.
    pub key: String,
    /// What set the value that is wrong.
    pub source: Source,
    /// What is wrong and what would be right.
    pub message: String,
    /// What to do about it, where that can be guessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Problem {
    /// A problem that somebody else found with a configuration that has been loaded: what set `key` there is its source.
    pub fn about(loaded: &Loaded, key: &str, message: String, suggestion: Option<String>) -> Self {
        Self {
            key: key.to_owned(),
            source: loaded.settled.source(key),
            message,
            suggestion,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        // An unknown variable is its own key; naming it twice says nothing more.
        match &self.source {
            Source::None => {}
            Source::Variable { name } if *name == self.key => {}
            source => write!(f, " ({source})")?,
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; {suggestion}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, at once; make none of nothing. Displays as one message of several lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Each problem, in the order of their keys.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// The problems, in the order of their keys.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Vec<Problem>> for Problems {
    /// Puts problems in order and drops repetitions.
    fn from(mut problems: Vec<Problem>) -> Self {
        problems
            .sort_by(|a, b| (&a.key, &a.source, &a.message).cmp(&(&b.key, &b.source, &b.message)));
        problems.dedup();
        Self(problems)
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a problem:")?,
            count => write!(f, "the configuration has {count} problems:")?,
        }
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Something that was seen and is no problem: a variable that has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What the note is about.
    pub source: Source,
    /// What was seen.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.message)
    }
}

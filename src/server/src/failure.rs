//! A command that has not done what it was asked, and how that is told.

use std::fmt::Display;

use filament_host::config::Problems;
use serde_json::{Value, json};

use crate::{exit::Exit, output};

/// Why a command has not done what it was asked.
pub(crate) struct Failure {
    exit: Exit,
    /// For people.
    text: String,
    /// For programs: an object with the text under `error`, and more where there is more to say.
    object: Value,
}

impl Failure {
    /// A failure in one text for everybody.
    pub(crate) fn new(exit: Exit, text: impl Display) -> Self {
        let text = text.to_string();
        let object = json!({ "error": text });
        Self { exit, text, object }
    }

    /// A failure of which programs are told `object`, which has an `error`.
    pub(crate) fn with_object(exit: Exit, text: impl Display, object: Value) -> Self {
        let text = text.to_string();
        Self { exit, text, object }
    }

    /// Tells it: as JSON on standard output where that was asked for and can be written, else as text on standard error.
    pub(crate) fn tell(self, json: bool) -> Exit {
        let told = json && output::json(&self.object);
        if !told {
            output::complain(self.text);
        }
        self.exit
    }
}

/// What is wrong with the configuration.
impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let text = problems.to_string();
        let object = json!({ "error": text, "problems": problems });
        Self::with_object(Exit::Config, text, object)
    }
}

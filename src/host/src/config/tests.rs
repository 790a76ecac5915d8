//! Loading, from the view of an operator: what is set, what is refused and what is said about it.

use std::{collections::BTreeMap, path::PathBuf};

use filament_kernel::config::{Complaint, Profile, Secret, Section, unset_if_empty};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::*;

mod explaining;
mod layering;
mod refusing;

/// The section of a module, with a secret, a table in it and a rule of the profile.
#[derive(Debug, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
struct Auth {
    #[validate(range(min = 1, max = 600))]
    route_requests_per_minute: u32,
    #[serde(deserialize_with = "unset_if_empty")]
    hcaptcha_secret: Option<Secret>,
    pepper: Secret,
    mode: Mode,
    weights: Vec<f64>,
    port: u16,
    #[validate(nested)]
    argon2: Argon2,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
struct Argon2 {
    #[validate(range(min = 8))]
    memory_kib: u32,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Open,
    Closed,
}

impl Section for Auth {
    const DEFAULTS: &'static str = r#"
# Requests a minute; 1 to 600.
route_requests_per_minute = 60

# A secret. Empty: none.
hcaptcha_secret = ""

# A secret.
pepper = "salt"

# "open" or "closed".
mode = "open"

# Numbers.
weights = [0.5]

# A port.
port = 80

# Anything.
labels = {}

# How passwords are hashed.
[argon2]
# KiB; at least 8.
memory_kib = 19456
"#;

    fn check(&self, profile: Profile) -> Vec<Complaint> {
        match (profile, &self.hcaptcha_secret) {
            (Profile::Production, None) => {
                vec![Complaint::new(
                    "hcaptcha_secret",
                    "must be set in profile production",
                )]
            }
            _ => Vec::new(),
        }
    }
}

const SECTIONS: &[SectionSpec] = &[SectionSpec::of::<Auth>("auth")];
const MODULES: &[&str] = &["auth", "chat"];

/// A folder with a configuration file and secret files, and an environment.
struct Site {
    folder: tempfile::TempDir,
    inputs: Inputs,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            inputs: Inputs::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(mut self, text: &str) -> Self {
        std::fs::write(self.path("filament.toml"), text).unwrap();
        self.inputs.file = Some(self.path("filament.toml"));
        self
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.inputs.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn secret_file(self, name: &str, content: &str) -> Self {
        let path = self.path(&name.to_ascii_lowercase());
        std::fs::write(&path, content).unwrap();
        self.var(name, &path.display().to_string())
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load(SECTIONS, MODULES, &self.inputs)
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The problems, with the folder's name taken out.
    fn refused(&self) -> Vec<String> {
        let problems = self
            .load()
            .expect_err("the configuration should be refused");
        let folder = format!("{}/", self.folder.path().display());
        let lines = problems.iter().map(|problem| problem.to_string());
        lines.map(|line| line.replace(&folder, "")).collect()
    }
}

fn variable(name: &str) -> Source {
    Source::Variable {
        name: name.to_owned(),
    }
}

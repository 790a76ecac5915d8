//! A module's configuration: one section of `filament.toml`, typed and validated.
//!
//! A section is described twice, and a test of the host holds the two together: by a commented
//! `config.default.toml`, which is documentation, example and lowest layer in one, and by a struct that
//! implements [`Section`], which is what the code reads. Every key of the struct stands in the file; a key whose
//! default is "not set" stands there as an empty string.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use validator::{Validate, ValidationErrors};

/// The profile a server runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Everything embedded, nothing to set up.
    Dev,
    /// Refuses to start half-configured.
    Production,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dev => "dev",
            Self::Production => "production",
        })
    }
}

/// One thing that is wrong with a key, in a person's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The key, relative to its section: `url`, or `argon2.memory_kib`.
    pub key: String,
    /// What is wrong and what would be right. Never holds the value, which may be a secret.
    pub message: String,
}

impl Complaint {
    /// A complaint about `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }
}

/// A configuration section. Derive `Deserialize` (with `deny_unknown_fields`), `Serialize` and `Validate`; bounds of a
/// single key go into `#[validate(…)]`, what concerns several keys or the profile into [`Section::check`].
pub trait Section: DeserializeOwned + Serialize + Validate + Send + Sync + 'static {
    /// The commented defaults, as `include_str!("../config.default.toml")`: the body of the section, without its `[header]`.
    const DEFAULTS: &'static str;

    /// Rules across keys, and what the profile demands. Called whenever the section can be read, so that everything that is
    /// wrong shows at once: a key may be out of its bounds (mind overflows), and one that cannot be read has its default.
    /// A complaint about such a key is dropped, and so is one whose message names such a key, in backticks or with its
    /// section: what depends on a wrong value is judged when that is right.
    fn check(&self, profile: Profile) -> Vec<Complaint> {
        let _ = profile;
        Vec::new()
    }
}

/// A value that must never be shown: it prints and serialises as `[redacted]`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The value itself; the name makes each use easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// For `#[serde(deserialize_with = "unset_if_empty")]`: an empty string is "not set".
pub fn unset_if_empty<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    use serde::de::{IntoDeserializer, value::StringDeserializer};
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let text: StringDeserializer<D::Error> = text.into_deserializer();
    T::deserialize(text).map(Some)
}

/// Flattens what [`Validate`] found into complaints with dotted keys.
pub fn complaints(errors: &ValidationErrors) -> Vec<Complaint> {
    let mut found = Vec::new();
    collect(errors, "", &mut found);
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

fn collect(errors: &ValidationErrors, prefix: &str, found: &mut Vec<Complaint>) {
    use validator::ValidationErrorsKind::{Field, List, Struct};
    for (name, kind) in errors.errors() {
        let key = if prefix.is_empty() {
            name.to_string()
        } else {
            format!("{prefix}.{name}")
        };
        match kind {
            Field(list) => found.extend(
                list.iter()
                    .map(|error| Complaint::new(key.clone(), describe(error))),
            ),
            Struct(inner) => collect(inner, &key, found),
            List(items) => {
                for (index, inner) in items {
                    collect(inner, &format!("{key}[{index}]"), found);
                }
            }
        }
    }
}

/// What a validation error says, with its bounds and without the value.
pub fn describe(error: &validator::ValidationError) -> String {
    if let Some(message) = &error.message {
        return message.to_string();
    }
    let bound = |name: &str| {
        error.params.get(name).map(|value| match value.as_f64() {
            Some(number) if number.fract() == 0.0 => format!("{}", number as i64),
            _ => value.to_string(),
        })
    };
    let unit = if error.code == "length" {
        " characters or items"
    } else {
        ""
    };
    match (bound("min"), bound("max"), bound("equal")) {
        (_, _, Some(equal)) => format!("must be exactly {equal}{unit}"),
        (Some(min), Some(max), _) => format!("must be {min} to {max}{unit}"),
        (Some(min), None, _) => format!("must be at least {min}{unit}"),
        (None, Some(max), _) => format!("must be at most {max}{unit}"),
        _ => format!("is not a valid {}", error.code.replace('_', " ")),
    }
}

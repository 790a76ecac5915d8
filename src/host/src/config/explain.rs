//! Saying what the configuration is: for a person who asks about a key, and as the example file.

use std::fmt;

use filament_kernel::config::Profile;
use serde::Serialize;
use serde_json::Value as Json;

use super::{
    document::Document,
    load::texts,
    loaded::Loaded,
    problem::Source,
    reading::in_json,
    schema::{KeySpec, section_of},
    sections::SectionSpec,
};

/// Everything about one key. Secrets read `[redacted]`; a key that is not set is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// `gateway.ping_interval_secs`
    pub key: String,
    /// Its value.
    pub value: Json,
    /// What set it.
    pub source: Source,
    /// What it means, with its unit and bounds: the comment above it in the defaults.
    pub documentation: String,
    /// Its value when nobody sets it, before the profile.
    pub default: Json,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Json| match value {
            Json::Null => "not set".to_owned(),
            value => value.to_string(),
        };
        for line in self.documentation.lines() {
            writeln!(f, "# {line}")?;
        }
        write!(f, "{} = {} ({}", self.key, shown(&self.value), self.source)?;
        match self.source {
            Source::Default => f.write_str(")"),
            _ => write!(f, "; default: {})", shown(&self.default)),
        }
    }
}

/// Explains a key, or all keys of a section, or every key. Empty when there is no such key or section.
pub fn explain(loaded: &Loaded, key: Option<&str>) -> Vec<Explanation> {
    let wanted = |spec: &&KeySpec| match key {
        None => true,
        Some(key) => {
            spec.path == key
                || spec
                    .path
                    .strip_prefix(key)
                    .is_some_and(|rest| rest.starts_with('.'))
        }
    };
    let keys = loaded.schema.keys().iter().filter(wanted);
    keys.map(|spec| explanation(loaded, spec)).collect()
}

/// The key or section that was probably meant by one that there is not.
pub fn nearest_key<'a>(loaded: &'a Loaded, key: &str) -> Option<&'a str> {
    loaded.schema.nearest(key)
}

fn explanation(loaded: &Loaded, spec: &KeySpec) -> Explanation {
    let section = section_of(&spec.path);
    let (value, default) = match loaded.shown.get(section) {
        Some(shown) => {
            let at_key = |json| in_json(json, section, &spec.path).cloned();
            (
                at_key(&shown.values).unwrap_or_default(),
                at_key(&shown.defaults).unwrap_or_default(),
            )
        }
        // The only key outside of all sections is the profile.
        None => (
            Json::from(loaded.profile.to_string()),
            Json::from(Profile::Dev.to_string()),
        ),
    };
    Explanation {
        key: spec.path.clone(),
        value,
        source: loaded.settled.source(&spec.path),
        documentation: spec.documentation.clone(),
        default,
    }
}

/// The example file: every setting of the host and of `sections` with its comment and its default. It loads as it is.
pub fn example(sections: &[SectionSpec], module_ids: &[&'static str]) -> String {
    let mut example = String::from(
        "# The configuration of filament-server: every setting, with its default.\n\
         #\n\
         # What is left out here has its default, and the profile may change that. A value in this file wins over both, the\n\
         # file that FILAMENT_<SECTION>__<KEY>_FILE names wins over this file, and FILAMENT_<SECTION>__<KEY> wins over all.\n",
    );
    for (name, text) in texts(sections, module_ids) {
        example.push('\n');
        if !name.is_empty() {
            example.push_str(&format!("[{name}]\n"));
        }
        // Defaults that are no TOML are refused when they are loaded; here they stand as they are.
        match Document::parse(&text) {
            Ok(document) => example.push_str(document.nested_in(name).trim()),
            Err(_) => example.push_str(text.trim()),
        }
        example.push('\n');
    }
    example
}

//! Saying what the configuration is: for a person who asks about a key, and as the example file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use filament_kernel::config::Profile;
use serde::Serialize;
use serde_json::Value as Json;

use super::{
    document::Document,
    inputs::{Inputs, PREFIX},
    layers::Settled,
    load::{draft, texts},
    loaded::{Loaded, Shown},
    problem::{Problems, Source},
    reading::in_json,
    schema::{KeySpec, Schema, section_of},
    sections::SectionSpec,
    variables,
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
            Json::Null => "(unset)".to_owned(),
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

/// Explains a key, or all keys of a section, or every key. A key may also go by the name of a variable that sets it. Empty
/// when there is no such key or section.
pub fn explain(loaded: &Loaded, key: Option<&str>) -> Vec<Explanation> {
    let view = View {
        profile: loaded.profile,
        schema: &loaded.schema,
        settled: &loaded.settled,
        shown: &loaded.shown,
        wrong: BTreeSet::new(),
    };
    view.explain(key)
}

/// What there is to say about a configuration that may have problems.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// As of [`explain`], but a key with a problem has its default. Empty when there is no such key or section.
    pub explanations: Vec<Explanation>,
    /// Where there is no such key: what to say about it, as loading says it.
    pub suggestion: Option<String>,
    /// Everything that is wrong with the configuration.
    pub problems: Option<Problems>,
}

/// As [`explain`], from what [`load`](super::load()) takes: a configuration with problems is explained as well.
pub fn explain_from(
    sections: &[SectionSpec],
    module_ids: &[&'static str],
    inputs: &Inputs,
    key: Option<&str>,
) -> Explained {
    let draft = draft(sections, module_ids, inputs);
    let wrong = draft
        .problems
        .iter()
        .filter_map(|problem| draft.schema.key_around(&problem.key));
    let view = View {
        profile: draft.profile,
        schema: &draft.schema,
        settled: &draft.settled,
        shown: &draft.shown,
        wrong: wrong.map(|key| key.path.as_str()).collect(),
    };
    let explanations = view.explain(key);
    let suggestion =
        key.filter(|_| explanations.is_empty())
            .and_then(|key| match key.starts_with(PREFIX) {
                true => variables::suggestion(key, &draft.schema),
                false => draft.schema.suggestion(key),
            });
    let problems = (!draft.problems.is_empty()).then(|| Problems::from(draft.problems.clone()));
    Explained {
        explanations,
        suggestion,
        problems,
    }
}

/// What explanations are made of.
struct View<'a> {
    profile: Profile,
    schema: &'a Schema,
    settled: &'a Settled,
    shown: &'a BTreeMap<String, Shown>,
    /// The keys that have a problem.
    wrong: BTreeSet<&'a str>,
}

impl View<'_> {
    fn explain(&self, key: Option<&str>) -> Vec<Explanation> {
        let variable = key.and_then(|name| variables::key_named(name, self.schema));
        let key = variable.map(|spec| spec.path.as_str()).or(key);
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
        let keys = self.schema.keys().iter().filter(wanted);
        keys.map(|spec| self.explanation(spec)).collect()
    }

    fn explanation(&self, spec: &KeySpec) -> Explanation {
        let section = section_of(&spec.path);
        let (value, default) = match self.shown.get(section) {
            Some(shown) => {
                let at_key = |json| in_json(json, section, &spec.path).cloned();
                (
                    at_key(&shown.values).unwrap_or_default(),
                    at_key(&shown.defaults).unwrap_or_default(),
                )
            }
            // The only key outside of all sections is the profile.
            None if section.is_empty() => (
                Json::from(self.profile.to_string()),
                Json::from(Profile::Dev.to_string()),
            ),
            // The type of the section refuses its own defaults, which is one of the problems.
            None => (Json::Null, Json::Null),
        };
        let (value, source) = if self.wrong.contains(spec.path.as_str()) {
            (default.clone(), Source::Default)
        } else {
            (value, self.settled.source(&spec.path))
        };
        Explanation {
            key: spec.path.clone(),
            value,
            source,
            documentation: spec.documentation.clone(),
            default,
        }
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

//! Reading one section: from values to a type, with everything that is wrong on the way.

use std::{collections::BTreeSet, sync::Arc};

use figment::{error::Kind, value::Value};
use filament_kernel::config::{Complaint, Profile};

use super::{
    aliases,
    layers::{Layer, Settled},
    problem::{Problem, Source},
    schema::{KeySpec, Schema, join, section_of},
    sections::{ReadSection, SectionSpec},
    suggest,
};

/// Reads sections out of the settled values.
pub(super) struct Reader<'a> {
    pub(super) schema: &'a Schema,
    pub(super) settled: &'a Settled,
    pub(super) profile: Profile,
}

impl Reader<'_> {
    /// Reads a section. What is wrong with single keys comes out at once: a key that cannot be read is put aside, its
    /// default takes its place, and the section is read again. The rules across keys are asked only when every key is
    /// good, `problems` so far included, and `judge` says so.
    pub(super) fn read(
        &self,
        spec: &SectionSpec,
        judge: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<dyn ReadSection>> {
        let section = self.read_keys(spec, problems)?;
        let complaints = section.complaints_of_keys();
        problems.extend(self.problems_of(spec.name, complaints));
        let all_good = problems
            .iter()
            .filter_map(|problem| self.schema.key_around(&problem.key))
            .all(|key| section_of(&key.path) != spec.name);
        if judge && all_good {
            let complaints = section.complaints_of_section(self.profile);
            problems.extend(self.problems_of(spec.name, complaints));
        }
        Some(section)
    }

    fn read_keys(
        &self,
        spec: &SectionSpec,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<dyn ReadSection>> {
        let mut values = self.settled.section(spec.name);
        let mut put_aside = BTreeSet::new();
        loop {
            let error = match (spec.read)(values.value()) {
                Ok(section) => return Some(section),
                Err(error) => error,
            };
            let path = join(spec.name, &error.path.join("."));
            let key = self.schema.key_around(&path);
            let Some(key) = key.filter(|key| put_aside.insert(key.path.clone())) else {
                problems.push(misfit(&path, &error));
                return None;
            };
            let value = self.settled.value(&key.path);
            let (message, suggestion) = describe(&error, value);
            problems.push(Problem {
                key: item_of(key, &path),
                source: self.settled.source(&key.path),
                message,
                suggestion,
            });
            values.replace(relative(&key.path, spec.name), key.default.clone());
        }
    }

    fn problems_of(&self, section: &str, complaints: Vec<Complaint>) -> Vec<Problem> {
        let problem = |complaint: Complaint| {
            let path = join(section, &complaint.key);
            let key = self.schema.key_around(&path);
            let unset = key.filter(|key| self.is_unset(key));
            let source = key.map_or(Source::None, |key| self.settled.source(&key.path));
            Problem {
                key: path,
                // That nobody set the key is the problem, so it is nobody's.
                source: match source {
                    Source::Default if unset.is_some() => Source::None,
                    source => source,
                },
                message: complaint.message,
                suggestion: unset.map(|key| how_to_set(&key.path)),
            }
        };
        complaints.into_iter().map(problem).collect()
    }

    /// Whether nothing has been said about a key.
    fn is_unset(&self, key: &KeySpec) -> bool {
        let value = self.settled.value(&key.path).and_then(Value::as_str);
        value.is_some_and(str::is_empty)
    }
}

/// The defaults of a section, as they may be shown; nothing when its type refuses them.
pub(super) fn shown_defaults(spec: &SectionSpec, defaults: &Settled) -> serde_json::Value {
    let section = (spec.read)(defaults.section(spec.name).value());
    section.map(|section| section.shown()).unwrap_or_default()
}

impl SectionSpec {
    /// Holds the commented defaults and the type against each other: each key of one that the other lacks, a default
    /// that the type refuses or that breaks its own bounds, and a key without a comment. Empty when they agree.
    pub fn disagreements(&self) -> Vec<String> {
        let mut schema = Schema::default();
        if let Err(message) = schema.add(self.name, self.defaults) {
            return vec![format!("{}: {message}", self.name)];
        }
        let defaults = Settled::of(&[Layer::defaults(&schema)], &schema);
        let section = match (self.read)(defaults.section(self.name).value()) {
            Ok(section) => section,
            Err(error) => {
                let path = join(self.name, &error.path.join("."));
                return vec![misfit(&path, &error).to_string()];
            }
        };
        let mut found: Vec<String> = section
            .complaints_of_keys()
            .into_iter()
            .chain(section.complaints_of_section(Profile::Dev))
            .map(|complaint| format!("{}.{}: {}", self.name, complaint.key, complaint.message))
            .collect();
        let shown = section.shown();
        for key in schema.keys() {
            if key.documentation.is_empty() {
                found.push(format!("{}: has no comment above it", key.path));
            }
            if in_json(&shown, self.name, &key.path).is_none() {
                found.push(format!("{}: is in the file and not in the type", key.path));
            }
        }
        let mut paths = Vec::new();
        leaves(&shown, self.name, &mut paths);
        let missing = paths
            .iter()
            .filter(|path| schema.key_around(path).is_none());
        found.extend(missing.map(|path| format!("{path}: is in the type and not in the file")));
        found
    }
}

/// What a shown section holds at a key.
pub(super) fn in_json<'a>(
    shown: &'a serde_json::Value,
    section: &str,
    path: &str,
) -> Option<&'a serde_json::Value> {
    let mut names = relative(path, section).split('.');
    names.try_fold(shown, |value, name| value.get(name))
}

/// The path of a key within its section.
fn relative<'a>(path: &'a str, section: &str) -> &'a str {
    let rest = path.strip_prefix(section).unwrap_or(path);
    rest.strip_prefix('.').unwrap_or(rest)
}

/// A path in a key, with the places of items in brackets: `server.trusted_proxy_cidrs[1]`.
fn item_of(key: &KeySpec, path: &str) -> String {
    let within = relative(path, &key.path).split('.');
    let within = within.filter(|name| !name.is_empty());
    within.fold(key.path.clone(), |path, name| match name.parse::<usize>() {
        Ok(place) => format!("{path}[{place}]"),
        Err(_) => format!("{path}.{name}"),
    })
}

fn leaves(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    match value.as_object() {
        Some(object) if !object.is_empty() => {
            for (name, value) in object {
                leaves(value, &join(path, name), found);
            }
        }
        Some(_) => {}
        None => found.push(path.to_owned()),
    }
}

/// The problem that the type of a section and its embedded defaults do not fit each other.
fn misfit(path: &str, error: &figment::Error) -> Problem {
    let (message, _) = describe(error, None);
    Problem {
        key: path.to_owned(),
        source: Source::Default,
        message: format!("embedded defaults do not fit their section: {message}"),
        suggestion: None,
    }
}

/// The roads by which a key that must be set can be set.
fn how_to_set(key: &str) -> String {
    let variable = aliases::variable_of(key);
    format!("set {variable}, {variable}_FILE or `{key}` in the file")
}

/// What an error says, without the value that it is about, and what was probably meant.
pub(super) fn describe(error: &figment::Error, value: Option<&Value>) -> (String, Option<String>) {
    let expected = |expected: &str| match expected {
        "u8" => "must be 0 to 255".to_owned(),
        "u16" => "must be 0 to 65535".to_owned(),
        "u32" => "must be 0 to 4294967295".to_owned(),
        "u64" | "usize" => "must be 0 or more".to_owned(),
        "i8" => "must be -128 to 127".to_owned(),
        "i16" => "must be -32768 to 32767".to_owned(),
        "i32" => "must be -2147483648 to 2147483647".to_owned(),
        expected => format!("must be {expected}"),
    };
    let message = match &error.kind {
        Kind::InvalidType(_, what) | Kind::InvalidValue(_, what) => expected(what),
        Kind::InvalidLength(_, what) => format!("has the wrong number of items, must be {what}"),
        Kind::UnknownVariant(given, known) => {
            let pairs = known.iter().map(|known| (*known, *known));
            let guess = suggest::nearest(&given.to_ascii_lowercase(), pairs);
            let message = format!("must be one of {}", known.join(", "));
            return (message, guess.map(suggest::did_you_mean));
        }
        Kind::UnknownField(_, _) => "unknown key".to_owned(),
        Kind::MissingField(name) => format!("key `{name}` is missing"),
        Kind::Message(message) if !quotes(message, value) => message.clone(),
        _ => "is not valid".to_owned(),
    };
    (message, None)
}

/// Whether a message repeats the value that it is about, or a part of it. What types say about values is their own
/// affair, and a value may be a secret.
fn quotes(message: &str, value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(_, text)) => !text.is_empty() && message.contains(text.as_str()),
        Some(Value::Array(_, items)) => items.iter().any(|item| quotes(message, Some(item))),
        Some(Value::Dict(_, dict)) => dict.values().any(|value| quotes(message, Some(value))),
        _ => false,
    }
}

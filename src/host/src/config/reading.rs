//! Reading one section: from values to a type, with everything that is wrong on the way.

use std::{collections::BTreeSet, sync::Arc};

use figment::{error::Kind, value::Value};
use filament_kernel::config::{Complaint, Profile};
use serde_json::Value as Json;

use super::{
    aliases,
    layers::{Layer, Settled},
    problem::{Problem, Source},
    schema::{KeySpec, Kind as KeyKind, Schema, join, section_of},
    sections::{ReadResult, ReadSection, SectionSpec},
    suggest,
};

/// Reads sections out of the settled values.
pub(super) struct Reader<'a> {
    pub(super) schema: &'a Schema,
    pub(super) settled: &'a Settled,
    pub(super) profile: Profile,
}

impl Reader<'_> {
    /// Reads a section. Everything that is wrong with it comes out at once: a key that cannot be read is put aside, its
    /// default takes its place, and the section is read again. The rules across keys are asked when `judge` says so; what
    /// they say about a key that is wrong by itself, or by comparing with one, is left for when that key is right.
    pub(super) fn read(
        &self,
        spec: &SectionSpec,
        judge: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<dyn ReadSection>> {
        let section = self.read_keys(spec, problems)?;
        let unread: BTreeSet<&str> = problems
            .iter()
            .filter_map(|problem| self.schema.key_around(&problem.key))
            .map(|key| key.path.as_str())
            .filter(|path| section_of(path) == spec.name)
            .collect();
        let mut found = section.complaints_of_keys();
        if judge {
            let out_of_bounds: BTreeSet<String> = found
                .iter()
                .map(|complaint| join(spec.name, &complaint.key))
                .collect();
            let names_wrong_key = |message: &str| {
                let mut wrong = unread
                    .iter()
                    .copied()
                    .chain(out_of_bounds.iter().map(String::as_str));
                wrong.any(|path| names(message, path, spec.name))
            };
            let adds = |complaint: &Complaint| {
                let path = join(spec.name, &complaint.key);
                let key = self.schema.key_around(&path);
                !out_of_bounds.contains(&path)
                    && key.is_none_or(|key| !unread.contains(key.path.as_str()))
                    && !names_wrong_key(&complaint.message)
            };
            let rules = section.complaints_of_section(self.profile);
            found.extend(rules.into_iter().filter(adds));
        }
        problems.extend(self.problems_of(spec.name, found));
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
            let at = relative(&key.path, spec.name);
            let value = self.settled.value(&key.path);
            let first_item = relative(&path, &key.path).split('.').next();
            let first_item = first_item.and_then(|place| place.parse::<usize>().ok());
            let mut errors = vec![(path, error)];
            // A wrong item hides those after it, so each of them is tried alone.
            if let (Some(first), Some(Value::Array(_, items))) = (first_item, value) {
                for (place, item) in items.iter().enumerate().skip(first + 1) {
                    values.replace(at, Value::from(vec![item.clone()]));
                    let Err(error) = (spec.read)(values.value()) else {
                        continue;
                    };
                    let path = join(spec.name, &error.path.join("."));
                    if let Some(within) = path.strip_prefix(&join(&key.path, "0")) {
                        errors.push((format!("{}.{place}{within}", key.path), error));
                    }
                }
            }
            for (path, error) in errors {
                let (mut message, suggestion) = describe(&error, value);
                if let (Some(demand), true) = (&key.demand, out_of_type(&error)) {
                    message.clone_from(demand);
                }
                problems.push(Problem {
                    key: item_of(key, &path),
                    source: self.settled.source(&key.path),
                    message,
                    suggestion,
                });
            }
            values.replace(at, key.default.clone());
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

/// Text that no type takes which does not take every text.
const NONSENSE: &str = "\u{1}";

/// Finds out what the type of a section demands of its keys, by asking it for what it refuses.
pub(super) fn learn_demands(spec: &SectionSpec, defaults: &Settled, schema: &mut Schema) {
    let keys = schema.keys_mut().iter_mut();
    for key in keys.filter(|key| section_of(&key.path) == spec.name) {
        let at = relative(&key.path, spec.name);
        let read = |value: Value| {
            let mut values = defaults.section(spec.name);
            values.replace(at, value);
            (spec.read)(values.value())
        };
        key.demand = match key.kind {
            KeyKind::String => demand_of_text(&read),
            KeyKind::Integer => demand_of_integer(&read, at),
            _ => None,
        };
    }
}

fn demand_of_text(read: &dyn Fn(Value) -> ReadResult) -> Option<String> {
    let error = read(Value::from(NONSENSE)).err()?;
    matches!(
        error.kind,
        Kind::InvalidValue(..) | Kind::UnknownVariant(..)
    )
    .then(|| describe(&error, None).0)
}

/// The bounds of an integer: what is said about the least and the greatest that its type holds.
fn demand_of_integer(read: &dyn Fn(Value) -> ReadResult, at: &str) -> Option<String> {
    let (least, greatest) = match read(Value::from(i64::MIN)) {
        Ok(_) => (i64::MIN, i64::MAX),
        Err(error) => match &error.kind {
            Kind::InvalidType(_, name) | Kind::InvalidValue(_, name) => limits(name)?,
            _ => return None,
        },
    };
    let bound = |number: i64| {
        let complaints = read(Value::from(number)).ok()?.complaints_of_keys();
        let mut complaints = complaints.into_iter();
        complaints.find_map(|complaint| (complaint.key == at).then_some(complaint.message))
    };
    bound(least).or_else(|| {
        let message = bound(greatest)?;
        // What has no bound below has that of its type.
        match message.strip_prefix("must be at most ") {
            Some(most) if least != i64::MIN => Some(format!("must be {least} to {most}")),
            _ => Some(message),
        }
    })
}

/// The least and the greatest of an integer type; what is not told apart from the values of TOML ends with them.
fn limits(name: &str) -> Option<(i64, i64)> {
    Some(match name {
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, i64::MAX),
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        _ => return None,
    })
}

/// Whether an error is about an integer that its type does not hold.
fn out_of_type(error: &figment::Error) -> bool {
    match &error.kind {
        Kind::InvalidType(_, name) | Kind::InvalidValue(_, name) => limits(name).is_some(),
        _ => false,
    }
}

/// Whether a message about a key of `section` names the key at `path`.
fn names(message: &str, path: &str, section: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let mut places = message.match_indices(path);
    places.any(|(at, _)| !goes_on(&message[at + path.len()..]))
        || message.contains(&format!("`{}`", relative(path, section)))
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
            let value = in_json(&shown, self.name, &key.path);
            if value.is_none() {
                found.push(format!("{}: is in the file and not in the type", key.path));
            }
            // A secret that is not set would look as if it were.
            let is_empty = key.default.as_str().is_some_and(str::is_empty);
            if is_empty
                && value
                    .and_then(Json::as_str)
                    .is_some_and(|text| !text.is_empty())
            {
                found.push(format!(
                    "{}: is not set, but is shown as if it were",
                    key.path
                ));
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
    let expected = |expected: &str| match limits(expected) {
        Some((least, i64::MAX)) => format!("must be {least} or more"),
        Some((least, greatest)) => format!("must be {least} to {greatest}"),
        None => format!("must be {expected}"),
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

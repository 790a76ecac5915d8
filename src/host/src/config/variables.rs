//! The environment and the secret files that it names, as layers.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    aliases::{self, ALIASES, CONFIG_VARIABLE},
    inputs::{PREFIX, unreadable},
    layers::Layer,
    problem::{Note, Problem, Source},
    schema::{KeySpec, Schema},
    suggest,
};

/// A variable that ends so names a file that holds the value.
const FILE_SUFFIX: &str = "_FILE";

/// What the environment says.
#[derive(Default)]
pub(super) struct Variables {
    /// One layer for each secret file.
    pub(super) secret_files: Vec<Layer>,
    /// One layer for each variable. Where an alias and a full name set one key, the full name lies higher.
    pub(super) variables: Vec<Layer>,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<Note>,
    /// The key and the name of each variable that made a layer, in the order of the layers.
    by_file: Vec<(String, String)>,
    by_value: Vec<(String, String)>,
}

/// What a variable's name stands for.
enum Meaning<'a> {
    /// The value of a key.
    Value(&'a KeySpec),
    /// The path of a file with the value of a key.
    File(&'a KeySpec),
    /// A key that no section of this build has.
    Absent(&'static str),
    Unknown,
}

impl Variables {
    /// Reads all variables, and the files that they name. Empty ones count as unset.
    pub(super) fn read(env: &BTreeMap<String, String>, schema: &Schema) -> Self {
        let mut read = Self::default();
        let links = service_links(env);
        let (aliases, full_names): (Vec<_>, Vec<_>) = env
            .iter()
            .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
            .filter(|(name, _)| *name != CONFIG_VARIABLE)
            .partition(|(name, _)| is_alias(name));
        for (name, value) in aliases.into_iter().chain(full_names) {
            if links.contains(name) {
                let message = "ignored: describes a service of Kubernetes".to_owned();
                read.note(name, message);
            } else {
                read.variable(name, value, schema);
            }
        }
        read.note_the_outdone();
        read
    }

    /// Notes each variable whose key another variable sets as well, with the one that wins.
    fn note_the_outdone(&mut self) {
        let by_file = std::mem::take(&mut self.by_file);
        let named: Vec<_> = by_file.into_iter().chain(self.by_value.drain(..)).collect();
        let winners: BTreeMap<&String, &String> =
            named.iter().map(|(key, name)| (key, name)).collect();
        for (key, name) in &named {
            if let Some(winner) = winners.get(key).filter(|winner| **winner != name) {
                let message = format!("ignored: {winner} sets `{key}` as well, and wins");
                self.note(name, message);
            }
        }
    }

    fn variable(&mut self, name: &str, value: &str, schema: &Schema) {
        let source = Source::Variable {
            name: name.to_owned(),
        };
        match meaning(name, schema) {
            Meaning::Value(key) => {
                if value.contains(char::REPLACEMENT_CHARACTER) {
                    return self.problem(&key.path, source, "must be UTF-8".to_owned());
                }
                match key.kind.parse(value) {
                    Ok(value) => {
                        self.by_value.push((key.path.clone(), name.to_owned()));
                        self.variables.push(Layer::of(source, &key.path, value));
                    }
                    Err(message) => self.problem(&key.path, source, message),
                }
            }
            Meaning::File(key) => self.secret_file(name, value, key),
            Meaning::Absent(key) => {
                self.note(name, format!("ignored: this build has no key `{key}`"));
            }
            Meaning::Unknown => self.problems.push(Problem {
                key: name.to_owned(),
                source,
                message: "unknown variable".to_owned(),
                suggestion: suggestion(name, schema),
            }),
        }
    }

    fn secret_file(&mut self, name: &str, path: &str, key: &KeySpec) {
        let path = PathBuf::from(path);
        let source = Source::SecretFile {
            variable: name.to_owned(),
            path: path.clone(),
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return self.problem(&key.path, source, unreadable(&path, &error)),
        };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return self.note(name, "ignored: the file is empty".to_owned());
        }
        match key.kind.parse(text) {
            Ok(value) => {
                self.by_file.push((key.path.clone(), name.to_owned()));
                self.secret_files.push(Layer::of(source, &key.path, value));
            }
            Err(message) => self.problem(&key.path, source, message),
        }
    }

    fn problem(&mut self, key: &str, source: Source, message: String) {
        self.problems.push(Problem {
            key: key.to_owned(),
            source,
            message,
            suggestion: None,
        });
    }

    fn note(&mut self, name: &str, message: String) {
        let source = Source::Variable {
            name: name.to_owned(),
        };
        self.notes.push(Note { source, message });
    }
}

/// What `name` stands for. A key whose own name ends in `_file` is that key, and not the file of another.
fn meaning<'a>(name: &str, schema: &'a Schema) -> Meaning<'a> {
    let base = name.strip_suffix(FILE_SUFFIX);
    if let Some(key) = key_of(name).and_then(|key| schema.key(&key)) {
        return Meaning::Value(key);
    }
    if let Some(key) = base.and_then(key_of).and_then(|key| schema.key(&key)) {
        return Meaning::File(key);
    }
    let alias = aliases::key_of(name).or_else(|| base.and_then(aliases::key_of));
    alias.map_or(Meaning::Unknown, Meaning::Absent)
}

/// The key that a variable's name spells, whether it exists or not.
fn key_of(name: &str) -> Option<String> {
    if let Some(key) = aliases::key_of(name) {
        return Some(key.to_owned());
    }
    let rest = name.strip_prefix(PREFIX)?;
    // Names are upper case, so that one key cannot be set by several spellings of one name.
    let spelt_right = !rest.contains(|c: char| c.is_ascii_lowercase());
    spelt_right.then(|| rest.replace("__", ".").to_ascii_lowercase())
}

fn is_alias(name: &str) -> bool {
    let base = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
    aliases::key_of(name).is_some() || aliases::key_of(base).is_some()
}

/// The key that a variable sets, by its value or by the file that it names.
pub(super) fn key_named<'a>(name: &str, schema: &'a Schema) -> Option<&'a KeySpec> {
    match meaning(name, schema) {
        Meaning::Value(key) | Meaning::File(key) => Some(key),
        Meaning::Absent(_) | Meaning::Unknown => None,
    }
}

/// What to say about a variable that there is not.
pub(super) fn suggestion(name: &str, schema: &Schema) -> Option<String> {
    let guess = nearest(name, schema).map(|guess| suggest::did_you_mean(&guess));
    guess.or_else(|| schema.suggestion(&key_in_known_group(name, schema)?))
}

/// The key that `name` spells, when only its last part is wrong.
fn key_in_known_group(name: &str, schema: &Schema) -> Option<String> {
    let base = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
    key_of(base).filter(|key| schema.has_group_of(key))
}

/// The variable that was probably meant by `name`.
fn nearest(name: &str, schema: &Schema) -> Option<String> {
    let known_group = key_in_known_group(name, schema);
    let (name, suffix) = match name.strip_suffix(FILE_SUFFIX) {
        Some(base) => (base, FILE_SUFFIX),
        None => (name, ""),
    };
    if let Some(key) = known_group {
        let key = schema.key(schema.nearest(&key)?)?;
        let guess = aliases::full_name_of(&key.path);
        return Some(format!("{guess}{suffix}"));
    }
    let full_names = schema
        .keys()
        .iter()
        .map(|key| aliases::full_name_of(&key.path));
    let aliases = ALIASES.iter().map(|(alias, _)| (*alias).to_owned());
    let known: Vec<String> = full_names
        .chain(aliases)
        .chain([CONFIG_VARIABLE.to_owned()])
        .collect();
    // The common mistake is one underscore where two belong, so that distance does not count.
    let simple = |name: &str| {
        let rest = name.to_ascii_uppercase().replace("__", "_");
        rest.trim_start_matches(PREFIX).to_owned()
    };
    let simplified: Vec<String> = known.iter().map(|name| simple(name)).collect();
    let pairs = known.iter().zip(&simplified);
    let pairs = pairs.map(|(name, simple)| (name.as_str(), simple.as_str()));
    let guess = suggest::nearest(&simple(name), pairs)?;
    let suffix = if guess == CONFIG_VARIABLE { "" } else { suffix };
    Some(format!("{guess}{suffix}"))
}

/// The variables by which Kubernetes tells every container about a service: `X_SERVICE_HOST`, and then `X_SERVICE_PORT…`
/// and `X_PORT…`. A service named `filament-…` makes them look like ours.
fn service_links(env: &BTreeMap<String, String>) -> BTreeSet<&String> {
    let services: Vec<&str> = env
        .keys()
        .filter_map(|name| name.strip_suffix("_SERVICE_HOST"))
        .collect();
    let is_link = |name: &str| {
        services.iter().any(|service| {
            name.strip_prefix(service)
                .is_some_and(|rest| rest.starts_with("_SERVICE_") || rest.starts_with("_PORT"))
        })
    };
    env.keys().filter(|name| is_link(name)).collect()
}

//! The layers, each a figment provider, and what comes out when they are laid over each other.

use std::{collections::BTreeMap, path::Path};

use figment::{
    Figment, Metadata, Provider,
    value::{Dict, Map, Tag, Value},
};
use filament_kernel::config::Profile;
use toml_edit::TableLike;

use super::{
    document::Document,
    problem::{Problem, Source},
    schema::{Found, Schema, join},
};

/// What one source says. Variables and secret files are one layer each, so that a value's provenance names the variable.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    source: Source,
    /// The values, as tables in tables.
    values: Dict,
    /// The line of each key, where the source is a file.
    lines: BTreeMap<String, usize>,
}

impl Layer {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            values: Dict::new(),
            lines: BTreeMap::new(),
        }
    }

    /// A layer that sets one key.
    pub(super) fn of(source: Source, key: &str, value: Value) -> Self {
        let mut layer = Self::new(source);
        layer.set(key, value);
        layer
    }

    /// The lowest layer: the default of every key.
    pub(super) fn defaults(schema: &Schema) -> Self {
        let mut layer = Self::new(Source::Default);
        for key in schema.keys() {
            layer.set(&key.path, key.default.clone());
        }
        layer
    }

    /// What the profile changes in the defaults. `None` when the embedded text is broken, with the problem noted.
    pub(super) fn profile(
        profile: Profile,
        schema: &Schema,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let text = match profile {
            Profile::Dev => return None,
            Profile::Production => include_str!("production.toml"),
        };
        Self::read(text, Source::Profile, schema, problems)
    }

    /// The configuration file. `None` when its text is no TOML, with the problem noted.
    pub(super) fn file(
        path: &Path,
        text: &str,
        schema: &Schema,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let source = Source::File {
            path: path.to_owned(),
            line: None,
            column: None,
        };
        Self::read(text, source, schema, problems)
    }

    fn read(
        text: &str,
        source: Source,
        schema: &Schema,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let mut layer = Self::new(source);
        match Document::parse(text) {
            Ok(document) => {
                layer.read_table(&document, document.root(), "", schema, problems);
                Some(layer)
            }
            Err(error) => {
                problems.push(Problem {
                    key: String::new(),
                    source: layer.source_at(Some(error.line), Some(error.column)),
                    message: format!("the file is not valid TOML: {}", error.message),
                    suggestion: None,
                });
                None
            }
        }
    }

    fn read_table(
        &mut self,
        document: &Document,
        table: &dyn TableLike,
        prefix: &str,
        schema: &Schema,
        problems: &mut Vec<Problem>,
    ) {
        for entry in document.entries(table) {
            let path = join(prefix, entry.name);
            let outcome = match (schema.find(&path), entry.item.as_table_like()) {
                (Found::Group, Some(table)) => {
                    self.read_table(document, table, &path, schema, problems);
                    Ok(())
                }
                (Found::Group, None) => Err((format!("must be a table, `[{path}]`"), None)),
                (Found::Key(key), _) => match key.accept(entry.item) {
                    Ok(value) => {
                        self.lines.insert(path.clone(), entry.line);
                        self.set(&path, value);
                        Ok(())
                    }
                    Err(message) => Err((message, None)),
                },
                (Found::Unknown, table) => {
                    let what = match table {
                        Some(_) if prefix.is_empty() => "unknown section",
                        _ => "unknown key",
                    };
                    Err((what.to_owned(), schema.suggestion(&path)))
                }
            };
            if let Err((message, suggestion)) = outcome {
                problems.push(Problem {
                    key: path,
                    source: self.source_at(Some(entry.line), None),
                    message,
                    suggestion,
                });
            }
        }
    }

    fn set(&mut self, key: &str, value: Value) {
        let (groups, name) = key.rsplit_once('.').unwrap_or(("", key));
        let mut dict = &mut self.values;
        for group in groups.split('.').filter(|group| !group.is_empty()) {
            let inner = dict
                .entry(group.to_owned())
                .or_insert_with(|| Value::Dict(Tag::Default, Dict::new()));
            match inner {
                Value::Dict(_, inner) => dict = inner,
                // The schema tells tables from keys, so nothing is both.
                _ => return,
            }
        }
        dict.insert(name.to_owned(), value);
    }

    /// What this layer says about a key at the top level.
    pub(super) fn top_level(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The source of this layer's value of `key`, with the line where there is one.
    pub(super) fn source_of(&self, key: &str) -> Source {
        self.source_at(self.lines.get(key).copied(), None)
    }

    fn source_at(&self, line: Option<usize>, column: Option<usize>) -> Source {
        match &self.source {
            Source::File { path, .. } => Source::File {
                path: path.clone(),
                line,
                column,
            },
            source => source.clone(),
        }
    }

    fn name(&self) -> String {
        // The form that tells every two sources apart.
        format!("{:?}", self.source)
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name())
    }

    fn data(&self) -> Result<Map<figment::Profile, Dict>, figment::Error> {
        Ok(Map::from([(
            figment::Profile::Default,
            self.values.clone(),
        )]))
    }
}

/// The value of every key and where it comes from.
#[derive(Clone, Default)]
pub(super) struct Settled {
    values: BTreeMap<String, Value>,
    sources: BTreeMap<String, Source>,
    sections: Dict,
}

impl Settled {
    /// Lays the layers over each other, the lowest first.
    pub(super) fn of(layers: &[Layer], schema: &Schema) -> Self {
        let figment = layers.iter().fold(Figment::new(), Figment::merge);
        let data = figment.data().ok().unwrap_or_default();
        let sections = data
            .get(&figment::Profile::Default)
            .cloned()
            .unwrap_or_default();
        let root = Value::Dict(Tag::Default, sections);
        let by_name: BTreeMap<String, &Layer> =
            layers.iter().map(|layer| (layer.name(), layer)).collect();
        let mut settled = Self::default();
        for key in schema.keys() {
            let Some(value) = root.find_ref(&key.path) else {
                continue;
            };
            let layer = figment
                .get_metadata(value.tag())
                .and_then(|metadata| by_name.get(metadata.name.as_ref()));
            let source = layer.map_or(Source::None, |layer| layer.source_of(&key.path));
            settled.values.insert(key.path.clone(), value.clone());
            settled.sources.insert(key.path.clone(), source);
        }
        settled.sections = root.into_dict().unwrap_or_default();
        settled
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Every key with its value as it was given, secrets included.
    pub(super) fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }

    pub(super) fn source(&self, key: &str) -> Source {
        self.sources.get(key).cloned().unwrap_or(Source::None)
    }

    /// The values of a section, as its type reads them.
    pub(super) fn section(&self, name: &str) -> SectionValues {
        let values = self.sections.get(name).cloned();
        SectionValues(values.unwrap_or_else(|| Value::Dict(Tag::Default, Dict::new())))
    }
}

/// The values of one section, in which a wrong one can be put aside.
pub(super) struct SectionValues(Value);

impl SectionValues {
    pub(super) fn value(&self) -> &Value {
        &self.0
    }

    /// Puts `value` in the place of the key at `path`, which is relative to the section.
    pub(super) fn replace(&mut self, path: &str, value: Value) {
        let mut place = &mut self.0;
        for name in path.split('.') {
            let Value::Dict(_, dict) = place else { return };
            let Some(inner) = dict.get_mut(name) else {
                return;
            };
            place = inner;
        }
        *place = value;
    }
}

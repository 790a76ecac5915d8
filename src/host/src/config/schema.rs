//! All keys that there are, with kind, default and documentation: what the commented defaults say.

use std::collections::BTreeMap;

use figment::value::{Dict, Num, Tag, Value};
use toml_edit::{Item, TableLike};

use super::{document::Document, loaded::MODULES, suggest};

/// Every key of every section.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    keys: Vec<KeySpec>,
    index: BTreeMap<String, Node>,
}

/// What a dotted path stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    /// A section or a table in one.
    Group,
    /// The key at this place of `keys`.
    Key(usize),
}

/// One key.
#[derive(Debug, Clone)]
pub(super) struct KeySpec {
    /// `gateway.ping_interval_secs`
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) documentation: String,
    pub(super) default: Value,
    /// What the key's type demands, `must be 1 to 300`, where that is known and says more than the kind does.
    pub(super) demand: Option<String>,
}

impl KeySpec {
    /// A value that was written in TOML, if the key can have it; else what is wrong with it.
    pub(super) fn accept(&self, item: &Item) -> Result<Value, String> {
        self.kind
            .accept(item)
            .map_err(|message| match (&self.kind, &self.demand) {
                (Kind::String, Some(demand)) => demand.clone(),
                _ => message,
            })
    }
}

/// What a path in a layer turned out to be.
pub(super) enum Found<'a> {
    Group,
    Key(&'a KeySpec),
    Unknown,
}

impl Schema {
    /// Adds the keys that the commented defaults of `section` name; a section named "" stands for the top level.
    /// Fails with what makes the defaults unusable, which is a mistake of the build.
    pub(super) fn add(&mut self, section: &str, defaults: &str) -> Result<(), String> {
        if self.index.contains_key(section) {
            return Err("section is declared twice".to_owned());
        }
        let document = Document::parse(defaults).map_err(|error| {
            let (line, message) = (error.line, error.message);
            format!("embedded defaults are not TOML, line {line}: {message}")
        })?;
        if !section.is_empty() {
            self.index.insert(section.to_owned(), Node::Group);
        }
        self.add_table(&document, document.root(), section)
    }

    fn add_table(
        &mut self,
        document: &Document,
        table: &dyn TableLike,
        prefix: &str,
    ) -> Result<(), String> {
        for entry in document.entries(table) {
            let path = join(prefix, entry.name);
            match entry.item.as_table_like() {
                Some(table) if !table.is_empty() => {
                    self.index.insert(path.clone(), Node::Group);
                    self.add_table(document, table, &path)?;
                }
                _ => {
                    let Some(value) = entry.item.as_value() else {
                        return Err(format!("embedded default of {path} is not a value"));
                    };
                    let (kind, default) = Kind::of(value)
                        .and_then(|kind| Some((kind.accept(entry.item).ok()?, kind)))
                        .map(|(default, kind)| (kind, default))
                        .ok_or_else(|| format!("embedded default of {path} has no kind"))?;
                    self.index.insert(path.clone(), Node::Key(self.keys.len()));
                    self.keys.push(KeySpec {
                        path,
                        kind,
                        documentation: document.comment_above(entry.line),
                        default,
                        demand: None,
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) fn keys(&self) -> &[KeySpec] {
        &self.keys
    }

    pub(super) fn keys_mut(&mut self) -> &mut [KeySpec] {
        &mut self.keys
    }

    pub(super) fn key(&self, path: &str) -> Option<&KeySpec> {
        match self.index.get(path)? {
            Node::Key(place) => self.keys.get(*place),
            Node::Group => None,
        }
    }

    pub(super) fn find(&self, path: &str) -> Found<'_> {
        match self.key(path) {
            Some(key) => Found::Key(key),
            None if self.index.contains_key(path) => Found::Group,
            None => Found::Unknown,
        }
    }

    /// The key that `path` lies in: itself, or the one of which it names an item or an entry.
    pub(super) fn key_around(&self, path: &str) -> Option<&KeySpec> {
        let path = path.split('[').next().unwrap_or(path);
        let ends = path.match_indices('.').map(|(end, _)| end);
        let mut candidates: Vec<&str> = ends.map(|end| &path[..end]).collect();
        candidates.push(path);
        candidates
            .into_iter()
            .rev()
            .find_map(|candidate| self.key(candidate))
    }

    /// The key or section that was probably meant by `path`: one beside it, else one that has its name in another section,
    /// else, when there is no such section either, the one that is spelt most like it.
    pub(super) fn nearest(&self, path: &str) -> Option<&str> {
        let path = path.to_ascii_lowercase();
        let (group, last) = path.rsplit_once('.').unwrap_or(("", &path));
        let siblings = self.index.keys().filter_map(|known| {
            let (known_group, known_last) = known.rsplit_once('.').unwrap_or(("", known));
            (known_group == group).then_some((known.as_str(), known_last))
        });
        let sibling = suggest::nearest(last, siblings);
        // A key of [modules] is the id of a module, which means something else wherever else it stands.
        if sibling.is_some() || group == MODULES {
            return sibling;
        }
        let mut keys = self.keys.iter().map(|key| key.path.as_str());
        let namesake = keys
            .find(|known| section_of(known) != MODULES && known.rsplit('.').next() == Some(last));
        if namesake.is_some() || self.index.contains_key(group) {
            return namesake;
        }
        let all = self.index.keys().map(String::as_str);
        suggest::nearest(&path, all.map(|known| (known, known)))
    }

    /// What to say about `path`, which is no key: what was probably meant, or which modules there are.
    pub(super) fn suggestion(&self, path: &str) -> Option<String> {
        let modules = || {
            let keys = self.keys.iter().map(|key| key.path.split_once('.'));
            let ids = keys.filter_map(|key| key.filter(|(group, _)| *group == MODULES));
            let ids: Vec<&str> = ids.map(|(_, id)| id).collect();
            (section_of(path) == MODULES && !ids.is_empty())
                .then(|| format!("this build has the modules {}", ids.join(", ")))
        };
        self.nearest(path)
            .map(suggest::did_you_mean)
            .or_else(modules)
    }

    /// Whether there is the section, or the table in one, in which `path` would lie.
    pub(super) fn has_group_of(&self, path: &str) -> bool {
        path.rsplit_once('.')
            .is_some_and(|(group, _)| self.index.get(group) == Some(&Node::Group))
    }
}

/// The section in which a key lies; "" for one at the top level.
pub(super) fn section_of(path: &str) -> &str {
    path.split_once('.').map_or("", |(section, _)| section)
}

/// `prefix.name`, or `name` where there is no prefix.
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

/// The kind of a key's values, which its default decides.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    String,
    Integer,
    Float,
    Boolean,
    Array(Box<Kind>),
    /// A table of anything, whose default is `{}`.
    Map,
}

impl Kind {
    /// The kind of a default; `None` for one that no key may have (a date, an array of arrays).
    fn of(default: &toml_edit::Value) -> Option<Self> {
        use toml_edit::Value;
        Some(match default {
            Value::String(_) => Self::String,
            Value::Integer(_) => Self::Integer,
            Value::Float(_) => Self::Float,
            Value::Boolean(_) => Self::Boolean,
            Value::Array(items) => {
                let item = items.iter().next().map_or(Some(Self::String), Self::of)?;
                Self::Array(Box::new(item))
            }
            Value::InlineTable(_) => Self::Map,
            Value::Datetime(_) => return None,
        })
    }

    fn noun(&self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Float => "a number",
            Self::Boolean => "a boolean",
            Self::Map => "a table",
            Self::Array(item) => match **item {
                Self::String => "an array of strings",
                Self::Integer => "an array of integers",
                Self::Float => "an array of numbers",
                Self::Boolean => "an array of booleans",
                Self::Array(_) => "an array of arrays",
                Self::Map => "an array of tables",
            },
        }
    }

    /// A value that was written in TOML, if it is of this kind; else what is wrong with it.
    pub(super) fn accept(&self, item: &Item) -> Result<Value, String> {
        self.accepted(item).ok_or_else(|| match self {
            Self::Array(_) if item.is_array() => {
                format!("must be {}, but holds something else", self.noun())
            }
            Self::Map if item.is_table_like() => "must hold no dates".to_owned(),
            kind => format!("must be {}, but is {}", kind.noun(), found(item)),
        })
    }

    fn accepted(&self, item: &Item) -> Option<Value> {
        match self {
            Self::String => item.as_str().map(Value::from),
            Self::Integer => item.as_integer().map(Value::from),
            Self::Float => item
                .as_float()
                .or_else(|| item.as_integer().map(|number| number as f64))
                .map(Value::from),
            Self::Boolean => item.as_bool().map(Value::from),
            Self::Array(kind) => {
                let items = item.as_array()?.iter();
                let items: Option<Vec<Value>> = items
                    .map(|item| kind.accepted(&Item::Value(item.clone())))
                    .collect();
                items.map(Value::from)
            }
            Self::Map => item.is_table_like().then(|| anything(item)).flatten(),
        }
    }

    /// A value that was written as plain text, in a variable or a secret file. Nothing is guessed: a string is taken as
    /// it is, everything else must be written as this kind is.
    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        let wrong = || match self {
            Self::Boolean => "must be true or false".to_owned(),
            Self::Map => "is a table, which only the file can set".to_owned(),
            Self::Array(_) => format!("must be {}, separated by commas", self.noun()),
            kind => format!("must be {}", kind.noun()),
        };
        let trimmed = text.trim();
        let value = match self {
            Self::String => Some(Value::from(text)),
            Self::Integer => trimmed.parse::<i64>().ok().map(Value::from),
            Self::Float => {
                let number = trimmed.parse::<f64>().ok();
                number.filter(|number| number.is_finite()).map(Value::from)
            }
            Self::Boolean => trimmed.parse::<bool>().ok().map(Value::from),
            Self::Array(kind) => {
                let items = text.split(',').map(str::trim);
                let items: Result<Vec<Value>, String> = items
                    .filter(|item| !item.is_empty())
                    .map(|item| kind.parse(item))
                    .collect();
                items.ok().map(Value::from)
            }
            Self::Map => None,
        };
        value.ok_or_else(wrong)
    }
}

/// What stands in the file, in the words of [`Kind::noun`].
fn found(item: &Item) -> &'static str {
    match item.type_name() {
        "string" => "a string",
        "integer" => "an integer",
        "float" => "a float",
        "boolean" => "a boolean",
        "datetime" => "a date",
        "array" => "an array",
        "array of tables" => "an array of tables",
        _ => "a table",
    }
}

/// Any TOML value; `None` where it holds a date, which the configuration has no use for.
fn anything(item: &Item) -> Option<Value> {
    if let Some(table) = item.as_table_like() {
        let entries = table.iter();
        let dict: Option<Dict> = entries
            .map(|(name, item)| Some((name.to_owned(), anything(item)?)))
            .collect();
        return dict.map(|dict| Value::Dict(Tag::Default, dict));
    }
    if let Some(array) = item.as_array() {
        let items = array
            .iter()
            .map(|item| anything(&Item::Value(item.clone())));
        return items.collect::<Option<Vec<_>>>().map(Value::from);
    }
    let number = item
        .as_integer()
        .map(Num::from)
        .or(item.as_float().map(Num::from));
    number
        .map(Value::from)
        .or_else(|| item.as_str().map(Value::from))
        .or_else(|| item.as_bool().map(Value::from))
}

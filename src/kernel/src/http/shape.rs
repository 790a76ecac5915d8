//! The shape of a JSON body, compared with the schema of its type: the framework says that something does not fit, but not which field.

use std::{
    any::TypeId,
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use serde_json::{Map, Value};

use crate::id;

/// The schema of a type with all that it refers to: made once for each type that is taken as a body.
pub(super) struct Shape {
    root: MetaSchemaRef,
    registry: Registry,
}

impl Shape {
    pub(super) fn of<T: Type + 'static>() -> Arc<Self> {
        static SHAPES: RwLock<BTreeMap<TypeId, Arc<Shape>>> = RwLock::new(BTreeMap::new());
        let id = TypeId::of::<T>();
        let known = SHAPES
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .get(&id)
            .cloned();
        known.unwrap_or_else(|| {
            let mut registry = Registry::new();
            T::register(&mut registry);
            let shape = Arc::new(Self {
                root: T::schema_ref(),
                registry,
            });
            let mut shapes = SHAPES.write().unwrap_or_else(|e| e.into_inner());
            shapes.entry(id).or_insert(shape).clone()
        })
    }

    /// What does not fit, with the field: one that is missing, unknown, of another type (the framework takes `7` for `"7"`), no id, none
    /// of the words that there are, or a list of too few or too many.
    pub(super) fn complaint(&self, value: &Value) -> Option<String> {
        if !value.is_object() {
            return Some("the body must be a JSON object".to_string());
        }
        self.mismatch("", value, &self.root)
    }

    fn schema<'a>(&'a self, reference: &'a MetaSchemaRef) -> Option<&'a MetaSchema> {
        match reference {
            MetaSchemaRef::Inline(schema) => Some(schema),
            MetaSchemaRef::Reference(name) => self.registry.schemas.get(name),
        }
    }

    fn mismatch(&self, path: &str, value: &Value, reference: &MetaSchemaRef) -> Option<String> {
        let schema = self.schema(reference)?;
        if schema.nullable && value.is_null() {
            return None;
        }
        if let Some(problem) = wrong_type(schema, value)
            .map(ToString::to_string)
            .or_else(|| wrong_value(schema, value))
        {
            return Some(format!("{path}: {problem}"));
        }
        // A reference that has a description of its own stands among others.
        let of_part = |part| self.mismatch(path, value, part);
        schema
            .all_of
            .iter()
            .find_map(of_part)
            .or_else(|| match value {
                Value::Array(items) => {
                    let item_schema = schema.items.as_deref()?;
                    items.iter().enumerate().find_map(|(index, item)| {
                        self.mismatch(&format!("{path}[{index}]"), item, item_schema)
                    })
                }
                Value::Object(object) => self.object_mismatch(path, object, schema),
                _ => None,
            })
    }

    fn object_mismatch(
        &self,
        path: &str,
        object: &Map<String, Value>,
        schema: &MetaSchema,
    ) -> Option<String> {
        let at = |field: &str| match path {
            "" => field.to_string(),
            path => format!("{path}.{field}"),
        };
        let missing: Vec<String> = schema
            .required
            .iter()
            .filter(|field| object.get(**field).is_none_or(Value::is_null))
            .map(|field| at(field))
            .collect();
        if !missing.is_empty() {
            return Some(format!("{}: required, but missing", missing.join(", ")));
        }
        let property = |field: &str| schema.properties.iter().find(|(name, _)| *name == field);
        let unknown: Vec<String> = object
            .keys()
            .filter(|field| property(field).is_none())
            .map(|field| at(field))
            .collect();
        if !unknown.is_empty() && !schema.properties.is_empty() {
            let mut known: Vec<&str> = schema.properties.iter().map(|(name, _)| *name).collect();
            known.sort_unstable();
            return Some(format!(
                "{}: unknown; the fields here are {}",
                unknown.join(", "),
                known.join(", ")
            ));
        }
        // A field that may be missing may be null.
        let given = object.iter().filter(|(_, value)| !value.is_null());
        given.into_iter().find_map(|(field, value)| {
            let (_, reference) = property(field)?;
            self.mismatch(&at(field), value, reference)
        })
    }
}

fn wrong_type(schema: &MetaSchema, value: &Value) -> Option<&'static str> {
    let (fits, problem) = match schema.ty {
        "string" => (value.is_string(), "must be a string"),
        "integer" => (
            value.is_i64() || value.is_u64(),
            "must be a number without a fraction",
        ),
        "number" => (value.is_number(), "must be a number"),
        "boolean" => (value.is_boolean(), "must be true or false"),
        "array" => (value.is_array(), "must be a list"),
        "object" => (value.is_object(), "must be an object"),
        _ => return None,
    };
    (!fits).then_some(problem)
}

fn wrong_value(schema: &MetaSchema, value: &Value) -> Option<String> {
    if !schema.enum_items.is_empty() && !schema.enum_items.contains(value) {
        let words = schema.enum_items.iter().map(|word| match word {
            Value::String(word) => word.clone(),
            word => word.to_string(),
        });
        let words: Vec<String> = words.collect();
        return Some(format!("must be one of {}", words.join(", ")));
    }
    match (value, schema.format) {
        (Value::String(text), Some(id::FORMAT)) => {
            id::parse(text).err().map(|error| error.to_string())
        }
        (Value::Number(number), Some(format)) => {
            let (min, max) = bounds(format)?;
            let fits = number.as_i64().is_some_and(|n| (min..=max).contains(&n));
            (!fits).then(|| format!("must be {min} to {max}"))
        }
        (Value::Array(items), _) => {
            let (min, max) = (schema.min_items, schema.max_items);
            let fits = min.is_none_or(|min| items.len() >= min)
                && max.is_none_or(|max| items.len() <= max);
            (!fits).then(|| match (min, max) {
                (Some(min), Some(max)) => format!("must be {min} to {max} items"),
                (Some(min), None) => format!("must be at least {min} items"),
                (None, max) => format!("must be at most {} items", max.unwrap_or_default()),
            })
        }
        _ => None,
    }
}

/// The least and the greatest integer of a format that the framework takes; it reads none beyond 63 bits.
fn bounds(format: &str) -> Option<(i64, i64)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" => (i64::MIN, i64::MAX),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" => (0, i64::MAX),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use poem_openapi::{Enum, Object};
    use serde_json::json;

    use super::*;
    use crate::id::UserId;

    #[derive(Enum)]
    #[oai(rename_all = "snake_case")]
    enum Colour {
        Red,
        DarkBlue,
    }

    #[derive(Object)]
    #[oai(deny_unknown_fields)]
    struct Guest {
        user_id: UserId,
        /// What they wear.
        colour: Option<Colour>,
    }

    #[derive(Object)]
    #[oai(deny_unknown_fields)]
    struct Party {
        host: Option<UserId>,
        size: Option<u8>,
        is_open: Option<bool>,
        /// Who comes first.
        first: Option<Guest>,
        #[oai(validator(max_items = 2))]
        guests: Option<Vec<Guest>>,
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_field_however_deep_it_lies() {
        let shape = Shape::of::<Party>();
        let guest = json!({ "user_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "colour": "dark_blue" });
        let good = json!({ "size": 255, "host": null, "first": guest, "guests": [guest, guest] });
        assert_eq!(shape.complaint(&good), None);
        let no_id = "must be an id: 26 upper-case characters of Crockford's base 32";
        for (body, said) in [
            (json!([]), "the body must be a JSON object".to_string()),
            (json!({ "host": "x" }), format!("host: {no_id}")),
            (
                json!({ "host": { "id": 7 } }),
                "host: must be a string".to_string(),
            ),
            (json!({ "size": 256 }), "size: must be 0 to 255".to_string()),
            (
                json!({ "size": 1.5 }),
                "size: must be a number without a fraction".to_string(),
            ),
            (
                json!({ "is_open": "yes" }),
                "is_open: must be true or false".to_string(),
            ),
            (
                json!({ "first": { "user_id": "x" } }),
                format!("first.user_id: {no_id}"),
            ),
            (
                json!({ "first": {} }),
                "first.user_id: required, but missing".to_string(),
            ),
            (
                json!({ "guests": {} }),
                "guests: must be a list".to_string(),
            ),
            (
                json!({ "guests": [guest, null] }),
                "guests[1]: must be an object".to_string(),
            ),
            (
                json!({ "guests": [guest, { "user_id": "x" }] }),
                format!("guests[1].user_id: {no_id}"),
            ),
            (
                json!({ "guests": [{ "user_id": guest["user_id"], "colour": "green" }] }),
                "guests[0].colour: must be one of red, dark_blue".to_string(),
            ),
            (
                json!({ "guests": [guest, guest, guest] }),
                "guests: must be at most 2 items".to_string(),
            ),
        ] {
            assert_eq!(shape.complaint(&body), Some(said), "{body}");
        }
    }
}

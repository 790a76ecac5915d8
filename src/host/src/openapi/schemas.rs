//! What the framework leaves out of schemas: that bodies take no unknown fields, and which fields are always there though they
//! may be null.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Completes the schemas of the operations of `paths`.
pub(super) fn complete(schemas: &mut Map<String, Value>, paths: &Map<String, Value>) {
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    let items = paths.values().filter_map(Value::as_object);
    for operation in items.flat_map(Map::values) {
        reach(&operation["requestBody"], schemas, &mut asked);
        reach(&operation["responses"], schemas, &mut answered);
    }
    for (name, schema) in schemas.iter_mut() {
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        let Some(properties) = properties else {
            continue;
        };
        let nullable: Vec<Value> = properties
            .iter()
            .filter(|(_, property)| property["nullable"] == true)
            .map(|(name, _)| name.as_str().into())
            .collect();
        properties.values_mut().for_each(unwrap_reference);
        if asked.contains(name) {
            schema["additionalProperties"] = false.into();
        } else if answered.contains(name) && !nullable.is_empty() {
            // To the framework, what may be null need not be there. What we answer with is; what a body leaves out may mean
            // something else than null.
            match schema["required"].as_array_mut() {
                Some(required) => required.extend(nullable),
                None => schema["required"] = nullable.into(),
            }
        }
    }
}

/// The name of the schema that `schema` refers to, if it is a reference.
pub(super) fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()?
        .strip_prefix("#/components/schemas/")
}

/// Collects the names of the schemas to which `value` leads, directly or through others.
fn reach(value: &Value, schemas: &Map<String, Value>, found: &mut BTreeSet<String>) {
    if let Some(name) = referred(value)
        && found.insert(name.to_string())
        && let Some(schema) = schemas.get(name)
    {
        reach(schema, schemas, found);
    }
    match value {
        Value::Object(map) => map.values().for_each(|value| reach(value, schemas, found)),
        Value::Array(list) => list.iter().for_each(|value| reach(value, schemas, found)),
        _ => {}
    }
}

/// There is no room for a description beside a reference, so the framework wraps the reference and then says everything twice. `nullable`
/// does not reach through it (OpenAPI 3.0.3, section 4.7.24.1: it belongs to the `type` beside it), so null becomes an alternative.
fn unwrap_reference(property: &mut Value) {
    let reference = property["allOf"][0].clone();
    if referred(&reference).is_none() {
        return;
    }
    if let Some(property) = property.as_object_mut() {
        property.remove("allOf");
        let (word, alternatives) = match property.remove("nullable") {
            Some(_) => {
                let nothing = json!({ "type": "object", "nullable": true, "enum": [null] });
                ("anyOf", json!([reference, nothing]))
            }
            None => ("allOf", json!([reference])),
        };
        property.insert(word.to_string(), alternatives);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> (Map<String, Value>, Map<String, Value>) {
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let (page, shelf) = (reference("Page"), reference("Shelf"));
        let paths = json!({ "/pages": { "post": {
            "requestBody": { "content": { "application/json": { "schema": shelf } } },
            "responses": { "200": { "content": { "application/json": { "schema": page } } } },
        } } });
        let colour = json!({ "description": "Null for none.", "nullable": true });
        let page = json!({
            "type": "object",
            "required": ["words"],
            "properties": {
                "words": { "type": "array", "items": reference("Word") },
                "next": { "type": "string", "nullable": true },
                "hint": { "type": "string" },
                "colour": { "description": "Null for none.", "nullable": true, "allOf": [reference("Colour"), colour] },
            },
        });
        let word = json!({ "type": "object", "properties": { "author": { "type": "string", "nullable": true } } });
        let shelf = json!({ "type": "object", "properties": { "label": { "type": "string", "nullable": true } } });
        let schemas =
            json!({ "Page": page, "Word": word, "Shelf": shelf, "Colour": { "type": "string" } });
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        (map(schemas), map(paths))
    }

    #[test]
    fn what_may_be_null_in_an_answer_is_always_there() {
        let (mut schemas, paths) = document();
        complete(&mut schemas, &paths);
        assert_eq!(
            schemas["Page"]["required"],
            json!(["words", "colour", "next"])
        );
        assert_eq!(schemas["Word"]["required"], json!(["author"]));
        assert!(schemas["Page"].get("additionalProperties").is_none());
    }

    #[test]
    fn a_body_takes_no_unknown_fields_and_may_leave_out_what_may_be_null() {
        let (mut schemas, paths) = document();
        complete(&mut schemas, &paths);
        assert_eq!(schemas["Shelf"]["additionalProperties"], false);
        assert!(schemas["Shelf"].get("required").is_none());
    }

    #[test]
    fn null_stands_beside_a_reference() {
        let (mut schemas, paths) = document();
        complete(&mut schemas, &paths);
        let colour = &schemas["Page"]["properties"]["colour"];
        let nothing = json!({ "type": "object", "nullable": true, "enum": [null] });
        assert_eq!(colour["anyOf"][1], nothing);
        assert_eq!(referred(&colour["anyOf"][0]), Some("Colour"));
        assert_eq!(colour["description"], "Null for none.");
        assert!(colour.get("allOf").is_none());
    }
}

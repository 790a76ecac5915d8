//! What the framework leaves out of an operation, or says of all alike.

use serde_json::{Map, Value, json};

use super::{failures, idempotency_key, schemas};

/// Completes an operation; `all` are the schemas of the document by name.
///
/// # Errors
/// When the operation tells of a failure that no operation has.
pub(super) fn complete(
    method: &str,
    operation: &mut Value,
    all: &Map<String, Value>,
) -> Result<(), String> {
    *operation = with_plain_media_types(operation.take());
    if operation.get("security").is_none() {
        // Said, so that nobody takes it for forgotten.
        operation["security"] = json!([]);
    }
    failures::refine(method, operation)?;
    if idempotency_key::is_taken(method, operation) {
        idempotency_key::describe(operation);
    }
    describe_answers(operation, all);
    Ok(())
}

/// The framework writes `application/json; charset=utf-8` as a media type, which generators take for a type that they do
/// not know. JSON has no charset parameter (RFC 8259, section 11).
fn with_plain_media_types(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| {
                let key = key.strip_suffix("; charset=utf-8").unwrap_or(&key);
                (key.to_string(), with_plain_media_types(value))
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(list) => list.into_iter().map(with_plain_media_types).collect(),
        other => other,
    }
}

/// An answer must have a description, and the framework leaves it empty: what the answer is, its schema says.
fn describe_answers(operation: &mut Value, all: &Map<String, Value>) {
    let responses = operation["responses"].as_object_mut();
    for response in responses.into_iter().flat_map(|all| all.values_mut()) {
        if response["description"] == "" {
            let content = response["content"].as_object();
            let schema = content.and_then(|types| types.values().next()?.get("schema"));
            let described = schema
                .and_then(|schema| all.get(schemas::referred(schema)?)?["description"].as_str());
            response["description"] = described.unwrap_or("What was asked for.").into();
        }
    }
}

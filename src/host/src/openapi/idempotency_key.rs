//! The header `Idempotency-Key` in the document: told here for all operations that take it, so that no module can forget it.

use std::collections::HashSet;

use poem::http::Method;
use serde_json::{Value, json};

use super::object;

/// What 409 means under a key, beside what it means without one.
const CONFLICT: &str = "`idempotency_key_reused` where the key belongs to another request, `idempotency_unknown` where it is not \
                        known whether the request under it was carried out";

/// Whether an operation takes a key: it changes something, and only for a caller who is known.
pub(super) fn is_taken(method: &str, operation: &Value) -> bool {
    matches!(method, "post" | "put" | "patch" | "delete")
        && operation["security"]
            .as_array()
            .is_some_and(|schemes| !schemes.is_empty())
}

/// Says of an operation that it takes a key, and what its 409 then means.
pub(super) fn describe(operation: &mut Value) {
    let parameter = json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes it safe to send the request again: for 24 hours the same key of the same user gets the first answer, \
                        with the header `idempotent-replayed: true`, and nothing is done again. Take a new random key (a UUID, say) for \
                        each thing that is to be done.",
        "required": false,
        "deprecated": false,
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
    });
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }
    if let Some(conflict) = operation["responses"]["409"].get_mut("description") {
        let without = conflict.as_str().unwrap_or_default();
        *conflict = format!("{without}; {CONFLICT}").into();
    }
}

/// The routes of a document that take an `Idempotency-Key`.
pub struct KeyedRoutes(HashSet<String>);

impl KeyedRoutes {
    /// Reads them off `document`.
    pub fn of(document: &Value) -> Self {
        let keyed = object(&document["paths"]).flat_map(|(path, item)| {
            object(item)
                .filter(|(method, operation)| is_taken(method, operation))
                .map(move |(method, _)| shape(method, path))
        });
        Self(keyed.collect())
    }

    /// Whether the route `method path` is one; `path` in the document's form or in the router's.
    pub fn contains(&self, method: &Method, path: &str) -> bool {
        self.0.contains(&shape(method.as_str(), path))
    }
}

/// A route without the names of its parameters: the router numbers them, and the document has their real ones.
fn shape(method: &str, path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let is_parameter = segment.starts_with(['{', ':']);
        if is_parameter { "{}" } else { segment }
    });
    let path = segments.collect::<Vec<_>>().join("/");
    format!("{} {path}", method.to_lowercase())
}

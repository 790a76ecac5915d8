//! One OpenAPI document out of the parts of the modules that are on, completed by what the framework cannot say.

mod failures;
mod idempotency_key;
mod operation;
mod routes;
mod schemas;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

pub use self::{idempotency_key::KeyedRoutes, routes::RouteMap};

/// The verbs that a path item may have.
const METHODS: &[&str] = &[
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Merges documents.
///
/// # Errors
/// Every conflict: an operationId or a path and method that stands in two parts, two schemas or tags of one name that differ, and an
/// operation that tells of a failure that there is not.
pub fn merge(parts: &[(&str, &Value)]) -> Result<Value, Vec<String>> {
    let mut merged = Merged::default();
    for (owner, part) in parts {
        merged.add(owner, part);
    }
    merged.complete()
}

/// The parts that were added, each thing by its name.
#[derive(Default)]
struct Merged {
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
    security_schemes: Map<String, Value>,
    tags: Map<String, Value>,
    /// Whose an operationId is.
    operation_ids: HashMap<String, String>,
    conflicts: Vec<String>,
}

impl Merged {
    fn add(&mut self, owner: &str, part: &Value) {
        self.add_operations(owner, &part["paths"]);
        for (name, schema) in object(&part["components"]["schemas"]) {
            if let Some(other) = self.schemas.insert(name.clone(), schema.clone())
                && other != *schema
            {
                self.conflicts.push(format!(
                    "two different schemas are called `{name}`; one is of \"{owner}\""
                ));
            }
        }
        for (name, scheme) in object(&part["components"]["securitySchemes"]) {
            self.security_schemes.insert(name.clone(), scheme.clone());
        }
        for tag in part["tags"].as_array().into_iter().flatten() {
            let name = tag["name"].as_str().unwrap_or_default();
            if let Some(other) = self.tags.insert(name.to_string(), tag.clone())
                && other != *tag
            {
                self.conflicts.push(format!(
                    "two different tags are called `{name}`; one is of \"{owner}\""
                ));
            }
        }
    }

    fn add_operations(&mut self, owner: &str, paths: &Value) {
        for (path, item) in object(paths) {
            let merged = self.paths.entry(path.clone()).or_insert_with(|| json!({}));
            for (method, operation) in object(item) {
                if let Some(id) = operation["operationId"].as_str()
                    && let Some(other) =
                        self.operation_ids.insert(id.to_string(), owner.to_string())
                {
                    self.conflicts.push(format!(
                        "the operationId `{id}` stands in \"{other}\" and in \"{owner}\""
                    ));
                }
                if merged.get(method).is_some() {
                    self.conflicts
                        .push(format!("{} {path} is served twice", method.to_uppercase()));
                }
                merged[method] = operation.clone();
            }
        }
    }

    fn complete(mut self) -> Result<Value, Vec<String>> {
        for (path, item) in &mut self.paths {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                if let Err(problem) = operation::complete(method, operation, &self.schemas) {
                    let method = method.to_uppercase();
                    self.conflicts
                        .push(format!("{method} {path} tells of {problem}"));
                }
            }
        }
        if !self.conflicts.is_empty() {
            return Err(self.conflicts);
        }
        schemas::complete(&mut self.schemas, &self.paths);
        let tags: Vec<&Value> = self.tags.values().collect();
        Ok(json!({
            "openapi": "3.0.3",
            "info": {
                "title": "filament",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "A self-hosted chat server: accounts, guilds, channels and messages. Live events come over the \
                                WebSocket gateway at `/gateway/ws`.",
            },
            "servers": [{ "url": "/" }],
            "tags": tags,
            "paths": self.paths,
            "components": { "schemas": self.schemas, "securitySchemes": self.security_schemes },
        }))
    }
}

/// The text of a document, as it is served, printed and checked in.
pub fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The operations of a document as `METHOD /path`.
pub fn operations(document: &Value) -> Vec<String> {
    object(&document["paths"])
        .flat_map(|(path, item)| {
            object(item)
                .filter(|(method, _)| METHODS.contains(&method.as_str()))
                .map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
        })
        .collect()
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use poem::http::Method;

    use super::*;

    fn part(path: &str, id: &str, schema: Value) -> Value {
        let answer = json!({ "$ref": "#/components/schemas/Thing" });
        json!({
            "paths": { path: { "get": { "operationId": id, "responses": { "200": {
                "description": "",
                "content": { "application/json; charset=utf-8": { "schema": answer } },
            } } } } },
            "components": { "schemas": { "Thing": schema } },
            "tags": [{ "name": "Things", "description": schema["description"] }],
        })
    }

    #[test]
    fn parts_merge_and_conflicts_are_all_named() {
        let schema = json!({ "description": "A thing." });
        let (a, b) = (
            part("/a", "a", schema.clone()),
            part("/b", "b", schema.clone()),
        );
        let merged = merge(&[("one", &a), ("two", &b)]).expect("no conflict");
        assert_eq!(operations(&merged), ["GET /a", "GET /b"]);
        let tag = json!({ "name": "Things", "description": "A thing." });
        assert_eq!(merged["tags"], json!([tag]));
        let answer = &merged["paths"]["/a"]["get"]["responses"]["200"];
        assert_eq!(answer["description"], "A thing.");
        assert!(answer["content"]["application/json"].is_object());
        let other = part("/a", "a", json!({ "description": "Another." }));
        let conflicts = merge(&[("one", &a), ("two", &other)]).expect_err("conflicts");
        assert_eq!(conflicts.len(), 4, "{conflicts:?}");
    }

    #[test]
    fn what_changes_something_for_a_known_caller_takes_a_key() {
        let failures = json!({ "400": {}, "409": { "description": "Full" }, "500": {} });
        let part = json!({ "paths": {
            "/things/{thing_id}": {
                "get": { "operationId": "thing", "security": [{ "bearer": [] }], "responses": failures },
                "patch": { "operationId": "thing_update", "security": [{ "bearer": [] }], "responses": failures },
            },
            "/log-in": { "post": { "operationId": "log_in", "responses": failures } },
        } });
        let merged = merge(&[("one", &part)]).expect("no conflict");
        let keyed = KeyedRoutes::of(&merged);
        assert!(keyed.contains(&Method::PATCH, "/things/:param0"));
        assert!(!keyed.contains(&Method::GET, "/things/:param0"));
        assert!(!keyed.contains(&Method::POST, "/log-in"));
        let update = &merged["paths"]["/things/{thing_id}"]["patch"];
        assert_eq!(update["parameters"][0]["name"], "Idempotency-Key");
        let conflict = update["responses"]["409"]["description"].as_str();
        assert!(conflict.is_some_and(|told| told.starts_with("Full; `idempotency_key_reused`")));
        let log_in = &merged["paths"]["/log-in"]["post"];
        assert!(log_in["parameters"].is_null() && log_in["responses"]["409"].is_null());
        assert_eq!(log_in["security"], json!([]));
    }
}

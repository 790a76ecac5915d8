//! One OpenAPI document out of the parts of the modules that are on.

use std::collections::HashSet;

use poem::http::Method;
use serde_json::{Map, Value, json};

/// The verbs that a path item may have.
const METHODS: &[&str] = &[
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Merges documents.
///
/// # Errors
/// Every conflict: an operationId or a path and method that stands in two parts, or two schemas of one name that differ.
pub fn merge(parts: &[(&str, &Value)]) -> Result<Value, Vec<String>> {
    let mut conflicts = Vec::new();
    let mut paths = Map::new();
    let mut schemas = Map::new();
    let mut security = Map::new();
    let mut operation_ids: Map<String, Value> = Map::new();
    for (owner, part) in parts {
        for (path, item) in object(&part["paths"]) {
            let merged = paths.entry(path.clone()).or_insert_with(|| json!({}));
            for (method, operation) in object(item) {
                if let Some(id) = operation["operationId"].as_str()
                    && let Some(other) = operation_ids.insert(id.to_string(), json!(owner))
                {
                    conflicts.push(format!(
                        "the operationId `{id}` stands in {other} and in \"{owner}\""
                    ));
                }
                if merged.get(method).is_some() {
                    conflicts.push(format!("{} {path} is served twice", method.to_uppercase()));
                }
                let mut operation = normalised(operation.clone());
                if takes_key(method, &operation) {
                    describe_key(&mut operation);
                }
                merged[method] = operation;
            }
        }
        for (name, schema) in object(&part["components"]["schemas"]) {
            if let Some(other) = schemas.insert(name.clone(), schema.clone())
                && other != *schema
            {
                conflicts.push(format!(
                    "two different schemas are called `{name}`; one is of \"{owner}\""
                ));
            }
        }
        for (name, scheme) in object(&part["components"]["securitySchemes"]) {
            security.insert(name.clone(), scheme.clone());
        }
    }
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    paths.sort_keys();
    schemas.sort_keys();
    Ok(json!({
        "openapi": "3.0.0",
        "info": {
            "title": "filament",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A self-hosted chat server: accounts, guilds, channels and messages. Live events come over the \
                            WebSocket gateway at `/gateway/ws`.",
        },
        "servers": [{ "url": "/" }],
        "tags": [],
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": security },
    }))
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

/// The framework writes `application/json; charset=utf-8` as a media type, which generators take for a type that they do
/// not know. JSON has no charset parameter (RFC 8259, section 11).
fn normalised(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| {
                let key = key.strip_suffix("; charset=utf-8").unwrap_or(&key);
                (key.to_string(), normalised(value))
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(list) => list.into_iter().map(normalised).collect(),
        other => other,
    }
}

/// Whether an operation takes an `Idempotency-Key`: it changes something, and only for a caller who is known.
fn takes_key(method: &str, operation: &Value) -> bool {
    matches!(method, "post" | "put" | "patch" | "delete")
        && operation["security"]
            .as_array()
            .is_some_and(|schemes| !schemes.is_empty())
}

/// Says of an operation that it takes a key. In one place for all of them, so that no module can forget it.
fn describe_key(operation: &mut Value) {
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
    let conflict = json!({
        "description": "It cannot be done as things are; `idempotency_key_reused` where the key belongs to another request, \
                        `idempotency_unknown` where it is not known whether the request under it was carried out",
        "content": operation["responses"]["400"]["content"],
    });
    if let Some(responses) = operation["responses"].as_object_mut() {
        responses.insert("409".to_string(), conflict);
        responses.sort_keys();
    }
}

/// The routes of a document that take an `Idempotency-Key`.
pub struct KeyedRoutes(HashSet<String>);

impl KeyedRoutes {
    /// Reads them off `document`.
    pub fn of(document: &Value) -> Self {
        let keyed = object(&document["paths"]).flat_map(|(path, item)| {
            object(item)
                .filter(|(method, operation)| takes_key(method, operation))
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

/// The routes of a document: which paths there are and which methods each has, for what a router cannot say: which methods
/// a path allows, and whether a path belongs to a module that is off.
#[derive(Debug, Clone, Default)]
pub struct RouteMap {
    routes: Vec<(Vec<Segment>, Vec<String>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
}

impl RouteMap {
    /// From routes written as `METHOD /path/{parameter}`.
    pub fn new<'a>(routes: impl IntoIterator<Item = &'a str>) -> Self {
        let mut map = Self::default();
        for route in routes {
            let (method, path) = route.split_once(' ').unwrap_or(("GET", route));
            let segments: Vec<Segment> = path
                .split('/')
                .map(|segment| {
                    if segment.starts_with('{') || segment.starts_with(':') {
                        Segment::Parameter(segment.trim_matches(['{', '}', ':']).to_string())
                    } else {
                        Segment::Literal(segment.to_string())
                    }
                })
                .collect();
            match map.routes.iter_mut().find(|(known, _)| *known == segments) {
                Some((_, methods)) => methods.push(method.to_string()),
                None => map.routes.push((segments, vec![method.to_string()])),
            }
        }
        map
    }

    fn matching(&self, path: &str) -> impl Iterator<Item = &(Vec<Segment>, Vec<String>)> {
        self.routes.iter().filter(move |(segments, _)| {
            let mut parts = path.split('/');
            let all = segments
                .iter()
                .all(|segment| match (segment, parts.next()) {
                    (Segment::Literal(literal), Some(part)) => literal == part,
                    (Segment::Parameter(_), Some(part)) => !part.is_empty(),
                    (_, None) => false,
                });
            all && parts.next().is_none()
        })
    }

    /// The name of the `number`th parameter, from 0, of the route that a concrete path takes.
    pub fn parameter(&self, path: &str, number: usize) -> Option<&str> {
        let (segments, _) = self.matching(path).next()?;
        segments
            .iter()
            .filter_map(|segment| match segment {
                Segment::Parameter(name) => Some(name.as_str()),
                Segment::Literal(_) => None,
            })
            .nth(number)
    }

    /// The methods that a concrete path allows; empty when it is no route.
    pub fn methods(&self, path: &str) -> Vec<&str> {
        let mut found: Vec<&str> = self
            .matching(path)
            .flat_map(|(_, methods)| methods.iter().map(String::as_str))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(path: &str, id: &str, schema: Value) -> Value {
        json!({
            "paths": { path: { "get": { "operationId": id, "responses": {
                "200": { "content": { "application/json; charset=utf-8": {} } } } } } },
            "components": { "schemas": { "Thing": schema } },
        })
    }

    #[test]
    fn parts_merge_and_conflicts_are_all_named() {
        let (a, b) = (part("/a", "a", json!(1)), part("/b", "b", json!(1)));
        let merged = merge(&[("one", &a), ("two", &b)]).expect("no conflict");
        assert_eq!(operations(&merged), ["GET /a", "GET /b"]);
        assert!(merged.to_string().contains(r#""application/json":{}"#));
        let (a, b) = (part("/a", "a", json!(1)), part("/a", "a", json!(2)));
        assert_eq!(
            merge(&[("one", &a), ("two", &b)]).expect_err("three").len(),
            3
        );
    }

    #[test]
    fn what_changes_something_for_a_known_caller_takes_a_key() {
        let part = json!({ "paths": {
            "/things/{thing_id}": {
                "get": { "operationId": "thing", "security": [{ "bearer": [] }], "responses": {} },
                "patch": { "operationId": "thing_update", "security": [{ "bearer": [] }], "responses": { "500": {}, "400": {} } },
            },
            "/log-in": { "post": { "operationId": "log_in", "responses": {} } },
        } });
        let merged = merge(&[("one", &part)]).expect("no conflict");
        let keyed = KeyedRoutes::of(&merged);
        assert!(keyed.contains(&Method::PATCH, "/things/:param0"));
        assert!(!keyed.contains(&Method::GET, "/things/:param0"));
        assert!(!keyed.contains(&Method::POST, "/log-in"));
        let update = &merged["paths"]["/things/{thing_id}"]["patch"];
        assert_eq!(update["parameters"][0]["name"], "Idempotency-Key");
        let answers: Vec<&String> = object(&update["responses"])
            .map(|(status, _)| status)
            .collect();
        assert_eq!(answers, ["400", "409", "500"]);
        assert!(merged["paths"]["/log-in"]["post"]["parameters"].is_null());
    }

    #[test]
    fn the_route_map_knows_what_a_path_allows() {
        let map = RouteMap::new(["GET /guilds/{g}", "PATCH /guilds/{g}", "GET /guilds/public"]);
        assert_eq!(map.methods("/guilds/01"), ["GET", "PATCH"]);
        assert!(map.methods("/guilds/").is_empty());
        assert!(map.methods("/guilds/01/x").is_empty());
    }
}

//! One OpenAPI document out of the parts of the modules that are on.

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
                merged[method] = normalised(operation.clone());
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
    fn the_route_map_knows_what_a_path_allows() {
        let map = RouteMap::new(["GET /guilds/{g}", "PATCH /guilds/{g}", "GET /guilds/public"]);
        assert_eq!(map.methods("/guilds/01"), ["GET", "PATCH"]);
        assert!(map.methods("/guilds/").is_empty());
        assert!(map.methods("/guilds/01/x").is_empty());
    }
}

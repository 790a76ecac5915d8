//! The OpenAPI document: of every legal set of modules, printed and served alike, and the one that is checked in.

use std::collections::BTreeSet;

use filament_host::{catalogue::Catalogue, openapi};
use filament_test_support::{Backend, Server};
use serde_json::Value;

fn catalogue() -> Catalogue {
    Catalogue::new(filament_tests::notes::modules()).expect("the catalogue holds together")
}

fn subsets(ids: &[&'static str]) -> Vec<BTreeSet<&'static str>> {
    (0..1_u32 << ids.len())
        .map(|bits| {
            ids.iter()
                .enumerate()
                .filter(|(index, _)| bits & (1 << index) != 0)
                .map(|(_, id)| *id)
                .collect()
        })
        .collect()
}

/// What an OpenAPI 3.0 document must have (specification 3.0.3, sections 4.7.1 to 4.7.17), as far as it concerns generators.
fn assert_valid(document: &Value) {
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.0."))
    );
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut ids = BTreeSet::new();
    let schemas = &document["components"]["schemas"];
    for (path, item) in document["paths"].as_object().expect("paths") {
        assert!(path.starts_with('/'));
        for (method, operation) in item.as_object().expect("path item") {
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} has no operationId"));
            assert!(ids.insert(id), "{id} stands there twice");
            assert!(
                operation["summary"].as_str().is_some_and(|s| !s.is_empty()),
                "{id} has no summary"
            );
            assert!(
                operation["responses"]
                    .as_object()
                    .is_some_and(|r| !r.is_empty()),
                "{id} answers nothing"
            );
            let declared: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            let templated: BTreeSet<&str> = path
                .split('/')
                .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            assert_eq!(declared, templated, "{id}'s path parameters");
            for scheme in operation["security"].as_array().into_iter().flatten() {
                for name in scheme.as_object().into_iter().flat_map(|one| one.keys()) {
                    assert!(
                        document["components"]["securitySchemes"][name].is_object(),
                        "{name}"
                    );
                }
            }
        }
    }
    let text = document.to_string();
    for reference in text
        .split("\"$ref\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        let name = reference
            .strip_prefix("#/components/schemas/")
            .expect("a local reference");
        assert!(schemas[name].is_object(), "{reference} leads nowhere");
    }
    assert!(!text.contains("charset"), "media types are plain");
}

#[tokio::test]
async fn every_legal_set_of_modules_boots_with_the_document_that_the_command_prints() {
    let catalogue = catalogue();
    let mut legal = 0;
    for set in subsets(&catalogue.ids()) {
        let list = set.iter().copied().collect::<Vec<_>>().join(",");
        let mut builder = Server::builder(Backend::Sqlite).binary("notes_server");
        for id in catalogue.ids() {
            builder = builder.env(
                &format!("FILAMENT_MODULES__{}", id.to_uppercase()),
                set.contains(id),
            );
        }
        let mut server = builder.prepare().await;
        let missing = catalogue.missing(&|id| set.contains(id));
        if !missing.is_empty() {
            let refused = server.cli(&["serve"]).await.expect(78);
            for one in &missing {
                assert!(
                    refused.stderr.contains(&one.to_string()),
                    "{list}: {}",
                    refused.stderr
                );
            }
            if !list.is_empty() {
                server
                    .cli(&["openapi", "--modules", &list])
                    .await
                    .expect(78);
            }
            continue;
        }
        legal += 1;
        server.start_again().await;
        let answer = server.api().get("/openapi.json").await.expect(200);
        assert_valid(&answer.body);
        let printed = server.cli(&["openapi"]).await.expect(0);
        assert_eq!(
            printed.stdout, answer.text,
            "{list}: printed and served differ"
        );
        let mut expected: BTreeSet<String> =
            openapi::operations(&filament_host::http::system_document())
                .into_iter()
                .collect();
        for one in catalogue.iter().filter(|one| set.contains(one.manifest.id)) {
            expected.extend(one.manifest.routes.iter().map(ToString::to_string));
        }
        let served: BTreeSet<String> = openapi::operations(&answer.body).into_iter().collect();
        assert_eq!(served, expected, "{list}");
        server.terminate().await;
    }
    assert!(legal >= 4, "{legal} legal sets");
}

#[tokio::test]
async fn the_document_has_a_tag_that_changes_with_the_generation() {
    let server = Server::start(Backend::Sqlite).await;
    let first = server.api().get("/openapi.json").await.expect(200);
    let tag = |answer: &filament_test_support::Answer| answer.header("etag").to_string();
    server.write_config("[modules]\nchat = false\n");
    server.cli(&["reload"]).await.expect(0);
    let second = server.api().get("/openapi.json").await.expect(200);
    assert_ne!(tag(&first), tag(&second));
    assert!(first.text.contains("\"/guilds\"") && !second.text.contains("\"/guilds\""));
}

#[test]
fn the_checked_in_document_is_that_of_the_product() {
    let catalogue = Catalogue::new(filament_server::modules()).expect("a catalogue");
    let system = filament_host::http::system_document();
    let parts: Vec<(&str, &Value)> = std::iter::once(("host", &system))
        .chain(catalogue.iter().map(|one| (one.manifest.id, &one.document)))
        .collect();
    let text = openapi::text(&openapi::merge(&parts).expect("no conflict"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/filament.json");
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        text == checked_in,
        "openapi/filament.json is stale; write it anew: cargo run -- openapi > openapi/filament.json"
    );
}

//! The OpenAPI document: of every legal set of modules, printed and served alike, and the one that is checked in.

use std::collections::BTreeSet;

use filament_host::{catalogue::Catalogue, openapi};
use filament_test_support::{
    Backend, Person, Server,
    people::{PASSWORD, Visibility, at, messages_of},
};
use serde_json::{Value, json};

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
    let is_said = |text: &Value| text.as_str().is_some_and(|text| !text.is_empty());
    let tags: BTreeSet<&str> = document["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|tag| is_said(&tag["description"]))
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let mut ids = BTreeSet::new();
    let schemas = &document["components"]["schemas"];
    for (path, item) in document["paths"].as_object().expect("paths") {
        assert!(path.starts_with('/'));
        for (method, operation) in item.as_object().expect("path item") {
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} has no operationId"));
            assert!(ids.insert(id), "{id} stands there twice");
            assert!(is_said(&operation["summary"]), "{id} has no summary");
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            assert!(tags.contains(tag), "{id} is tagged {tag:?}");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(!responses.is_empty(), "{id} answers nothing");
            for (status, response) in responses {
                assert!(is_said(&response["description"]), "{id}: {status}");
            }
            assert!(operation["security"].is_array(), "{id}: who may call it?");
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
    assert!(!text.contains("[`"), "a link of the source stands in it");
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

/// Where `value` is not what `schema` says of it.
fn misfits(document: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#'));
        return misfits(document, schema.expect("a schema"), value, path);
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let fits = |one| misfits(document, one, value, path).is_empty();
        let none = !alternatives.iter().any(fits);
        return none
            .then(|| format!("{path}: {value}"))
            .into_iter()
            .collect();
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let of_part = |one| misfits(document, one, value, path);
        return parts.iter().flat_map(of_part).collect();
    }
    let words = schema["enum"].as_array();
    let fits = match schema["type"].as_str() {
        _ if value.is_null() && schema["nullable"] == true => true,
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        other => other.is_none(),
    };
    if !fits || words.is_some_and(|words| !words.contains(value)) {
        return vec![format!("{path}: {value}")];
    }
    let mut found = Vec::new();
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}[{index}]");
        found.extend(misfits(document, &schema["items"], item, &path));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().expect("a name")).is_none() {
            found.push(format!("{path}.{name}: not there"));
        }
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            match properties.get(name) {
                Some(schema) => found.extend(misfits(document, schema, value, &path)),
                None => found.push(format!("{path}: not in the document")),
            }
        }
    }
    found
}

/// `value` is what the document says that the route `GET path` answers.
fn assert_documented(document: &Value, path: &str, value: &Value) {
    let content = &document["paths"][path]["get"]["responses"]["200"]["content"];
    let schema = &content["application/json"]["schema"];
    assert!(schema.is_object(), "{path} is not in the document");
    let misfits = misfits(document, schema, value, "");
    assert!(misfits.is_empty(), "GET {path}: {misfits:#?}");
}

#[tokio::test]
async fn answers_are_what_the_document_says_of_them_null_included() {
    let server = Server::start(Backend::Sqlite).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let eve = Person::register(&server, "eve").await;
    ada.befriend(&bob).await;
    ada.ask_friendship(&eve).await;
    let stranger = Person::register(&server, "stranger").await;
    ada.block(&stranger).await;
    let guild = ada.found_guild("guild", Visibility::Public).await;
    let channel = ada.open_channel(&guild, "talk").await;
    bob.join(&guild).await;
    eve.join(&guild).await;
    let message = ada.say(&guild, &channel, "# so\n\n- *it* is `1`").await;
    let messages = messages_of(&guild, &channel);
    let reaction = format!("{messages}/{}/reactions/a", message.message_id);
    bob.api.post_nothing(&reaction).await.expect(200);
    let bans = at(&guild, "/ip-bans/by-user");
    let ban = json!({ "target_user_id": bob.user_id });
    ada.api.post(&bans, ban).await.expect(200);
    let ban = at(&guild, &format!("/members/{}/ban", eve.user_id));
    ada.api.post_nothing(&ban).await.expect(200);

    let document = ada.api.get("/openapi.json").await.expect(200).body;
    let everything = document["paths"].as_object().expect("paths");
    let mut nulls = 0;
    for path in everything.keys().filter(|path| {
        let answers = &everything[*path]["get"]["responses"]["200"]["content"];
        answers["application/json"].is_object()
    }) {
        let concrete = path
            .replace("{guild_id}", &guild.guild_id)
            .replace("{channel_id}", &channel.channel_id)
            .replace("{user_id}", &bob.user_id);
        let answer = ada.api.get(&concrete).await.expect(200);
        assert_documented(&document, path, &answer.body);
        nulls += answer.text.matches("null").count();
    }
    assert!(nulls >= 10, "{nulls}");
}

#[tokio::test]
async fn an_operation_says_what_its_failures_mean_and_lists_none_that_cannot_occur() {
    let server = Server::start(Backend::Sqlite).await;
    let document = server.api().get("/openapi.json").await.expect(200).body;
    let responses = |method: &str, path: &str| document["paths"][path][method]["responses"].clone();
    let log_in = responses("post", "/auth/login");
    let meaning = log_in["401"]["description"].as_str().expect("told");
    assert!(meaning.starts_with("The password is wrong"), "{meaning}");
    assert!(log_in["403"].is_object() && log_in["409"].is_null());
    for status in ["401", "403", "409", "413", "415"] {
        assert!(responses("get", "/health")[status].is_null(), "{status}");
    }
    let uploaded = &document["paths"]["/users/me/profile/avatar"]["post"]["requestBody"]["content"];
    let loaded = &responses("get", "/users/{user_id}/avatar")["200"]["content"];
    for image in ["jpeg", "png", "webp", "avif", "gif"] {
        let image = format!("image/{image}");
        assert!(
            uploaded[&image].is_object() && loaded[&image].is_object(),
            "{image}"
        );
    }
}

#[tokio::test]
async fn the_document_tells_the_bounds_that_a_body_is_held_to() {
    let server = Server::start(Backend::Sqlite).await;
    let document = server.api().get("/openapi.json").await.expect(200).body;
    let register = &document["components"]["schemas"]["RegisterRequest"];
    assert_eq!(register["additionalProperties"], false);
    let (name, password) = (
        &register["properties"]["username"],
        &register["properties"]["password"],
    );
    assert_eq!(name["pattern"], "^[A-Za-z0-9_.]*$");
    for (field, schema, kept) in [("username", name, PASSWORD), ("password", password, "ada")] {
        let other = if field == "username" {
            "password"
        } else {
            "username"
        };
        for (bound, beyond) in [("minLength", -1), ("maxLength", 1)] {
            let length = schema[bound].as_i64().expect("a bound");
            for (length, status) in [(length, 200), (length + beyond, 400)] {
                let text = "x".repeat(usize::try_from(length).expect("a length"));
                let body = json!({ field: text, other: kept });
                server
                    .api()
                    .post("/auth/register", body)
                    .await
                    .expect(status);
            }
        }
    }
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

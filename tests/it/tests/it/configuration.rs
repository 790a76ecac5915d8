//! What an operator reads when the configuration is wrong, from the real binary.

use filament_test_support::{Backend, Server};
use serde_json::Value;

async fn server(config: &str) -> Server {
    Server::builder(Backend::Sqlite)
        .config(config)
        .prepare()
        .await
}

#[tokio::test]
async fn five_planted_errors_in_file_secret_file_and_environment_give_five_diagnostics_with_their_sources()
 {
    let mut server = server(
        "[gateway]\nping_interval_secs = \"soon\"\n\n[http]\nrequest_timeout = 10\n\n[auth]\naccess_token_ttl_secs = 5\n",
    )
    .await;
    let secret = server.data_dir().with_file_name("max_connections");
    std::fs::write(&secret, "many\n").expect("the secret file");
    server.set_env("FILAMENT_DATABASE__MAX_CONNECTIONS_FILE", secret.display());
    server.set_env("FILAMENT_GATEWAY__QUERY_TOKN", "false");

    let output = server.cli(&["config", "check", "--json"]).await.expect(78);
    let report = output.json();
    let problems = report["problems"].as_array().expect("problems");
    let found: Vec<(&str, &str)> = problems
        .iter()
        .map(|problem| {
            let source = &problem["source"];
            let source = source["path"]
                .as_str()
                .filter(|_| source["kind"] == "file")
                .or(source["variable"].as_str())
                .or(source["name"].as_str())
                .unwrap_or_else(|| panic!("no source in {problem}"));
            (problem["key"].as_str().expect("key"), source)
        })
        .collect();
    let file = server.config_file();
    let file = file.to_str().expect("UTF-8");
    for expected in [
        ("gateway.ping_interval_secs", file),
        ("http.request_timeout", file),
        ("auth.access_token_ttl_secs", file),
        (
            "database.max_connections",
            "FILAMENT_DATABASE__MAX_CONNECTIONS_FILE",
        ),
        (
            "FILAMENT_GATEWAY__QUERY_TOKN",
            "FILAMENT_GATEWAY__QUERY_TOKN",
        ),
    ] {
        assert!(
            found.contains(&expected),
            "{expected:?} is not among {found:#?}"
        );
    }
    assert_eq!(found.len(), 5, "{found:#?}");
    let line = |key: &str| {
        problems
            .iter()
            .find(|p| p["key"] == key)
            .map(|p| p["source"]["line"].clone())
    };
    assert_eq!(line("gateway.ping_interval_secs"), Some(Value::from(2)));
    assert_eq!(line("http.request_timeout"), Some(Value::from(5)));

    // Starting says the same, and ends with the same code.
    let refused = server.cli(&["serve"]).await.expect(78);
    for (key, _) in found {
        assert!(
            refused.stderr.contains(key),
            "{key} is not in: {}",
            refused.stderr
        );
    }
    assert!(
        refused.stderr.to_lowercase().contains("query_token"),
        "a suggestion: {}",
        refused.stderr
    );
}

#[tokio::test]
async fn production_lists_all_that_is_missing_in_one_message() {
    let mut server = server("").await;
    server.set_env("FILAMENT_PROFILE", "production");
    let refused = server.cli(&["serve"]).await.expect(78);
    assert!(
        refused.stderr.contains("FILAMENT_DATABASE_URL"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("FILAMENT_ATTACHMENT_ROOT"),
        "{}",
        refused.stderr
    );

    server.set_env("FILAMENT_DATABASE_URL", "sqlite://x.db");
    let refused = server.cli(&["serve"]).await.expect(78);
    assert!(
        refused.stderr.to_lowercase().contains("postgres"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn a_module_that_others_require_cannot_be_left_out_and_the_chain_is_told() {
    let server = server("[modules]\nauth = false\n").await;
    let refused = server.cli(&["serve"]).await.expect(78);
    assert!(
        refused.stderr.contains(
            "`chat` requires the port `accounts`, which `auth` would provide, but is off"
        ),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn explain_tells_value_source_and_meaning_and_keeps_secrets() {
    let mut server = server("[gateway]\nping_interval_secs = 21\n").await;
    server.set_env(
        "FILAMENT_AUTH__TOKEN_KEY",
        "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE",
    );
    let explained = server
        .cli(&["config", "explain", "gateway.ping_interval_secs", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(explained[0]["value"], 21);
    assert_eq!(explained[0]["source"]["line"], 2);
    assert!(
        explained[0]["documentation"]
            .as_str()
            .is_some_and(|text| text.len() > 10)
    );

    let everything = server.cli(&["config", "explain"]).await.expect(0);
    assert!(
        everything
            .stdout
            .contains("auth.token_key = \"[redacted]\""),
        "{}",
        everything.stdout
    );
    assert!(
        !everything.stdout.contains("MDEyMzQ1"),
        "the secret is shown"
    );
    assert!(
        everything
            .stdout
            .contains("auth.hcaptcha_secret = (unset) (default)\n"),
        "{}",
        everything.stdout
    );
    server
        .cli(&["config", "explain", "gateway.pong"])
        .await
        .expect(1);
    let mistyped = server.cli(&["config", "explain", "gatewy.ping_interval"]);
    let said = mistyped.await.expect(1).stderr;
    assert_eq!(
        said,
        "there is no key `gatewy.ping_interval`; did you mean `gateway.ping_interval_secs`?\n"
    );
}

#[test]
fn the_example_file_is_the_defaults_of_everything() {
    let modules = filament_server::modules();
    let sections: Vec<_> = modules.iter().map(|module| module.section()).collect();
    for section in &sections {
        assert_eq!(
            section.disagreements(),
            Vec::<String>::new(),
            "{}",
            section.name
        );
    }
    let catalogue = filament_host::catalogue::Catalogue::new(modules).expect("a catalogue");
    let text = filament_host::config::example(&catalogue.sections(), &catalogue.ids());
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../infra/filament.example.toml"
    );
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        text == checked_in,
        "infra/filament.example.toml is stale; write it anew: cargo run -- config example > infra/filament.example.toml"
    );
}

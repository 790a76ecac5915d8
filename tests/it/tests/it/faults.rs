//! What fails while the server changes or runs, and what stays whole.

use std::time::Duration;

use filament_test_support::{Backend, Person, Server};
use serde_json::{Value, json};

fn notes(settings: &str) -> String {
    format!("[notes]\n{settings}\n")
}

async fn notes_server(settings: &str) -> Server {
    Server::builder(Backend::Sqlite)
        .binary("notes_server")
        .config(&notes(settings))
        .start()
        .await
}

async fn status(server: &Server, id: &str) -> Value {
    let modules = server.cli(&["modules", "--json"]).await.expect(0).json();
    modules["modules"]
        .as_array()
        .expect("modules")
        .iter()
        .find(|module| module["id"] == id)
        .expect("the module")
        .clone()
}

async fn until_state(server: &Server, id: &str, state: &str) -> Value {
    for _ in 0..200 {
        let status = status(server, id).await;
        if status["state"] == state {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} never became {state}: {}", server.log());
}

#[tokio::test]
async fn a_failure_at_validate_prepare_or_probe_leaves_the_old_generation_serving_and_says_why() {
    let server = notes_server("prefix = \"old \"").await;
    let ada = Person::register(&server, "ada").await;
    for (step, words) in [
        ("validate", "fails on purpose"),
        ("prepare", "fails to prepare, as it was told"),
        ("probe", "fails its probe, as it was told"),
    ] {
        server.write_config(&notes(&format!("prefix = \"new \"\nfail_at = \"{step}\"")));
        let refused = server.cli(&["reload", "--json"]).await.expect(1).json();
        assert_eq!(refused["step"], step, "{refused}");
        assert!(
            refused["error"]
                .as_str()
                .is_some_and(|error| error.contains(words)),
            "{refused}"
        );
        let kept = ada
            .api
            .post("/notes", json!({ "text": step }))
            .await
            .expect(200);
        assert_eq!(
            kept.body["text"],
            format!("old {step}"),
            "the old generation answers"
        );
        assert_eq!(status(&server, "notes").await["state"], "active");
    }
    server.write_config(&notes("prefix = \"new \""));
    server.cli(&["reload"]).await.expect(0);
    let kept = ada
        .api
        .post("/notes", json!({ "text": "x" }))
        .await
        .expect(200);
    assert_eq!(kept.body["text"], "new x");
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_change_restarts_into_the_old_or_the_new_configuration() {
    let mut server = notes_server("prefix = \"0 \"\nmax_chars = 100").await;
    let mut ada = Person::register(&server, "ada").await;
    let mut seen = std::collections::BTreeSet::new();
    for round in 1..=8_u64 {
        // Two keys that belong together; a mixture would show as a prefix with the other's bound.
        server.write_config(&notes(&format!(
            "prefix = \"{round} \"\nmax_chars = {}\nprepare_millis = 60",
            100 + round
        )));
        // Into validate, prepare, probe, commit or drain, depending on the round.
        tokio::time::sleep(Duration::from_millis(190 + round * 15)).await;
        server.kill9();
        server.start_again().await;
        ada.refresh().await;
        let fits = ada
            .api
            .post(
                "/notes",
                json!({ "text": "y".repeat(100 + round as usize) }),
            )
            .await
            .expect(200);
        let too_long = json!({ "text": "y".repeat(101 + round as usize) });
        ada.api
            .post("/notes", too_long)
            .await
            .expect_error(400, "invalid_request");
        let prefix = fits.body["text"]
            .as_str()
            .expect("text")
            .split(' ')
            .next()
            .expect("prefix")
            .to_string();
        assert_eq!(prefix, round.to_string());
        seen.insert(prefix);
    }
    assert_eq!(seen.len(), 8);
}

#[tokio::test]
async fn a_kill_while_the_file_is_written_by_rename_never_leaves_a_mixture() {
    let mut server = notes_server("prefix = \"a \"\nmax_chars = 10").await;
    let mut ada = Person::register(&server, "ada").await;
    for round in 0..6_u64 {
        let (prefix, bound) = if round % 2 == 0 {
            ("b ", 20)
        } else {
            ("a ", 10)
        };
        let text = notes(&format!(
            "prefix = \"{prefix}\"\nmax_chars = {bound}\nprepare_millis = 40"
        ));
        let path = server.config_file();
        let writer = std::thread::spawn(move || {
            let new = path.with_extension("new");
            std::fs::write(&new, text).expect("write");
            std::fs::rename(new, path).expect("rename");
        });
        if round % 3 == 0 {
            server.kill9();
        }
        writer.join().expect("written");
        tokio::time::sleep(Duration::from_millis(round * 60)).await;
        server.kill9();
        server.start_again().await;
        ada.refresh().await;
        let fits = ada
            .api
            .post("/notes", json!({ "text": "z".repeat(bound) }))
            .await
            .expect(200);
        assert!(
            fits.body["text"]
                .as_str()
                .expect("text")
                .starts_with(prefix)
        );
        ada.api
            .post("/notes", json!({ "text": "z".repeat(bound + 1) }))
            .await
            .expect_error(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_500_and_a_count_and_nothing_else() {
    let server = notes_server("").await;
    let ada = Person::register(&server, "ada").await;
    for _ in 0..3 {
        let answer = ada
            .api
            .post("/notes/panic", json!({}))
            .await
            .expect_error(500, "internal_error");
        assert!(
            !answer.text.contains("as it was told"),
            "the inside stays inside: {}",
            answer.text
        );
    }
    ada.api
        .post("/notes", json!({ "text": "on" }))
        .await
        .expect(200);
    let metrics = server.api().get("/metrics").await.text;
    assert!(
        metrics.contains("filament_module_panics_total{module=\"notes\"} 3"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_module_whose_task_panics_is_restarted_with_pauses_then_quarantined_and_the_others_serve()
{
    let server = Server::builder(Backend::Sqlite)
        .binary("notes_server")
        .config("[reconciler]\npanic_backoff_millis = 100\nmax_task_panics = 3\n[notes]\npanic_in_task = true\n")
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let backoff = until_state(&server, "notes", "backoff").await;
    assert!(
        backoff["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("panics, as it was told")),
        "{backoff}"
    );
    until_state(&server, "notes", "quarantined").await;
    let health = server.api().get("/health").await.expect(200);
    assert_eq!(health.body["modules"]["notes"], "quarantined");
    ada.api
        .post("/notes", json!({ "text": "x" }))
        .await
        .expect_error(503, "service_unavailable");
    ada.api.get("/auth/me").await.expect(200);
    let why = server.cli(&["modules", "why", "notes"]).await.expect(0);
    assert!(
        why.stdout.contains("notes is quarantined"),
        "{}",
        why.stdout
    );

    // The operator mends it.
    server.write_config("[notes]\npanic_in_task = false\n");
    server.cli(&["reload"]).await.expect(0);
    until_state(&server, "notes", "active").await;
    ada.api
        .post("/notes", json!({ "text": "x" }))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_module_that_fails_at_the_start_does_not_stop_the_others_and_is_tried_again() {
    let server = notes_server("fail_at = \"prepare\"").await;
    let ada = Person::register(&server, "ada").await;
    let failed = until_state(&server, "notes", "failed").await;
    assert!(
        failed["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("fails to prepare")),
        "{failed}"
    );
    ada.api
        .get("/notes")
        .await
        .expect_error(503, "service_unavailable");
    // A change of something else is not held up by it.
    server.write_config("[notes]\nfail_at = \"prepare\"\n[log]\nlevel = \"debug\"\n");
    server.cli(&["reload"]).await.expect(0);
    server.write_config("[notes]\nfail_at = \"nowhere\"\n");
    server.cli(&["reload"]).await.expect(0);
    ada.api.get("/notes").await.expect(200);
}

#[tokio::test]
async fn a_notes_module_by_somebody_else_is_a_module_like_any_other() {
    let server = notes_server("max_chars = 5\ntoken = \"s3cret-of-notes\"").await;
    let ada = Person::register(&server, "ada").await;
    let mut ears = ada.listen().await;
    let kept = ada
        .api
        .post("/notes", json!({ "text": "one" }))
        .await
        .expect(200);
    assert_eq!(
        ears.next_named("note_create").await.data["note_id"],
        kept.body["note_id"]
    );
    ears.send("note_create", json!({ "text": "two" })).await;
    assert_eq!(ears.next_named("note_create").await.data["text"], "two");
    ears.send("note_create", json!({ "text": "too long" }))
        .await;
    assert_eq!(
        ears.next_named("error").await.data["code"],
        "invalid_request"
    );
    ears.send("note_create", json!({ "txt": "x" })).await;
    assert_eq!(
        ears.next_named("error").await.data["command"],
        "note_create"
    );
    let notes = ada.api.get("/notes").await.expect(200).body;
    assert_eq!(notes["notes"].as_array().map(Vec::len), Some(2));
    ada.api
        .post("/notes", json!({ "text": "toolong" }))
        .await
        .expect_error(400, "invalid_request");
    let document = server.api().get("/openapi.json").await.text;
    assert!(document.contains("\"/notes\""));
    let explained = server
        .cli(&["config", "explain", "notes.token"])
        .await
        .expect(0);
    assert!(
        explained.stdout.contains("[redacted]") && !explained.stdout.contains("s3cret"),
        "{}",
        explained.stdout
    );
    assert!(!server.log().contains("s3cret"));
    let why = server.cli(&["modules", "why", "notes"]).await.expect(0);
    assert!(why.stdout.contains("accounts"), "{}", why.stdout);
}

#[tokio::test]
async fn two_servers_do_not_share_a_data_folder() {
    let server = Server::start(Backend::Sqlite).await;
    let second = server.cli(&["serve"]).await.expect(73);
    assert!(
        second.stderr.contains("another server runs"),
        "{}",
        second.stderr
    );
}

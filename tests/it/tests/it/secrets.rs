//! No secret is in any log. Each test looks for that when it is done with a server, whose log has everything in it, down to the traces of
//! the libraries (see `filament_test_support::secrets`). Here is done what gets a server to speak of secrets.

use filament_test_support::{
    Api, Backend, GatewayClient, Person, Server, TestDatabase,
    http::Method,
    on_both_databases,
    people::{PASSWORD, Session},
};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

const WRONG: &str = "battery horse, wrong staple";

/// What no document, no table of metrics and no page may show either.
async fn assert_kept(server: &Server, paths: &[&str]) {
    let search = server.secrets().search();
    for path in paths {
        let text = server.api().get(path).await.expect(200).text;
        let leak = search.first_leak(text.as_bytes()).expect("a text");
        assert_eq!(leak, None, "{path}");
    }
}

/// Sends a body that is no good request, whatever it says it is.
async fn send_broken(api: &Api, path: &str, kind: &str, body: String) {
    let request = api.request(Method::POST, path);
    let answer = api
        .send(request.header("content-type", kind).body(body))
        .await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
}

on_both_databases!(
    the_life_of_an_account_leaves_no_secret_in_the_log,
    async |backend| {
        let server = Server::start(backend).await;
        let api = server.api();
        let mut ada = Person::register(&server, "ada").await;
        let other = Person::log_in(&server, "ada").await;
        for username in ["ada", "nobody", PASSWORD] {
            let wrong = json!({ "username": username, "password": WRONG });
            api.post("/auth/login", wrong)
                .await
                .expect_error(401, "invalid_credentials");
        }
        let first = ada.session.clone();
        ada.refresh().await;
        let _ears = GatewayClient::connect_by_query(&ada.api).await;
        let cut_off = &ada.session.access_token[..60];
        GatewayClient::refused(&api, &format!("?access_token={cut_off}"), &[]).await;
        api.with_token(cut_off).get("/auth/me").await.expect(401);

        let replay = json!({ "refresh_token": first.refresh_token });
        api.post("/auth/refresh", replay).await.expect(401);
        ada.api.get("/auth/me").await.expect(401);
        other.log_out().await;

        let ada = Person::log_in(&server, "ada").await;
        let change =
            json!({ "current_password": PASSWORD, "new_password": "a quite new password" });
        ada.api.post("/auth/password", change).await.expect(204);
        let renewed = json!({ "username": "ada", "password": "a quite new password" });
        let _: Session = api.post("/auth/login", renewed).await.read();

        assert_kept(&server, &["/metrics", "/health", "/openapi.json"]).await;
        assert!(server.log().contains("TRACE"), "the libraries speak too");
    }
);

#[tokio::test]
async fn a_request_that_cannot_be_read_is_not_quoted_in_the_log() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    server.secrets().note("the password of everybody", PASSWORD);
    let json = "application/json";
    for path in ["/auth/login", "/auth/register", "/auth/refresh"] {
        let account = json!({ "username": "ada", "password": PASSWORD }).to_string();
        for broken in [
            account.replace('}', ""),
            account.replace("password", PASSWORD),
            account.replace("\"ada\"", &format!("[\"{PASSWORD}\"]")),
            format!("{account}{account}"),
            format!("\"{PASSWORD}\""),
            format!("{{\"password\":{{\"{PASSWORD}\":\"{PASSWORD}\"}}}}"),
            format!("{{\"password\":\"{PASSWORD}\",\"password\":\"{PASSWORD}\"}}"),
            format!("{{\"refresh_token\":\"{PASSWORD}\",\"{PASSWORD}\":1}}"),
        ] {
            send_broken(&api, path, json, broken).await;
        }
        send_broken(&api, path, "text/plain", account.clone()).await;
        let form = format!("username=ada&password={}", PASSWORD.replace(' ', "+"));
        send_broken(&api, path, "application/x-www-form-urlencoded", form).await;
        let query = format!("{path}?password={}", PASSWORD.replace(' ', "%20"));
        send_broken(&api, &query, json, account.replace('}', "")).await;
    }
    for scheme in ["Basic", "bearer", "Token"] {
        let request = api.request(Method::GET, "/auth/me");
        let header = format!("{scheme} {}", PASSWORD.replace(' ', "-"));
        server
            .secrets()
            .note("a header", &PASSWORD.replace(' ', "-"));
        api.send(request.header("authorization", header))
            .await
            .expect_error(401, "invalid_credentials");
    }
}

/// Makes every row that is added from here on a wrong one. The driver's errors quote such a row.
async fn refuse_new_users(database: &TestDatabase) {
    let db = sea_orm::Database::connect(&database.url)
        .await
        .expect("a connection");
    let refuse = if database.url.starts_with("sqlite") {
        "CREATE TRIGGER refused BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'refused'); END"
    } else {
        "ALTER TABLE users ADD CONSTRAINT refused CHECK (false) NOT VALID"
    };
    db.execute_unprepared(refuse).await.expect("refused");
    db.execute_unprepared("DROP TABLE sessions")
        .await
        .expect("dropped");
}

on_both_databases!(
    a_failure_within_quotes_neither_the_request_nor_the_row,
    async |backend: Backend| {
        let database = backend.database().await.expect("a database");
        let server = Server::builder(backend)
            .database(database.clone())
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        refuse_new_users(&database).await;
        let api = server.api();
        let bob = json!({ "username": "bob", "password": PASSWORD });
        api.post("/auth/register", bob)
            .await
            .expect_error(500, "internal_error");
        let log_in = json!({ "username": "ada", "password": PASSWORD });
        api.post("/auth/login", log_in)
            .await
            .expect_error(500, "internal_error");
        let refresh = json!({ "refresh_token": ada.session.refresh_token });
        api.post("/auth/refresh", refresh)
            .await
            .expect_error(500, "internal_error");
        let log = server.log();
        assert!(log.contains("a request failed"), "{log}");
    }
);

/// A configuration with secrets in it, each of them wrong.
const WRONG_SECRETS: &str = r#"
[auth]
token_key = "a key that is none"
token_keys_previous = "an old key that is none, another old key"
"#;

#[tokio::test]
async fn a_wrong_configuration_is_told_without_its_secrets() {
    let mut server = Server::builder(Backend::Sqlite)
        .config(WRONG_SECRETS)
        .prepare()
        .await;
    server.set_env(
        "FILAMENT_DATABASE_URL",
        "postgres://filament:a-password-in-a-url@127.0.0.1:99999/x",
    );
    let file = server.data_dir().with_file_name("livekit_secret");
    std::fs::write(&file, "the secret of livekit\n").expect("the secret file");
    server.set_env("FILAMENT_LIVEKIT_API_SECRET_FILE", file.display());
    for command in [
        &["serve"][..],
        &["config", "check"],
        &["config", "check", "--json"],
        &["config", "explain"],
        &["config", "explain", "--json"],
        &["config", "explain", "auth.token_key"],
    ] {
        // Each is searched by itself.
        server.cli(command).await;
    }
    for broken in [
        "[auth]\ntoken_key = \"a key without its end\n",
        "[auth]\ntoken_key = \"a key that is twice there\"\ntoken_key = \"another one of them\"\n",
        "[auth]\ntoken_key = [\"a key in a list of keys\"]\n",
        "[auth]\ntokn_key = \"a key with a wrong name\"\n",
        "auth.token_key.secret = \"a key that is a table\"\n",
        "[database]\nurl = \"mysql://filament:a-password-of-mysql@db/x\"\n",
    ] {
        server.write_config(broken);
        server.cli(&["config", "check"]).await.expect(78);
        server.cli(&["serve"]).await.expect(78);
    }
}

#[tokio::test]
async fn a_reload_that_is_refused_does_not_show_what_was_refused() {
    let server = Server::start(Backend::Sqlite).await;
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";
    for (config, code) in [
        (WRONG_SECRETS.to_owned(), 78),
        (
            "[auth]\ntoken_key = \"a key without its end\n".to_owned(),
            78,
        ),
        (format!("[auth]\ntoken_key = \"{key}\"\n"), 0),
        (format!("[auth]\ntoken_keys_previous = \"{key}\"\n"), 0),
    ] {
        server.write_config(&config);
        let reload = server.cli(&["reload"]).await;
        assert_eq!(reload.code == Some(0), code == 0, "{reload:?}");
    }
    let explained = server.cli(&["config", "explain", "--json"]).await.expect(0);
    let keys = explained.json();
    let is_redacted = |key: &&Value| key["value"] == "[redacted]";
    let redacted = keys.as_array().into_iter().flatten().filter(is_redacted);
    assert!(redacted.count() >= 1, "{}", explained.stdout);
}

/// If this test fails, all the others prove nothing.
#[tokio::test]
#[should_panic(expected = "the server's log shows a secret: `refresh_token` is in line")]
async fn a_token_in_the_log_fails_the_test() {
    let server = Server::start(Backend::Sqlite).await;
    let ada = Person::register(&server, "ada").await;
    let (_, secret) = ada
        .session
        .refresh_token
        .split_once('.')
        .expect("two parts");
    server.api().get(&format!("/{secret}")).await.expect(404);
}

/// As the one above, for what a test notes by itself.
#[tokio::test]
#[should_panic(expected = "the server's log shows a secret: a planted word is in line")]
async fn a_secret_that_the_test_has_named_fails_it_too() {
    let mut server = Server::start(Backend::Sqlite).await;
    server.secrets().note("a planted word", "planted-in-a-path");
    server.api().get("/planted-in-a-path").await.expect(404);
    // A log of before is looked at too.
    server.restart().await;
}

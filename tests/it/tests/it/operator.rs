//! The operator: commands for a running server, given on its machine.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt, time::Duration};

use filament_host::admin::{self, Ask};
use filament_test_support::{
    Backend, Person, Server, on_both_databases,
    people::{PASSWORD, Session},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// Asks for a command of a module, past the command line.
async fn run(server: &Server, name: &str, data: Value) -> Value {
    let Value::Object(data) = data else {
        panic!("a command takes an object: {data}");
    };
    let name = name.to_string();
    let socket = server.data_dir().join("filament.sock");
    let answer = admin::ask(&socket, &Ask::Run { name, data }).await;
    answer.expect("an answer").expect("a running server")
}

async fn log_in(server: &Server, username: &str, password: &str) -> Option<Session> {
    let credentials = json!({ "username": username, "password": password });
    let answer = server.api().post("/auth/login", credentials).await;
    match answer.status {
        200 => Some(answer.read()),
        _ => {
            answer.expect_error(401, "invalid_credentials");
            None
        }
    }
}

/// The keys of an object that is told to programs.
fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn commands_of_modules_are_run_and_what_goes_wrong_is_told_plainly() {
    let server = Server::builder(Backend::Sqlite)
        .binary("notes_server")
        .config("[modules]\nnotes = true\n")
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let note = json!({ "text": "one" });
    ada.api.post("/notes", note).await.expect(200);
    let of_ada = json!({ "user_id": ada.user_id });
    let counted = run(&server, "note.count", of_ada.clone()).await;
    assert_eq!(counted, json!({ "result": 1 }));

    let wrong = run(&server, "note.count", json!({ "user": ada.user_id })).await;
    assert_eq!(wrong["code"], "invalid_request");
    let said = wrong["error"].as_str().expect("words");
    assert_eq!(said, "user: unknown field `user`, expected `user_id`");

    let unknown = run(&server, "note.burn", json!({})).await;
    assert_eq!(unknown["code"], "not_found");
    let said = unknown["error"].as_str().expect("words");
    assert!(said.contains("`note.burn`"), "{said}");

    let panicked = run(&server, "note.panic", json!({})).await;
    assert_eq!(panicked["code"], "internal_error");
    let said = panicked["error"].as_str().expect("words");
    assert!(
        !said.contains("as it was told"),
        "only the log says: {said}"
    );
    assert!(server.log().contains("panics, as it was told"));
    let metrics = server.api().get("/metrics").await.text;
    assert!(
        metrics.contains("filament_module_panics_total{module=\"notes\"} 1"),
        "{metrics}"
    );
    let counted = run(&server, "note.count", of_ada.clone()).await;
    assert_eq!(counted, json!({ "result": 1 }), "the module goes on");

    server.write_config("[modules]\nnotes = false\n");
    server.cli(&["reload"]).await.expect(0);
    let off = run(&server, "note.count", of_ada).await;
    assert_eq!(
        off,
        json!({ "error": "the module `notes` is switched off", "code": "module_disabled" })
    );
}

#[tokio::test]
async fn the_door_opens_to_the_servers_own_user_and_to_short_requests() {
    let server = Server::start(Backend::Sqlite).await;
    let socket = server.data_dir().join("filament.sock");
    let mode = socket.metadata().expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let exchange = async |request: String| {
        let mut stream = UnixStream::connect(&socket).await.expect("it opens");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        serde_json::from_str::<Value>(&answer).expect("one line of JSON")
    };
    // The longest request, 64 KiB with its line's end, and one byte more.
    let padded = |length: usize| {
        let (head, tail) = (r#"{"command":"run","name":"none","data":{"x":""#, "\"}}\n");
        let padding = "x".repeat(length - head.len() - tail.len());
        format!("{head}{padding}{tail}")
    };
    let answer = exchange(padded(64 * 1024)).await;
    assert_eq!(answer["code"], "not_found", "{answer}");
    let answer = exchange(padded(64 * 1024 + 1)).await;
    assert_eq!(
        answer,
        json!({ "error": "the request is longer than 65536 bytes" })
    );
    let answer = exchange("hello\n".to_string()).await;
    let said = answer["error"].as_str().expect("words");
    assert!(said.starts_with("not a request"), "{said}");
}

#[tokio::test]
async fn who_has_asked_for_nothing_does_not_hold_up_the_stop() {
    let mut server = Server::start(Backend::Sqlite).await;
    let socket = server.data_dir().join("filament.sock");
    let _idle = UnixStream::connect(&socket).await.expect("it opens");
    assert_eq!(server.terminate().await.code(), Some(0));
}

on_both_databases!(
    the_operator_makes_the_first_account_and_looks_after_it,
    async |backend: Backend| {
        let server = Server::start(backend).await;
        assert!(
            server
                .log()
                .contains("filament-server admin user create NAME"),
            "an empty server says how to begin"
        );
        let user = async |arguments: &[&str]| {
            let all = [&["admin", "user", "--json"], arguments].concat();
            server.cli(&all).await
        };

        // An account with a password that the server makes.
        let made = user(&["create", "Ada"]).await.expect(0).json();
        assert_eq!(keys(&made), ["password", "user_id", "username"]);
        let first_password = made["password"].as_str().expect("a password");
        let phone = log_in(&server, "ada", first_password).await.expect("in");
        let taken = server.cli(&["admin", "user", "create", "aDA"]).await;
        let taken = taken.expect(1);
        assert!(taken.stderr.contains("username"), "{}", taken.stderr);

        // Another, with one of the operator's own, which is not repeated.
        let arguments = ["admin", "user", "create", "bob", "--password-stdin"];
        let told = server
            .cli_with_secret(&arguments, &format!("{PASSWORD}\n"))
            .await
            .expect(0);
        assert!(
            told.stdout.contains("bob") && !told.stdout.contains("password"),
            "{told:?}"
        );
        Person::log_in(&server, "bob").await;
        for refused in ["short\n", "", "correct\thorse battery\n"] {
            server.cli_with_secret(&arguments, refused).await.expect(1);
        }
        let nobody = user(&["list", "--search", "zz"]).await.expect(0);
        assert_eq!(nobody.json(), json!({ "users": [] }));
        let nobody = server.cli(&["admin", "user", "list", "--search", "zz"]);
        let nobody = nobody.await.expect(0);
        assert_eq!(
            (nobody.stdout.as_str(), nobody.stderr.as_str()),
            ("", "no account has `zz` in its name\n")
        );

        // Sessions, one by one and all of them.
        let laptop = log_in(&server, "ada", first_password).await.expect("in");
        let sessions = user(&["sessions", "ada"]).await.expect(0).json();
        let listed = sessions["sessions"].as_array().expect("sessions");
        assert_eq!(listed.len(), 2, "{sessions}");
        assert_eq!(
            keys(&listed[0]),
            [
                "client",
                "created_at_unix",
                "last_used_at_unix",
                "network",
                "session_id"
            ]
        );
        let newest = listed[0]["session_id"].as_str().expect("an id");
        let table = server.cli(&["admin", "user", "sessions", "ada"]).await;
        let table = table.expect(0).stdout;
        assert!(
            table.starts_with("SESSION") && table.lines().count() == 3 && table.contains(newest),
            "{table}"
        );
        let odd = user(&["sessions", "ada", "--end", "xyz"]).await.expect(1);
        assert_eq!(
            odd.json()["error"],
            "session_id: must be an id: 26 upper-case characters of Crockford's base 32"
        );
        let by_hand = newest.to_ascii_lowercase();
        user(&["sessions", "ada", "--end", &by_hand])
            .await
            .expect(0);
        user(&["sessions", "ada", "--end", newest]).await.expect(1);
        let me = async |session: &Session| {
            let api = server.api().with_token(&session.access_token);
            api.get("/auth/me").await.status
        };
        assert_eq!((me(&phone).await, me(&laptop).await), (200, 401));
        let ended = user(&["sessions", "ada", "--end-all"]).await.expect(0);
        assert_eq!(
            ended.json(),
            json!({ "user_id": made["user_id"], "username": "Ada", "ended_sessions": 1 })
        );
        let none = server.cli(&["admin", "user", "sessions", "ada"]).await;
        assert_eq!(none.expect(0).stderr, "Ada has no live session\n");
        assert_eq!(me(&phone).await, 401);

        // A new password ends what the old one began.
        let session = log_in(&server, "ada", first_password).await.expect("in");
        let reset = user(&["reset-password", "ada"]).await.expect(0).json();
        assert_eq!(reset["ended_sessions"], 1);
        let second_password = reset["password"].as_str().expect("a password");
        assert_eq!(me(&session).await, 401);
        assert!(log_in(&server, "ada", first_password).await.is_none());
        let session = log_in(&server, "ada", second_password).await.expect("in");

        // Off, and on again.
        let off = user(&["disable", "ada"]).await.expect(0).json();
        assert_eq!(
            (&off["disabled"], &off["ended_sessions"]),
            (&json!(true), &json!(1))
        );
        assert_eq!(me(&session).await, 401);
        assert!(log_in(&server, "ada", second_password).await.is_none());
        let table = server.cli(&["admin", "user", "list"]).await.expect(0);
        let row = table.stdout.lines().find(|row| row.starts_with("Ada"));
        assert!(row.is_some_and(|row| row.contains("disabled")), "{table:?}");
        user(&["enable", "ada"]).await.expect(0);
        assert!(log_in(&server, "ada", second_password).await.is_some());

        for command in ["disable", "enable", "reset-password", "sessions"] {
            let refused = server.cli(&["admin", "user", command, "nobody"]).await;
            let refused = refused.expect(1);
            assert!(refused.stderr.contains("no account"), "{}", refused.stderr);
        }
        let log = server.log();
        for secret in [first_password, second_password, PASSWORD] {
            assert!(!log.contains(secret), "a password is in the log");
        }
    }
);

#[tokio::test]
async fn what_a_command_did_is_found_in_the_log_by_its_id() {
    let server = Server::start(Backend::Sqlite).await;
    let made = run(&server, "user.create", json!({ "username": "ada" })).await;
    let user_id = made["result"]["user_id"].as_str().expect("an id");
    let log = server.log();
    let request_id = |words: &str| {
        let line = log.lines().find(|line| line.contains(words));
        let line = line.unwrap_or_else(|| panic!("`{words}` is not in the log"));
        let id = line.split_once("request_id=").expect("an id").1;
        let id = id.split_whitespace().next().expect("an id").to_string();
        (id, line.contains(user_id))
    };
    let (done, _) = request_id("a command of the operator is done");
    assert_eq!(
        request_id("the operator made an account"),
        (done, true),
        "{log}"
    );
}

#[tokio::test]
async fn a_password_that_could_not_be_printed_is_not_lost_in_silence() {
    let server = Server::start(Backend::Sqlite).await;
    for (json, name) in [(&[][..], "ada"), (&["--json"][..], "bob")] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let output = server
            .command()
            .args(["admin", "user", "create", name])
            .args(json)
            .stdout(full.expect("Linux"))
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(74));
        let said = String::from_utf8_lossy(&output.stderr);
        for words in [
            "the account was made",
            "`admin user reset-password`",
            "standard output cannot be written",
        ] {
            assert!(said.contains(words), "{said}");
        }
        server
            .cli(&["admin", "user", "reset-password", name])
            .await
            .expect(0);
    }
}

#[tokio::test]
async fn a_change_that_is_read_twice_is_made_once() {
    let server = Server::start(Backend::Sqlite).await;
    let reload = async || server.cli(&["reload", "--json"]).await.expect(0).json();
    let before = reload().await["report"]["generation"].clone();
    assert_eq!(reload().await["report"]["generation"], before);
    let log = server.log();
    assert!(!log.contains("the change is made"), "{log}");

    // The command and the watch on the file both see the change; whoever comes second finds nothing to do.
    server.write_config("[http]\nrequest_timeout_secs = 31\n");
    reload().await;
    let saved = async {
        while !server.log().contains("the configuration file was saved") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let saved = tokio::time::timeout(Duration::from_secs(20), saved).await;
    saved.expect("the watch sees it");
    let after = reload().await["report"]["generation"].clone();
    assert_eq!(after.as_u64(), before.as_u64().map(|before| before + 1));
}

on_both_databases!(
    every_account_is_listed_once_however_many_there_are,
    async |backend: Backend| {
        let server = Server::start(backend).await;
        let api = server.api();
        let names: BTreeSet<String> = (0..205).map(|n| format!("user_{n:03}")).collect();
        for name in &names {
            let account = json!({ "username": name, "password": PASSWORD });
            api.post("/auth/register", account).await.expect(200);
        }
        let list = async |more: &[&str]| {
            let all = [&["admin", "user", "list", "--json"], more].concat();
            let listed = server.cli(&all).await.expect(0).json();
            let users = listed["users"].as_array().expect("users").clone();
            let name = |user: &Value| user["username"].as_str().expect("a name").to_string();
            users.iter().map(name).collect::<Vec<String>>()
        };
        assert_eq!(list(&[]).await, names.iter().cloned().collect::<Vec<_>>());
        assert_eq!(
            list(&["--search", "USER_20"]).await,
            ["user_200", "user_201", "user_202", "user_203", "user_204"]
        );
        assert!(list(&["--search", "%"]).await.is_empty());
    }
);

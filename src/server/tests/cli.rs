//! The command line by itself: what needs no running server.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// The binary in `folder`, without the variables of whoever runs the tests.
fn filament_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_filament-server"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FILAMENT_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder);
    command
}

fn filament_in(folder: &Path, arguments: &[&str]) -> Output {
    filament_command(folder, arguments)
        .output()
        .expect("the binary runs")
}

fn filament(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    filament_in(folder.path(), arguments)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_wrong_command_line_is_told_so_with_code_64() {
    let output = filament(&["srve"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("serve"),
        "{}",
        text(&output.stderr)
    );
    let help = filament(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(
        text(&help.stdout).contains("78 configuration"),
        "the exit codes are documented"
    );
}

#[test]
fn the_document_of_any_legal_set_of_modules_needs_no_database() {
    let all = filament(&["openapi"]);
    assert_eq!(all.status.code(), Some(0), "{}", text(&all.stderr));
    assert!(text(&all.stdout).contains("\"/guilds\""));
    let auth = filament(&["openapi", "--modules", "auth"]);
    assert!(
        text(&auth.stdout).contains("\"/auth/login\"")
            && !text(&auth.stdout).contains("\"/guilds\"")
    );
    let alone = filament(&["openapi", "--modules", "chat"]);
    assert_eq!(alone.status.code(), Some(78));
    assert!(
        text(&alone.stderr).contains("`auth` would provide"),
        "{}",
        text(&alone.stderr)
    );
    assert_eq!(
        filament(&["openapi", "--modules", "chta"]).status.code(),
        Some(1)
    );
}

#[test]
fn without_a_server_the_catalogue_is_shown_and_a_reload_says_that_there_is_none() {
    let modules = filament(&["modules", "--json"]);
    let modules: serde_json::Value = serde_json::from_slice(&modules.stdout).expect("JSON");
    assert_eq!(modules["running"], false);
    assert_eq!(modules["catalogue"][0]["id"], "auth");
    assert_eq!(filament(&["reload"]).status.code(), Some(69));
    assert_eq!(
        filament(&["modules", "why", "nothing"]).status.code(),
        Some(1)
    );
}

#[test]
fn accounts_are_looked_after_by_commands_that_need_a_running_server() {
    let code = |arguments: &[&str]| {
        let all = [&["admin", "user"], arguments].concat();
        let output = filament(&all);
        (output.status.code(), text(&output.stderr))
    };
    for arguments in [
        &["create", "ada"][..],
        &["list"],
        &["list", "--search", "a", "--json"],
        &["disable", "ada"],
        &["enable", "ada", "--json"],
        &["reset-password", "ada"],
        &["sessions", "ada"],
        &["sessions", "ada", "--end-all"],
    ] {
        let (code, said) = code(arguments);
        assert_eq!(code, Some(69), "{arguments:?}: {said}");
        assert_eq!(said, "no server runs on this data folder\n");
    }
    for arguments in [
        &["create"][..],
        // Everybody on the machine sees arguments, so a password is none.
        &["create", "ada", "correct horse battery staple"],
        &["reset-password", "ada", "--password", "correct horse"],
        &[
            "sessions",
            "ada",
            "--end",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "--end-all",
        ],
        &["delete", "ada"],
    ] {
        let (code, said) = code(arguments);
        assert_eq!(code, Some(64), "{arguments:?}: {said}");
    }
}

#[test]
fn a_reader_that_has_heard_enough_is_no_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = filament_command(folder.path(), &["openapi"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(process.stdout.take());
    let output = process.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn what_the_server_writes_is_its_owners_alone_and_is_written_once() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(
        filament_in(folder.path(), &["migrate", "status"])
            .status
            .code(),
        Some(0)
    );
    assert!(
        !folder.path().join("data").exists(),
        "a question makes nothing"
    );
    let four: Vec<Child> = (0..4)
        .map(|_| {
            filament_command(folder.path(), &["migrate"])
                .spawn()
                .expect("it runs")
        })
        .collect();
    let codes: Vec<Option<i32>> = four
        .into_iter()
        .map(|mut process| process.wait().expect("it ends").code())
        .collect();
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert!(
        codes.iter().all(|code| matches!(code, Some(0 | 73))),
        "{codes:?}"
    );
    for path in ["data", "data/filament.sqlite3"] {
        let mode = folder
            .path()
            .join(path)
            .metadata()
            .expect(path)
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{path} is open to others: {mode:o}");
    }
}

#[test]
fn a_database_url_is_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    for url in [
        "postgres://u:topsecret@h:99999/db",
        "postgres://u:topsecret@127.0.0.1:1/db",
        "sqlite:topsecret",
    ] {
        for arguments in [
            &["serve"][..],
            &["migrate"],
            &["migrate", "status"],
            &["config", "check"],
            &["config", "explain"],
        ] {
            let output = filament_command(folder.path(), arguments)
                .env("FILAMENT_DATABASE_URL", url)
                .env("FILAMENT_BIND_ADDR", "127.0.0.1:0")
                .output()
                .expect("the binary runs");
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(
                !said.contains("topsecret"),
                "{arguments:?} with {url}: {said}"
            );
        }
    }
}

#[test]
fn migrations_are_shown_and_applied_by_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let output = filament_in(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(
        run(&["migrate", "status"])
            .lines()
            .all(|line| line.starts_with("pending"))
    );
    assert!(
        run(&["migrate"])
            .lines()
            .all(|line| line.starts_with("applied"))
    );
    assert!(run(&["migrate", "status", "--json"]).contains("\"applied\": true"));
}

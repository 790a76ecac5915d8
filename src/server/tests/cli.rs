//! The command line by itself: what needs no running server.

use std::{
    path::Path,
    process::{Command, Output},
};

/// The binary in `folder`, without the variables of whoever runs the tests.
fn filament_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_filament-server"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FILAMENT_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .current_dir(folder)
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

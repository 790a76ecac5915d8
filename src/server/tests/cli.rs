//! The command line by itself: what needs no running server.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use serde_json::Value;

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
fn a_command_names_its_own_options_before_those_of_all() {
    let help = filament(&["admin", "user", "sessions", "--help"]);
    let help = text(&help.stdout);
    let options = ["--end ", "--end-all", "--json", "--config", "--profile"];
    let places: Vec<_> = options.iter().map(|option| help.find(option)).collect();
    assert!(places.iter().all(Option::is_some), "{help}");
    assert!(places.is_sorted(), "{help}");
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
    let modules: Value = serde_json::from_slice(&modules.stdout).expect("JSON");
    assert_eq!(modules["running"], false);
    assert_eq!(modules["catalogue"][0]["id"], "auth");
    assert_eq!(filament(&["reload"]).status.code(), Some(69));
    assert_eq!(
        filament(&["modules", "why", "nothing"]).status.code(),
        Some(1)
    );
    let why = text(&filament(&["modules", "why", "social"]).stdout);
    assert!(why.contains("  requires accounts from auth\n"), "{why}");
}

#[test]
fn whoever_asks_a_server_is_told_which_folder_it_was_looked_for_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let reload = filament_in(folder.path(), &["reload"]);
    let data_dir = folder.path().canonicalize().expect("a folder").join("data");
    assert_eq!(
        text(&reload.stderr),
        format!(
            "no server runs on the data folder {} (data.dir); use --config, or run it where the server was started\n",
            data_dir.display()
        )
    );
}

#[test]
fn a_server_is_not_asked_while_it_is_in_doubt_which() {
    let folder = tempfile::tempdir().expect("a folder");
    let ask = |config: &str, variable: Option<&str>| {
        let mut command = filament_command(folder.path(), &["modules", "--config", config]);
        let output = command.envs(variable.map(|name| (name, "/srv/filament")));
        let output = output.output().expect("the binary runs");
        (output.status.code(), text(&output.stderr))
    };
    std::fs::write(
        folder.path().join("good.toml"),
        "[http]\nrequest_timeout_secs = 0\n",
    )
    .expect("a file");
    std::fs::write(folder.path().join("broken.toml"), "[data\n").expect("a file");
    let (code, said) = ask("good.toml", None);
    assert_eq!(code, Some(0), "a bad value elsewhere is no doubt: {said}");
    for (config, variable, problem) in [
        ("goood.toml", None, "goood.toml does not exist"),
        ("broken.toml", None, "not valid TOML"),
        ("good.toml", Some("FILAMENT_DATA_DRI"), "FILAMENT_DATA_DRI"),
    ] {
        let (code, said) = ask(config, variable);
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn a_failure_is_json_where_that_was_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, code) in [
        (&["reload", "--json"][..], 69),
        (&["admin", "user", "list", "--json"], 69),
        (
            &[
                "admin",
                "user",
                "create",
                "ada",
                "--json",
                "--password-stdin",
            ],
            1,
        ),
        (&["modules", "why", "nothing", "--json"], 1),
        (&["config", "explain", "nothing", "--json"], 1),
        (&["modules", "--json", "--config", "nowhere.toml"], 78),
        (
            &["config", "check", "--json", "--config", "nowhere.toml"],
            78,
        ),
        (&["migrate", "--json", "--config", "nowhere.toml"], 78),
    ] {
        let output = filament_command(folder.path(), arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(told["error"].is_string(), "{arguments:?}: {told}");
    }
}

#[test]
fn a_disk_without_room_for_what_is_printed_is_told_with_code_74() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux");
    let output = filament_command(folder.path(), &["config", "example"])
        .stdout(full)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(74));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("standard output cannot be written: No space left"),
        "{said}"
    );
}

#[test]
fn a_password_that_is_typed_is_not_shown_and_the_terminal_is_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal)
        .and_then(|()| unlockpt(&terminal))
        .expect("ours");
    let name = ptsname(&terminal, Vec::new()).expect("a name");
    let open = || {
        let mut options = File::options();
        options.read(true).write(true);
        options
            .open(name.to_str().expect("ASCII"))
            .expect("it opens")
    };
    let kept_open = open();
    let arguments = ["admin", "user", "create", "ada", "--password-stdin"];
    let mut process = filament_command(folder.path(), &arguments)
        .stdin(open())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut said = BufReader::new(process.stderr.take().expect("piped"));
    let mut prompt = String::new();
    said.read_line(&mut prompt).expect("a prompt");
    assert!(prompt.starts_with("Password"), "{prompt}");
    let mut terminal = File::from(terminal);
    terminal
        .write_all(b"correct horse battery\n")
        .expect("typed");
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("the rest");
    assert!(rest.contains("no server runs"), "{rest}");
    assert_eq!(process.wait().expect("it ends").code(), Some(69));

    let modes = tcgetattr(&kept_open).expect("a terminal").local_modes;
    assert!(modes.contains(LocalModes::ECHO), "{modes:?}");
    // What the terminal showed ends with what is shown of this.
    (&kept_open).write_all(b"#").expect("shown");
    let mut shown = Vec::new();
    while shown.last() != Some(&b'#') {
        let mut byte = [0];
        terminal.read_exact(&mut byte).expect("shown");
        shown.extend(byte);
    }
    assert!(!text(&shown).contains("horse"), "{}", text(&shown));
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
        let as_json = arguments.contains(&"--json");
        let told = said.starts_with("no server runs on the data folder");
        assert_eq!(told, !as_json, "{arguments:?}: {said}");
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

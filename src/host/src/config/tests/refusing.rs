//! What is refused, and what is said about it.

use super::*;

#[test]
fn five_errors_in_three_places_are_five_problems() {
    let site = Site::new()
        .file(
            "[gateway]\nping_interval_secs = \"soon\"\n\n[http]\nrequest_timeout_secs = 0\nidle_timeout_sec = 3\n",
        )
        .secret_file("FILAMENT_DATABASE_URL_FILE", "mysql://somebody:hunter2@db/filament\n")
        .var("FILAMENT_SERVER__BIND_ADDR", "localhost");
    let folder = site.folder.path().to_owned();
    let at_line = |line| Source::File {
        path: folder.join("filament.toml"),
        line: Some(line),
        column: None,
    };
    let problems = site.load().unwrap_err();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.key.as_str(), problem.source.clone()))
        .collect();
    let secret_file = Source::SecretFile {
        variable: "FILAMENT_DATABASE_URL_FILE".to_owned(),
        path: folder.join("filament_database_url_file"),
    };
    let expected = [
        ("database.url", secret_file),
        ("gateway.ping_interval_secs", at_line(2)),
        ("http.idle_timeout_sec", at_line(6)),
        ("http.request_timeout_secs", at_line(5)),
        ("server.bind_addr", variable("FILAMENT_SERVER__BIND_ADDR")),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        site.refused(),
        [
            "database.url: must begin with postgres://, postgresql:// or sqlite://, or be empty for a file in data.dir \
             (file filament_database_url_file of FILAMENT_DATABASE_URL_FILE)",
            "gateway.ping_interval_secs: must be an integer, but is a string (filament.toml:2)",
            "http.idle_timeout_sec: unknown key (filament.toml:6); did you mean `http.idle_timeout_secs`?",
            "http.request_timeout_secs: must be 1 to 300 (filament.toml:5)",
            "server.bind_addr: must be an address with a port such as \"127.0.0.1:8080\" (FILAMENT_SERVER__BIND_ADDR)",
        ]
    );
    assert!(
        problems
            .to_string()
            .starts_with("the configuration has 5 problems:\n  database.url: ")
    );
    let json = serde_json::to_value(&problems).unwrap();
    assert_eq!(json[1]["source"]["kind"], "file");
    assert_eq!(json[1]["source"]["line"], 2);
    assert_eq!(
        json[2]["suggestion"],
        "did you mean `http.idle_timeout_secs`?"
    );
}

#[test]
fn several_errors_of_one_section_all_show() {
    let site = Site::new().file(
        "[auth]\nport = 70000\nmode = \"clsed\"\nroute_requests_per_minute = 0\nweights = [\"heavy\"]\n\
         [auth.argon2]\nmemory_kib = 1\n",
    );
    assert_eq!(
        site.refused(),
        [
            "auth.argon2.memory_kib: must be at least 8 (filament.toml:7)",
            "auth.mode: must be one of open, closed (filament.toml:3); did you mean `closed`?",
            "auth.port: must be 0 to 65535 (filament.toml:2)",
            "auth.route_requests_per_minute: must be 1 to 600 (filament.toml:4)",
            "auth.weights: must be an array of numbers, but holds something else (filament.toml:5)",
        ]
    );
}

#[test]
fn items_of_arrays_are_named() {
    let site = Site::new()
        .file("[server]\npublic_origins = [\"https://a.example\", \"https://b.example/path\"]\n")
        .var(
            "FILAMENT_HTTP__METRICS_ALLOWED_CIDRS",
            "10.0.0.0/8, somewhere, ::1/128, else",
        );
    assert_eq!(
        site.refused(),
        [
            "http.metrics_allowed_cidrs[1]: must be a network such as \"10.0.0.0/8\" (FILAMENT_HTTP__METRICS_ALLOWED_CIDRS)",
            "http.metrics_allowed_cidrs[3]: must be a network such as \"10.0.0.0/8\" (FILAMENT_HTTP__METRICS_ALLOWED_CIDRS)",
            "server.public_origins[1]: must be an origin like \"https://chat.example.org\", without a path, or \"*\" \
             (filament.toml:2)",
        ]
    );
}

#[test]
fn what_production_lacks_is_listed_in_one_message() {
    let site = Site::new().var("FILAMENT_PROFILE", "production");
    assert_eq!(
        site.refused(),
        [
            "auth.hcaptcha_secret: must be set in profile production; \
             set FILAMENT_HCAPTCHA_SECRET, FILAMENT_HCAPTCHA_SECRET_FILE or `auth.hcaptcha_secret` in the file",
            "database.url: must be set in profile production, to a postgres:// or postgresql:// URL; \
             set FILAMENT_DATABASE_URL, FILAMENT_DATABASE_URL_FILE or `database.url` in the file",
            "storage.attachment_root: must be set in profile production, to the folder of attachments; \
             set FILAMENT_ATTACHMENT_ROOT, FILAMENT_ATTACHMENT_ROOT_FILE or `storage.attachment_root` in the file",
        ]
    );
}

#[test]
fn a_module_that_is_off_needs_nothing_but_is_still_read() {
    let site = Site::new()
        .var("FILAMENT_PROFILE", "production")
        .var("FILAMENT_DATABASE_URL", "postgres://db/filament")
        .var("FILAMENT_ATTACHMENT_ROOT", "/srv/attachments")
        .var("FILAMENT_MODULES__AUTH", "false");
    assert!(!site.loaded().is_enabled("auth"));
    let site = site.var("FILAMENT_AUTH__PORT", "http");
    assert_eq!(
        site.refused(),
        ["auth.port: must be an integer (FILAMENT_AUTH__PORT)"]
    );
}

#[test]
fn unknown_names_come_with_a_suggestion() {
    let site = Site::new()
        .file("bind_addr = \"127.0.0.1:1\"\n[gatway]\nping_interval_secs = 1\n[http]\noutbound_queue_events = 1\n[modules]\nauht = true\n")
        .var("FILAMENT_HTTP_MAX_CONNECTIONS", "1")
        .var("FILAMENT_DATABSE_URL", "postgres://somebody:hunter2@db/filament")
        .var("FILAMENT_DATABSE_URL_FILE", "/nowhere")
        .var("FILAMENT_Server__bind_addr", "127.0.0.1:1")
        .var("FILAMENT_XYZZY", "1");
    assert_eq!(
        site.refused(),
        [
            "FILAMENT_DATABSE_URL: unknown variable; did you mean `FILAMENT_DATABASE_URL`?",
            "FILAMENT_DATABSE_URL_FILE: unknown variable; did you mean `FILAMENT_DATABASE_URL_FILE`?",
            "FILAMENT_HTTP_MAX_CONNECTIONS: unknown variable; did you mean `FILAMENT_HTTP__MAX_CONNECTIONS`?",
            "FILAMENT_Server__bind_addr: unknown variable; did you mean `FILAMENT_SERVER__BIND_ADDR`?",
            "FILAMENT_XYZZY: unknown variable",
            "bind_addr: unknown key (filament.toml:1); did you mean `server.bind_addr`?",
            "gatway: unknown section (filament.toml:2); did you mean `gateway`?",
            "http.outbound_queue_events: unknown key (filament.toml:5); did you mean `gateway.outbound_queue_events`?",
            "modules.auht: unknown key (filament.toml:7); did you mean `modules.auth`?",
        ]
    );
}

#[test]
fn broken_toml_names_line_and_column_and_hides_the_line() {
    let site = Site::new()
        .file("[auth]\npepper = \"hunter2\n")
        .var("FILAMENT_PROFILE", "production");
    let problems = site.refused();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("the file is not valid TOML: "),
        "{problems:?}"
    );
    assert!(
        problems[0].ends_with("(filament.toml:2:18)"),
        "{problems:?}"
    );
    assert!(!problems[0].contains("hunter2"));
}

#[test]
fn files_that_were_named_must_be_there() {
    let mut site = Site::new()
        .var("FILAMENT_CONFIG", "/nowhere/filament.toml")
        .var("FILAMENT_AUTH__PEPPER_FILE", "/nowhere/pepper");
    assert_eq!(
        site.refused(),
        [
            "file /nowhere/filament.toml does not exist (FILAMENT_CONFIG)",
            "auth.pepper: file /nowhere/pepper does not exist (file /nowhere/pepper of FILAMENT_AUTH__PEPPER_FILE)",
        ]
    );
    site.inputs.file = Some("/nowhere/else.toml".into());
    assert_eq!(
        site.refused()[0],
        "file /nowhere/else.toml does not exist (--config)"
    );
}

#[test]
fn wrong_profiles_and_tables_are_problems() {
    let site = Site::new()
        .file("gateway = 3\n[[http]]\n[log]\nlevels = \"chat=loud,auth=debug\"\n")
        .var("FILAMENT_PROFILE", "prodution");
    assert_eq!(
        site.refused(),
        [
            "gateway: must be a table, `[gateway]` (filament.toml:1)",
            "http: must be a table, `[http]` (filament.toml:2)",
            "log.levels: pair 1 must be `target=level`, with off, error, warn, info, debug or trace (filament.toml:4)",
            "profile: must be one of dev, production (FILAMENT_PROFILE); did you mean `production`?",
        ]
    );
}

#[test]
fn no_problem_repeats_a_value() {
    let site = Site::new()
        .file("[server]\nbind_addr = \"hunter2\"\n[auth]\nmode = \"hunter2\"\nport = \"hunter2\"\n[log]\nlevels = \"hunter2\"\n")
        .var("FILAMENT_DATABASE_URL", "hunter2")
        .var("FILAMENT_HTTP__COMPRESSION", "hunter2")
        .var("FILAMENT_PROFILE", "hunter2");
    let problems = site.load().unwrap_err();
    assert_eq!(problems.iter().count(), 7, "{problems}");
    let all = format!(
        "{problems} {problems:?} {}",
        serde_json::to_string(&problems).unwrap()
    );
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn variables_that_are_not_utf8_are_refused() {
    let site = Site::new().var("FILAMENT_AUTH__PEPPER", "salt\u{fffd}");
    assert_eq!(
        site.refused(),
        ["auth.pepper: must be UTF-8 (FILAMENT_AUTH__PEPPER)"]
    );
}

#[test]
fn sections_that_clash_are_refused() {
    let sections = [
        SectionSpec::of::<Auth>("auth"),
        SectionSpec::of::<Auth>("http"),
    ];
    let problems = load(&sections, MODULES, &Inputs::default()).unwrap_err();
    assert!(
        problems
            .to_string()
            .contains("http: section is declared twice"),
        "{problems}"
    );
}

#[test]
fn rules_across_keys_show_beside_bounds_and_unreadable_keys() {
    let site = Site::new().file(
        "[gateway]\nmax_sockets_per_ip = 0\npong_timeout_secs = 31\n[log]\nlevel = \"loud\"\nlevels = \"chat=loud\"\n\
         [server]\nbind_addr = 8080\npublic_origins = [\"nowhere\"]\n",
    );
    assert_eq!(
        site.refused(),
        [
            "gateway.max_sockets_per_ip: must be 1 to 1000000 (filament.toml:2)",
            "gateway.pong_timeout_secs: must be at most 30, the value of gateway.ping_interval_secs (filament.toml:3)",
            "log.level: must be one of off, error, warn, info, debug, trace (filament.toml:5)",
            "log.levels: pair 1 must be `target=level`, with off, error, warn, info, debug or trace (filament.toml:6)",
            "server.bind_addr: must be an address with a port such as \"127.0.0.1:8080\" (filament.toml:8)",
            "server.public_origins[0]: must be an origin like \"https://chat.example.org\", without a path, or \"*\" \
             (filament.toml:9)",
        ]
    );
}

#[test]
fn a_key_that_is_wrong_by_itself_is_not_compared() {
    for interval in ["\"soon\"", "0", "-5"] {
        let text =
            format!("[gateway]\nping_interval_secs = {interval}\npong_timeout_secs = 3000\n");
        let found = Site::new().file(&text).refused();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("gateway.ping_interval_secs: "),
            "{found:?}"
        );
    }
    let site = Site::new().file("[gateway]\npong_timeout_secs = 4000\n");
    assert_eq!(
        site.refused(),
        ["gateway.pong_timeout_secs: must be 1 to 3600 (filament.toml:2)"]
    );
}

#[test]
fn urls_that_the_driver_cannot_read_are_refused_without_being_shown() {
    let refused = |url: &str| {
        let problems = Site::new().var("FILAMENT_DATABASE_URL", url).load();
        problems.err().map(|problems| problems.to_string())
    };
    for url in [
        "postgres://u:secret@h:99999/db",
        "postgres://u:secret@h:0/db",
        "postgres://u:secret@h:port/db",
        "postgresql://u:sec/ret@h:5432/db",
        "postgres://u:secret@[h/db",
        "postgres://u:secret@h/db?sslmode=sure",
        "sqlite:secret.db",
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite://",
        "sqlite://secret.db?mode=rwc",
        "mysql://u:secret@h/db",
    ] {
        let text = refused(url).unwrap_or_else(|| panic!("{url} should be refused"));
        assert!(text.contains("database.url: must be"), "{text}");
        assert!(!text.contains("secret") && !text.contains("ret@"), "{text}");
    }
    for url in [
        "postgres://db/filament",
        "postgresql://u:p%40ss@db:65535/filament?sslmode=require",
        "postgres:///filament?host=/run/postgresql",
        "sqlite:///var/lib/filament.sqlite3",
        "sqlite://relative.db",
    ] {
        assert_eq!(refused(url), None, "{url}");
    }
}

#[test]
fn targets_of_levels_are_modules_or_libraries() {
    let refused = |levels: &str| {
        let site = Site::new().var("FILAMENT_LOG__LEVELS", levels);
        site.load().err().map(|problems| problems.into_vec())
    };
    for good in ["chat=debug", "sqlx=warn", "sqlx::query=off, h2 = trace"] {
        assert_eq!(refused(good), None, "{good}");
    }
    for bad in [
        "Chat=debug",
        "=warn",
        "[span]=warn",
        "sqlx-core=warn",
        "chat=info,a b=warn",
    ] {
        let problems = refused(bad).unwrap_or_else(|| panic!("{bad} should be refused"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0]
                .message
                .contains("must name a module or a library"),
            "{problems:?}"
        );
    }
}

#[test]
fn numbers_that_no_type_holds_are_told_their_bounds() {
    let site = Site::new()
        .file("[http]\nmax_connections = -5\n[gateway]\noffline_grace_secs = -1\n[database]\nmax_connections = 4294967296\n")
        .var("FILAMENT_AUTH__ARGON2__MEMORY_KIB", "-1");
    assert_eq!(
        site.refused(),
        [
            "auth.argon2.memory_kib: must be at least 8 (FILAMENT_AUTH__ARGON2__MEMORY_KIB)",
            "database.max_connections: must be 1 to 1000 (filament.toml:6)",
            "gateway.offline_grace_secs: must be 0 to 3600 (filament.toml:4)",
            "http.max_connections: must be 1 to 1000000 (filament.toml:2)",
        ]
    );
}

#[test]
fn networks_and_addresses_are_told_their_form() {
    let network = "must be a network such as \"10.0.0.0/8\"";
    for text in ["a", "10.0.0.1", "10.0.0.0/33", "10.0.0.0"] {
        let site = Site::new()
            .var("FILAMENT_TRUSTED_PROXY_CIDRS", text)
            .var("FILAMENT_BIND_ADDR", text);
        assert_eq!(
            site.refused(),
            [
                "server.bind_addr: must be an address with a port such as \"127.0.0.1:8080\" (FILAMENT_BIND_ADDR)"
                    .to_owned(),
                format!("server.trusted_proxy_cidrs[0]: {network} (FILAMENT_TRUSTED_PROXY_CIDRS)"),
            ]
        );
    }
}

#[test]
fn guesses_stay_in_the_section() {
    let site = Site::new()
        .file("[modules]\nvoice = true\n[auth]\nx = 1\n[auth.argon2]\nmemory = 9\n")
        .var("FILAMENT_MODULES__VOICE", "true")
        .var("FILAMENT_AUTH__X", "1")
        .var("FILAMENT_GATEWAY__PING_INTERVAL", "1");
    assert_eq!(
        site.refused(),
        [
            "FILAMENT_AUTH__X: unknown variable",
            "FILAMENT_GATEWAY__PING_INTERVAL: unknown variable; did you mean `FILAMENT_GATEWAY__PING_INTERVAL_SECS`?",
            "FILAMENT_MODULES__VOICE: unknown variable; this build has the modules auth, chat",
            "auth.argon2.memory: unknown key (filament.toml:6); did you mean `auth.argon2.memory_kib`?",
            "auth.x: unknown key (filament.toml:4)",
            "modules.voice: unknown key (filament.toml:2); this build has the modules auth, chat",
        ]
    );
}

#[test]
fn problems_that_others_find_have_a_source() {
    let site = Site::new().file("[modules]\nauth = false\n");
    let loaded = site.loaded();
    let about = |key: &str, message: &str| {
        Problem::about(
            &loaded,
            key,
            message.to_owned(),
            Some("turn it on".to_owned()),
        )
    };
    let problems = Problems::from(vec![
        about("modules.chat", "requires `auth`, which is off"),
        about("modules.auth", "must be on for `chat`"),
        about("modules.auth", "must be on for `chat`"),
    ]);
    let folder = format!("{}/", site.folder.path().display());
    assert_eq!(
        problems.to_string().replace(&folder, ""),
        "the configuration has 2 problems:\n  modules.auth: must be on for `chat` (filament.toml:2); turn it on\n  \
         modules.chat: requires `auth`, which is off (default); turn it on"
    );
}

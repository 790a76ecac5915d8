//! Which layer wins, and how text is read.

use super::*;

#[test]
fn each_layer_wins_over_those_below() {
    let site = Site::new();
    assert_eq!(site.loaded().host.log.format, host::LogFormat::Pretty);

    let site = site
        .var("FILAMENT_DATABASE_URL", "postgres://db/filament")
        .var("FILAMENT_ATTACHMENT_ROOT", "/srv/attachments")
        .var("FILAMENT_HCAPTCHA_SECRET", "s")
        .file("profile = \"production\"\n");
    let loaded = site.loaded();
    assert_eq!(loaded.profile, Profile::Production);
    assert_eq!(loaded.host.log.format, host::LogFormat::Json);

    let site = site
        .file("profile = \"production\"\n[log]\nformat = \"pretty\"\n[auth]\npepper = \"file\"\n");
    assert_eq!(site.loaded().host.log.format, host::LogFormat::Pretty);

    let pepper = |site: &Site| {
        let auth = site.loaded().section::<Auth>("auth").unwrap();
        auth.pepper.expose().to_owned()
    };
    assert_eq!(pepper(&site), "file");
    let site = site.secret_file("FILAMENT_AUTH__PEPPER_FILE", "secret file\n");
    assert_eq!(pepper(&site), "secret file");
    let site = site.var("FILAMENT_AUTH__PEPPER", "variable");
    assert_eq!(pepper(&site), "variable");

    let mut site = site.var("FILAMENT_PROFILE", "production");
    site.inputs.profile = Some(Profile::Dev);
    assert_eq!(site.loaded().profile, Profile::Dev);
}

#[test]
fn text_is_read_by_the_kind_of_the_default() {
    let loaded = Site::new()
        .var("FILAMENT_HCAPTCHA_SECRET", "007")
        .secret_file("FILAMENT_AUTH__PEPPER_FILE", "123456\r\n")
        .var("FILAMENT_AUTH__WEIGHTS", "1, 2.5,")
        .var("FILAMENT_AUTH__ARGON2__MEMORY_KIB", " 64 ")
        .var("FILAMENT_HTTP__COMPRESSION", "false")
        .var("FILAMENT_TRUSTED_PROXY_CIDRS", "10.0.0.0/8,fd00::/8")
        .loaded();
    let auth = loaded.section::<Auth>("auth").unwrap();
    assert_eq!(
        auth.hcaptcha_secret.as_ref().map(Secret::expose),
        Some("007")
    );
    assert_eq!(auth.pepper.expose(), "123456");
    assert_eq!(auth.weights, [1.0, 2.5]);
    assert_eq!(auth.argon2.memory_kib, 64);
    assert!(!loaded.host.http.compression);
    assert_eq!(loaded.host.server.trusted_proxy_cidrs.len(), 2);
}

#[test]
fn only_one_newline_is_taken_off_a_secret_file() {
    let loaded = Site::new()
        .secret_file("FILAMENT_AUTH__PEPPER_FILE", " a\n\n")
        .loaded();
    let auth = loaded.section::<Auth>("auth").unwrap();
    assert_eq!(auth.pepper.expose(), " a\n");
}

#[test]
fn empty_variables_count_as_unset() {
    let loaded = Site::new()
        .file("[auth]\npepper = \"file\"\n")
        .var("FILAMENT_AUTH__PEPPER", "")
        .var("FILAMENT_AUTH__PEPPER_FILE", "")
        .var("FILAMENT_BIND_ADDR", "")
        .var("FILAMENT_PROFILE", "")
        .var("FILAMENT_CONFIG", "")
        .var("FILAMENT_NO_SUCH_THING", "")
        .loaded();
    assert_eq!(
        loaded.section::<Auth>("auth").unwrap().pepper.expose(),
        "file"
    );
    assert_eq!(loaded.profile, Profile::Dev);
}

#[test]
fn long_names_win_over_flat_ones() {
    let loaded = Site::new()
        .var("FILAMENT_BIND_ADDR", "127.0.0.1:1")
        .var("FILAMENT_SERVER__BIND_ADDR", "127.0.0.1:2")
        .loaded();
    assert_eq!(loaded.host.server.bind_addr.port(), 2);
}

#[test]
fn flat_names_of_absent_modules_are_noted() {
    let site = Site::new()
        .var("FILAMENT_LIVEKIT_URL", "wss://livekit")
        .secret_file("FILAMENT_LIVEKIT_API_SECRET_FILE", "hunter2");
    let notes: Vec<_> = site.loaded().notes().iter().map(Note::to_string).collect();
    assert_eq!(
        notes,
        [
            "FILAMENT_LIVEKIT_API_SECRET_FILE: ignored: this build has no key `voice.livekit_api_secret`",
            "FILAMENT_LIVEKIT_URL: ignored: this build has no key `voice.livekit_url`",
        ]
    );
}

#[test]
fn services_of_kubernetes_are_not_taken_for_settings() {
    let loaded = Site::new()
        .var("FILAMENT_SERVER_SERVICE_HOST", "10.0.0.1")
        .var("FILAMENT_SERVER_SERVICE_PORT", "80")
        .var("FILAMENT_SERVER_PORT_80_TCP_ADDR", "10.0.0.1")
        .var("FILAMENT_SERVER__BIND_ADDR", "127.0.0.1:3")
        .loaded();
    assert_eq!(loaded.notes().len(), 3);
    assert_eq!(loaded.host.server.bind_addr.port(), 3);
}

#[test]
fn modules_are_on_unless_they_are_turned_off() {
    let loaded = Site::new().file("[modules]\nchat = false\n").loaded();
    assert!(loaded.is_enabled("auth"));
    assert!(!loaded.is_enabled("chat"));
    assert!(!loaded.is_enabled("voice"));
}

#[test]
fn what_changed_between_two_loads_is_known() {
    let site = Site::new().file("[gateway]\nping_interval_secs = 40\n[auth]\npepper = \"a\"\n");
    let before = site.loaded();
    assert!(before.changed_sections(&site.loaded()).is_empty());
    let after = site
        .file("# moved\n[modules]\nchat = false\n\n[gateway]\nping_interval_secs = 40\n[auth]\npepper = \"b\"\n")
        .loaded();
    assert_eq!(before.changed_keys(&after), ["auth.pepper", "modules.chat"]);
    assert_eq!(before.changed_sections(&after), ["auth", "modules"]);
}

#[test]
fn dev_keeps_everything_in_the_data_folder() {
    let loaded = Site::new()
        .var("FILAMENT_DATA__DIR", "/var/lib/100%?")
        .loaded();
    let host = &loaded.host;
    assert_eq!(
        host.database_url().expose(),
        "sqlite:///var/lib/100%?/filament.sqlite3"
    );
    assert_eq!(
        host.attachment_root(),
        PathBuf::from("/var/lib/100%?/attachments")
    );
    assert_eq!(
        host.socket_path(),
        PathBuf::from("/var/lib/100%?/filament.sock")
    );
    assert!(loaded.file_path().is_absolute());
    assert!(loaded.file_path().ends_with("filament.toml"));
}

#[test]
fn the_data_folder_is_known_unless_something_leaves_it_in_doubt() {
    let named = "[data]\ndir = \"/srv/filament\"\n";
    let dir = |site: Site| data_dir(SECTIONS, MODULES, &site.inputs);
    for site in [
        Site::new().file(named),
        Site::new().file(&format!(
            "{named}[gateway]\nping_interval_secs = 0\nping = 1\n"
        )),
        Site::new()
            .file(named)
            .var("FILAMENT_PROFILE", "production")
            .var("FILAMENT_MODULES__CHAT", "perhaps"),
        Site::new()
            .file("[data]\ndir = \"/elsewhere\"\n")
            .var("FILAMENT_DATA__DIR", "/srv/filament"),
        Site::new().secret_file("FILAMENT_DATA__DIR_FILE", "/srv/filament\n"),
    ] {
        assert_eq!(dir(site), Ok(PathBuf::from("/srv/filament")));
    }
    let mut missing = Site::new();
    missing.inputs.file = Some(missing.path("filamnt.toml"));
    for site in [
        missing,
        Site::new().file("[data\n"),
        Site::new().file("[dta]\ndir = \"/srv/filament\"\n"),
        Site::new().file("[data]\ndri = \"/srv/filament\"\n"),
        Site::new().file("[data]\ndir = 7\n"),
        Site::new().var("FILAMENT_DATA_DRI", "/srv/filament"),
        Site::new().var("FILAMENT_DATA__DIR_FILE", "/nowhere/at/all"),
    ] {
        let problems = dir(site).expect_err("it is in doubt");
        assert_eq!(problems.iter().count(), 1, "{problems}");
    }
}

#[test]
fn sections_are_handed_out_by_name_and_type() {
    let loaded = Site::new().loaded();
    assert!(loaded.section::<host::Gateway>("gateway").is_ok());
    assert_eq!(
        loaded.section::<Auth>("voice").unwrap_err().to_string(),
        "there is no section [voice]"
    );
    assert!(matches!(
        loaded.section::<host::Http>("auth"),
        Err(SectionError::OtherType { .. })
    ));
}

#[test]
fn levels_of_modules_are_parsed() {
    let loaded = Site::new()
        .var("FILAMENT_LOG__LEVELS", "chat=debug, sqlx = warn,")
        .loaded();
    let levels = loaded.host.log.levels_by_module();
    assert_eq!(
        levels,
        BTreeMap::from([("chat", host::Level::Debug), ("sqlx", host::Level::Warn)])
    );
}

#[test]
fn a_variable_that_another_outdoes_is_noted() {
    let site = Site::new()
        .var("FILAMENT_BIND_ADDR", "127.0.0.1:1")
        .var("FILAMENT_SERVER__BIND_ADDR", "127.0.0.1:2")
        .var("FILAMENT_AUTH__PEPPER", "value")
        .secret_file("FILAMENT_AUTH__PEPPER_FILE", "file")
        .secret_file("FILAMENT_HCAPTCHA_SECRET_FILE", "flat")
        .secret_file("FILAMENT_AUTH__HCAPTCHA_SECRET_FILE", "long")
        .var("FILAMENT_AUTH__PORT", "81")
        .var("FILAMENT_AUTH__PORT_FILE", "");
    let loaded = site.loaded();
    let auth = loaded.section::<Auth>("auth").unwrap();
    assert_eq!(auth.pepper.expose(), "value");
    let secret = auth.hcaptcha_secret.as_ref().map(Secret::expose);
    assert_eq!(secret, Some("long"));
    let notes: Vec<_> = loaded.notes().iter().map(Note::to_string).collect();
    assert_eq!(
        notes,
        [
            "FILAMENT_HCAPTCHA_SECRET_FILE: ignored: FILAMENT_AUTH__HCAPTCHA_SECRET_FILE sets `auth.hcaptcha_secret` as \
             well, and wins",
            "FILAMENT_AUTH__PEPPER_FILE: ignored: FILAMENT_AUTH__PEPPER sets `auth.pepper` as well, and wins",
            "FILAMENT_BIND_ADDR: ignored: FILAMENT_SERVER__BIND_ADDR sets `server.bind_addr` as well, and wins",
        ]
    );
}

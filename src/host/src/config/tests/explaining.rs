//! What is shown of a configuration.

use super::*;
use crate::config::{aliases, layers::Layer, load::schema};

#[test]
fn defaults_and_types_agree() {
    for spec in host::SECTIONS.iter().chain(SECTIONS) {
        assert_eq!(
            spec.disagreements(),
            Vec::<String>::new(),
            "[{}]",
            spec.name
        );
    }
}

#[test]
fn disagreements_are_found() {
    #[derive(Deserialize, Serialize, Validate)]
    struct Loose {
        kept: u8,
        #[serde(default)]
        forgotten: u8,
    }
    impl Section for Loose {
        const DEFAULTS: &'static str = "kept = 1\n# A comment.\nstray = 1\n";
    }
    assert_eq!(
        SectionSpec::of::<Loose>("loose").disagreements(),
        [
            "loose.kept: has no comment above it",
            "loose.stray: is in the file and not in the type",
            "loose.forgotten: is in the type and not in the file",
        ]
    );
}

#[test]
fn the_profile_changes_only_keys_that_there_are() {
    let mut problems = Vec::new();
    let schema = schema(SECTIONS, MODULES, &mut problems);
    for profile in [Profile::Dev, Profile::Production] {
        Layer::profile(profile, &schema, &mut problems);
    }
    assert_eq!(problems, []);
}

#[test]
fn flat_names_of_the_host_lead_to_keys() {
    let mut problems = Vec::new();
    let schema = schema(&[], &[], &mut problems);
    for (name, key) in aliases::ALIASES {
        let section = key.split('.').next().unwrap_or(key);
        let of_the_host = host::SECTIONS.iter().any(|spec| spec.name == section);
        assert!(
            !of_the_host || schema.key(key).is_some(),
            "{name} leads nowhere"
        );
    }
}

#[test]
fn a_key_is_explained_by_its_comment() {
    let site = Site::new().file("[gateway]\n\nping_interval_secs = 40\n");
    let loaded = site.loaded();
    let explained = explain(&loaded, Some("gateway.ping_interval_secs"));
    let source = Source::File {
        path: site.path("filament.toml"),
        line: Some(3),
        column: None,
    };
    assert_eq!(
        explained,
        [Explanation {
            key: "gateway.ping_interval_secs".to_owned(),
            value: 40.into(),
            source,
            documentation: "Seconds between two pings; 1 to 3600.".to_owned(),
            default: 30.into(),
        }]
    );
    let text = explained[0].to_string();
    assert!(
        text.starts_with(
            "# Seconds between two pings; 1 to 3600.\ngateway.ping_interval_secs = 40 ("
        )
    );
    assert!(text.ends_with("filament.toml:3; default: 30)"), "{text}");
    assert_eq!(explain(&loaded, Some("gateway")).len(), 11);
    assert_eq!(explain(&loaded, Some("gate")), []);
    assert!(
        explain(&loaded, Some("database.url"))[0]
            .to_string()
            .ends_with("database.url = (unset) (default)")
    );
}

#[test]
fn everything_is_documented() {
    for explained in explain(&Site::new().loaded(), None) {
        assert!(!explained.documentation.is_empty(), "{}", explained.key);
        assert_eq!(explained.source, Source::Default, "{}", explained.key);
        assert_eq!(explained.value, explained.default, "{}", explained.key);
    }
}

#[test]
fn secrets_are_redacted_everywhere() {
    let site = Site::new()
        .file("[auth]\npepper = \"hunter2\"\n")
        .var(
            "FILAMENT_DATABASE_URL",
            "postgres://somebody:hunter2@db/filament",
        )
        .secret_file("FILAMENT_HCAPTCHA_SECRET_FILE", "hunter2");
    let loaded = site.loaded();
    let explained = explain(&loaded, None);
    let value = |key: &str| {
        let found = explained.iter().find(|explained| explained.key == key);
        found.map(|explained| explained.value.clone())
    };
    for key in ["auth.pepper", "database.url", "auth.hcaptcha_secret"] {
        assert_eq!(value(key), Some("[redacted]".into()), "{key}");
    }
    assert_eq!(
        value("storage.attachment_root"),
        Some(serde_json::Value::Null)
    );
    let texts: Vec<_> = explained.iter().map(Explanation::to_string).collect();
    let json = serde_json::to_string(&explained).unwrap();
    let all = format!(
        "{loaded:?} {:?} {:?} {json} {explained:?} {texts:?}",
        loaded.host, site.inputs
    );
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn the_example_shows_every_setting_and_loads() {
    let example = example(SECTIONS, MODULES);
    let site = Site::new().file(&example);
    let loaded = site.loaded();
    assert!(loaded.changed_keys(&Site::new().loaded()).is_empty());
    for explained in explain(&loaded, None) {
        let is_shown = matches!(explained.source, Source::File { .. });
        assert!(is_shown, "{} is not in the example", explained.key);
    }
    assert!(
        example.contains("\n[auth.argon2]\n# KiB; at least 8.\nmemory_kib = 19456\n"),
        "{example}"
    );
    assert!(
        example.contains("\n[modules]\n# Whether the module auth is on.\nauth = true\n"),
        "{example}"
    );
}

#[test]
fn a_key_may_go_by_its_variable() {
    let loaded = Site::new().loaded();
    let key = |name: &str| {
        let explained = explain(&loaded, Some(name));
        let keys: Vec<String> = explained.into_iter().map(|one| one.key).collect();
        keys.join(",")
    };
    assert_eq!(key("FILAMENT_DATABASE_URL"), "database.url");
    assert_eq!(key("FILAMENT_DATABASE__URL"), "database.url");
    assert_eq!(key("FILAMENT_DATABASE_URL_FILE"), "database.url");
    assert_eq!(key("FILAMENT_PROFILE"), "profile");
    assert_eq!(key("filament_database_url"), "");
    assert_eq!(key("FILAMENT_LIVEKIT_URL"), "");
}

#[test]
fn an_unknown_key_is_answered_as_loading_would_answer_it() {
    let suggestion = |key: &str| {
        let explained = explain_from(SECTIONS, MODULES, &Inputs::default(), Some(key));
        explained.suggestion
    };
    for (asked, meant) in [
        ("gateway.ping_interval", "gateway.ping_interval_secs"),
        ("gatewy", "gateway"),
        ("FILAMENT_DATABSE_URL", "FILAMENT_DATABASE_URL"),
    ] {
        let said = format!("did you mean `{meant}`?");
        assert_eq!(suggestion(asked), Some(said));
    }
    assert_eq!(suggestion("auth.x"), None);
    let said = suggestion("modules.zzz").unwrap();
    assert!(said.starts_with("this build has the modules "), "{said}");
}

#[test]
fn a_configuration_with_problems_is_explained() {
    let site = Site::new()
        .file("[gateway]\nping_interval_secs = 0\npong_timeout_secs = 10\n[auth]\nport = 70000\n")
        .var("FILAMENT_DATABASE_URL", "mysql://somebody:hunter2@db");
    let explained = explain_from(SECTIONS, MODULES, &site.inputs, None);
    let of = |key: &str| {
        let mut all = explained.explanations.iter();
        let one = all.find(|one| one.key == key).unwrap();
        (one.value.clone(), one.source == Source::Default)
    };
    assert_eq!(of("gateway.ping_interval_secs"), (30.into(), true));
    assert_eq!(of("gateway.pong_timeout_secs"), (10.into(), false));
    assert_eq!(of("auth.port"), (80.into(), true));
    assert_eq!(of("database.url"), (serde_json::Value::Null, true));
    assert_eq!(explained.problems, site.load().err());
    assert_eq!(explained.suggestion, None);
    assert!(!format!("{explained:?}").contains("hunter2"));

    let none = explain_from(SECTIONS, MODULES, &site.inputs, Some("auth.prot"));
    assert_eq!(none.explanations, []);
    assert_eq!(
        none.suggestion.as_deref(),
        Some("did you mean `auth.port`?")
    );
    assert_eq!(
        explain_from(SECTIONS, MODULES, &Inputs::default(), None).problems,
        None
    );
    let broken = Site::new().file("[gateway\n");
    let explained = explain_from(SECTIONS, MODULES, &broken.inputs, Some("gateway"));
    assert_eq!(explained.explanations.len(), 11);
    assert!(explained.problems.is_some());
}

#[test]
fn a_secret_that_is_not_set_must_not_look_set() {
    #[derive(Deserialize, Serialize, Validate)]
    struct Sealed {
        key: Secret,
        other: Option<Secret>,
    }
    impl Section for Sealed {
        const DEFAULTS: &'static str = "# A secret.\nkey = \"\"\n# A secret.\nother = \"set\"\n";
    }
    assert_eq!(
        SectionSpec::of::<Sealed>("sealed").disagreements(),
        ["sealed.key: is not set, but is shown as if it were"]
    );
}

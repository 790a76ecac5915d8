//! Which crate may know which: the drawing in ARCHITECTURE.md, read off `cargo metadata`.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// The crates of this workspace that `name` depends on when it is built (what its tests use aside).
fn known_to(metadata: &Value, name: &str) -> BTreeSet<String> {
    let packages = metadata["packages"].as_array().expect("packages");
    let ours = |name: &str| name.starts_with("filament-");
    let package = packages
        .iter()
        .find(|package| package["name"] == name)
        .unwrap_or_else(|| panic!("no package {name}"));
    package["dependencies"]
        .as_array()
        .expect("dependencies")
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .filter_map(|dependency| dependency["name"].as_str())
        .filter(|name| ours(name))
        .map(str::to_string)
        .collect()
}

#[test]
fn the_arrows_between_crates_run_as_drawn() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("filament-{name}"))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(known_to(&metadata, "filament-protocol"), set(&[]));
    assert_eq!(known_to(&metadata, "filament-kernel"), set(&["protocol"]));
    assert_eq!(
        known_to(&metadata, "filament-host"),
        set(&["kernel", "protocol"])
    );
    assert_eq!(known_to(&metadata, "filament-migration"), set(&[]));

    let modules: BTreeSet<String> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| {
            package["manifest_path"]
                .as_str()
                .is_some_and(|path| path.contains("/modules/"))
        })
        .filter_map(|package| package["name"].as_str().map(str::to_string))
        .collect();
    assert!(modules.len() >= 2, "{modules:?}");
    let below = set(&["kernel", "protocol"]);
    for module in &modules {
        let known = known_to(&metadata, module);
        assert!(known.is_subset(&below), "{module} knows {known:?}");
    }
    let server: BTreeSet<String> = set(&["host", "kernel", "migration"])
        .union(&modules)
        .cloned()
        .collect();
    assert_eq!(known_to(&metadata, "filament-server"), server);
}

//! Which program the tests run, and that it is what its sources say.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The server's binary, where it is not the one beside the tests.
const BIN_VARIABLE: &str = "FILAMENT_TEST_SERVER_BIN";

/// The binary's name, and that of its package.
const DEFAULT_BINARY: &str = "filament-server";

pub(super) enum Binary {
    Server,
    Example(String),
}

impl Binary {
    /// # Panics
    /// When it is not there, or older than what it is made of.
    pub(super) fn find(&self) -> PathBuf {
        match self {
            Self::Server => {
                static FOUND: OnceLock<PathBuf> = OnceLock::new();
                FOUND
                    .get_or_init(|| match env::var_os(BIN_VARIABLE) {
                        Some(named) => present(named.into()),
                        None => fresh(present(target_folder().join(DEFAULT_BINARY))),
                    })
                    .clone()
            }
            Self::Example(name) => fresh(present(target_folder().join("examples").join(name))),
        }
    }
}

/// `target/<profile>`: tests are in its `deps`, programs and benches in it or in its `examples`.
fn target_folder() -> PathBuf {
    let here = env::current_exe().expect("this program knows its path");
    let folder = here.parent().expect("a program is in a folder");
    let inner = folder.ends_with("deps") || folder.ends_with("examples");
    let folder = if inner { folder.parent() } else { Some(folder) };
    folder.expect("target has a profile's folder").to_owned()
}

fn present(program: PathBuf) -> PathBuf {
    assert!(
        program.is_file(),
        "{} is not there: build it with `cargo build --workspace` (and `--examples`), or name another in {BIN_VARIABLE}",
        program.display()
    );
    program
}

/// Refuses a binary that was built before one of its sources was changed. Cargo lists them in the `.d` file beside it.
fn fresh(program: PathBuf) -> PathBuf {
    if let Some(source) = newer_source(&program).unwrap_or_default() {
        panic!(
            "{} is older than {source}: build it with `cargo build --workspace`, or name it in {BIN_VARIABLE} to run it as it is",
            program.display()
        );
    }
    program
}

fn newer_source(program: &Path) -> io::Result<Option<String>> {
    let built = fs::metadata(program)?.modified()?;
    let sources = fs::read_to_string(program.with_added_extension("d"))?;
    let changed = |source: &&str| {
        fs::metadata(source)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|changed| changed > built)
    };
    Ok(sources
        .split_whitespace()
        .skip(1)
        .find(changed)
        .map(str::to_owned))
}

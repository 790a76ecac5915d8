//! What a server prints, and that no secret is in it.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use super::Server;
use crate::secrets::{Leak, Secrets};

/// The file in the server's folder `dir`. It is in a folder of its own: the server watches the one of its configuration, and at the level
/// trace it logs what it sees there.
pub(super) fn file_in(dir: &Path) -> PathBuf {
    dir.join("log").join("server.log")
}

impl Server {
    /// Everything that it has printed since its first start.
    pub fn log(&self) -> String {
        let bytes = fs::read(file_in(&self.dir)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What must not be in the log. Clients of this server add what they send and get; a test adds what they cannot know as a secret.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Opens the file to be written to.
    pub(super) fn open_log(&self) -> File {
        let file = file_in(&self.dir);
        fs::create_dir_all(file.with_file_name(""))
            .and_then(|()| File::options().create(true).append(true).open(&file))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// A secret in what has been printed by now. `None` too when nothing was.
    pub(super) fn leak(&self) -> Option<Leak> {
        self.note_generated_keys();
        let log = File::open(file_in(&self.dir)).ok()?;
        let leak = self.secrets.search().first_leak(BufReader::new(log));
        leak.unwrap_or_else(|error| panic!("{}: {error}", file_in(&self.dir).display()))
    }

    /// The keys that the server has made for itself, one folder for each module.
    fn note_generated_keys(&self) {
        let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries(&self.data_dir()).flat_map(|module| entries(&module.path()));
        let keys = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "key"));
        for key in keys {
            let content = fs::read_to_string(key.path()).unwrap_or_default();
            self.secrets.note("a generated key", content.trim());
        }
    }
}

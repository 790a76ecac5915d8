//! The data folder: made private, locked against a second server, with a note of where the server listens.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use filament_kernel::id::Ids;
use serde_json::json;
use ulid::Ulid;

/// A data folder that is ours until this is dropped.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder (mode 0700) if need be, and locks it.
    ///
    /// # Errors
    /// `WouldBlock` when another server has it; else what the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| {
            let text = format!("{} (data.dir): {error}", path.display());
            io::Error::new(error.kind(), text)
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(named)?;
        // Made anew each time: an old lock file would hide that the folder cannot be written any more.
        let probe = path.join("filament.probe");
        File::create(&probe).map_err(named)?;
        let _ = std::fs::remove_file(probe);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("filament.lock"))
            .map_err(named)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("another server runs on the data folder {}", path.display()),
            ),
            TryLockError::Error(error) => error,
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            _lock: lock,
        })
    }

    /// The name of the server that owns this folder: the same after a restart, and no other server's. Made where there is none yet.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn server_id(&self, ids: &Ids) -> io::Result<String> {
        let file = self.path.join("server_id");
        let known = match std::fs::read_to_string(&file) {
            Ok(known) => known,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        if let Ok(id) = Ulid::from_string(known.trim()) {
            return Ok(id.to_string());
        }
        let id = ids.next::<Ulid>().to_string();
        self.replace("server_id", &id)?;
        Ok(id)
    }

    /// Notes where the server listens, in `server.json`: `{"pid":…,"addr":"…"}`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn note_address(&self, addr: SocketAddr) -> io::Result<()> {
        let text = json!({ "pid": std::process::id(), "addr": addr.to_string() }).to_string();
        self.replace("server.json", &text)
    }

    /// Writes a file as a whole or not at all.
    fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        let new = self.path.join(format!("{name}.new"));
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(new, self.path.join(name))
    }

    /// Takes the note back.
    pub fn forget_address(&self) {
        let _ = std::fs::remove_file(self.path.join("server.json"));
    }
}

//! Notices that `filament.toml` was saved. Editors write a new file and rename it over the old one, so the folder is watched and
//! not the file; what counts is whether the text is another.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::reconciler::Handle;

/// Watches until it is dropped.
pub struct FileWatch {
    _watcher: notify::RecommendedWatcher,
    events: mpsc::Receiver<()>,
    file: PathBuf,
}

impl FileWatch {
    /// Starts watching the folder of `file`; the file itself need not exist yet.
    ///
    /// # Errors
    /// When the folder does not exist or the system cannot watch it.
    pub fn new(file: &Path) -> notify::Result<Self> {
        let (sender, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |_| {
            // One note that something happened is enough; it is read by then.
            let _ = sender.try_send(());
        })?;
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self {
            _watcher: watcher,
            events,
            file: file.to_path_buf(),
        })
    }

    /// Asks for a reload whenever the text has changed and then rested for `debounce`.
    pub async fn run(mut self, reconciler: Handle, debounce: Duration) {
        let mut known = std::fs::read(&self.file).ok();
        while self.events.recv().await.is_some() {
            while let Ok(Some(())) = tokio::time::timeout(debounce, self.events.recv()).await {}
            let now = std::fs::read(&self.file).ok();
            if now == known {
                continue;
            }
            known = now;
            info!(file = %self.file.display(), "the configuration file was saved");
            // The reconciler says what came of it.
            if reconciler.reload("file").await.is_none() {
                warn!("the server is stopping; the change is read at the next start");
                return;
            }
        }
    }
}

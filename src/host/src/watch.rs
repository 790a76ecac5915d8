//! Notices that `filament.toml` was saved. Editors write a new file and rename it over the old one, so the folder is watched and
//! not the file; what counts is whether the text is another.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{Event, EventKind, RecursiveMode, Watcher, event::ModifyKind};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::reconciler::Handle;

/// How often it is looked at besides: a link's target in another folder, or a file that was mounted by itself, gives no event.
const LOOK: Duration = Duration::from_secs(2);

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
        let name = file.file_name().map(ToOwned::to_owned);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| concerns(&event, name.as_deref())) {
                // One note that something happened is enough; it is read by then.
                let _ = sender.try_send(());
            }
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
        while let Ok(Some(())) | Err(_) = tokio::time::timeout(LOOK, self.events.recv()).await {
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

/// Whether an event in the folder can have changed the file: an event of the file itself, or names that come and go (the file may be a
/// link into a folder that is swapped). A log that somebody writes in the same folder is neither.
fn concerns(event: &Event, name: Option<&OsStr>) -> bool {
    let names_changed = matches!(
        event.kind,
        EventKind::Create(_)
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Any
    );
    let reads = matches!(event.kind, EventKind::Access(_));
    names_changed || (!reads && event.paths.iter().any(|path| path.file_name() == name))
}

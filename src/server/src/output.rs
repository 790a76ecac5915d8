//! Writing to standard output and standard error without dying of it: whoever reads may have heard enough.

use std::{
    fmt::Display,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

static FAILED: AtomicBool = AtomicBool::new(false);

fn write(mut to: impl Write, text: &str) {
    if let Err(error) = to.write_all(text.as_bytes()).and_then(|()| to.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        FAILED.store(true, Ordering::Relaxed);
    }
}

/// Prints text as it is.
pub(crate) fn print(text: impl Display) {
    write(io::stdout().lock(), &text.to_string());
}

/// Prints a line.
pub(crate) fn say(text: impl Display) {
    print(format!("{text}\n"));
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) {
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints a line on standard error.
pub(crate) fn complain(text: impl Display) {
    write(io::stderr().lock(), &format!("{text}\n"));
}

/// Whether something could not be written although somebody still reads: a full disk, for instance.
pub(crate) fn failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

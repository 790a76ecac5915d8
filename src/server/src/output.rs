//! Writing to standard output and standard error without dying of it: whoever reads may have heard enough.

use std::{
    fmt::Display,
    io::{self, Write},
    sync::OnceLock,
};

/// Why standard output could not be written although somebody still reads: a full disk, for instance.
static FAILURE: OnceLock<String> = OnceLock::new();

fn write(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes()).and_then(|()| to.flush())
}

/// Prints text as it is. Answers whether all of it could be written, for the text that must not get lost.
pub(crate) fn print(text: impl Display) -> bool {
    let Err(error) = write(io::stdout().lock(), &text.to_string()) else {
        return true;
    };
    if error.kind() != io::ErrorKind::BrokenPipe {
        FAILURE.get_or_init(|| error.to_string());
    }
    false
}

/// Prints a line; answers as [`print`] does.
pub(crate) fn say(text: impl Display) -> bool {
    print(format!("{text}\n"))
}

/// Prints a value as JSON; answers as [`print`] does.
pub(crate) fn json(value: &impl serde::Serialize) -> bool {
    say(serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Prints a line on standard error. Where that is lost, there is nobody left to tell.
pub(crate) fn complain(text: impl Display) {
    let _ = write(io::stderr().lock(), &format!("{text}\n"));
}

/// Why something that was printed is lost although somebody still reads, if that is so.
pub(crate) fn failure() -> Option<&'static str> {
    FAILURE.get().map(String::as_str)
}

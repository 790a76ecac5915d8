use std::process::ExitCode;

/// What the process answers when it ends; the numbers above 1 are those of BSD's `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// What was asked for was refused or not found; the text says why.
    Refused = 1,
    /// The command line is not valid.
    Usage = 64,
    /// The database, or the running server, cannot be reached.
    Unavailable = 69,
    /// A fault of the program.
    Software = 70,
    /// The data folder or the address cannot be used.
    CannotCreate = 73,
    /// Standard output could not be written.
    Output = 74,
    /// A stop took longer than its grace time.
    Unclean = 75,
    /// The configuration is not valid.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

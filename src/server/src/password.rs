//! A password on standard input: a line of a file or a pipe, or typed on a terminal, which does not show it.

use std::io::{self, BufRead, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{exit::Exit, failure::Failure, output};

/// A longer line is not taken for a password, in bytes.
const MAX_BYTES: usize = 4096;
/// What some editors put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads the first line of standard input, without its end.
pub(crate) async fn read() -> Result<String, Failure> {
    let unreadable = |error: io::Error| {
        Failure::new(
            Exit::Refused,
            format!("standard input cannot be read: {error}"),
        )
    };
    let _silence = match io::stdin().is_terminal() {
        true => {
            let silence = Silence::new().map_err(unreadable)?;
            output::complain("Password, which is not shown; end it with Enter:");
            Some(silence)
        }
        false => None,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no scope here, and the process ends after one command"
    )]
    let reading = tokio::task::spawn_blocking(first_line);
    // An interrupt that ended the process at once would leave the terminal silent.
    let line = tokio::select! {
        line = reading => line.map_err(io::Error::other).flatten().map_err(unreadable)?,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::new(Exit::Refused, "interrupted: nothing was done"));
        }
    };
    password(&line).map_err(|problem| Failure::new(Exit::Refused, problem))
}

fn first_line() -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    // The mark and the line's end do not count.
    let most = MAX_BYTES + BYTE_ORDER_MARK.len() + 2;
    let mut input = io::stdin().lock().take(most as u64);
    input.read_until(b'\n', &mut line)?;
    Ok(line)
}

/// The password in a line. Whether it makes a good one, the server judges.
fn password(line: &[u8]) -> Result<String, String> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err("standard input holds no password".to_string());
    }
    if line.len() > MAX_BYTES {
        return Err(format!(
            "the password on standard input is too long: its line has more than {MAX_BYTES} bytes"
        ));
    }
    match std::str::from_utf8(line) {
        Ok(password) => Ok(password.to_string()),
        Err(_) => Err("the password on standard input is no UTF-8".to_string()),
    }
}

/// While this lives, the terminal on standard input shows nothing of what is typed but the end of the line.
struct Silence {
    before: Termios,
}

impl Silence {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_what_stands_between_the_byte_order_mark_and_the_end_of_the_line() {
        for (line, expected) in [
            (&b"correct horse\n"[..], "correct horse"),
            (b"correct horse\r\n", "correct horse"),
            (b"correct horse", "correct horse"),
            (b" correct horse \r\r\n", " correct horse \r"),
            (b"\xef\xbb\xbfcorrect horse\n", "correct horse"),
            (
                b"\xef\xbb\xbf\xef\xbb\xbfcorrect horse",
                "\u{feff}correct horse",
            ),
        ] {
            assert_eq!(password(line).as_deref(), Ok(expected));
        }
        let longest = "x".repeat(MAX_BYTES);
        assert_eq!(password(longest.as_bytes()), Ok(longest.clone()));
        for (line, problem) in [
            (&b""[..], "no password"),
            (b"\r\n", "no password"),
            (b"\xef\xbb\xbf\n", "no password"),
            (b"correct \xff\n", "no UTF-8"),
            (format!("{longest}x\n").as_bytes(), "too long"),
            (format!("{longest}{longest}").as_bytes(), "too long"),
        ] {
            let said = password(line).expect_err("refused");
            assert!(said.contains(problem), "{said}");
        }
    }
}

//! The binary's command line.

use std::{
    env,
    process::{Command, Stdio},
};

use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::{START_DEADLINE, Server};

impl Server {
    /// Runs the binary's command line with the server's environment.
    ///
    /// # Panics
    /// When it does not end, or prints a secret that it was not the first to tell.
    pub async fn cli(&self, arguments: &[&str]) -> CliOutput {
        self.run(arguments, "").await
    }

    /// The same with a secret on the standard input.
    ///
    /// # Panics
    /// As [`Server::cli`].
    pub async fn cli_with_secret(&self, arguments: &[&str], secret: &str) -> CliOutput {
        self.secrets
            .note("a secret on the standard input", secret.trim());
        self.run(arguments, secret).await
    }

    async fn run(&self, arguments: &[&str], input: &str) -> CliOutput {
        let mut command = tokio::process::Command::from(self.command());
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("the server's binary runs");
        let mut stdin = process.stdin.take().expect("stdin is piped");
        // A command that does not read its input has closed it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(START_DEADLINE, process.wait_with_output()).await;
        let output = output
            .unwrap_or_else(|_| {
                panic!(
                    "`{arguments:?}` has not ended; the server's log:\n{}",
                    self.log()
                )
            })
            .expect("the server's binary runs");
        let output = CliOutput {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        };
        self.check_output(arguments, &output);
        output
    }

    /// What a command prints first, as a generated password, is a secret from then on.
    fn check_output(&self, arguments: &[&str], output: &CliOutput) {
        let search = self.secrets.search();
        for text in [&output.stdout, &output.stderr] {
            if let Ok(Some(leak)) = search.first_leak(text.as_bytes()) {
                panic!("`{arguments:?}` prints a secret: {leak}");
            }
        }
        if let Ok(answer) = serde_json::from_str(&output.stdout) {
            self.secrets.note_json(&answer);
        }
    }

    /// The binary in a clean environment, in a folder that holds nothing that it could pick up by accident.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("FILAMENT_") {
                command.env_remove(name);
            }
        }
        command.envs(&self.variables).current_dir(&self.dir);
        command
    }
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct CliOutput {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl CliOutput {
    /// Asserts the exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code; stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in stdout:\n{}", self.stdout))
    }
}

//! What is left of a server goes away with its test, however that ends.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

/// `sh -c GUARD guard <dir>`. It is told which process runs; the end of its pipe is the end of the test.
const GUARD: &str = r#"
pid=
while read -r order argument; do
    case $order in run) pid=$argument ;; ended) pid= ;; esac
done
if [ -n "$pid" ]; then kill -9 "$pid"; fi
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

/// Removes the server's folder in the end, and kills the server when the test is gone without having done so.
pub(super) struct Guard {
    shell: Child,
}

impl Guard {
    pub(super) fn of(dir: &Path) -> Self {
        let shell = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard"])
            .arg(dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Interrupting the tests in a terminal interrupts them, and not the one who cleans up after them.
            .process_group(0)
            .spawn()
            .expect("/bin/sh runs");
        Self { shell }
    }

    /// This process is the server.
    pub(super) fn runs(&mut self, pid: u32) {
        self.tell(&format!("run {pid}"));
    }

    /// No process is the server any more.
    pub(super) fn ended(&mut self) {
        self.tell("ended");
    }

    fn tell(&mut self, order: &str) {
        let pipe = self
            .shell
            .stdin
            .as_mut()
            .expect("the guard's stdin is piped");
        writeln!(pipe, "{order}").expect("the guard listens");
    }
}

/// Waits until the folder is gone.
impl Drop for Guard {
    fn drop(&mut self) {
        self.shell.stdin = None;
        let _ = self.shell.wait();
    }
}

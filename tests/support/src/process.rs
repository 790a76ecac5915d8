//! What a process uses, read from `/proc`: for tests that look for leaks, and for benches.

use std::{fs, io, str::FromStr};

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Open file descriptors, sockets included.
    pub open_files: usize,
    /// Memory that is in RAM, in bytes.
    pub resident_bytes: u64,
    /// The most that has been in RAM since the start, in bytes.
    pub peak_resident_bytes: u64,
    /// Threads.
    pub threads: usize,
    /// CPU time since the start, user and system together, in seconds; in steps of a hundredth.
    pub cpu_seconds: f64,
}

impl Usage {
    /// Reads process `pid`.
    ///
    /// # Panics
    /// When there is none.
    pub fn of(pid: u32) -> Self {
        Self::read(pid).unwrap_or_else(|error| panic!("/proc/{pid}: {error}"))
    }

    fn read(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self {
            open_files: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            resident_bytes: number_after::<u64>(&status, "VmRSS:").unwrap_or(0) * 1024,
            peak_resident_bytes: number_after::<u64>(&status, "VmHWM:").unwrap_or(0) * 1024,
            threads: number_after(&status, "Threads:").unwrap_or(0),
            cpu_seconds: Stat::read(pid)?.own_ticks / ticks_per_second(),
        })
    }
}

/// CPU seconds of a process, of its living children, and of its children that have ended: for PostgreSQL, which serves
/// each connection with a process.
///
/// # Panics
/// When there is no such process.
pub fn cpu_seconds_of_family(pid: u32) -> f64 {
    let parent = Stat::read(pid).unwrap_or_else(|error| panic!("/proc/{pid}: {error}"));
    let processes = fs::read_dir("/proc").expect("/proc is there");
    let living: f64 = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|child| Stat::read(child).ok())
        .filter(|stat| stat.parent == pid)
        .map(|stat| stat.own_ticks)
        .sum();
    (parent.own_ticks + parent.ended_children_ticks + living) / ticks_per_second()
}

/// The fields of `/proc/<pid>/stat` that are needed here.
struct Stat {
    parent: u32,
    own_ticks: f64,
    ended_children_ticks: f64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("unexpected: {text}")))
    }

    /// The second field is a name in parentheses that may itself hold spaces and parentheses; the third comes after the
    /// last one.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_ticks: ticks(14)? + ticks(15)?,
            ended_children_ticks: ticks(16)? + ticks(17)?,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is 100")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

fn number_after<T: FromStr>(status: &str, key: &str) -> Option<T> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_hold_anything() {
        let stat = Stat::parse("7 (a) b (c) S 3 7 7 0 -1 0 1 2 3 4 50 60 7 8 20 0 1 0")
            .expect("a stat line");
        assert_eq!(
            (stat.parent, stat.own_ticks, stat.ended_children_ticks),
            (3, 110.0, 15.0)
        );
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = Usage::of(std::process::id());
        assert!(usage.open_files >= 3 && usage.threads >= 1, "{usage:?}");
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!(
            usage.peak_resident_bytes >= usage.resident_bytes,
            "{usage:?}"
        );
    }
}

//! What a figure is made of.

use filament_test_support::{Postgres, Server, process::cpu_seconds_of_family};

/// The value below which the share `of` of `values` lies; NaN without any.
pub(crate) fn percentile(values: &mut [f64], of: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = ((values.len() as f64 - 1.0) * of).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// Bytes, in MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// CPU seconds of the server and of Postgres.
pub(crate) struct Cpu {
    server: f64,
    postgres: f64,
}

impl Cpu {
    pub(crate) fn read(server: &Server, postgres: &Postgres) -> Self {
        Self {
            server: server.usage().cpu_seconds,
            postgres: cpu_seconds_of_family(postgres.pid()),
        }
    }

    /// Microseconds for each of `count` operations since.
    pub(crate) fn each(&self, now: &Self, count: u64) -> (f64, f64) {
        let micros = |before: f64, after: f64| (after - before) * 1e6 / count as f64;
        (
            micros(self.server, now.server),
            micros(self.postgres, now.postgres),
        )
    }
}

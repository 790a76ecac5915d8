//! Free ports.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    net::TcpListener,
};

/// A port of 127.0.0.1 that nobody uses now, and that nobody gets by chance.
///
/// Port 0 would give one of the range that connections leave from, where any connection on the machine could take it
/// while a server restarts. Two processes may still draw the same one: callers try again.
pub(crate) fn free_port() -> u16 {
    let above = first_ephemeral_port();
    let range = 10_000..above.max(10_001);
    let random = RandomState::new();
    (0..1_000_u32)
        .map(|attempt| {
            range.start + (random.hash_one(attempt) % u64::from(range.end - range.start)) as u16
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap_or_else(|| panic!("no free port in {range:?}"))
}

/// The first port that the system gives to outgoing connections.
fn first_ephemeral_port() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(32_768)
}

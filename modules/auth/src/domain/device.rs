//! What is kept of where a session was opened: enough for its owner to know it again, and no more.

use std::net::IpAddr;

use filament_kernel::http::Origin;

/// What is kept of a client's name for itself. A hundred sessions with the longest names, each character escaped, stay within the
/// 64 KiB of an answer.
const CLIENT_CHARS: usize = 200;

/// Where a session was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// What the client called itself.
    pub(crate) client: Option<String>,
    /// The network of its address, never the whole address.
    pub(crate) network: String,
}

impl From<&Origin> for Device {
    fn from(origin: &Origin) -> Self {
        let client = origin.client.as_deref();
        Self {
            client: client.map(|client| client.chars().take(CLIENT_CHARS).collect()),
            network: network(origin.client_ip),
        }
    }
}

/// The network of an address: /24 of IPv4, /48 of IPv6.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            let network = std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
            format!("{network}/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_its_network() {
        for (address, kept) in [
            ("203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
            ("::1", "::/48"),
        ] {
            assert_eq!(network(address.parse().expect("an address")), kept);
        }
    }

    #[test]
    fn a_client_that_calls_itself_nothing_or_too_much_is_kept_short() {
        let origin = |client: Option<&str>| Origin {
            request_id: "r".into(),
            client_ip: [127, 0, 0, 1].into(),
            client: client.map(Into::into),
        };
        assert_eq!(Device::from(&origin(None)).client, None);
        let long = Device::from(&origin(Some(&"x".repeat(256))));
        assert_eq!(long.client.map(|client| client.len()), Some(CLIENT_CHARS));
    }
}

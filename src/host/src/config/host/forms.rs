//! Addresses and networks, read so that what is wrong with one says what a right one looks like.

use std::{net::SocketAddr, str::FromStr};

use ipnet::IpNet;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected},
};

/// For `#[serde(deserialize_with = "address")]`.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    parsed(
        deserializer,
        "an address with a port such as \"127.0.0.1:8080\"",
    )
}

/// For `#[serde(deserialize_with = "networks")]`.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let networks = Vec::<Network>::deserialize(deserializer)?;
    Ok(networks.into_iter().map(|Network(net)| net).collect())
}

/// One of several, which is read by itself so that an error knows its place.
struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, "a network such as \"10.0.0.0/8\"").map(Self)
    }
}

fn parsed<'de, T: FromStr, D: Deserializer<'de>>(
    deserializer: D,
    form: &'static str,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The error has the form and not the text, which is what `describe` shows of it.
    text.parse()
        .map_err(|_| D::Error::invalid_value(Unexpected::Other("text"), &form))
}

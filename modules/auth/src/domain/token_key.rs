//! Keys of access tokens: 32 random bytes, written in base64 or hexadecimal.

use std::{fmt, str::FromStr};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};

/// Bytes of a key.
const LENGTH: usize = 32;

/// A key. It does not print itself; [`TokenKey::encoded`] is for its file.
#[derive(Clone)]
pub(crate) struct TokenKey([u8; LENGTH]);

/// The text is no key. Does not hold it, as it may be a slip of the pen away from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "must be 32 bytes in base64 or hexadecimal, as `openssl rand -base64 32` makes them",
        )
    }
}

impl std::error::Error for InvalidKey {}

impl TokenKey {
    /// A new key.
    pub(crate) fn generate() -> Self {
        Self(rand::random())
    }

    /// The key in base64.
    pub(crate) fn encoded(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The key itself.
    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl FromStr for TokenKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        // 32 bytes are 64 digits in hexadecimal and 43 or 44 characters in base64: none is mistaken for another.
        let bytes = if text.len() == 2 * LENGTH {
            from_hex(text)
        } else {
            [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
                .iter()
                .find_map(|alphabet| alphabet.decode(text).ok())
        };
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(InvalidKey)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_every_usual_form() {
        let key = TokenKey([0xfb; LENGTH]);
        for text in [
            key.encoded(),
            STANDARD_NO_PAD.encode(key.0),
            URL_SAFE.encode(key.0),
            URL_SAFE_NO_PAD.encode(key.0),
            "fb".repeat(LENGTH),
            "FB".repeat(LENGTH),
        ] {
            assert_eq!(
                text.parse::<TokenKey>().map(|key| key.0).ok(),
                Some(key.0),
                "{text}"
            );
        }
        for bad in [
            "",
            "secret",
            &"fb".repeat(31),
            &"fg".repeat(32),
            &STANDARD.encode([1; 31]),
            &STANDARD.encode([1; 33]),
        ] {
            assert!(bad.parse::<TokenKey>().is_err(), "{bad}");
        }
        assert_ne!(TokenKey::generate().0, TokenKey::generate().0);
    }
}

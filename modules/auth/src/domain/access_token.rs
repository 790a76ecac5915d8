//! Access tokens: PASETO v4.local (<https://github.com/paseto-standard/paseto-spec>), encrypted and authenticated with a
//! key that only servers have. The footer names the key, so that keys can be changed while old tokens are still good.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use filament_kernel::{
    ApiError,
    id::{SessionId, UserId},
    ports::TokenKeyId,
};
use pasetors::{
    Local,
    keys::SymmetricKey,
    token::UntrustedToken,
    version4::{LocalToken, V4},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::token_key::TokenKey;

/// Binds the tokens to their purpose: what else may be made with the same key is no access token.
const PURPOSE: &[u8] = b"filament access token";

/// Longer texts are none of our tokens and are not looked into.
const MAX_BYTES: usize = 1_024;

/// Seconds by which the clock of the server that made a token may be ahead.
const CLOCK_LEEWAY_SECS: i64 = 5;

/// What an access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    /// The account.
    pub(crate) user: UserId,
    /// The log-in.
    pub(crate) session: SessionId,
    /// When it was made, in seconds since the Unix epoch.
    pub(crate) issued: i64,
    /// From when on it is not good any more.
    pub(crate) expires: i64,
}

struct Key {
    id: TokenKeyId,
    /// `{"kid":"…"}`: a footer names the key by a fingerprint that does not tell of it.
    footer: Vec<u8>,
    key: SymmetricKey<V4>,
}

impl Key {
    fn new(key: &TokenKey) -> Result<Self, pasetors::errors::Error> {
        let fingerprint = Sha256::new_with_prefix("filament access token key id")
            .chain_update(key.bytes())
            .finalize();
        let mut id = TokenKeyId::default();
        id.0.copy_from_slice(&fingerprint[..12]);
        let kid = URL_SAFE_NO_PAD.encode(id.0);
        Ok(Self {
            id,
            footer: format!(r#"{{"kid":"{kid}"}}"#).into_bytes(),
            key: SymmetricKey::from(key.bytes())?,
        })
    }
}

/// The key that tokens are made with, and those that they are read with.
pub(crate) struct Keyring {
    current: Key,
    previous: Vec<Key>,
}

impl Keyring {
    pub(crate) fn new(
        current: &TokenKey,
        previous: &[TokenKey],
    ) -> Result<Self, pasetors::errors::Error> {
        Ok(Self {
            current: Key::new(current)?,
            previous: previous.iter().map(Key::new).collect::<Result<_, _>>()?,
        })
    }

    /// Makes a token.
    pub(crate) fn issue(&self, claims: &Claims) -> Result<String, ApiError> {
        let message = serde_json::to_vec(claims).map_err(ApiError::internal)?;
        let Key { footer, key, .. } = &self.current;
        LocalToken::encrypt(key, &message, Some(footer), Some(PURPOSE)).map_err(|error| {
            ApiError::internal(format!("no access token could be made: {error:?}"))
        })
    }

    /// Whether tokens made with this key are read.
    pub(crate) fn has(&self, id: TokenKeyId) -> bool {
        self.keys().any(|key| key.id == id)
    }

    /// What a token says and which key it was made with, if it is one of ours and good at `now`.
    pub(crate) fn read(&self, token: &str, now: i64) -> Option<(Claims, TokenKeyId)> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let token = UntrustedToken::<Local, V4>::try_from(token).ok()?;
        let Key { id, footer, key } = self
            .keys()
            .find(|key| key.footer == token.untrusted_footer())?;
        let trusted = LocalToken::decrypt(key, &token, Some(footer), Some(PURPOSE)).ok()?;
        let claims: Claims = serde_json::from_str(trusted.payload()).ok()?;
        let good = claims.issued <= now + CLOCK_LEEWAY_SECS && now < claims.expires;
        good.then_some((claims, *id))
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::Ids;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn claims() -> Claims {
        let ids = Ids::default();
        Claims {
            user: ids.next(),
            session: ids.next(),
            issued: NOW,
            expires: NOW + 900,
        }
    }

    fn ring(keys: &[&TokenKey]) -> Keyring {
        let previous: Vec<TokenKey> = keys[1..].iter().map(|key| (*key).clone()).collect();
        Keyring::new(keys[0], &previous).expect("good keys")
    }

    #[test]
    fn a_token_is_good_from_its_making_until_it_expires() {
        let ring = ring(&[&TokenKey::generate()]);
        let claims = claims();
        let token = ring.issue(&claims).expect("a token");
        assert!(token.starts_with("v4.local."));
        assert!(token.len() < MAX_BYTES / 2, "{} bytes", token.len());
        for (now, good) in [
            (NOW, true),
            (NOW + 899, true),
            (NOW + 900, false),
            (NOW + 10_000, false),
            (NOW - CLOCK_LEEWAY_SECS, true),
            (NOW - CLOCK_LEEWAY_SECS - 1, false),
            (0, false),
        ] {
            assert_eq!(ring.read(&token, now).is_some(), good, "at {}", now - NOW);
        }
        assert_eq!(ring.read(&token, NOW), Some((claims, ring.current.id)));
    }

    #[test]
    fn a_token_with_any_byte_changed_is_none() {
        let ring = ring(&[&TokenKey::generate()]);
        let token = ring.issue(&claims()).expect("a token");
        for at in 0..token.len() {
            for flip in 0..7 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << flip;
                let changed = String::from_utf8(bytes).expect("still ASCII");
                assert_eq!(ring.read(&changed, NOW), None, "byte {at}, bit {flip}");
            }
            assert_eq!(ring.read(&token[..at], NOW), None, "cut at {at}");
            let mut longer = token.clone();
            longer.insert(at, 'A');
            assert_eq!(ring.read(&longer, NOW), None, "longer at {at}");
        }
        for garbage in [
            "",
            ".",
            "v4.local.",
            "v4.local..",
            "v4.public.AAAA",
            "a.b.c.d",
            "v4.local.AAAA.AAAA",
            &"A".repeat(100_000),
            "\u{e9}",
        ] {
            assert_eq!(ring.read(garbage, NOW), None);
        }
        assert_eq!(ring.read(&format!("{token} "), NOW), None);
        assert_eq!(ring.read(&format!("{token}="), NOW), None);
        assert_eq!(ring.read(&format!("{token}.AAAA"), NOW), None);
    }

    #[test]
    fn previous_keys_read_and_do_not_make() {
        let (old, new, other) = (
            TokenKey::generate(),
            TokenKey::generate(),
            TokenKey::generate(),
        );
        let before = ring(&[&old]).issue(&claims()).expect("a token");
        assert!(ring(&[&new, &old]).read(&before, NOW).is_some());
        assert!(ring(&[&new, &other, &old]).read(&before, NOW).is_some());
        assert_eq!(ring(&[&new]).read(&before, NOW), None);
        let after = ring(&[&new, &old]).issue(&claims()).expect("a token");
        assert!(ring(&[&new]).read(&after, NOW).is_some());
        let id = ring(&[&old]).current.id;
        assert!(ring(&[&new, &old]).has(id));
        assert!(!ring(&[&new]).has(id));
        assert_eq!(ring(&[&old]).read(&after, NOW), None);
    }

    #[test]
    fn a_token_made_with_the_key_for_another_purpose_is_none() {
        let secret = TokenKey::generate();
        let ring = ring(&[&secret]);
        let Key { footer, key, .. } = &ring.current;
        let message = serde_json::to_vec(&claims()).expect("json");
        let make = |message: &[u8], footer: Option<&[u8]>, purpose: Option<&[u8]>| {
            LocalToken::encrypt(key, message, footer, purpose).expect("a token")
        };
        assert!(
            ring.read(&make(&message, Some(footer), Some(PURPOSE)), NOW)
                .is_some()
        );
        assert_eq!(ring.read(&make(&message, Some(footer), None), NOW), None);
        assert_eq!(
            ring.read(&make(&message, Some(footer), Some(b"a ticket")), NOW),
            None
        );
        assert_eq!(ring.read(&make(&message, None, Some(PURPOSE)), NOW), None);
        assert_eq!(
            ring.read(&make(b"{}", Some(footer), Some(PURPOSE)), NOW),
            None
        );
    }
}

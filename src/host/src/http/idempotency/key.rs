use filament_kernel::{ApiError, id::UserId};
use poem::{
    Request,
    http::{HeaderMap, header},
};
use sha2::{Digest, Sha256};

/// The header by which a client says that two requests are one.
pub(in crate::http) const HEADER: &str = "idempotency-key";

/// The longest key, in characters.
const MAX_CHARS: usize = 255;

/// SHA-256.
pub(super) type Hash = [u8; 32];

/// A caller's key. Keys of different callers have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) user_id: UserId,
    /// The key itself may be anything that the client holds dear, so it is not kept.
    pub(super) hash: Hash,
}

impl Key {
    /// The key that `headers` name, as one of `user_id`.
    ///
    /// # Errors
    /// 400 when it is not one key of 1 to 255 visible ASCII characters.
    pub(super) fn of(user_id: UserId, headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut values = headers.get_all(HEADER).iter();
        let key = values
            .next()
            .map(|value| value.as_bytes())
            .filter(|key| (1..=MAX_CHARS).contains(&key.len()))
            .filter(|key| key.iter().all(u8::is_ascii_graphic));
        match (key, values.next()) {
            (Some(key), None) => Ok(Self {
                user_id,
                hash: Sha256::digest(key).into(),
            }),
            (_, Some(_)) => Err(ApiError::invalid("Idempotency-Key", "stands there twice")),
            (None, None) => Err(ApiError::invalid(
                "Idempotency-Key",
                format_args!("must be 1 to {MAX_CHARS} visible ASCII characters"),
            )),
        }
    }
}

/// What makes a request the same as another: its method, path, query, media type and body, byte by byte.
pub(super) fn fingerprint(request: &Request, body: &[u8]) -> Hash {
    let uri = request.uri();
    let media_type = request.headers().get(header::CONTENT_TYPE);
    let parts = [
        request.method().as_str().as_bytes(),
        uri.path().as_bytes(),
        uri.query().unwrap_or_default().as_bytes(),
        media_type.map(|value| value.as_bytes()).unwrap_or_default(),
        body,
    ];
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, so that nothing can move from one part to the next.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use ulid::Ulid;

    use super::*;

    fn key(values: &[&str]) -> Result<Key, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).expect("a value"));
        }
        Key::of(Ulid::nil().into(), &headers).map_err(|error| error.message().to_string())
    }

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        for good in ["a", "\"8e03978e-40d5\"", &"k".repeat(255)] {
            assert!(key(&[good]).is_ok(), "{good}");
        }
        for bad in ["", "two words", "schl\u{fc}ssel", &"k".repeat(256)] {
            let told = key(&[bad]).expect_err(bad);
            assert_eq!(
                told,
                "Idempotency-Key: must be 1 to 255 visible ASCII characters"
            );
        }
        assert!(key(&["a", "a"]).is_err());
    }

    #[test]
    fn requests_differ_when_any_part_differs() {
        let request = |method: &str, uri: &str, kind: &str| {
            Request::builder()
                .method(method.parse().expect("a method"))
                .uri(uri.parse().expect("a URI"))
                .content_type(kind)
                .finish()
        };
        let of = |method, uri, kind, body: &str| {
            fingerprint(&request(method, uri, kind), body.as_bytes())
        };
        let all = [
            of("POST", "/a?b", "c", "d"),
            of("PATCH", "/a?b", "c", "d"),
            of("POST", "/b?b", "c", "d"),
            of("POST", "/a?c", "c", "d"),
            of("POST", "/a?b", "d", "d"),
            of("POST", "/a?b", "c", "e"),
            of("POST", "/a", "bc", "d"),
            of("POST", "/a?bc", "", "d"),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[place + 1..].contains(one), "{place}");
        }
        assert_eq!(all[0], of("POST", "/a?b", "c", "d"));
    }
}

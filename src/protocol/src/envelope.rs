use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{VERSION, is_valid_name};

/// A received frame: its name and its payload, still as the text that was sent.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The command or event, for example `message_create`.
    pub name: &'a str,
    /// The payload: the text of one JSON object.
    pub data: &'a RawValue,
}

/// Why a frame is not an envelope of this protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvelopeError {
    /// Not JSON, a key missing, doubled or too many, or a value of the wrong type.
    Malformed(String),
    /// `v` is not a version that this side speaks.
    Version(u64),
    /// `t` is not 1 to 64 characters of `[a-z0-9_.]`.
    Name,
    /// `d` is not an object.
    Data,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(reason) => write!(f, "the frame is not an envelope: {reason}"),
            Self::Version(v) => write!(f, "version {v} is not spoken here, only {VERSION}"),
            Self::Name => write!(f, "`t` must be 1 to 64 characters of [a-z0-9_.]"),
            Self::Data => write!(f, "`d` must be an object"),
        }
    }
}

impl std::error::Error for EnvelopeError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    v: u64,
    #[serde(borrow)]
    t: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    d: &'a RawValue,
}

impl<'a> Envelope<'a> {
    /// Reads one frame's text.
    ///
    /// # Errors
    /// [`EnvelopeError`] says which of the three keys is wrong, or that there is a fourth.
    pub fn parse(text: &'a str) -> Result<Self, EnvelopeError> {
        let wire: Wire<'a> =
            serde_json::from_str(text).map_err(|e| EnvelopeError::Malformed(e.to_string()))?;
        if wire.v != u64::from(VERSION) {
            return Err(EnvelopeError::Version(wire.v));
        }
        // A name with an escape in it is owned here; no valid name needs one.
        let std::borrow::Cow::Borrowed(name) = wire.t else {
            return Err(EnvelopeError::Name);
        };
        if !is_valid_name(name) {
            return Err(EnvelopeError::Name);
        }
        if !wire.d.get().starts_with('{') {
            return Err(EnvelopeError::Data);
        }
        Ok(Self { name, data: wire.d })
    }
}

/// Writes one frame's text. `data` must be the text of one JSON object.
pub fn encode(name: &str, data: &str) -> String {
    #[derive(Serialize)]
    struct Out<'a> {
        v: u8,
        t: &'a str,
        d: &'a RawValue,
    }
    debug_assert!(is_valid_name(name) && data.starts_with('{'));
    let mut out = String::with_capacity(data.len() + name.len() + 24);
    out.push_str("{\"v\":1,\"t\":\"");
    out.push_str(name);
    out.push_str("\",\"d\":");
    out.push_str(data);
    out.push('}');
    debug_assert!(
        serde_json::from_str::<&RawValue>(data)
            .ok()
            .and_then(|d| serde_json::to_string(&Out {
                v: VERSION,
                t: name,
                d
            })
            .ok())
            .is_some_and(|text| text == out)
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_survives_the_wire() {
        let text = encode("message_create", r#"{"content":"hi"}"#);
        let envelope = Envelope::parse(&text).expect("our own frame");
        assert_eq!(envelope.name, "message_create");
        assert_eq!(envelope.data.get(), r#"{"content":"hi"}"#);
    }

    #[test]
    fn what_is_not_an_envelope_is_told_why() {
        let malformed =
            |text: &str| matches!(Envelope::parse(text), Err(EnvelopeError::Malformed(_)));
        assert!(malformed("hello"));
        assert!(malformed(r#"{"v":1,"t":"a"}"#));
        assert!(malformed(r#"{"v":1,"t":"a","d":{},"x":0}"#));
        assert!(malformed(r#"{"v":1,"v":1,"t":"a","d":{}}"#));
        let error = |text: &str| Envelope::parse(text).err();
        assert_eq!(
            error(r#"{"v":2,"t":"a","d":{}}"#),
            Some(EnvelopeError::Version(2))
        );
        assert_eq!(
            error(r#"{"v":1,"t":"A","d":{}}"#),
            Some(EnvelopeError::Name)
        );
        assert_eq!(error(r#"{"v":1,"t":"","d":{}}"#), Some(EnvelopeError::Name));
        assert_eq!(
            error(r#"{"v":1,"t":"\u0061","d":{}}"#),
            Some(EnvelopeError::Name)
        );
        assert_eq!(
            error(r#"{"v":1,"t":"a","d":[]}"#),
            Some(EnvelopeError::Data)
        );
    }
}

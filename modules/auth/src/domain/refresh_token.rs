//! Refresh tokens: `<session_id>.<secret>`, good for one use.
//!
//! The secret is 16 bytes that are the same in all tokens of a session, its *lineage*, and 32 that are new in each. The server
//! keeps the SHA-256 of the lineage and of the newest secret, and nothing else. So a token that was spent long ago is
//! known as one of this session, whoever presents it, without a list of all that were ever spent; and who knows only a session's id,
//! which is no secret, can neither use nor end the session.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use filament_kernel::id::SessionId;
use sha2::{Digest, Sha256};

const LINEAGE: usize = 16;
const NOVELTY: usize = 32;

/// A refresh token. It does not print itself: [`RefreshToken::encoded`] is for its owner.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    /// The session that it refreshes.
    pub(crate) session: SessionId,
    secret: [u8; LINEAGE + NOVELTY],
}

impl RefreshToken {
    /// The first token of a new session.
    pub(crate) fn first(session: SessionId) -> Self {
        Self::with_lineage(session, &rand::random::<[u8; LINEAGE]>())
    }

    /// The next token of the same session.
    pub(crate) fn successor(&self) -> Self {
        Self::with_lineage(self.session, self.lineage())
    }

    fn with_lineage(session: SessionId, lineage: &[u8]) -> Self {
        let mut secret = [0; LINEAGE + NOVELTY];
        secret[..LINEAGE].copy_from_slice(lineage);
        secret[LINEAGE..].copy_from_slice(&rand::random::<[u8; NOVELTY]>());
        Self { session, secret }
    }

    fn lineage(&self) -> &[u8] {
        &self.secret[..LINEAGE]
    }

    /// Reads a token; whether it is good is another question.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (session, secret) = text.split_once('.')?;
        let session = session.parse().ok()?;
        let mut bytes = [0; LINEAGE + NOVELTY];
        let length = URL_SAFE_NO_PAD.decode_slice(secret, &mut bytes).ok()?;
        (length == bytes.len()).then_some(Self {
            session,
            secret: bytes,
        })
    }

    /// As its owner gets it.
    pub(crate) fn encoded(&self) -> String {
        format!("{}.{}", self.session, URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// By which it is known as the newest token.
    pub(crate) fn hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.secret))
    }

    /// By which it is known as a token of its session.
    pub(crate) fn lineage_hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.lineage()))
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::Ids;

    use super::*;

    #[test]
    fn tokens_of_a_session_share_their_lineage_and_nothing_else() {
        let session = Ids::default().next();
        let first = RefreshToken::first(session);
        let second = first.successor();
        assert_eq!(first.session, second.session);
        assert_eq!(first.lineage_hash(), second.lineage_hash());
        assert_ne!(first.hash(), second.hash());
        assert_ne!(
            RefreshToken::first(session).lineage_hash(),
            first.lineage_hash()
        );
        let stored = format!("{}{}", first.hash(), first.lineage_hash());
        let secret = first.encoded();
        assert!(
            !stored.contains(&secret[27..40]),
            "what is stored does not show the secret"
        );
    }

    #[test]
    fn only_the_exact_form_is_read() {
        let token = RefreshToken::first(Ids::default().next());
        let text = token.encoded();
        assert_eq!(text.len(), 26 + 1 + 64);
        assert!(RefreshToken::parse(&text) == Some(token.clone()));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(
                RefreshToken::parse(&changed) != Some(token.clone()),
                "byte {at}"
            );
            assert!(RefreshToken::parse(&text[..at]).is_none(), "cut at {at}");
        }
        for bad in [
            "",
            ".",
            "x.y",
            &format!("{text}A"),
            &format!("{text}="),
            &format!(" {text}"),
            &text.to_lowercase(),
            &text.replace('.', ""),
        ] {
            assert!(RefreshToken::parse(bad).is_none(), "{bad}");
        }
    }
}

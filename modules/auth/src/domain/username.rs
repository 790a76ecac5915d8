//! Names of accounts: 3 to 32 of `[A-Za-z0-9_.]`. Names that differ in case only are one name.

use filament_kernel::{ApiError, ErrorCode, text::TextRule};
use validator::ValidationError;

/// Characters at least.
const MIN: usize = 3;
/// Characters at most.
const MAX: usize = 32;

/// The rule of a name that an account is to have.
pub(crate) struct NewUsername;

impl TextRule for NewUsername {
    const MIN: usize = MIN;
    const MAX: usize = MAX;
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9_.]*$");

    fn check(text: &str) -> Result<(), ValidationError> {
        Username::checked(text).map(drop)
    }
}

/// The rule of a name at a log-in: what cannot be a name is the name of nobody, and only too long a one is refused.
pub(crate) struct OfferedUsername;

impl TextRule for OfferedUsername {
    const MIN: usize = 1;
    const MAX: usize = MAX;
}

/// A name that an account can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Username {
    /// As its owner writes it.
    pub(crate) shown: String,
    /// By which it is found.
    pub(crate) key: String,
}

impl Username {
    /// The name that `text` is, if it can be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let good = (MIN..=MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        good.then(|| Self {
            shown: text.to_string(),
            key: text.to_ascii_lowercase(),
        })
    }

    /// The same, for somebody who is told what is wrong.
    pub(crate) fn checked(text: &str) -> Result<Self, ValidationError> {
        Self::parse(text).ok_or_else(|| {
            let rule = format!(
                "must be {MIN} to {MAX} letters, digits, underscores and dots (A-Z a-z 0-9 _ .)"
            );
            ValidationError::new("username").with_message(rule.into())
        })
    }
}

/// 409: another account has the name.
pub(crate) fn taken() -> ApiError {
    ApiError::new(
        ErrorCode::new(409, "username_taken"),
        "username: somebody else has this name",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain_and_known_by_their_lower_case() {
        let name = Username::parse("Ann_B.9").expect("a good name");
        assert_eq!(
            (name.shown.as_str(), name.key.as_str()),
            ("Ann_B.9", "ann_b.9")
        );
        for good in ["abc", "...", "___", &"x".repeat(32)] {
            assert!(NewUsername::check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            &"x".repeat(33),
            "a b",
            "a-b",
            "ann\u{e9}",
            "\u{212A}elvin",
            "ann\n",
            "a/b",
            "<b>",
        ] {
            assert!(NewUsername::check(bad).is_err(), "{bad}");
        }
    }
}

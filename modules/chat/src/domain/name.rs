//! Names and other short texts.

use filament_kernel::text;
use validator::ValidationError;

/// For `#[validate(custom(…))]`: 1 to 64 UTF-16 code units, and not only white space.
pub(crate) fn guild_or_channel(name: &str) -> Result<(), ValidationError> {
    text::name(name, 1, 64)
}

/// For `#[validate(custom(…))]`: 1 to 32 UTF-16 code units, and not only white space.
pub(crate) fn role(name: &str) -> Result<(), ValidationError> {
    text::name(name, 1, 32)
}

/// For `#[validate(custom(…))]`: at most 1024 UTF-16 code units.
pub(crate) fn topic(text: &str) -> Result<(), ValidationError> {
    text::between(text, 0, 1_024)
}

/// For `#[validate(custom(…))]`: at most 240 UTF-16 code units.
pub(crate) fn reason(text: &str) -> Result<(), ValidationError> {
    text::between(text, 0, 240)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_1_to_64_utf16_units_and_not_blank() {
        for good in ["a", " a ", &"\u{e9}".repeat(64), &"\u{1F600}".repeat(32)] {
            assert!(guild_or_channel(good).is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "   ",
            "\u{3000}\t",
            &"a".repeat(65),
            &"\u{1F600}".repeat(33),
        ] {
            assert!(guild_or_channel(bad).is_err(), "{bad:?}");
        }
    }
}

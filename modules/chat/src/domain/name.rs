//! The names of guilds and channels.

use filament_kernel::text;
use validator::ValidationError;

/// For `#[validate(custom(…))]`: 1 to 64 UTF-16 code units, and not only white space.
pub(crate) fn guild_or_channel(name: &str) -> Result<(), ValidationError> {
    text::name(name, 1, 64)
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

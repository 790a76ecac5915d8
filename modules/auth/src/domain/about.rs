//! What people say of themselves: a short text in markdown, which may be empty.

use filament_kernel::text::TextRule;

/// UTF-16 code units at most. A text of this length and its tokens fit one answer and one event of the gateway, whatever it says.
const MAX: usize = 2_048;

/// The rule of the text.
pub(crate) struct About;

impl TextRule for About {
    const MIN: usize = 0;
    const MAX: usize = MAX;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_may_be_empty_and_is_counted_as_clients_count() {
        for good in [String::new(), "x".repeat(MAX), "\u{1F600}".repeat(MAX / 2)] {
            assert!(About::check(&good).is_ok());
        }
        for bad in ["x".repeat(MAX + 1), "\u{1F600}".repeat(MAX / 2) + "x"] {
            assert!(About::check(&bad).is_err());
        }
    }
}

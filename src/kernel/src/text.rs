//! Lengths as the contract counts them: in UTF-16 code units.

use validator::ValidationError;

/// The length in UTF-16 code units.
pub fn utf16_len(text: &str) -> usize {
    // Every UTF-16 unit takes at most three bytes of UTF-8, and no character takes fewer bytes than units.
    text.chars().map(char::len_utf16).sum()
}

/// For `#[validate(custom(function = "…"))]`: `min` to `max` UTF-16 code units.
///
/// # Errors
/// With the bounds in its message.
pub fn between(text: &str, min: usize, max: usize) -> Result<(), ValidationError> {
    let length = utf16_len(text);
    if (min..=max).contains(&length) {
        return Ok(());
    }
    Err(ValidationError::new("length").with_message(
        format!("must be {min} to {max} characters (UTF-16 code units), got {length}").into(),
    ))
}

/// A name: `min` to `max` UTF-16 code units, and not only white space.
///
/// # Errors
/// With the bounds in its message.
pub fn name(text: &str, min: usize, max: usize) -> Result<(), ValidationError> {
    if text.trim().is_empty() {
        return Err(ValidationError::new("blank").with_message("must not be blank".into()));
    }
    between(text, min, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_outside_the_basic_plane_count_twice() {
        assert_eq!(utf16_len("a\u{e9}\u{1F600}"), 4);
        assert!(between("\u{1F600}\u{1F600}", 1, 3).is_err());
        assert!(name(" \u{3000}", 1, 64).is_err());
    }
}

//! What one reacts with: an emoji, or any other short word.

use std::borrow::Cow;

use filament_kernel::text;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde::Serialize;
use serde_json::Value;

/// UTF-16 code units of an emoji at most: room for the longest sequences of Unicode (families, flags of regions).
pub(crate) const EMOJI_MAX_CHARS: usize = 32;

/// 1 to [`EMOJI_MAX_CHARS`] UTF-16 code units without white space and control characters. Compared as it is written: with and
/// without a variation selector are two.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, sea_orm::DeriveValueType,
)]
#[serde(transparent)]
pub struct Emoji(String);

impl Emoji {
    /// Takes what a client sent, percent-decoded.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(crate) fn new(emoji: &str) -> Result<Self, String> {
        let length = text::utf16_len(emoji);
        if !(1..=EMOJI_MAX_CHARS).contains(&length) {
            return Err(format!(
                "must be 1 to {EMOJI_MAX_CHARS} characters (UTF-16 code units), got {length}"
            ));
        }
        if emoji.chars().any(is_blank) {
            return Err("must not hold white space or control characters".to_string());
        }
        Ok(Self(emoji.to_string()))
    }
}

/// White space as Unicode knows it and, where they know more, as clients do: U+FEFF is white space in JavaScript.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character.is_control() || character == '\u{feff}'
}

/// For primary keys: a database never makes an emoji.
impl sea_orm::TryFromU64 for Emoji {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("Emoji"))
    }
}

impl Type for Emoji {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_emoji".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let mut schema = MetaSchema::new_with_format("string", "emoji");
        schema.min_length = Some(1);
        schema.max_length = Some(EMOJI_MAX_CHARS);
        schema.pattern = Some(r"^\S+$".to_string());
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Emoji {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::String(text) => Self::new(&text).map_err(ParseError::custom),
            other => Err(ParseError::expected_type(other)),
        }
    }
}

impl ParseFromParameter for Emoji {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::new(text).map_err(ParseError::custom)
    }

    /// The router leaves out a parameter that is not UTF-8.
    fn parse_from_parameters<I, A>(parameters: I) -> ParseResult<Self>
    where
        I: IntoIterator<Item = A>,
        A: AsRef<str>,
    {
        match parameters.into_iter().next() {
            Some(text) => Self::parse_from_parameter(text.as_ref()),
            None => Err(ParseError::custom("must be UTF-8, percent-encoded")),
        }
    }
}

impl ToJSON for Emoji {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_1_to_32_utf16_units_without_white_space() {
        for good in [
            "\u{1F600}",
            "a",
            ":shrug:",
            "a/b?c#d%e",
            "\u{2764}\u{fe0f}",
            "\u{1F468}\u{200d}\u{1F469}\u{200d}\u{1F467}\u{200d}\u{1F466}",
            "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
            "e\u{301}",
            "\u{5d0}\u{5d1}",
            &"\u{1F600}".repeat(16),
            &"\u{4e00}".repeat(32),
        ] {
            assert!(Emoji::new(good).is_ok(), "{good:?}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "\u{1F600}\n",
            "\u{a0}",
            "\u{3000}",
            "\u{feff}",
            "\0",
            "\u{1b}",
            &"a".repeat(33),
            &format!("{}a", "\u{1F600}".repeat(16)),
        ] {
            assert!(Emoji::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn emoji_that_differ_in_any_code_point_differ() {
        assert_ne!(
            Emoji::new("\u{2764}").ok(),
            Emoji::new("\u{2764}\u{fe0f}").ok()
        );
    }
}

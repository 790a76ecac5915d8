//! Texts of requests, and their lengths as the contract counts them: in UTF-16 code units.

use std::{borrow::Cow, marker::PhantomData, ops::Deref};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::{Serialize, Serializer};
use serde_json::Value;
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

/// The rule of a text: what the document tells of it, and what a request is held to.
pub trait TextRule: 'static {
    /// UTF-16 code units at least.
    const MIN: usize;
    /// UTF-16 code units at most.
    const MAX: usize;
    /// What it consists of, as a regular expression for readers of the document; [`TextRule::check`] is what counts.
    const PATTERN: Option<&'static str> = None;

    /// Whether `text` follows the rule.
    ///
    /// # Errors
    /// With the rule in its message.
    fn check(text: &str) -> Result<(), ValidationError> {
        between(text, Self::MIN, Self::MAX)
    }
}

/// A field of a body whose schema tells its rule. `#[validate(custom(function = "Text::check"))]` on the field holds it to the rule: the
/// framework's own validators count characters, not UTF-16 code units, and speak of regular expressions.
///
/// No `Debug`: it may be a password.
pub struct Text<R> {
    text: String,
    rule: PhantomData<fn() -> R>,
}

impl<R: TextRule> Text<R> {
    /// For `#[validate(custom)]`.
    ///
    /// # Errors
    /// With the rule in its message.
    pub fn check(text: &Self) -> Result<(), ValidationError> {
        R::check(text)
    }
}

impl<R> Deref for Text<R> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<R> From<Text<R>> for String {
    fn from(text: Text<R>) -> Self {
        text.text
    }
}

impl<R: TextRule> Type for Text<R> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        String::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: (R::MIN > 0).then_some(R::MIN),
            max_length: Some(R::MAX),
            pattern: R::PATTERN.map(str::to_string),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<R: TextRule> ParseFromJSON for Text<R> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let text = String::parse_from_json(value).map_err(ParseError::propagate)?;
        Ok(Self {
            text,
            rule: PhantomData,
        })
    }
}

/// What `#[derive(Validate)]` asks for: its errors carry the value that they are about, and [`crate::config::describe`] leaves it out.
impl<R> Serialize for Text<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<R: TextRule> ToJSON for Text<R> {
    fn to_json(&self) -> Option<Value> {
        Some(self.text.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Motto;

    impl TextRule for Motto {
        const MIN: usize = 2;
        const MAX: usize = 4;
    }

    #[test]
    fn the_document_tells_the_rule_that_a_field_is_held_to() {
        let schema = serde_json::to_value(Text::<Motto>::schema_ref()).expect("a schema");
        let told = serde_json::json!({ "type": "string", "minLength": 2, "maxLength": 4 });
        assert_eq!(schema, told);
        for (text, follows) in [("a", false), ("\u{1F600}\u{1F600}", true), ("abcde", false)] {
            let text = Text::<Motto>::parse_from_json(Some(text.into())).ok();
            let text = text.expect("a text");
            assert_eq!(Text::check(&text).is_ok(), follows);
        }
    }

    #[test]
    fn characters_outside_the_basic_plane_count_twice() {
        assert_eq!(utf16_len("a\u{e9}\u{1F600}"), 4);
        assert!(between("\u{1F600}\u{1F600}", 1, 3).is_err());
        assert!(name(" \u{3000}", 1, 64).is_err());
    }
}

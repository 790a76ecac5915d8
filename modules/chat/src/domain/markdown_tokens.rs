//! A text's Markdown tokens as they stand on the wire.

use std::{borrow::Cow, sync::Arc};

use filament_kernel::{
    ApiError,
    markdown::{self, MarkdownToken},
};
use poem_openapi::{
    registry::{MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::Serialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

/// A list of [`MarkdownToken`]s, kept as its JSON text: it is written several times and never read.
#[derive(Debug, Clone, Serialize)]
pub struct MarkdownTokens(Arc<RawValue>);

/// Tokens that would take more than this are not sent. With 12,000 bytes of the densest content beside it, a message stays
/// within the 64 KiB that an event and an answer may have.
const MAX_BYTES: usize = 40 * 1024;

impl MarkdownTokens {
    /// The tokens of `content`. Where they would be too large, which takes some hundred nested lists, one plain paragraph.
    pub(crate) fn of(content: &str) -> Result<Self, ApiError> {
        let tokens = to_raw_value(&markdown::tokens(content)).map_err(ApiError::internal)?;
        if tokens.get().len() <= MAX_BYTES {
            return Ok(Self(tokens.into()));
        }
        let plain = json!([
            { "type": "paragraph_start" },
            { "type": "text", "text": content },
            { "type": "paragraph_end" },
        ]);
        let plain = to_raw_value(&plain).map_err(ApiError::internal)?;
        Ok(Self(plain.into()))
    }
}

impl PartialEq for MarkdownTokens {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Type for MarkdownTokens {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        Vec::<MarkdownToken>::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        Vec::<MarkdownToken>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Vec::<MarkdownToken>::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for MarkdownTokens {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        if !value.is_array() {
            return Err(ParseError::expected_type(value));
        }
        let text = to_raw_value(&value).map_err(ParseError::custom)?;
        Ok(Self(text.into()))
    }
}

impl ToJSON for MarkdownTokens {
    fn to_json(&self) -> Option<Value> {
        serde_json::from_str(self.0.get()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_the_token_type_documents() {
        for content in ["# a\n*b* `c`\n\n- [d](https://e.example)", &"- ".repeat(1_000)] {
            let documented: Option<Vec<Value>> = markdown::tokens(content)
                .iter()
                .map(ToJSON::to_json)
                .collect();
            let tokens = MarkdownTokens::of(content).expect("tokens");
            if content.len() < 100 {
                assert_eq!(tokens.to_json(), documented.map(Value::from));
            }
        }
    }

    #[test]
    fn no_content_makes_more_tokens_than_fit_an_event() {
        for dense in ["- ", "*a* ", "a\n", "#\n", "1. ", "`", "\u{1}", "> ", "\\\n", "**a** _b_"] {
            let content: String = dense.chars().cycle().take(2_000).collect();
            let tokens = MarkdownTokens::of(&content).expect("tokens");
            assert!(tokens.0.get().len() <= MAX_BYTES, "{dense:?}");
        }
    }
}

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
    Value,
    value::{RawValue, to_raw_value},
};

/// A list of [`MarkdownToken`]s, kept as its JSON text: it is written several times and never read.
#[derive(Debug, Clone, Serialize)]
pub struct MarkdownTokens(Arc<RawValue>);

impl MarkdownTokens {
    /// The tokens of `content`.
    pub(crate) fn of(content: &str) -> Result<Self, ApiError> {
        to_raw_value(&markdown::tokens(content))
            .map(|text| Self(text.into()))
            .map_err(ApiError::internal)
    }

    /// The bytes of the JSON text.
    pub(crate) fn json_bytes(&self) -> usize {
        self.0.get().len()
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
        let content = "# a\n*b* `c`\n\n- [d](https://e.example)\n\n```Rust\nf\n```";
        let documented = markdown::tokens(content).to_json();
        assert_eq!(
            MarkdownTokens::of(content)
                .ok()
                .and_then(|text| text.to_json()),
            documented
        );
    }
}

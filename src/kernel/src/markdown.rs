//! Markdown as tokens: what clients render instead of HTML.
//!
//! [`tokens`] reads CommonMark and answers a flat list in which starts and ends are balanced. Nothing in it is
//! markup that a client would have to escape or to trust: raw HTML becomes its text, links lead to `http`, `https` and
//! `mailto` only. Whatever has no token of its own (quotes, images, rules, HTML) becomes its text.
//!
//! A message with its tokens has to fit one gateway frame, and a few characters of markdown can make many tokens. The list is
//! therefore bounded, in number, in nesting and in the bytes that it takes as JSON. A text that would need more, which takes
//! hundreds of lists or headings in a message, becomes one plain paragraph: what it says is worth more than how it looks.

use std::{borrow::Cow, ops::Range};

use poem_openapi::{
    Enum, Object,
    registry::{MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Tokens at most.
pub const MAX_TOKENS: usize = 4_096;

/// Bytes at most that the tokens take as a JSON array.
pub const MAX_JSON_BYTES: usize = 40 * 1024;

/// Lists, items, emphasis and links inside each other at most; what is nested deeper loses its own tokens and keeps its text.
const MAX_DEPTH: usize = 32;

/// Bytes of link targets for which a text of any length has room. A definition that many links refer to would
/// otherwise multiply.
const MIN_HREF_BUDGET: usize = 4_096;

/// One step of a rendered text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MarkdownToken {
    /// A paragraph begins.
    ParagraphStart,
    /// A paragraph ends.
    ParagraphEnd,
    /// A heading begins.
    HeadingStart {
        /// 1 to 6.
        level: u8,
    },
    /// A heading ends.
    HeadingEnd,
    /// Emphasis begins.
    EmphasisStart,
    /// Emphasis ends.
    EmphasisEnd,
    /// Strong emphasis begins.
    StrongStart,
    /// Strong emphasis ends.
    StrongEnd,
    /// A list begins.
    ListStart {
        /// Whether its items are numbered.
        ordered: bool,
    },
    /// A list ends.
    ListEnd,
    /// An item of a list begins.
    ListItemStart,
    /// An item of a list ends.
    ListItemEnd,
    /// A link begins.
    LinkStart {
        /// Where it leads: `http`, `https` or `mailto`.
        href: String,
    },
    /// A link ends.
    LinkEnd,
    /// Text, to be shown as it is.
    Text {
        /// The text.
        text: String,
    },
    /// Code within a line.
    Code {
        /// The code.
        code: String,
    },
    /// A block of code.
    FencedCode {
        /// The language that was named, lower-cased.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// The code.
        code: String,
    },
    /// A line break of the source, to be shown as a space or a break.
    SoftBreak,
    /// A line break that was asked for.
    HardBreak,
}

/// The tokens of a markdown text.
///
/// Pure, and in time proportional to the text. Meant for texts as long as messages; of one that does not even fit as plain text
/// the beginning is kept.
pub fn tokens(text: &str) -> Vec<MarkdownToken> {
    formatted(text).unwrap_or_else(|| plain(text))
}

/// The tokens, if there is room for all of them.
fn formatted(text: &str) -> Option<Vec<MarkdownToken>> {
    let mut writer = Writer::new(text.len());
    let mut code_block: Option<(Option<String>, String)> = None;
    for (event, range) in Parser::new_ext(text, Options::empty()).into_offset_iter() {
        if writer.full {
            return None;
        }
        match (&mut code_block, event) {
            (None, Event::Start(Tag::CodeBlock(kind))) => {
                code_block = Some((language(&kind), String::new()));
            }
            (Some((_, code)), Event::Text(part)) => code.push_str(&part),
            (Some(_), Event::End(_)) => {
                let (language, code) = code_block.take().unwrap_or_default();
                writer.leaf(MarkdownToken::FencedCode { language, code });
            }
            (Some(_), _) => {}
            (None, event) => writer.event(event, text, range),
        }
    }
    (!writer.full).then_some(writer.tokens)
}

/// One paragraph of the text as it is.
fn plain(text: &str) -> Vec<MarkdownToken> {
    let mut writer = Writer::new(0);
    writer.push_start(MarkdownToken::ParagraphStart, MarkdownToken::ParagraphEnd);
    writer.text(text);
    writer.end();
    writer.tokens
}

struct Writer {
    tokens: Vec<MarkdownToken>,
    /// For each tag that is open in the source: the token that ends it, where its start got one.
    open: Vec<Option<MarkdownToken>>,
    /// Tokens, and bytes of JSON, that there still is room for, with those set aside that end what is open.
    tokens_left: usize,
    bytes_left: usize,
    hrefs_left: usize,
    depth: usize,
    /// Something did not fit.
    full: bool,
}

impl Writer {
    fn new(length: usize) -> Self {
        Self {
            tokens: Vec::new(),
            open: Vec::new(),
            tokens_left: MAX_TOKENS,
            bytes_left: MAX_JSON_BYTES - "[]".len(),
            hrefs_left: length.max(MIN_HREF_BUDGET),
            depth: 0,
            full: false,
        }
    }

    fn event(&mut self, event: Event<'_>, source: &str, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(_) => self.end(),
            Event::Text(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Html(line) => self.html_line(&line),
            Event::Code(code) => self.leaf(MarkdownToken::Code {
                code: code.into_string(),
            }),
            Event::SoftBreak => self.leaf(MarkdownToken::SoftBreak),
            Event::HardBreak => self.leaf(MarkdownToken::HardBreak),
            Event::Rule => {
                self.push_start(MarkdownToken::ParagraphStart, MarkdownToken::ParagraphEnd);
                self.text(source.get(range).unwrap_or_default().trim());
                self.end();
            }
            // Of extensions, which are off.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.text(&text);
            }
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        use MarkdownToken as T;
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => {
                self.push_start(T::ParagraphStart, T::ParagraphEnd);
            }
            Tag::Heading { level, .. } => {
                self.push_start(T::HeadingStart { level: level as u8 }, T::HeadingEnd);
            }
            Tag::Emphasis => self.nest(T::EmphasisStart, T::EmphasisEnd),
            Tag::Strong => self.nest(T::StrongStart, T::StrongEnd),
            Tag::List(first) => self.nest(
                T::ListStart {
                    ordered: first.is_some(),
                },
                T::ListEnd,
            ),
            Tag::Item => {
                if self.depth >= MAX_DEPTH && self.ends_inline() {
                    self.leaf(T::SoftBreak);
                }
                self.nest(T::ListItemStart, T::ListItemEnd);
            }
            Tag::Link {
                link_type,
                dest_url,
                ..
            } => match href(link_type, dest_url).filter(|href| href.len() <= self.hrefs_left) {
                Some(href) => {
                    self.hrefs_left -= href.len();
                    self.nest(T::LinkStart { href }, T::LinkEnd);
                }
                None => self.open.push(None),
            },
            _ => self.open.push(None),
        }
    }

    /// Begins what may be nested in itself without end.
    fn nest(&mut self, start: MarkdownToken, end: MarkdownToken) {
        if self.depth >= MAX_DEPTH {
            self.open.push(None);
        } else {
            self.push_start(start, end);
        }
    }

    fn push_start(&mut self, start: MarkdownToken, end: MarkdownToken) {
        if self.reserve(2, json_bytes(&start) + json_bytes(&end)) {
            self.tokens.push(start);
            self.open.push(Some(end));
            self.depth += 1;
        }
    }

    fn end(&mut self) {
        if let Some(end) = self.open.pop().flatten() {
            self.tokens.push(end);
            self.depth -= 1;
        }
    }

    fn leaf(&mut self, token: MarkdownToken) {
        if self.reserve(1, json_bytes(&token)) {
            self.tokens.push(token);
        }
    }

    /// Text that follows text becomes one token with it. Of a text for which there is no room the beginning is kept.
    fn text(&mut self, text: &str) {
        if text.is_empty() || self.full {
            return;
        }
        if !matches!(self.tokens.last(), Some(MarkdownToken::Text { .. })) {
            let empty = MarkdownToken::Text {
                text: String::new(),
            };
            if !self.reserve(1, json_bytes(&empty)) {
                return;
            }
            self.tokens.push(empty);
        }
        let kept = self.fitting(text);
        if let Some(MarkdownToken::Text { text }) = self.tokens.last_mut() {
            text.push_str(kept);
        }
    }

    fn fitting<'t>(&mut self, text: &'t str) -> &'t str {
        for (at, character) in text.char_indices() {
            match self.bytes_left.checked_sub(escaped_bytes(character)) {
                Some(left) => self.bytes_left = left,
                None => {
                    self.full = true;
                    return &text[..at];
                }
            }
        }
        text
    }

    /// One line of a block of raw HTML, with its line break.
    fn html_line(&mut self, line: &str) {
        if self.ends_inline() {
            self.leaf(MarkdownToken::SoftBreak);
        }
        self.text(line.trim_end_matches(['\r', '\n']));
    }

    fn ends_inline(&self) -> bool {
        use MarkdownToken as T;
        matches!(
            self.tokens.last(),
            Some(T::Text { .. } | T::Code { .. } | T::EmphasisEnd | T::StrongEnd | T::LinkEnd)
        )
    }

    fn reserve(&mut self, tokens: usize, bytes: usize) -> bool {
        if self.full {
            return false;
        }
        match (
            self.tokens_left.checked_sub(tokens),
            self.bytes_left.checked_sub(bytes),
        ) {
            (Some(tokens_left), Some(bytes_left)) => {
                self.tokens_left = tokens_left;
                self.bytes_left = bytes_left;
                true
            }
            _ => {
                self.full = true;
                false
            }
        }
    }
}

/// The bytes that a token takes in a JSON array, with its comma.
fn json_bytes(token: &MarkdownToken) -> usize {
    use MarkdownToken as T;
    let shape = |shape: &str| shape.len() + ",".len();
    let content = |text: &str| text.chars().map(escaped_bytes).sum::<usize>();
    match token {
        T::ParagraphStart => shape(r#"{"type":"paragraph_start"}"#),
        T::ParagraphEnd => shape(r#"{"type":"paragraph_end"}"#),
        T::HeadingStart { .. } => shape(r#"{"type":"heading_start","level":1}"#),
        T::HeadingEnd => shape(r#"{"type":"heading_end"}"#),
        T::EmphasisStart => shape(r#"{"type":"emphasis_start"}"#),
        T::EmphasisEnd => shape(r#"{"type":"emphasis_end"}"#),
        T::StrongStart => shape(r#"{"type":"strong_start"}"#),
        T::StrongEnd => shape(r#"{"type":"strong_end"}"#),
        T::ListStart { ordered: false } => shape(r#"{"type":"list_start","ordered":false}"#),
        T::ListStart { ordered: true } => shape(r#"{"type":"list_start","ordered":true}"#),
        T::ListEnd => shape(r#"{"type":"list_end"}"#),
        T::ListItemStart => shape(r#"{"type":"list_item_start"}"#),
        T::ListItemEnd => shape(r#"{"type":"list_item_end"}"#),
        T::LinkStart { href } => shape(r#"{"type":"link_start","href":""}"#) + content(href),
        T::LinkEnd => shape(r#"{"type":"link_end"}"#),
        T::Text { text } => shape(r#"{"type":"text","text":""}"#) + content(text),
        T::Code { code } => shape(r#"{"type":"code","code":""}"#) + content(code),
        T::FencedCode { language, code } => {
            let language = language
                .as_ref()
                .map_or(0, |language| r#""language":"","#.len() + language.len());
            shape(r#"{"type":"fenced_code","code":""}"#) + language + content(code)
        }
        T::SoftBreak => shape(r#"{"type":"soft_break"}"#),
        T::HardBreak => shape(r#"{"type":"hard_break"}"#),
    }
}

/// The bytes that a character takes in a JSON string.
fn escaped_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    }
}

/// Where a link leads, if it may lead there.
fn href(kind: LinkType, target: CowStr<'_>) -> Option<String> {
    let target = match kind {
        LinkType::Email => format!("mailto:{target}"),
        _ => target.into_string(),
    };
    let allowed = ["http://", "https://", "mailto:"].iter().any(|prefix| {
        target.len() > prefix.len()
            && target
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
    let clean = !target.contains(|c: char| c.is_whitespace() || c.is_control());
    (allowed && clean).then_some(target)
}

/// The language of a block of code, if it names one that is short and plain.
fn language(kind: &CodeBlockKind<'_>) -> Option<String> {
    let CodeBlockKind::Fenced(info) = kind else {
        return None;
    };
    let word = info.split_whitespace().next()?;
    let plain = word.len() <= 32
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.+-".contains(&b));
    plain.then(|| word.to_ascii_lowercase())
}

/// The kind of a token.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
enum MarkdownTokenType {
    ParagraphStart,
    ParagraphEnd,
    HeadingStart,
    HeadingEnd,
    EmphasisStart,
    EmphasisEnd,
    StrongStart,
    StrongEnd,
    ListStart,
    ListEnd,
    ListItemStart,
    ListItemEnd,
    LinkStart,
    LinkEnd,
    Text,
    Code,
    FencedCode,
    SoftBreak,
    HardBreak,
}

/// One step of a rendered text: `type` says which of the other fields are there. Starts and ends are balanced; there is no HTML.
#[derive(Object)]
#[oai(rename = "MarkdownToken")]
struct MarkdownTokenSchema {
    /// The kind of token.
    #[oai(rename = "type")]
    kind: MarkdownTokenType,
    /// Of `heading_start`: 1 to 6.
    #[oai(validator(minimum(value = "1"), maximum(value = "6")))]
    level: Option<u8>,
    /// Of `list_start`: whether the items are numbered.
    ordered: Option<bool>,
    /// Of `link_start`: an `http`, `https` or `mailto` address.
    href: Option<String>,
    /// Of `text`: the text, to be shown as it is.
    text: Option<String>,
    /// Of `code` and `fenced_code`: the code.
    code: Option<String>,
    /// Of `fenced_code`, where one was named: the language, lower-cased.
    #[oai(validator(pattern = "^[a-z0-9_.+-]{1,32}$"))]
    language: Option<String>,
}

impl Type for MarkdownToken {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        MarkdownTokenSchema::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        MarkdownTokenSchema::schema_ref()
    }

    fn register(registry: &mut Registry) {
        MarkdownTokenSchema::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for MarkdownToken {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
    }
}

impl ToJSON for MarkdownToken {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }
}

#[cfg(test)]
mod tests;

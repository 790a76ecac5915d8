//! A message: what it may contain, and how it stands on the wire.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    id::{ChannelId, GuildId, MessageId, UserId},
    text,
};
use poem_openapi::Object;
use serde::Serialize;

use super::markdown_tokens::MarkdownTokens;

/// A message of a channel.
#[derive(Debug, Clone, PartialEq, Object, Serialize)]
pub struct Message {
    pub message_id: MessageId,
    pub guild_id: GuildId,
    pub channel_id: ChannelId,
    pub author_id: UserId,
    /// What was written, 1 to 2000 UTF-16 code units of Markdown.
    pub content: String,
    /// The same, parsed: what clients show.
    pub markdown_tokens: MarkdownTokens,
    pub attachments: Vec<Attachment>,
    pub reactions: Vec<Reaction>,
    pub created_at_unix: i64,
}

/// A file that hangs on a message.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Attachment {
    #[oai(validator(pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"))]
    pub attachment_id: String,
    pub guild_id: GuildId,
    pub channel_id: ChannelId,
    pub owner_id: UserId,
    pub filename: String,
    pub mime_type: String,
    pub size_bytes: u64,
    pub sha256_hex: String,
}

/// One emoji under a message, and who set it.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Reaction {
    pub emoji: String,
    pub count: u64,
    pub reacted_by_me: bool,
    /// Some of those who set it, at most 32.
    pub reactor_user_ids: Vec<UserId>,
}

impl Message {
    /// The message's one text: the answer to its author, the payload of its event.
    pub(crate) fn to_text(&self) -> Result<Arc<str>, ApiError> {
        serde_json::to_string(self)
            .map(Arc::from)
            .map_err(ApiError::internal)
    }
}

/// 1 to `max_chars` UTF-16 code units, none of them NUL, which no database of ours stores in a text.
pub(crate) fn check_content(content: &str, max_chars: u32) -> Result<(), ApiError> {
    let max = usize::try_from(max_chars).unwrap_or(usize::MAX);
    let length = text::utf16_len(content);
    if length == 0 || length > max {
        return Err(ApiError::invalid(
            "content",
            format!("must be 1 to {max} characters (UTF-16 code units), got {length}"),
        ));
    }
    if content.contains('\0') {
        return Err(ApiError::invalid(
            "content",
            "must not hold the character NUL",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    #[test]
    fn serde_and_the_documented_schema_write_the_same() {
        let message = Message {
            message_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("an id"),
            guild_id: "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().expect("an id"),
            channel_id: "01ARZ3NDEKTSV4RRFFQ69G5FAX".parse().expect("an id"),
            author_id: "01ARZ3NDEKTSV4RRFFQ69G5FAY".parse().expect("an id"),
            content: "*hi* \u{1F600} `x` [a](https://b.example)\n\n```Rust\nfn\n```".into(),
            markdown_tokens: MarkdownTokens::of(
                "# *hi* \u{1F600} `x` [a](https://b.example)\n- b\n\n```Rust\nfn\n```",
            )
            .expect("tokens"),
            attachments: vec![Attachment {
                attachment_id: "01ARZ3NDEKTSV4RRFFQ69G5FAZ".into(),
                guild_id: "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().expect("an id"),
                channel_id: "01ARZ3NDEKTSV4RRFFQ69G5FAX".parse().expect("an id"),
                owner_id: "01ARZ3NDEKTSV4RRFFQ69G5FAY".parse().expect("an id"),
                filename: "a.txt".into(),
                mime_type: "text/plain".into(),
                size_bytes: 1,
                sha256_hex: "00".into(),
            }],
            reactions: vec![Reaction {
                emoji: "\u{1F600}".into(),
                count: 1,
                reacted_by_me: true,
                reactor_user_ids: vec!["01ARZ3NDEKTSV4RRFFQ69G5FAY".parse().expect("an id")],
            }],
            created_at_unix: 1_700_000_000,
        };
        let by_serde = serde_json::to_value(&message).ok();
        assert_eq!(by_serde, message.to_json());
    }

    #[test]
    fn content_is_bounded_in_utf16_units() {
        assert!(check_content("", 2_000).is_err());
        assert!(check_content(" ", 2_000).is_ok());
        assert!(check_content(&"\u{1F600}".repeat(1_000), 2_000).is_ok());
        assert!(check_content(&"\u{1F600}".repeat(1_001), 2_000).is_err());
        assert!(check_content("a\0", 2_000).is_err());
    }
}

//! A message: what it may contain, and how it stands on the wire.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    id::{ChannelId, GuildId, MessageId, UserId},
    markdown, text,
};
use poem_openapi::Object;
use serde::Serialize;

use super::{
    emoji::EMOJI_MAX_CHARS,
    markdown_tokens::MarkdownTokens,
    reaction::{MESSAGE_EMOJI_MAX, Reaction, unlist},
};

/// A message takes no more bytes of JSON than this, so that it fits an answer of 64 KiB also as the only one of a page.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 - 128;

/// UTF-16 code units of a message's content at most. The configuration may undercut it.
const CONTENT_MAX_CHARS: usize = 2_000;

/// What a UTF-16 code unit, or a byte of UTF-8, takes at most in a JSON string: `\u0001`.
const MAX_CHAR_BYTES: usize = 6;

/// The fields of a message but for its content, tokens and reactions.
const MAX_FRAME_BYTES: usize = 400;

/// A reaction but for the users that it lists: with a count of ten digits and an emoji of three bytes for each UTF-16 code unit, as it
/// holds no control characters.
const MAX_REACTION_BYTES: usize = 76 + 3 * EMOJI_MAX_CHARS;

/// A user's id in a list.
const USER_ID_BYTES: usize = "\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",".len();

/// Whatever its content: once no users are listed, every message fits.
const _: () = assert!(
    largest(
        CONTENT_MAX_CHARS * MAX_CHAR_BYTES,
        markdown::MAX_JSON_BYTES,
        MESSAGE_EMOJI_MAX as usize,
        0
    ) <= MAX_MESSAGE_BYTES
);

/// The bytes that a message takes at most.
const fn largest(content: usize, tokens: usize, emoji: usize, listed: usize) -> usize {
    MAX_FRAME_BYTES + content + tokens + emoji * MAX_REACTION_BYTES + listed * USER_ID_BYTES
}

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

impl Message {
    /// The message's one text: the answer to its author, the payload of its event.
    pub(crate) fn to_text(&self) -> Result<Arc<str>, ApiError> {
        serde_json::to_string(self)
            .map(Arc::from)
            .map_err(ApiError::internal)
    }

    /// The message with so many users listed in its reactions as fit: all of them, unless it has dozens of emoji that dozens of
    /// users set. Counts and emoji are complete in any case.
    pub(crate) fn fitting(mut self) -> Result<Self, ApiError> {
        let lists = self.reactions.iter().map(|r| r.reactor_user_ids.len());
        let largest = largest(
            self.content.len() * MAX_CHAR_BYTES,
            self.markdown_tokens.json_bytes(),
            self.reactions.len(),
            lists.sum(),
        );
        if largest > MAX_MESSAGE_BYTES {
            let bytes = serde_json::to_vec(&self).map_err(ApiError::internal)?.len();
            let excess = bytes.saturating_sub(MAX_MESSAGE_BYTES);
            unlist(&mut self.reactions, excess.div_ceil(USER_ID_BYTES));
        }
        Ok(self)
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
    use filament_kernel::id::Ids;
    use poem_openapi::types::ToJSON;

    use super::*;
    use crate::domain::{
        emoji::Emoji,
        reaction::{REACTORS_LISTED, Tally},
    };

    fn message(content: &str, reactions: Vec<Reaction>) -> Message {
        let ids = Ids::default();
        Message {
            message_id: ids.next(),
            guild_id: ids.next(),
            channel_id: ids.next(),
            author_id: ids.next(),
            markdown_tokens: MarkdownTokens::of(content).expect("tokens"),
            content: content.to_string(),
            attachments: Vec::new(),
            reactions,
            created_at_unix: 1_700_000_000,
        }
    }

    /// As many as there can be, each with an emoji of its own that takes as many bytes as `character` makes it.
    fn most_reactions(character: char) -> Vec<Reaction> {
        let ids = Ids::default();
        let first: Vec<UserId> = (0..REACTORS_LISTED).map(|_| ids.next()).collect();
        (0..MESSAGE_EMOJI_MAX)
            .map(|n| {
                let tail = String::from(character).repeat(EMOJI_MAX_CHARS - 1);
                let own = char::from_u32(0x4e00 + n).expect("a character");
                let emoji = Emoji::new(&format!("{own}{tail}")).expect("an emoji");
                let tally = Tally {
                    count: 9_999_999_999,
                    first: first.clone(),
                    ..Tally::default()
                };
                tally.seen(emoji, false, REACTORS_LISTED)
            })
            .collect()
    }

    #[test]
    fn the_largest_messages_fit_an_answer_with_every_emoji_and_count() {
        // Alone, together, and in such a mixture that both the content and the tokens grow.
        for content in [
            "\u{4e00}".repeat(2_000),
            "\u{1}".repeat(2_000),
            "*a* ".repeat(400),
            "-\n+\n".repeat(150) + &"\u{1}".repeat(1_400),
            "-\n+\n".repeat(180) + &"\"\\".repeat(640),
            "# \u{1}\n".repeat(500),
        ] {
            for character in ['\u{4e00}', '"', 'a'] {
                let message = message(&content, most_reactions(character));
                let whole = serde_json::to_vec(&message).expect("JSON").len();
                assert!(whole > MAX_MESSAGE_BYTES, "{whole}");
                let fitting = message.clone().fitting().expect("fits");
                let bytes = serde_json::to_vec(&fitting).expect("JSON").len();
                assert!(bytes <= MAX_MESSAGE_BYTES, "{bytes}");
                assert_eq!(fitting.reactions.len(), message.reactions.len());
                // Nothing is left out that would have had room.
                assert!(bytes + message.reactions.len() * USER_ID_BYTES > MAX_MESSAGE_BYTES);
            }
        }
    }

    #[test]
    fn a_message_that_fits_lists_all_whom_it_has() {
        let mut reactions = most_reactions('a');
        reactions.truncate(40);
        let message = message("hello", reactions);
        assert_eq!(message.clone().fitting().expect("fits"), message);
    }

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
                emoji: Emoji::new("\u{1F600}").expect("an emoji"),
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

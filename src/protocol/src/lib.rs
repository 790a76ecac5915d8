//! What both ends of the gateway must agree on, and nothing else.
//!
//! A frame of protocol version 1 is one text message holding one [`Envelope`]:
//!
//! ```json
//! {"v":1,"t":"message_create","d":{"guild_id":"…","channel_id":"…","content":"hello"}}
//! ```
//!
//! The crate depends on serde alone, so that a client can use it as it is.

mod close;
mod envelope;

pub use close::CloseCode;
pub use envelope::{Envelope, EnvelopeError, encode};

/// The protocol version that this crate speaks.
pub const VERSION: u8 = 1;

/// The longest frame, in bytes, that either side sends by default: 64 KiB.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;

/// The longest name of a command or event, in characters.
pub const MAX_NAME_LEN: usize = 64;

/// Whether `name` can name a command or an event: 1 to 64 characters of `[a-z0-9_.]`.
pub fn is_valid_name(name: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'))
}

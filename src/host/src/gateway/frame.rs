//! Frames of RFC 6455, from the server's side and without IO: bytes in, messages out; events in, bytes out.
//!
//! What leaves is encoded once, however many sockets it goes to: a server does not mask its frames. What comes in is taken in
//! pieces of any size, and between two frames the [`Decoder`] owns no memory, which is what keeps an idle socket small.

use std::borrow::Cow;

use bytes::Bytes;
use filament_protocol::CloseCode;

#[cfg(test)]
mod tests;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// The most that a control frame can carry (RFC 6455, section 5.5).
const MAX_CONTROL: usize = 125;

/// A kind of frame, by its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Opcode {
    fn read(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// An event as a whole frame.
pub(super) fn event(name: &str, data: &str) -> Bytes {
    write(
        Opcode::Text,
        filament_protocol::encode(name, data).as_bytes(),
    )
}

/// A ping that carries nothing.
pub(super) fn ping() -> Bytes {
    Bytes::from_static(&[FIN | Opcode::Ping as u8, 0])
}

/// The answer to a ping that carried `payload`.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    write(Opcode::Pong, payload)
}

/// A goodbye. The reason is cut to what a control frame can carry.
pub(super) fn close(code: Option<u16>, reason: &str) -> Bytes {
    let Some(code) = code else {
        return write(Opcode::Close, &[]);
    };
    let reason = &reason[..reason.floor_char_boundary(MAX_CONTROL - 2)];
    let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
    write(Opcode::Close, &payload)
}

fn write(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(FIN | opcode as u8);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => frame.push(short),
        (_, Ok(medium)) => {
            frame.push(126);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    Bytes::from(frame)
}

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A whole text, its fragments joined.
    Text(String),
    /// A ping and what its answer must carry.
    Ping(Vec<u8>),
    /// A pong, asked for or not.
    Pong,
    /// A goodbye, with its code if it had one.
    Close(Option<u16>),
}

/// Why what a client sent cannot be taken. Nothing that follows it can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    /// A rule of the framing was broken.
    Protocol(&'static str),
    /// A binary message.
    Binary,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A message longer than so many bytes.
    TooBig(usize),
}

impl FrameError {
    /// What the client is told.
    pub(super) fn farewell(&self) -> (CloseCode, Cow<'static, str>) {
        match self {
            Self::Protocol(what) => (CloseCode::ProtocolError, Cow::Borrowed(what)),
            Self::Binary => (
                CloseCode::UnsupportedData,
                "only text is spoken here".into(),
            ),
            Self::NotUtf8 => (CloseCode::InvalidPayload, "the text is not UTF-8".into()),
            Self::TooBig(limit) => (
                CloseCode::MessageTooBig,
                format!("a frame may have at most {limit} bytes").into(),
            ),
        }
    }
}

/// Reads what one client sends.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The header of the next frame, as far as it has come.
    header: [u8; 14],
    header_len: usize,
    /// The frame whose payload is being read.
    frame: Option<Frame>,
    /// Whether a message has begun whose last fragment has not come.
    fragmented: bool,
    message: Vec<u8>,
    /// Control frames come between the fragments of a message, so they have a place of their own.
    control: Vec<u8>,
    overhead: u32,
}

#[derive(Debug)]
struct Frame {
    fin: bool,
    opcode: Opcode,
    mask: [u8; 4],
    left: usize,
}

impl Decoder {
    /// Takes from the front of `input` up to the end of a message; `None` when all was taken and none is complete. `limit` is
    /// what a message may have in bytes.
    pub(super) fn next(
        &mut self,
        input: &mut &[u8],
        limit: usize,
    ) -> Result<Option<Message>, FrameError> {
        loop {
            let Some(frame) = &mut self.frame else {
                if self.read_header(input, limit)? {
                    continue;
                }
                return Ok(None);
            };
            let (payload, rest) = input.split_at(frame.left.min(input.len()));
            *input = rest;
            let target = if frame.opcode.is_control() {
                &mut self.control
            } else {
                &mut self.message
            };
            append_unmasked(target, payload, &mut frame.mask);
            frame.left -= payload.len();
            if frame.left > 0 {
                return Ok(None);
            }
            let (fin, opcode) = (frame.fin, frame.opcode);
            self.frame = None;
            if let Some(message) = self.finish(fin, opcode)? {
                return Ok(Some(message));
            }
        }
    }

    /// How many frames came since the last call that did not complete a text: control frames and fragments.
    pub(super) fn take_overhead(&mut self) -> u32 {
        std::mem::take(&mut self.overhead)
    }

    /// Reads on at the header; `true` when it is complete.
    fn read_header(&mut self, input: &mut &[u8], limit: usize) -> Result<bool, FrameError> {
        if !self.fill_header(input, 2) {
            return Ok(false);
        }
        // What these two bytes give away is judged before more is waited for.
        let [first, second, ..] = self.header;
        let opcode = self.check_start(first, second)?;
        let extended = match second & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let total = 2 + extended + 4;
        if !self.fill_header(input, total) {
            return Ok(false);
        }
        let wide = self.header[2..2 + extended]
            .iter()
            .fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
        let length = match extended {
            0 => u64::from(second & !MASKED),
            2 if wide > 125 => wide,
            8 if wide > 0xFFFF && wide >> 63 == 0 => wide,
            _ => return Err(FrameError::Protocol("a length is not in its shortest form")),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !opcode.is_control() {
            if length > limit.saturating_sub(self.message.len()) {
                return Err(FrameError::TooBig(limit));
            }
            self.fragmented = true;
        }
        let mut mask = [0; 4];
        mask.copy_from_slice(&self.header[2 + extended..total]);
        self.header_len = 0;
        self.frame = Some(Frame {
            fin: first & FIN != 0,
            opcode,
            mask,
            left: length,
        });
        Ok(true)
    }

    /// Whether the header has `wanted` bytes, after taking what is there.
    fn fill_header(&mut self, input: &mut &[u8], wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.header_len).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.header[self.header_len..self.header_len + missing].copy_from_slice(taken);
        self.header_len += missing;
        *input = rest;
        self.header_len >= wanted
    }

    fn check_start(&self, first: u8, second: u8) -> Result<Opcode, FrameError> {
        let broken = |rule| Err(FrameError::Protocol(rule));
        if first & RESERVED != 0 {
            return broken("a reserved bit is set");
        }
        let Some(opcode) = Opcode::read(first & 0x0F) else {
            return broken("an opcode is reserved");
        };
        if second & MASKED == 0 {
            return broken("a client's frame is not masked");
        }
        match opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                if first & FIN == 0 {
                    return broken("a control frame is fragmented");
                }
                if usize::from(second & !MASKED) > MAX_CONTROL {
                    return broken("a control frame is longer than 125 bytes");
                }
            }
            Opcode::Continuation if !self.fragmented => {
                return broken("there is nothing to continue");
            }
            Opcode::Text | Opcode::Binary if self.fragmented => {
                return broken("a message begins inside another");
            }
            Opcode::Binary => return Err(FrameError::Binary),
            Opcode::Continuation | Opcode::Text => {}
        }
        Ok(opcode)
    }

    /// A frame is complete: is a message?
    fn finish(&mut self, fin: bool, opcode: Opcode) -> Result<Option<Message>, FrameError> {
        if opcode.is_control() || !fin {
            self.overhead += 1;
        }
        Ok(match opcode {
            Opcode::Ping => Some(Message::Ping(std::mem::take(&mut self.control))),
            Opcode::Pong => {
                self.control = Vec::new();
                Some(Message::Pong)
            }
            Opcode::Close => Some(Message::Close(read_close(&std::mem::take(
                &mut self.control,
            ))?)),
            Opcode::Continuation | Opcode::Text | Opcode::Binary if fin => {
                self.fragmented = false;
                let text = String::from_utf8(std::mem::take(&mut self.message))
                    .map_err(|_| FrameError::NotUtf8)?;
                Some(Message::Text(text))
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary => None,
        })
    }
}

/// The code in a goodbye's payload. The reason is of no use to a server, but must be text.
fn read_close(payload: &[u8]) -> Result<Option<u16>, FrameError> {
    match payload {
        [] => Ok(None),
        [_] => Err(FrameError::Protocol("half a close code")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            // RFC 6455, section 7.4, and the IANA registry of close codes.
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(FrameError::Protocol("the close code must not be sent"));
            }
            std::str::from_utf8(reason).map_err(|_| FrameError::NotUtf8)?;
            Ok(Some(code))
        }
    }
}

/// Appends `masked` to `target` in the clear, and turns `mask` to where the next piece begins.
fn append_unmasked(target: &mut Vec<u8>, masked: &[u8], mask: &mut [u8; 4]) {
    let start = target.len();
    target.extend_from_slice(masked);
    let word = u32::from_ne_bytes(*mask);
    let (words, tail) = target[start..].as_chunks_mut::<4>();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(*mask) {
        *byte ^= key;
    }
    mask.rotate_left(masked.len() % 4);
}

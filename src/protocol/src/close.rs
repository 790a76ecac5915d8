use std::fmt;

/// Why the server closed a socket: the close codes of RFC 6455 section 7.4 that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The client said goodbye and the server answers in kind.
    Normal = 1000,
    /// The server goes away; come back.
    GoingAway = 1001,
    /// The client broke the framing rules of RFC 6455.
    ProtocolError = 1002,
    /// A binary frame, which this protocol does not have.
    UnsupportedData = 1003,
    /// Text that is not UTF-8, or a frame that is no envelope.
    InvalidPayload = 1007,
    /// A rule was broken: an unknown command, too many commands, a session that ended, a reader too slow.
    PolicyViolation = 1008,
    /// A frame over the limit.
    MessageTooBig = 1009,
    /// The server failed.
    InternalError = 1011,
}

impl CloseCode {
    /// The number on the wire.
    pub fn as_u16(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_u16())
    }
}

use super::*;

const LIMIT: usize = 1000;
const MASK: [u8; 4] = [0x12, 0x9A, 0x00, 0xFF];

/// A client's frame, with `first` as its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(MASKED | short as u8),
        medium @ 126..=0xFFFF => {
            bytes.push(MASKED | 126);
            bytes.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(MASKED | 127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// What `bytes` say when they come in pieces of `step` bytes.
fn read_in_steps(bytes: &[u8], step: usize) -> Result<Vec<Message>, FrameError> {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for mut piece in bytes.chunks(step) {
        while let Some(message) = decoder.next(&mut piece, LIMIT)? {
            messages.push(message);
        }
        assert!(piece.is_empty(), "everything is taken");
    }
    Ok(messages)
}

/// The same whatever the pieces are.
fn read(frames: &[Vec<u8>]) -> Result<Vec<Message>, FrameError> {
    let bytes = frames.concat();
    let whole = read_in_steps(&bytes, bytes.len().max(1));
    for step in [1, 2, 3, 7, 64] {
        assert_eq!(read_in_steps(&bytes, step), whole, "in pieces of {step}");
    }
    whole
}

fn text(text: &str) -> Message {
    Message::Text(text.into())
}

const TEXT: u8 = FIN | 0x1;
const PING: u8 = FIN | 0x9;
const CLOSE: u8 = FIN | 0x8;

#[test]
fn messages_come_out_whole_however_they_were_sent() {
    let long = "x".repeat(LIMIT);
    let cases: Vec<(Vec<Vec<u8>>, Vec<Message>)> = vec![
        (vec![frame(TEXT, b"hi")], vec![text("hi")]),
        (vec![frame(TEXT, b"")], vec![text("")]),
        (
            vec![frame(TEXT, "grüße 🌍".as_bytes())],
            vec![text("grüße 🌍")],
        ),
        (
            vec![frame(TEXT, &[b'a'; 125])],
            vec![text(&"a".repeat(125))],
        ),
        (
            vec![frame(TEXT, &[b'a'; 126])],
            vec![text(&"a".repeat(126))],
        ),
        (vec![frame(TEXT, long.as_bytes())], vec![text(&long)]),
        (
            vec![frame(TEXT, b"a"), frame(TEXT, b"b")],
            vec![text("a"), text("b")],
        ),
        // Fragments, empty ones among them, and a character that is cut in two.
        (
            vec![frame(0x1, b"a"), frame(0x0, b""), frame(FIN, b"b")],
            vec![text("ab")],
        ),
        (
            vec![frame(0x1, &[0xC3]), frame(FIN, &[0xBC])],
            vec![text("ü")],
        ),
        (vec![frame(0x1, b""), frame(FIN, b"")], vec![text("")]),
        // Control frames between fragments.
        (
            vec![
                frame(0x1, b"a"),
                frame(PING, b"p"),
                frame(FIN | 0xA, b""),
                frame(FIN, b"b"),
            ],
            vec![Message::Ping(b"p".to_vec()), Message::Pong, text("ab")],
        ),
        (
            vec![frame(PING, &[7; 125])],
            vec![Message::Ping(vec![7; 125])],
        ),
        (vec![frame(CLOSE, b"")], vec![Message::Close(None)]),
        (
            vec![frame(CLOSE, b"\x03\xE8bye")],
            vec![Message::Close(Some(1000))],
        ),
        (
            vec![frame(CLOSE, b"\x0F\xA0")],
            vec![Message::Close(Some(4000))],
        ),
    ];
    for (sent, expected) in cases {
        assert_eq!(read(&sent), Ok(expected), "{sent:?}");
    }
}

#[test]
fn what_breaks_the_rules_is_refused_with_its_code() {
    let unmasked = vec![TEXT, 2, b'h', b'i'];
    let lengthy = |length: &[u8]| [&[TEXT], length, &MASK[..]].concat();
    let cases: Vec<(&str, Vec<Vec<u8>>, CloseCode)> = vec![
        (
            "reserved bit 1",
            vec![frame(TEXT | 0x40, b"")],
            CloseCode::ProtocolError,
        ),
        (
            "reserved bit 2",
            vec![frame(TEXT | 0x20, b"")],
            CloseCode::ProtocolError,
        ),
        (
            "reserved bit 3",
            vec![frame(TEXT | 0x10, b"")],
            CloseCode::ProtocolError,
        ),
        (
            "reserved data opcode",
            vec![frame(FIN | 0x3, b"")],
            CloseCode::ProtocolError,
        ),
        (
            "reserved control opcode",
            vec![frame(FIN | 0xB, b"")],
            CloseCode::ProtocolError,
        ),
        ("not masked", vec![unmasked], CloseCode::ProtocolError),
        (
            "fragmented ping",
            vec![frame(0x9, b"")],
            CloseCode::ProtocolError,
        ),
        (
            "long ping",
            vec![frame(PING, &[0; 126])],
            CloseCode::ProtocolError,
        ),
        (
            "long close",
            vec![frame(CLOSE, &[0; 126])],
            CloseCode::ProtocolError,
        ),
        (
            "nothing to continue",
            vec![frame(FIN, b"x")],
            CloseCode::ProtocolError,
        ),
        (
            "nothing to continue any more",
            vec![frame(0x1, b"a"), frame(FIN, b"b"), frame(FIN, b"c")],
            CloseCode::ProtocolError,
        ),
        (
            "a message inside another",
            vec![frame(0x1, b"a"), frame(TEXT, b"b")],
            CloseCode::ProtocolError,
        ),
        (
            "binary",
            vec![frame(FIN | 0x2, b"x")],
            CloseCode::UnsupportedData,
        ),
        (
            "16 bits for a short length",
            vec![lengthy(&[MASKED | 126, 0, 125])],
            CloseCode::ProtocolError,
        ),
        (
            "64 bits for a medium length",
            vec![lengthy(&[MASKED | 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF])],
            CloseCode::ProtocolError,
        ),
        (
            "a length with the highest bit",
            vec![lengthy(&[MASKED | 127, 0x80, 0, 0, 0, 0, 1, 0, 0])],
            CloseCode::ProtocolError,
        ),
        (
            "a length of 2^62",
            vec![lengthy(&[MASKED | 127, 0x40, 0, 0, 0, 0, 0, 0, 0])],
            CloseCode::MessageTooBig,
        ),
        (
            "one byte too many",
            vec![frame(TEXT, &[b'x'; LIMIT + 1])],
            CloseCode::MessageTooBig,
        ),
        (
            "one byte too many in fragments",
            vec![frame(0x1, &[b'x'; LIMIT]), frame(FIN, b"x")],
            CloseCode::MessageTooBig,
        ),
        (
            "bad UTF-8",
            vec![frame(TEXT, &[0xC3, 0x28])],
            CloseCode::InvalidPayload,
        ),
        (
            "a surrogate",
            vec![frame(TEXT, &[0xED, 0xA0, 0x80])],
            CloseCode::InvalidPayload,
        ),
        (
            "half a character",
            vec![frame(TEXT, &[0xE2, 0x82])],
            CloseCode::InvalidPayload,
        ),
        (
            "half a close code",
            vec![frame(CLOSE, &[3])],
            CloseCode::ProtocolError,
        ),
        (
            "close code 999",
            vec![frame(CLOSE, &999_u16.to_be_bytes())],
            CloseCode::ProtocolError,
        ),
        (
            "close code 1005",
            vec![frame(CLOSE, &1005_u16.to_be_bytes())],
            CloseCode::ProtocolError,
        ),
        (
            "close code 1006",
            vec![frame(CLOSE, &1006_u16.to_be_bytes())],
            CloseCode::ProtocolError,
        ),
        (
            "close code 1016",
            vec![frame(CLOSE, &1016_u16.to_be_bytes())],
            CloseCode::ProtocolError,
        ),
        (
            "close code 5000",
            vec![frame(CLOSE, &5000_u16.to_be_bytes())],
            CloseCode::ProtocolError,
        ),
        (
            "a reason that is no text",
            vec![frame(CLOSE, b"\x03\xE8\xFF")],
            CloseCode::InvalidPayload,
        ),
    ];
    for (name, sent, expected) in cases {
        let refused = read(&sent).map_err(|error| error.farewell().0);
        assert_eq!(refused, Err(expected), "{name}");
    }
}

#[test]
fn what_cannot_be_taken_is_refused_before_its_payload_comes() {
    let mut decoder = Decoder::default();
    let start = [TEXT, MASKED | 127, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(
        decoder.next(&mut &start[..], LIMIT),
        Err(FrameError::TooBig(LIMIT))
    );
    let mut decoder = Decoder::default();
    assert!(decoder.next(&mut &[FIN | 0x3, MASKED][..], LIMIT).is_err());
}

#[test]
fn an_idle_decoder_owns_nothing() {
    let mut decoder = Decoder::default();
    let bytes = [
        frame(TEXT, &[b'x'; 500]),
        frame(PING, &[0; 100]),
        frame(0x1, b""),
    ]
    .concat();
    let mut input = &bytes[..];
    while decoder
        .next(&mut input, LIMIT)
        .expect("good frames")
        .is_some()
    {}
    assert_eq!(
        (decoder.message.capacity(), decoder.control.capacity()),
        (0, 0)
    );
    assert_eq!(decoder.take_overhead(), 2);
}

#[test]
fn frames_of_the_server_have_the_shortest_header_and_no_mask() {
    assert_eq!(&write(Opcode::Text, b"hi")[..], b"\x81\x02hi");
    assert_eq!(&write(Opcode::Text, &[0; 126])[..4], b"\x81\x7E\x00\x7E");
    assert_eq!(
        &write(Opcode::Text, &[0; 65_536])[..10],
        b"\x81\x7F\0\0\0\0\0\x01\0\0"
    );
    assert_eq!(&event("a", "{}")[2..], br#"{"v":1,"t":"a","d":{}}"#);
    assert_eq!(&ping()[..], b"\x89\x00");
    assert_eq!(&pong(b"x")[..], b"\x8A\x01x");
    assert_eq!(&close(None, "")[..], b"\x88\x00");
    assert_eq!(&close(Some(1001), "bye")[..], b"\x88\x05\x03\xE9bye");
    let cut = close(Some(1007), &"ü".repeat(100));
    assert_eq!(cut[1], 124, "a reason is cut between characters");
}

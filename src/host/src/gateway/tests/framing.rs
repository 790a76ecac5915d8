use super::*;

#[tokio::test]
async fn whoever_breaks_a_rule_is_told_which_and_hung_up_on() {
    let long = vec![b'x'; 70_000];
    let envelope = br#"{"v":1,"t":"unheard_of","d":{}}"#;
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (
            vec![0x81, 0x02, b'h', b'i'],
            1002,
            "a client's frame is not masked",
        ),
        (masked(0xC1, b"x"), 1002, "a reserved bit is set"),
        (masked(0x83, b"x"), 1002, "an opcode is reserved"),
        (masked(0x80, b"x"), 1002, "there is nothing to continue"),
        (masked(0x09, b""), 1002, "a control frame is fragmented"),
        (masked(0x88, &[1]), 1002, "half a close code"),
        (masked(0x82, b"x"), 1003, "only text is spoken here"),
        (masked(0x81, &[0xFF]), 1007, "the text is not UTF-8"),
        (
            masked(0x81, b"hello"),
            1007,
            "the frame is not an envelope: expected value at line 1 column 1",
        ),
        (
            masked(0x81, br#"{"v":3,"t":"a","d":{}}"#),
            1007,
            "version 3 is not spoken here, only 1",
        ),
        (
            masked(0x81, br#"{"v":1,"t":"A","d":{}}"#),
            1007,
            "`t` must be 1 to 64 characters of [a-z0-9_.]",
        ),
        (
            masked(0x81, envelope),
            1008,
            "there is no command unheard_of",
        ),
        (
            masked(0x81, &long),
            1009,
            "a frame may have at most 65536 bytes",
        ),
    ];
    let world = World::new(|_| {});
    for (sent, code, reason) in cases {
        let mut client = world.opened(user(1)).await;
        client.send_raw(&sent).await;
        assert_eq!(client.is_closed().await, (code, reason.to_owned()));
        drop(client);
        world.until_empty().await;
    }
}

#[tokio::test]
async fn a_goodbye_is_answered_with_its_code() {
    let world = World::new(|_| {});
    for (payload, expected) in [
        (&b""[..], None),
        (b"\x03\xE8bye", Some(1000)),
        (b"\x0F\xA1", Some(4001)),
    ] {
        let mut client = world.opened(user(1)).await;
        client.send_frame(0x88, payload).await;
        assert_eq!(client.hear().await, Heard::Close(expected, String::new()));
        assert_eq!(client.hear().await, Heard::End);
    }
}

#[tokio::test]
async fn fragments_with_a_ping_between_make_one_command() {
    let world = World::new(|_| {});
    world.offers("echo", || {
        Lookup::Run(Arc::new(Does(|socket, data| {
            Box::pin(async move {
                socket.send("echo", data.get());
                Ok(())
            })
        })))
    });
    let mut client = world.opened(user(1)).await;
    client.send_frame(0x01, br#"{"v":1,"t":"echo","#).await;
    client.send_frame(0x89, b"p").await;
    client.send_frame(0x80, br#""d":{"a":1}}"#).await;
    assert_eq!(client.hear().await, Heard::Pong(b"p".to_vec()));
    assert_eq!(
        client.event().await,
        ("echo".to_owned(), serde_json::json!({"a": 1}))
    );
}

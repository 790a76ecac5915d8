//! Limits on the wire: how much is too much, and how that is told.

use std::time::Duration;

use filament_test_support::{
    GatewayClient, Person, Server, Visibility, gateway::Frame, on_both_databases,
};
use serde_json::json;

on_both_databases!(
    a_socket_that_breaks_the_rules_is_closed_with_a_code_and_a_reason,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let oversized = format!(
            r#"{{"v":1,"t":"subscribe","d":{{"x":"{}"}}}}"#,
            "x".repeat(64 * 1024)
        );
        let frames = [
            (Frame::text("hello"), 1007),
            (Frame::text(r#"{"v":1,"t":"subscribe"}"#), 1007),
            (Frame::text(r#"{"v":1,"t":"subscribe","d":{},"x":1}"#), 1007),
            (Frame::text(r#"{"v":1,"v":1,"t":"subscribe","d":{}}"#), 1007),
            (Frame::text(r#"{"v":2,"t":"subscribe","d":{}}"#), 1007),
            (Frame::text(r#"{"v":1,"t":"Subscribe","d":{}}"#), 1007),
            (Frame::text(r#"{"v":1,"t":"subscribe","d":[]}"#), 1007),
            (Frame::text(r#"{"v":1,"t":"unheard_of","d":{}}"#), 1008),
            (Frame::text(oversized), 1009),
            (Frame::binary(vec![1, 2, 3]), 1003),
        ];
        for (frame, code) in frames {
            let mut socket = ada.listen().await;
            let told = frame
                .to_text()
                .unwrap_or("binary")
                .chars()
                .take(80)
                .collect::<String>();
            socket.send_frame(frame).await;
            let closed = socket.closed().await;
            assert_eq!(closed.code, code, "{told}: {closed:?}");
            assert!(!closed.reason.is_empty(), "{told}: {closed:?}");
        }
        // Others notice nothing of it, and a command of the wrong shape is only refused.
        let mut socket = ada.listen().await;
        socket.send("subscribe", json!({ "guild_id": 7 })).await;
        let refused = socket.expect("error").await;
        assert_eq!(refused.data["code"], "invalid_request");
        assert_eq!(refused.data["command"], "subscribe");
        socket.expect_silence().await;
    }
);

on_both_databases!(too_many_commands_close_the_socket, async |backend| {
    let server = Server::builder(backend)
        .env("FILAMENT_GATEWAY_INGRESS_EVENTS_PER_WINDOW", 10)
        .env("FILAMENT_GATEWAY_INGRESS_WINDOW_SECS", 60)
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Private).await;
    let channel = ada.open_channel(&guild, "general").await;
    let mut socket = ada.listen().await;
    for _ in 0..10 {
        socket.subscribe(&guild, &channel).await;
    }
    socket
        .send(
            "subscribe",
            json!({ "guild_id": guild.guild_id, "channel_id": channel.channel_id }),
        )
        .await;
    assert_eq!(socket.closed().await.code, 1008);
    // The limit is the connection's.
    ada.listen_in(&guild, &channel).await;
});

on_both_databases!(requests_are_limited_for_each_address, async |backend| {
    let server = Server::builder(backend)
        .env("FILAMENT_RATE_LIMIT_REQUESTS_PER_MINUTE", 30)
        .start()
        .await;
    let api = server.api();
    let first = api.get("/auth/me").await;
    assert!(
        !first.header("ratelimit").is_empty() && !first.header("ratelimit-policy").is_empty(),
        "{first:?}"
    );
    let mut refused = 0;
    for _ in 0..40 {
        let answer = api.get("/auth/me").await;
        if answer.status == 429 {
            answer.expect_error(429, "rate_limited");
            refused += 1;
        }
    }
    assert!(
        (8..=11).contains(&refused),
        "{refused} of 41 refused where 30 are allowed at once"
    );
    api.get("/health").await.expect(200);
});

on_both_databases!(each_auth_route_has_a_limit_of_its_own, async |backend| {
    let server = Server::builder(backend)
        .env("FILAMENT_AUTH_ROUTE_REQUESTS_PER_MINUTE", 5)
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let wrong = json!({ "username": "nobody", "password": "not the password" });
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(server.api().post("/auth/login", &wrong).await.status);
    }
    assert_eq!(answers[..4], [401; 4]);
    assert_eq!(answers[5..], [429; 2], "{answers:?}");
    ada.api.get("/guilds").await.expect(200);
    let bob = json!({ "username": "bob", "password": "correct horse battery staple" });
    server.api().post("/auth/register", bob).await.expect(200);
});

on_both_databases!(
    a_limit_announces_itself_also_where_the_answer_is_a_refusal,
    async |backend| {
        let server = Server::builder(backend)
            .env("FILAMENT_AUTH_ROUTE_REQUESTS_PER_MINUTE", 5)
            .env("FILAMENT_RATE_LIMIT_REQUESTS_PER_MINUTE", 1000)
            .env("FILAMENT_SOCIAL__FRIEND_REQUESTS_PER_MINUTE_PER_USER", 1)
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let (route, address) = ("\"route\";q=5;w=60", "\"address\";q=1000;w=60");
        let wrong = json!({ "username": "nobody", "password": "not the password" });
        let mut left = Vec::new();
        let refused = loop {
            let answer = server.api().post("/auth/login", &wrong).await;
            let policies = format!("{route}, {address}");
            assert_eq!(answer.header("ratelimit-policy"), policies, "{answer:?}");
            let first = answer.header("ratelimit").split(';').nth(1);
            left.push(first.map(str::to_string));
            if answer.status != 401 {
                break answer.expect_error(429, "rate_limited");
            }
        };
        assert!(left.is_sorted_by(|a, b| a >= b), "{left:?}");
        assert!(
            refused.header("ratelimit").starts_with("\"route\";r=0;t="),
            "{refused:?}"
        );

        let request = json!({ "recipient_user_id": bob.user_id });
        let first = ada.api.post("/friends/requests", &request).await;
        assert_eq!(first.header("ratelimit-policy"), address);
        let second = ada.api.post("/friends/requests", &request).await;
        let second = second.expect_error(429, "rate_limited");
        assert_eq!(
            second.header("ratelimit-policy"),
            format!("\"operation\";q=1;w=60, {address}")
        );
        let told = second.header("ratelimit");
        let wait = second.header("retry-after");
        assert!(
            told.starts_with(&format!("\"operation\";r=0;t={wait}, ")),
            "{told}"
        );
    }
);

on_both_databases!(a_user_founds_only_so_many_guilds, async |backend| {
    let server = Server::builder(backend)
        .env("FILAMENT_MAX_CREATED_GUILDS_PER_USER", 3)
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    for number in 0..3 {
        ada.found_guild(&format!("guild {number}"), Visibility::Private)
            .await;
    }
    let fourth = ada.api.post("/guilds", json!({ "name": "one more" })).await;
    fourth.expect_error(403, "guild_creation_limit_reached");
    assert_eq!(ada.guilds().await.len(), 3);
});

on_both_databases!(a_user_has_only_so_many_sockets, async |backend| {
    let server = Server::builder(backend)
        .env("FILAMENT_GATEWAY__MAX_SOCKETS_PER_USER", 2)
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let first = ada.listen().await;
    let _second = ada.listen().await;
    let bearer = format!("Bearer {}", ada.session.access_token);
    let third = GatewayClient::refused(&server.api(), "", &[("authorization", &bearer)]).await;
    assert_eq!(third.status, 429, "{third:?}");
    let _of_bob = bob.listen().await;
    first.close().await;
    // The farewell is heard a moment before the place is free.
    let gone = async {
        let sockets = "filament_gateway_sockets 2\n";
        while !server.api().get("/metrics").await.text.contains(sockets) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(10), gone).await;
    gone.expect("the socket is forgotten");
    ada.listen().await;
});

//! What nobody and strangers get: nothing, always in the same words and the same shape.

use filament_test_support::{
    Answer, Api, GatewayClient, Person, Server, Visibility,
    http::Method,
    on_both_databases,
    people::{ChannelKind, messages_of},
};
use serde_json::{Value, json};

/// An id that nothing has.
const NOTHING: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// The routes below a guild, and a good body where one is taken.
fn routes(guild: &str, channel: &str) -> Vec<(Method, String, Option<Value>)> {
    vec![
        (Method::GET, format!("/guilds/{guild}/members"), None),
        (Method::GET, format!("/guilds/{guild}/channels"), None),
        (
            Method::POST,
            format!("/guilds/{guild}/channels"),
            Some(json!({ "name": "mine" })),
        ),
        (
            Method::GET,
            format!("/guilds/{guild}/channels/{channel}/permissions/self"),
            None,
        ),
        (
            Method::GET,
            format!("/guilds/{guild}/channels/{channel}/messages"),
            None,
        ),
        (
            Method::POST,
            format!("/guilds/{guild}/channels/{channel}/messages"),
            Some(json!({ "content": "hello" })),
        ),
        (
            Method::PATCH,
            format!("/guilds/{guild}/channels/{channel}/messages/{NOTHING}"),
            Some(json!({ "content": "hello" })),
        ),
        (
            Method::DELETE,
            format!("/guilds/{guild}/channels/{channel}/messages/{NOTHING}"),
            None,
        ),
        (
            Method::POST,
            format!("/guilds/{guild}/channels/{channel}/messages/{NOTHING}/reactions/a"),
            None,
        ),
        (
            Method::DELETE,
            format!("/guilds/{guild}/channels/{channel}/messages/{NOTHING}/reactions/a"),
            None,
        ),
    ]
}

async fn ask(api: &Api, (method, path, body): &(Method, String, Option<Value>)) -> Answer {
    let request = api.request(method.clone(), path);
    api.send(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

on_both_databases!(
    what_a_stranger_may_not_see_is_the_same_as_what_does_not_exist,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let eve = Person::register(&server, "eve").await;
        // A guild in the directory can be joined, and before that it is as closed as any.
        for visibility in [Visibility::Private, Visibility::Public] {
            let guild = ada.found_guild("engines", visibility).await;
            let channel = ada.open_channel(&guild, "general").await;
            let hidden = routes(&guild.guild_id, &channel.channel_id);
            let absent = routes(NOTHING, NOTHING);
            for (hidden, absent) in hidden.iter().zip(&absent) {
                let hidden = ask(&eve.api, hidden).await.expect_error(404, "not_found");
                let absent = ask(&eve.api, absent).await.expect_error(404, "not_found");
                assert_eq!(hidden.message(), absent.message());
            }
        }
        let private = ada.found_guild("secret", Visibility::Private).await;
        for guild in [private.guild_id.as_str(), NOTHING] {
            let join = format!("/guilds/{guild}/join");
            eve.api
                .post_nothing(&join)
                .await
                .expect_error(404, "not_found");
        }
        assert!(eve.guilds().await.is_empty());

        // A channel of another guild is none of this one.
        let one = ada.found_guild("one", Visibility::Private).await;
        let other = ada.found_guild("other", Visibility::Private).await;
        let channel = ada.open_channel(&other, "general").await;
        ada.api
            .get(&messages_of(&one, &channel))
            .await
            .expect_error(404, "not_found");
    }
);

on_both_databases!(without_a_good_token_nothing_is_answered, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Public).await;
    let channel = ada.open_channel(&guild, "general").await;
    let mut routes = routes(&guild.guild_id, &channel.channel_id);
    routes.push((Method::GET, "/guilds".to_owned(), None));
    routes.push((
        Method::POST,
        "/guilds".to_owned(),
        Some(json!({ "name": "mine" })),
    ));
    routes.push((
        Method::POST,
        format!("/guilds/{}/join", guild.guild_id),
        None,
    ));
    routes.push((Method::GET, "/auth/me".to_owned(), None));
    routes.push((Method::GET, "/auth/sessions".to_owned(), None));
    routes.push((Method::DELETE, "/auth/sessions".to_owned(), None));
    routes.push((Method::DELETE, format!("/auth/sessions/{NOTHING}"), None));
    routes.push((
        Method::POST,
        "/auth/password".to_owned(),
        Some(json!({ "current_password": "x", "new_password": "another good password" })),
    ));
    let changed = format!(
        "{}A",
        &ada.session.access_token[..ada.session.access_token.len() - 1]
    );
    let nobody = server.api();
    let callers = [
        nobody.clone(),
        nobody.with_token("nonsense"),
        nobody.with_token(&changed[..changed.len() - 8]),
        nobody.with_token(&ada.session.refresh_token),
    ];
    let mut messages = Vec::new();
    for caller in &callers {
        for route in &routes {
            let answer = ask(caller, route)
                .await
                .expect_error(401, "invalid_credentials");
            messages.push(answer.message().to_owned());
        }
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "always the same words: {messages:?}");

    let token = ada.session.access_token.as_str();
    for (query, header) in [
        (String::new(), None),
        (String::new(), Some("Bearer nonsense".to_owned())),
        (String::new(), Some(format!("Basic {token}"))),
        ("?access_token=".to_owned(), None),
        ("?access_token=nonsense".to_owned(), None),
        (format!("?token={token}"), None),
    ] {
        let headers: Vec<(&str, &str)> = header
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        GatewayClient::refused(&nobody, &query, &headers)
            .await
            .expect_error(401, "invalid_credentials");
    }
    // A browser that runs somebody else's page.
    let bearer = format!("Bearer {token}");
    GatewayClient::refused(
        &nobody,
        "",
        &[
            ("authorization", &bearer),
            ("origin", "https://evil.example"),
        ],
    )
    .await
    .expect_error(403, "forbidden");
    // A plain request is no socket.
    let plain = ada.api.get("/gateway/ws").await;
    assert!((400..500).contains(&plain.status), "{plain:?}");

    let mut socket = GatewayClient::connect_by_query(&ada.api).await;
    assert_eq!(socket.expect("ready").await.data["user_id"], *ada.user_id);
});

on_both_databases!(
    subscribing_to_what_is_hidden_is_passed_over,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let mut ears = eve.listen().await;
        for (guild, channel) in [
            (guild.guild_id.as_str(), channel.channel_id.as_str()),
            (NOTHING, NOTHING),
        ] {
            ears.send(
                "subscribe",
                json!({ "guild_id": guild, "channel_id": channel }),
            )
            .await;
        }
        ada.say(&guild, &channel, "a secret").await;
        ears.expect_silence().await;

        // Speaking there is refused, and the socket stays.
        ears.say(&guild, &channel, "let me in").await;
        let refused = ears.expect("error").await;
        assert_eq!(refused.data["code"], "not_found");
        assert_eq!(refused.data["command"], "message_create");
        assert_eq!(ada.history(&guild, &channel).await.len(), 1);

        eve.join(&guild).await;
        ears.subscribe(&guild, &channel).await;
        let said = ada.say(&guild, &channel, "welcome").await;
        assert_eq!(
            ears.next_named("message_create").await.data["message_id"],
            *said.message_id
        );
    }
);

on_both_databases!(every_failure_has_the_same_shape, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let api = &ada.api;
    let text = |method: Method, path: &str, kind: &str, body: &str| {
        let request = api
            .request(method, path)
            .header("content-type", kind)
            .body(body.to_owned());
        api.send(request)
    };
    let json_kind = "application/json";

    api.get("/nowhere").await.expect_error(404, "not_found");
    api.get("/guilds/not-an-id/channels")
        .await
        .expect_error(400, "invalid_request");
    api.get("/guilds/").await.expect_error(404, "not_found");
    api.delete("/auth/me")
        .await
        .expect_error(405, "method_not_allowed");
    api.delete("/health")
        .await
        .expect_error(405, "method_not_allowed");
    api.get(&format!(
        "/guilds/{NOTHING}/channels/{NOTHING}/messages?limit=many"
    ))
    .await
    .expect_error(400, "invalid_request");
    for body in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"name":"a","size":1}"#,
        r#"{"name":"a","name":"b"}"#,
        r#"{"name":"a"} {}"#,
        r#"{"name":"a\u0000b"}"#,
        r#"{"name":"\ud800"}"#,
        r#"{"name":"   "}"#,
        r#"{"name":"a","visibility":"open"}"#,
    ] {
        text(Method::POST, "/guilds", json_kind, body)
            .await
            .expect_error(400, "invalid_request");
    }
    text(Method::POST, "/guilds", "text/plain", r#"{"name":"a"}"#)
        .await
        .expect_error(415, "unsupported_media_type");
    server
        .api()
        .post("/echo", json!({ "message": "" }))
        .await
        .expect_error(400, "invalid_request");
    let echo = server
        .api()
        .post("/echo", json!({ "message": "hello" }))
        .await
        .expect(200);
    assert_eq!(echo.body, json!({ "message": "hello" }));
    let health = server.api().get("/health").await.expect(200);
    assert_eq!(health.body["status"], "ok");
    assert!(ada.guilds().await.is_empty());
});

on_both_databases!(texts_keep_to_their_bounds, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild(&"g".repeat(64), Visibility::Private).await;
    let channel = ada.open_channel(&guild, &"c".repeat(64)).await;
    let messages = messages_of(&guild, &channel);
    let channels = format!("/guilds/{}/channels", guild.guild_id);
    for name in [String::new(), " \t ".to_owned(), "x".repeat(65)] {
        ada.api
            .post("/guilds", json!({ "name": name }))
            .await
            .expect_error(400, "invalid_request");
        ada.api
            .post(&channels, json!({ "name": name }))
            .await
            .expect_error(400, "invalid_request");
    }
    // Lengths are those of UTF-16: this character counts twice.
    ada.say(&guild, &channel, &"x".repeat(2_000)).await;
    ada.say(&guild, &channel, &"\u{1F600}".repeat(1_000)).await;
    for content in [
        String::new(),
        "x".repeat(2_001),
        format!("{}x", "\u{1F600}".repeat(1_000)),
    ] {
        ada.api
            .post(&messages, json!({ "content": content }))
            .await
            .expect_error(400, "invalid_request");
    }
    for limit in ["0", "-1", "1e3"] {
        ada.api
            .get(&format!("{messages}?limit={limit}"))
            .await
            .expect_error(400, "invalid_request");
    }
    ada.api
        .post(&channels, json!({ "name": "a", "kind": "party" }))
        .await
        .expect_error(400, "invalid_request");
    let default = ada
        .api
        .post("/guilds", json!({ "name": "quiet" }))
        .await
        .expect(200);
    assert_eq!(default.body["visibility"], "private");
    let default = ada
        .api
        .post(&channels, json!({ "name": "quiet" }))
        .await
        .expect(200);
    assert_eq!(default.body["kind"], json!(ChannelKind::Text));
});

// The document says `string`, and clients are written after the document.
on_both_databases!(a_number_is_no_text, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    for name in [json!(7), json!(true), json!(null), json!(["a"])] {
        ada.api
            .post("/guilds", json!({ "name": name }))
            .await
            .expect_error(400, "invalid_request");
    }
    assert!(ada.guilds().await.is_empty());
});

// A client that is still sending must get the answer too, and not a broken connection.
on_both_databases!(whoever_sends_too_much_is_told_so, async |backend| {
    let server = Server::start(backend).await;
    for _ in 0..50 {
        // The connection is one that is kept alive.
        server.api().get("/health").await.expect(200);
        let message = "x".repeat(1024 * 1024);
        let answer = server
            .api()
            .post("/echo", json!({ "message": message }))
            .await;
        answer.expect_error(413, "payload_too_large");
    }
});

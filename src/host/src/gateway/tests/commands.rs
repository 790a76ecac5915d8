use filament_kernel::ErrorCode;

use super::*;

fn refusal(code: &str, message: &str, command: &str) -> (String, serde_json::Value) {
    let data = serde_json::json!({"code": code, "message": message, "command": command});
    ("error".to_owned(), data)
}

#[tokio::test]
async fn a_refused_command_is_told_and_the_socket_stays() {
    let world = World::new(|_| {});
    world.offers("off", || Lookup::Disabled { module: "chat" });
    world.offers("away", || Lookup::Unavailable { module: "chat" });
    world.offers("forbidden", || {
        Lookup::Run(Arc::new(Does(|_, _| {
            Box::pin(async { Err(ApiError::forbidden("not you").caused_by("a secret")) })
        })))
    });
    world.offers("panics", || {
        Lookup::Run(Arc::new(Does(|_, _| panic!("a secret"))))
    });
    world.offers("echo", || {
        Lookup::Run(Arc::new(Does(|socket, data| {
            Box::pin(async move {
                socket.send("echo", data.get());
                Ok(())
            })
        })))
    });
    let mut client = world.opened(user(1)).await;
    let cases = [
        (
            "off",
            refusal("module_disabled", "the module chat is switched off", "off"),
        ),
        (
            "away",
            refusal(
                "service_unavailable",
                "the module chat is away for now",
                "away",
            ),
        ),
        (
            "forbidden",
            refusal(ErrorCode::FORBIDDEN.word, "not you", "forbidden"),
        ),
        (
            "panics",
            refusal(
                "internal_error",
                "the server failed to answer this request",
                "panics",
            ),
        ),
        ("echo", ("echo".to_owned(), serde_json::json!({}))),
    ];
    for (command, expected) in cases {
        client.send(command, "{}").await;
        assert_eq!(client.event().await, expected, "{command}");
    }
}

#[tokio::test]
async fn commands_run_one_after_the_other_and_hold_nothing_else_up() {
    static GO_ON: Semaphore = Semaphore::const_new(0);
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1)]);
    world.offers("wait", || {
        Lookup::Run(Arc::new(Does(|socket, data| {
            Box::pin(async move {
                GO_ON.acquire().await.map_err(ApiError::internal)?.forget();
                socket.send("event", data.get());
                Ok(())
            })
        })))
    });
    let mut client = world.opened(user(1)).await;
    client.send("wait", r#"{"number":2}"#).await;
    client.send("wait", r#"{"number":3}"#).await;
    client.send_frame(0x89, b"still there?").await;
    assert_eq!(client.hear().await, Heard::Pong(b"still there?".to_vec()));
    world.hub.deliver(&[event(guild(1), 1)]);
    client.hears([1]).await;
    client.is_silent().await;
    GO_ON.add_permits(1);
    client.hears([2]).await;
    client.is_silent().await;
    GO_ON.add_permits(1);
    client.hears([3]).await;
}

#[tokio::test]
async fn what_was_said_before_a_goodbye_is_done() {
    static DONE: Semaphore = Semaphore::const_new(0);
    let world = World::new(|_| {});
    world.offers("do", || {
        Lookup::Run(Arc::new(Does(|_, _| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                DONE.add_permits(1);
                Ok(())
            })
        })))
    });
    let mut client = world.opened(user(1)).await;
    for _ in 0..2 {
        client.send("do", "{}").await;
    }
    client.send_frame(0x88, &1000_u16.to_be_bytes()).await;
    assert_eq!(client.hear().await, Heard::Close(Some(1000), String::new()));
    assert_eq!(client.hear().await, Heard::End);
    let done = timeout(5 * SECOND, DONE.acquire_many(2)).await;
    assert!(done.is_ok(), "both commands were carried out");
}

#[tokio::test]
async fn too_many_commands_close_the_socket() {
    let world = World::new(|settings| settings.ingress_events_per_window = 5);
    world.offers("nothing", || {
        Lookup::Run(Arc::new(Does(|_, _| Box::pin(async { Ok(()) }))))
    });
    let mut client = world.opened(user(1)).await;
    for _ in 0..5 {
        client.send("nothing", "{}").await;
    }
    client.is_silent().await;
    client.send("nothing", "{}").await;
    assert_eq!(
        client.is_closed().await,
        (1008, "too many commands".to_owned())
    );

    let mut client = world.opened(user(1)).await;
    client.send_raw(&masked(0x89, b"").repeat(81)).await;
    loop {
        match client.hear().await {
            Heard::Pong(_) => {}
            other => {
                assert_eq!(
                    other,
                    Heard::Close(Some(1008), "too many frames".to_owned())
                );
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_sends_more_than_is_done_is_not_read_for_a_while() {
    static GO_ON: Semaphore = Semaphore::const_new(0);
    let world = World::new(|settings| settings.max_frame_bytes = 8192);
    world.offers("wait", || {
        Lookup::Run(Arc::new(Does(|socket, _| {
            Box::pin(async move {
                GO_ON.acquire().await.map_err(ApiError::internal)?.forget();
                socket.send("done", "{}");
                Ok(())
            })
        })))
    });
    let mut client = world.opened(user(1)).await;
    let data = format!(r#"{{"text":"{}"}}"#, "x".repeat(4000));
    let sending = async {
        for _ in 0..12 {
            client.send("wait", &data).await;
        }
    };
    assert!(timeout(Duration::from_millis(200), sending).await.is_err());
    GO_ON.add_permits(100);
    assert_eq!(client.event().await.0, "done");
}

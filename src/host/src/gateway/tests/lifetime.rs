use filament_kernel::gateway::Gateway;
use filament_protocol::CloseCode;

use super::*;

#[tokio::test]
async fn a_silent_peer_is_pinged_and_then_closed() {
    let world = World::new(|settings| {
        settings.ping_interval = Duration::from_millis(50);
        settings.pong_timeout = Duration::from_millis(300);
    });
    let mut client = world.opened(user(1)).await;
    for _ in 0..3 {
        assert_eq!(client.hear().await, Heard::Ping);
        client.send_frame(0x8A, b"").await;
    }
    assert_eq!(client.hear().await, Heard::Ping);
    assert_eq!(
        client.is_closed().await,
        (1008, "no answer to a ping".to_owned())
    );
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_given_up() {
    let world = World::new(|settings| settings.write_timeout = Duration::from_millis(100));
    world.names(user(1), &[guild(1)]);
    let client = world.opened(user(1)).await;
    let large = Delivery {
        data: format!(r#"{{"text":"{}"}}"#, "x".repeat(2 * PIPE)).into(),
        ..event(guild(1), 0)
    };
    world.hub.deliver(&[large]);
    world.until_empty().await;
    drop(client);
}

#[tokio::test]
async fn a_peer_that_does_not_answer_a_goodbye_is_not_waited_for() {
    let world = World::new(|_| {});
    let mut client = world.opened(user(1)).await;
    world
        .hub
        .end_session(World::caller(user(1)).session_id, "logged out");
    assert_eq!(
        client.hear().await,
        Heard::Close(Some(1008), "logged out".to_owned())
    );
    assert_eq!(client.hear().await, Heard::End);
}

#[tokio::test]
async fn a_session_that_ended_has_no_sockets_and_gets_none() {
    let world = World::new(|_| {});
    let (mut one, mut other) = (world.opened(user(1)).await, world.opened(user(2)).await);
    world
        .hub
        .end_session(World::caller(user(1)).session_id, "logged out");
    assert_eq!(one.is_closed().await, (1008, "logged out".to_owned()));
    let late = world
        .try_open(user(1))
        .map(|_| ())
        .expect_err("the session is over");
    assert_eq!(late.code().status, 401);
    other.is_silent().await;
}

#[tokio::test]
async fn a_key_that_is_trusted_no_more_has_no_sockets_and_gets_none() {
    let world = World::new(|_| {});
    let (mut one, mut other) = (world.opened(user(1)).await, world.opened(user(2)).await);
    world.loses_key_of(user(1));
    world.hub.modules_changed(&[], &[], 2);
    assert_eq!(one.is_closed().await.0, 1008);
    let late = world
        .try_open(user(1))
        .map(|_| ())
        .expect_err("the key is lost");
    assert_eq!(late.code().status, 401);
    other.is_silent().await;
    assert_eq!(world.hub.open_sockets(), 1);
}

#[tokio::test]
async fn there_is_a_limit_for_a_user_and_for_an_address() {
    let world = World::new(|settings| {
        settings.max_sockets_per_user = 2;
        settings.max_sockets_per_ip = 3;
    });
    let _open = (world.opened(user(1)).await, world.opened(user(1)).await);
    let refused = world
        .try_open(user(1))
        .map(|_| ())
        .expect_err("too many of one user");
    assert_eq!(
        refused.message(),
        "at most 2 sockets may be open for one user"
    );
    let third = world.opened(user(2)).await;
    let refused = world
        .try_open(user(3))
        .map(|_| ())
        .expect_err("too many of one address");
    assert_eq!(
        refused.message(),
        "at most 3 sockets may be open for one address"
    );
    assert_eq!(
        (refused.code().status, refused.wait().is_some()),
        (429, true)
    );
    drop(third);
    world
        .until("there is room", |world| world.hub.open_sockets() == 2)
        .await;
    world.opened(user(3)).await;
    assert!(world.hub.directory.get(user(4)).is_none());
}

#[tokio::test]
async fn a_server_that_stops_says_so_after_everything_else_and_lets_nobody_in() {
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1)]);
    let (mut one, mut other) = (world.opened(user(1)).await, world.opened(user(1)).await);
    world.hub.deliver(&[event(guild(1), 1)]);
    let closing = world
        .hub
        .close_all(CloseCode::GoingAway, "the server stops", 5 * SECOND);
    let goodbyes = async {
        for client in [&mut one, &mut other] {
            client.hears([1]).await;
            assert_eq!(
                client.is_closed().await,
                (1001, "the server stops".to_owned())
            );
        }
    };
    tokio::join!(closing, goodbyes);
    assert_eq!(world.hub.open_sockets(), 0);
    let refused = world
        .try_open(user(1))
        .map(|_| ())
        .expect_err("the server stops");
    assert_eq!(refused.code().status, 503);
}

#[tokio::test]
async fn an_audience_that_fails_costs_the_socket_and_nothing_else() {
    let world = World::new(|_| {});
    world.module.answers.close();
    let mut client = world.open(user(1));
    assert_eq!(client.is_closed().await.0, 1011);
    world.until_empty().await;
}

#[test]
fn the_task_of_a_socket_is_small() {
    fn size<A, B, F: Future>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }
    let sizes = [
        size(super::super::serve),
        size(connection::run::<DuplexStream>),
    ];
    assert!(sizes.iter().all(|size| *size < 2048), "{sizes:?} bytes");
    assert!(size_of::<super::super::socket::Socket>() < 512);
}

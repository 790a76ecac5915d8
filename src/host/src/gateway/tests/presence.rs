use filament_kernel::gateway::Gateway;

use super::*;

#[tokio::test]
async fn presence_is_told_for_the_first_socket_and_after_the_last() {
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1)]);
    let first = world.opened(user(1)).await;
    let second = world.opened(user(1)).await;
    drop(first);
    world
        .until("one is left", |world| world.hub.open_sockets() == 1)
        .await;
    assert!(world.hub.is_online(user(1)));
    drop(second);
    world.until_empty().await;
    world
        .until("both were told", |world| world.presence().len() == 2)
        .await;
    // A user's own stream is always among those that they follow.
    let followed = vec![guild(1), Stream::User(user(1))];
    assert_eq!(
        world.presence(),
        [
            (user(1), true, followed.clone()),
            (user(1), false, followed)
        ]
    );
    assert!(!world.hub.is_online(user(1)));
}

#[tokio::test]
async fn a_reload_within_the_grace_time_is_no_departure() {
    let world = World::new(|settings| settings.offline_grace = 3600 * SECOND);
    world.names(user(1), &[guild(1)]);
    drop(world.opened(user(1)).await);
    world
        .until("the socket is gone", |world| world.hub.open_sockets() == 0)
        .await;
    assert!(world.hub.is_online(user(1)));
    assert_eq!(world.hub.followers(guild(1), 10), [user(1)]);
    // Events of the grace time count: here the user is admitted to another guild.
    world.hub.deliver(&[Delivery {
        admits: Some(user(1)),
        ..event(guild(2), 0)
    }]);
    world.names(user(1), &[guild(1), guild(2)]);
    let mut again = world.opened(user(1)).await;
    world.hub.deliver(&[event(guild(2), 1)]);
    again.hears([1]).await;
    drop(again);
    world
        .until("the socket is gone", |world| world.hub.open_sockets() == 0)
        .await;
    // In the guild that they were admitted to they are online; nobody has left.
    assert_eq!(world.presence()[1..], [(user(1), true, vec![guild(2)])]);

    // A shorter grace time holds for those who are leaving already.
    world.settings.store(Arc::new(settings()));
    world
        .until("the user has left", |world| world.presence().len() == 3)
        .await;
    let followed = vec![guild(1), guild(2), Stream::User(user(1))];
    assert_eq!(world.presence()[2], (user(1), false, followed));
    world.until_empty().await;
}

#[tokio::test]
async fn who_never_got_ready_was_never_there() {
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1)]);
    world.module.answers.forget_permits(usize::MAX);
    let client = world.open(user(1));
    world.module.asked.acquire().await.expect("open").forget();
    assert!(!world.hub.is_online(user(1)));
    drop(client);
    world.until_empty().await;
    assert_eq!(world.presence(), []);
}

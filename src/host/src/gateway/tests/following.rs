use filament_kernel::{
    gateway::Gateway,
    log::{Effect, Judge},
};

use super::*;

#[tokio::test]
async fn ready_comes_first_and_events_in_order() {
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1)]);
    let mut client = world.open(user(1));
    world.hub.deliver(&[event(guild(1), 0)]);
    let (name, data) = client.event().await;
    assert_eq!(
        (name.as_str(), &data["user_id"]),
        ("ready", &user(1).to_string().into())
    );

    let events: Vec<Delivery> = (1..=200).map(|number| event(guild(1), number)).collect();
    world.hub.deliver(&events);
    world
        .hub
        .deliver(&[event(guild(2), 0), event(channel(1, 1), 0)]);
    world
        .hub
        .publish(guild(1).into(), "event", r#"{"number":201}"#, None);
    world
        .hub
        .publish(guild(1).into(), "event", r#"{"number":0}"#, Some(user(1)));
    world
        .hub
        .send_to_user(user(1), "event", r#"{"number":202}"#);
    client.hears(1..=202).await;
    client.is_silent().await;
}

#[tokio::test]
async fn who_is_admitted_hears_that_and_who_is_expelled_hears_that_and_nothing_more() {
    let world = World::new(|_| {});
    let mut client = world.opened(user(1)).await;
    let mut second = world.opened(user(1)).await;
    let admission = Delivery {
        admits: Some(user(1)),
        ..event(guild(1), 1)
    };
    let expulsion = Delivery {
        expels: Some(user(1)),
        ..event(guild(1), 3)
    };
    world.hub.deliver(&[
        event(guild(1), 0),
        admission,
        event(guild(1), 2),
        expulsion,
        event(guild(1), 4),
    ]);
    for client in [&mut client, &mut second] {
        client.hears(1..=3).await;
        client.is_silent().await;
    }
    assert_eq!(world.hub.followers(guild(1), 10), []);
}

#[tokio::test]
async fn what_happens_while_the_modules_are_asked_wins_over_their_answer() {
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1), guild(2), guild(3)]);
    world.module.answers.forget_permits(usize::MAX);
    let mut client = world.open(user(1));
    world.module.asked.acquire().await.expect("open").forget();
    world.hub.deliver(&[
        Delivery {
            expels: Some(user(1)),
            ..event(guild(1), 0)
        },
        Delivery {
            admits: Some(user(1)),
            ..event(guild(4), 0)
        },
        Delivery {
            expels: Some(user(1)),
            ..event(guild(2), 0)
        },
        Delivery {
            admits: Some(user(1)),
            ..event(guild(2), 0)
        },
    ]);
    world.module.answers.add_permits(1);
    assert_eq!(client.event().await.0, "ready");
    world
        .hub
        .deliver(&[1, 2, 3, 4].map(|number| event(guild(number), number as usize)));
    client.hears(2..=4).await;
    client.is_silent().await;
}

#[tokio::test]
async fn a_second_socket_does_not_take_from_the_first_what_an_event_will_take() {
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1)]);
    let mut first = world.opened(user(1)).await;
    // Kicked: committed, so the second socket's question is answered without the guild, but not yet delivered.
    world.names(user(1), &[]);
    let _second = world.opened(user(1)).await;
    world.hub.deliver(&[
        Delivery {
            expels: Some(user(1)),
            ..event(guild(1), 1)
        },
        event(guild(1), 2),
    ]);
    first.hears([1]).await;
    first.is_silent().await;
}

#[tokio::test]
async fn a_channel_is_followed_by_command_until_its_stream_is_lost() {
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1)]);
    world.offers("look", || {
        Lookup::Run(Arc::new(Does(|socket, _| {
            Box::pin(async move {
                let follows = socket.follow(channel(1, 7)) && socket.follow(channel(1, 7));
                socket.send("looking", &format!(r#"{{"follows":{follows}}}"#));
                Ok(())
            })
        })))
    });
    let mut looking = world.opened(user(1)).await;
    let mut other = world.opened(user(1)).await;
    looking.send("look", "{}").await;
    assert_eq!(looking.event().await.1["follows"], true);
    world
        .hub
        .deliver(&[event(channel(1, 7), 1), event(channel(1, 8), 0)]);
    looking.hears([1]).await;
    world.hub.deliver(&[
        Delivery {
            expels: Some(user(1)),
            ..event(channel(1, 7), 2)
        },
        event(channel(1, 7), 3),
    ]);
    looking.hears([2]).await;
    looking.is_silent().await;
    other.is_silent().await;
    drop((looking, other));
    world.until_empty().await;
}

#[tokio::test]
async fn who_is_expelled_while_a_command_runs_follows_nothing_by_it() {
    static RUNNING: Semaphore = Semaphore::const_new(0);
    static GO_ON: Semaphore = Semaphore::const_new(0);
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1)]);
    world.offers("look", || {
        Lookup::Run(Arc::new(Does(|socket, _| {
            Box::pin(async move {
                RUNNING.add_permits(1);
                let _ = GO_ON.acquire().await;
                let follows = socket.follow(channel(1, 7));
                socket.send("looking", &format!(r#"{{"follows":{follows}}}"#));
                Ok(())
            })
        })))
    });
    let mut client = world.opened(user(1)).await;
    client.send("look", "{}").await;
    RUNNING.acquire().await.expect("open").forget();
    world.hub.deliver(&[Delivery {
        expels: Some(user(1)),
        ..event(guild(1), 1)
    }]);
    client.hears([1]).await;
    GO_ON.add_permits(1);
    assert_eq!(client.event().await.1["follows"], false);
}

#[tokio::test]
async fn sockets_hear_of_modules_and_follow_what_a_returning_one_names() {
    let world = World::new(|_| {});
    world.names(user(1), &[guild(1), guild(2)]);
    let mut client = world.opened(user(1)).await;
    world.hub.deliver(&[Delivery {
        admits: Some(user(1)),
        ..event(guild(3), 0)
    }]);
    client.hears([0]).await;

    world.names(user(1), &[guild(2), guild(4)]);
    world.hub.modules_changed(&["module"], &["other"], 7);
    let (name, data) = client.event().await;
    assert_eq!(
        (name.as_str(), data.to_string().as_str()),
        ("module_down", r#"{"generation":7,"module":"other"}"#)
    );
    assert_eq!(client.event().await.0, "module_up");
    world
        .until("the module was asked", |world| {
            world.hub.followers(guild(4), 1) == [user(1)]
        })
        .await;
    world
        .hub
        .deliver(&[1, 2, 3, 4].map(|number| event(guild(number), number as usize)));
    client.hears(2..=4).await;
    client.is_silent().await;
}

#[tokio::test]
async fn a_module_that_comes_up_during_a_set_up_is_not_missed() {
    let world = World::new(|_| {});
    world.module.answers.forget_permits(usize::MAX);
    let mut client = world.open(user(1));
    world.module.asked.acquire().await.expect("open").forget();
    // The set-up has asked; now another module comes up and names a stream.
    let opening = world
        .hub
        .directory
        .get(user(1))
        .expect("it is being set up");
    world
        .hub
        .directory
        .renew(&opening, &vec![("late", vec![guild(1), guild(2)])]);
    world.hub.deliver(&[Delivery {
        expels: Some(user(1)),
        ..event(guild(2), 0)
    }]);
    world.module.answers.add_permits(1);
    assert_eq!(client.event().await.0, "ready");
    world.hub.deliver(&[event(guild(1), 1), event(guild(2), 2)]);
    client.hears([1]).await;
    client.is_silent().await;
}

#[tokio::test]
async fn followers_are_users_each_once_in_the_order_of_their_ids() {
    let world = World::new(|_| {});
    let mut clients = Vec::new();
    for number in [3, 1, 2, 1] {
        world.names(user(number), &[guild(1)]);
        clients.push(world.opened(user(number)).await);
    }
    assert_eq!(
        world.hub.followers(guild(1), 10),
        [user(1), user(2), user(3)]
    );
    assert_eq!(world.hub.followers(guild(1), 2), [user(1), user(2)]);
    assert_eq!(world.hub.followers(guild(9), 2), []);
    drop(clients);
    world.until_empty().await;
    assert_eq!(world.hub.followers(guild(1), 10), []);
}

#[tokio::test]
async fn an_event_reaches_those_whom_its_judge_allows_and_changes_who_sees_a_channel() {
    let world = World::new(|_| {});
    world.offers("look", || {
        Lookup::Run(Arc::new(Does(|socket, _| {
            Box::pin(async move {
                socket.follow(channel(1, 7));
                socket.send("looking", "{}");
                Ok(())
            })
        })))
    });
    let mut clients = Vec::new();
    for number in [1, 2] {
        world.names(user(number), &[guild(1)]);
        let mut client = world.opened(user(number)).await;
        client.send("look", "{}").await;
        assert_eq!(client.event().await.0, "looking");
        clients.push(client);
    }
    let effect = |effect| Some(Arc::new(effect));
    world.hub.deliver(&[
        event(channel(1, 7), 0),
        Delivery {
            effect: effect(Effect {
                heard_by: Some(Judge::new(|one| *one == user(1))),
                seen_by: Some(Judge::new(|(one, _)| *one == user(2))),
                ..Effect::default()
            }),
            ..event(guild(1), 1)
        },
        event(channel(1, 7), 2),
        event(guild(1), 3),
        Delivery {
            effect: effect(Effect {
                ends_stream: true,
                ..Effect::default()
            }),
            ..event(guild(1), 4)
        },
        event(channel(1, 7), 5),
        event(guild(1), 5),
    ]);
    clients[0].hears([0, 1, 3, 4]).await;
    clients[1].hears([0, 2, 3, 4]).await;
    for client in &mut clients {
        client.is_silent().await;
    }
    assert_eq!(world.hub.followers(guild(1), 10), []);
}

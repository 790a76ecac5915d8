use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::*;

const CLIENTS: usize = 50;
const EVENTS: usize = 1000;
const BATCH: usize = 100;

/// Reads everything there is up to the last event, and the goodbye if there is one before it.
async fn read_all(mut client: Client, read: Arc<AtomicUsize>) -> Result<(), Heard> {
    for number in 0..EVENTS {
        match client.hear().await {
            Heard::Text(text) => assert!(
                text.ends_with(&format!("{{\"number\":{number}}}}}")),
                "{text}"
            ),
            other => return Err(other),
        }
        read.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Reads up to the goodbye; answers how many events came before it.
async fn read_to_farewell(mut client: Client) -> (usize, Heard) {
    let mut events = 0;
    loop {
        match client.hear().await {
            Heard::Text(_) => events += 1,
            other => return (events, other),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_dropped_and_the_others_get_everything() {
    let world = World::new(|_| {});
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let id = user(number as u128);
        world.names(id, &[guild(1)]);
        clients.push(world.opened(id).await);
    }
    let mut slow = Some(clients.swap_remove(7));
    let read = Arc::new(AtomicUsize::new(0));
    let mut readers = JoinSet::new();
    for client in clients {
        readers.spawn(read_all(client, read.clone()));
    }
    let mut late = JoinSet::new();
    for start in (0..EVENTS).step_by(BATCH) {
        let end = start + BATCH;
        let events: Vec<Delivery> = (start..end).map(|number| event(guild(1), number)).collect();
        world.hub.deliver(&events);
        world.hub.settle().await;
        // The readers share two threads with the server, so they are given the time that they need.
        let all = end * (CLIENTS - 1);
        world
            .until("the readers keep up", |_| {
                read.load(Ordering::Relaxed) == all
            })
            .await;
        if end == EVENTS / 2 {
            late.spawn(read_to_farewell(slow.take().expect("it begins once")));
        }
    }
    while let Some(reader) = readers.join_next().await {
        assert_eq!(reader.expect("no panic"), Ok(()));
    }
    let (heard, farewell) = late.join_next().await.expect("one").expect("no panic");
    assert_eq!(
        farewell,
        Heard::Close(Some(1008), "slow consumer".to_owned())
    );
    assert!(
        heard < EVENTS / 2,
        "what waited was dropped at once, but {heard} came"
    );
    world.until_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coming_and_going_leaves_nothing_behind() {
    let world = Arc::new(World::new(|settings| settings.max_sockets_per_user = 100));
    let mut tasks = JoinSet::new();
    for number in 0..20_u128 {
        let world = world.clone();
        tasks.spawn(async move {
            let id = user(number % 5);
            for round in 0..50 {
                world.names(id, &[guild(1), guild(number % 3)]);
                let client = world.opened(id).await;
                if round % 3 == 0 {
                    world.hub.deliver(&[Delivery {
                        expels: Some(id),
                        ..event(guild(1), 0)
                    }]);
                }
                drop(client);
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic");
    }
    world.until_empty().await;
    let told = world.presence();
    for number in 0..5 {
        let states: Vec<bool> = told
            .iter()
            .filter(|(who, ..)| *who == user(number))
            .map(|(_, online, _)| *online)
            .collect();
        assert!(
            states.chunks(2).all(|pair| pair == [true, false]),
            "{states:?}"
        );
    }
}

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const CLIENTS: usize = 50;
const EVENTS: usize = 3000;

/// Reads everything there is up to the last event, and the goodbye if there is one before it.
async fn read_all(mut client: Client, read: Arc<AtomicUsize>) -> Result<(), Heard> {
    for number in 0..EVENTS {
        match client.hear().await {
            Heard::Text(text) => assert!(text.ends_with(&format!("{{\"number\":{number}}}}}")), "{text}"),
            other => return Err(other),
        }
        read.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
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
    let mut slow = clients.swap_remove(7);
    let read = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> =
        clients.into_iter().map(|client| tokio::spawn(read_all(client, read.clone()))).collect();
    for batch in (0..EVENTS).collect::<Vec<_>>().chunks(100) {
        let events: Vec<Delivery> = batch.iter().map(|number| event(guild(1), *number)).collect();
        world.hub.deliver(&events);
        world.hub.settle().await;
        // The readers share two threads with the server, so they are given the time that they need.
        let so_far = (batch[batch.len() - 1] + 1) * (CLIENTS - 1);
        world.until("the readers keep up", |_| read.load(Ordering::Relaxed) == so_far).await;
    }
    for reader in readers {
        assert_eq!(reader.await.expect("no panic"), Ok(()));
    }
    let mut heard = 0;
    let farewell = loop {
        match slow.hear().await {
            Heard::Text(_) => heard += 1,
            other => break other,
        }
    };
    assert_eq!(farewell, Heard::Close(Some(1008), "slow consumer".to_owned()));
    assert!(heard < 1000, "what waited was dropped at once, but {heard} came");
    drop(slow);
    world.until_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coming_and_going_leaves_nothing_behind() {
    let world = Arc::new(World::new(|settings| settings.max_sockets_per_user = 100));
    let tasks: Vec<_> = (0..20)
        .map(|number: u128| {
            let world = world.clone();
            tokio::spawn(async move {
                let id = user(number % 5);
                for round in 0..50 {
                    world.names(id, &[guild(1), guild(number % 3)]);
                    let client = world.opened(id).await;
                    if round % 3 == 0 {
                        world.hub.deliver(&[Delivery { expels: Some(id), ..event(guild(1), 0) }]);
                    }
                    drop(client);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    world.until_empty().await;
    let told = world.presence();
    for number in 0..5 {
        let states: Vec<bool> =
            told.iter().filter(|(who, ..)| *who == user(number)).map(|(_, online, _)| *online).collect();
        assert!(states.chunks(2).all(|pair| pair == [true, false]), "{states:?}");
    }
}

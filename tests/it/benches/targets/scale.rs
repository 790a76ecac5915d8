//! Whether what one message costs grows with all that there is: messages, members, guilds.

use std::{sync::Arc, time::Duration};

use filament_test_support::{Person, Postgres, Server, Visibility, people::messages_of};
use filament_tests::crowd::{Crowd, Kind, nth_id};

use crate::{
    figures::percentile,
    lifecycle::times_to_healthy,
    messages::{Cost, page, send},
    world,
};

/// Rounds in which all worlds take turns, so that what else the machine does meets all of them. The medians count.
const ROUNDS: usize = 5;
const SENDING: Duration = Duration::from_secs(4);
const READING: Duration = Duration::from_secs(2);

/// How large a world is.
#[derive(Clone, Copy)]
struct Size {
    messages: u32,
    members: u32,
    guilds: u32,
}

const SMALL: Size = Size {
    messages: 0,
    members: 10,
    guilds: 1,
};

/// A world that is compared with one of those before it.
struct Contest {
    name: &'static str,
    size: Size,
    with: usize,
}

const CONTESTS: [Contest; 5] = [
    Contest {
        name: "10 members, no messages, 1 guild",
        size: SMALL,
        with: 0,
    },
    Contest {
        name: "1,000,000 messages",
        size: Size {
            messages: 1_000_000,
            ..SMALL
        },
        with: 0,
    },
    Contest {
        name: "10,000 members",
        size: Size {
            members: 10_000,
            ..SMALL
        },
        with: 0,
    },
    Contest {
        name: "10 guilds in turns",
        size: Size {
            guilds: 10,
            ..SMALL
        },
        with: 3,
    },
    Contest {
        name: "1,000 guilds in turns",
        size: Size {
            guilds: 1_000,
            ..SMALL
        },
        with: 3,
    },
];

/// Sends and pages in worlds of different sizes, and how long a server takes to start in them.
pub(crate) async fn scale(postgres: &Arc<Postgres>) {
    let mut worlds = Vec::new();
    for contest in &CONTESTS {
        worlds.push(World::of(postgres, contest.size).await);
    }
    for _ in 0..ROUNDS {
        for world in &mut worlds {
            world.measure(postgres).await;
        }
    }
    let sends: Vec<Cost> = worlds.iter().map(|world| median(&world.sent)).collect();
    let pages: Vec<Cost> = worlds.iter().map(|world| median(&world.read)).collect();
    for (what, costs) in [("sends", &sends), ("pages of 50", &pages)] {
        for (contest, cost) in CONTESTS.iter().zip(costs) {
            let base = costs[contest.with];
            println!(
                "{what}, {}: {cost}; server x{:.2}, Postgres x{:.2}, p99 x{:.2} of {}",
                contest.name,
                cost.server_us / base.server_us,
                cost.postgres_us / base.postgres_us,
                cost.p99_ms / base.p99_ms,
                CONTESTS[contest.with].name,
            );
        }
    }
    for (contest, world) in CONTESTS.iter().zip(&mut worlds) {
        let mut times = times_to_healthy(&mut world.server, 10).await;
        println!(
            "start to healthy, {}: p50 {:.0} ms, max {:.0} ms",
            contest.name,
            percentile(&mut times, 0.5),
            percentile(&mut times, 1.0),
        );
    }
}

/// A server with all that there is on it, and what was measured.
struct World {
    server: Server,
    sends: Vec<Vec<u8>>,
    pages: Vec<Vec<u8>>,
    sent: Vec<Cost>,
    read: Vec<Cost>,
}

impl World {
    async fn of(postgres: &Arc<Postgres>, size: Size) -> Self {
        let database = postgres.create_database().await;
        let builder = world::builder(postgres).await.database(database.clone());
        let mut server = builder.start().await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        for _ in 0..50 {
            bob.say(
                &guild,
                &channel,
                "the quick brown fox jumps over the lazy dog",
            )
            .await;
        }
        let crowd = Crowd::of(&database).await;
        crowd.messages(&guild, &channel, size.messages).await;
        crowd.users(&ada, size.members).await;
        crowd.members(&guild, size.members - 2).await;
        crowd.guilds(&guild, &bob.user_id, size.guilds - 1).await;
        crowd.settle().await;
        server.restart().await;

        let mut paths = vec![messages_of(&guild, &channel)];
        paths.extend((1..size.guilds).map(nth_place));
        let mut pages = vec![page(&bob, &paths[0], "")];
        // The newest page and pages from everywhere, in turns.
        for part in (1..100).filter(|_| size.messages > 0) {
            let before = nth_id(Kind::Message, size.messages / 100 * part);
            pages.push(page(&bob, &paths[0], &format!("&before={before}")));
        }
        Self {
            server,
            sends: paths.iter().map(|path| send(&bob, path)).collect(),
            pages,
            sent: Vec::new(),
            read: Vec::new(),
        }
    }

    async fn measure(&mut self, postgres: &Arc<Postgres>) {
        let (server, sends, pages) = (&self.server, &self.sends, &self.pages);
        self.sent
            .push(Cost::of(server, postgres, sends, SENDING).await);
        self.read
            .push(Cost::of(server, postgres, pages, READING).await);
    }
}

/// Where the messages of the guild number `n` of [`Crowd::guilds`] are.
fn nth_place(n: u32) -> String {
    let (guild, channel) = (nth_id(Kind::Guild, n), nth_id(Kind::Channel, n));
    format!("/guilds/{guild}/channels/{channel}/messages")
}

/// The median of each figure.
fn median(costs: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(figure).collect();
        percentile(&mut values, 0.5)
    };
    Cost {
        per_second: of(|cost| cost.per_second),
        p50_ms: of(|cost| cost.p50_ms),
        p99_ms: of(|cost| cost.p99_ms),
        server_us: of(|cost| cost.server_us),
        postgres_us: of(|cost| cost.postgres_us),
    }
}

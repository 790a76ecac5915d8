//! The event log by itself, on both databases: what is acknowledged is there, in order, without gaps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use filament_host::{
    config::{self, Inputs},
    database, event_log,
};
use filament_kernel::{
    ApiError,
    clock::Clock,
    db::{Database, WriteTx},
    id::{GuildId, Ids},
    log::{Applied, Change, EventLog, NewEvent, Stream},
};
use filament_test_support::{Backend, Postgres, TestDatabase, on_both_databases};
use serde_json::json;
use tokio::sync::mpsc;

struct Log {
    log: EventLog,
    db: Database,
    committed: mpsc::Receiver<event_log::Committed>,
    _database: TestDatabase,
}

async fn open(backend: Backend) -> Log {
    open_on(backend.database().await.expect("a database")).await
}

async fn open_on(database: TestDatabase) -> Log {
    let loaded = config::load(&[], &[], &Inputs::default()).expect("defaults");
    let db = database::connect(&database.url, &loaded.host.database)
        .await
        .expect("connect");
    let schema: Arc<dyn database::Schema> = Arc::new(filament_server::ProductSchema);
    database::migrate(&db, &database.url, &loaded.host.database, &schema)
        .await
        .expect("migrate");
    let (backend, writer, committed) =
        event_log::start(&db, &Clock::default(), &Arc::new(Ids::default()))
            .await
            .expect("start");
    tokio::spawn(writer.run());
    Log {
        log: EventLog::new(Arc::new(backend)),
        db,
        committed,
        _database: database,
    }
}

/// A change that only tells of itself, and counts.
struct Say {
    guild: GuildId,
    text: String,
    fails: bool,
    seen: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Change for Say {
    type Output = String;
    const BATCH: usize = 64;

    async fn apply(batch: &[&Self], _tx: &WriteTx) -> Result<Vec<Applied<String>>, ApiError> {
        if batch.iter().any(|say| say.fails) {
            return Err(ApiError::forbidden("not this one"));
        }
        batch
            .iter()
            .map(|say| {
                Ok(Applied {
                    output: say.text.clone(),
                    events: vec![NewEvent::new(
                        Stream::Guild(say.guild),
                        "said",
                        &json!({ "text": say.text }),
                    )?],
                })
            })
            .collect()
    }

    fn committed(&self, _output: &String) {
        self.seen.fetch_add(1, Ordering::SeqCst);
    }
}

on_both_databases!(
    numbers_are_gapless_and_in_the_order_of_delivery,
    async |backend| {
        let Log {
            log,
            mut committed,
            _database,
            ..
        } = open(backend).await;
        let ids = Ids::default();
        let guilds: Vec<GuildId> = (0..3).map(|_| ids.next()).collect();
        let seen = Arc::new(AtomicUsize::new(0));
        let delivered = tokio::spawn(async move {
            let mut by_stream: std::collections::BTreeMap<Stream, Vec<(i64, String)>> =
                Default::default();
            let mut count = 0;
            while count < 600 {
                for (number, event) in committed.recv().await.expect("open") {
                    by_stream
                        .entry(event.topic.stream)
                        .or_default()
                        .push((number, event.data.to_string()));
                    count += 1;
                }
            }
            by_stream
        });
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..20 {
            let (log, guild, seen) = (log.clone(), guilds[writer % 3], seen.clone());
            writers.spawn(async move {
                for n in 0..30 {
                    let text = format!("{writer}-{n}");
                    let say = Say {
                        guild,
                        text: text.clone(),
                        fails: false,
                        seen: seen.clone(),
                    };
                    assert_eq!(log.commit(say).await.expect("committed"), text);
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.expect("a writer");
        }
        assert_eq!(seen.load(Ordering::SeqCst), 600, "each is committed once");
        let delivered = delivered.await.expect("delivery");
        for guild in guilds {
            let stream = Stream::Guild(guild);
            let logged = log.read(stream, 0, 1000).await.expect("read");
            assert_eq!(log.head(stream).await.expect("head"), logged.len() as i64);
            let logged: Vec<(i64, String)> = logged
                .into_iter()
                .map(|e| (e.number, e.data.to_string()))
                .collect();
            let numbers: Vec<i64> = logged.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers, (1..=logged.len() as i64).collect::<Vec<_>>());
            assert_eq!(delivered[&stream], logged, "delivery is the log");
        }
    }
);

on_both_databases!(a_change_that_fails_takes_nobody_with_it, async |backend| {
    let Log { log, _database, .. } = open(backend).await;
    let guild = Ids::default().next();
    let seen = Arc::new(AtomicUsize::new(0));
    let all = (0..40).map(|n| {
        let (log, seen) = (log.clone(), seen.clone());
        async move {
            let say = Say {
                guild,
                text: n.to_string(),
                fails: n % 10 == 3,
                seen,
            };
            log.commit(say).await
        }
    });
    let results: Vec<_> = futures(all).await;
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert_eq!((failed, seen.load(Ordering::SeqCst)), (4, 36));
    assert_eq!(
        log.head(Stream::Guild(guild)).await.expect("head"),
        36,
        "no number is lost on a failure"
    );
});

/// A change that takes a right away: it is judged by what is in memory.
struct Judge {
    seen: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Change for Judge {
    type Output = usize;
    const BARRIER: bool = true;

    async fn apply(batch: &[&Self], _tx: &WriteTx) -> Result<Vec<Applied<usize>>, ApiError> {
        let seen = batch.iter().map(|one| one.seen.load(Ordering::SeqCst));
        Ok(seen.map(Applied::silent).collect())
    }
}

on_both_databases!(
    a_barrier_is_judged_by_everything_that_was_asked_before_it,
    async |backend| {
        let Log { log, _database, .. } = open(backend).await;
        let guild: GuildId = Ids::default().next();
        let seen = Arc::new(AtomicUsize::new(0));
        let say = |text: &str| Say {
            guild,
            text: text.into(),
            fails: false,
            seen: seen.clone(),
        };
        let judge = || Judge { seen: seen.clone() };
        // All of them wait at the same time, so that the writer takes them as one batch.
        let (first, second, early, third, late) = tokio::join!(
            log.commit(say("first")),
            log.commit(say("second")),
            log.commit(judge()),
            log.commit(say("third")),
            log.commit(judge()),
        );
        for said in [first, second, third] {
            said.expect("is made");
        }
        assert_eq!(early.expect("is judged"), 2);
        assert_eq!(late.expect("is judged"), 3);
    }
);

on_both_databases!(
    a_caller_that_goes_away_does_not_undo_its_change,
    async |backend| {
        let Log {
            log, db, _database, ..
        } = open(backend).await;
        let guild: GuildId = Ids::default().next();
        let seen = Arc::new(AtomicUsize::new(0));
        let say = Say {
            guild,
            text: "still".into(),
            fails: false,
            seen: seen.clone(),
        };
        // The lock makes the writer wait, so that the caller is gone before its change is made.
        let lock = db.begin().await.expect("a transaction");
        let waiting = tokio::time::timeout(Duration::from_millis(20), log.commit(say));
        let gave_up = waiting.await;
        drop(lock);
        for _ in 0..200 {
            if seen.load(Ordering::SeqCst) == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(log.head(Stream::Guild(guild)).await.expect("head"), 1);
        if backend == Backend::Sqlite {
            assert!(gave_up.is_err(), "the caller had gone");
        }
    }
);

on_both_databases!(
    a_caller_that_gives_up_before_its_turn_takes_its_change_along,
    async |backend: Backend| {
        if backend == Backend::Postgres {
            // There a lock of ours does not keep the writer waiting; the writer itself is the same.
            return;
        }
        let Log {
            log, db, _database, ..
        } = open(backend).await;
        let guild: GuildId = Ids::default().next();
        let seen = Arc::new(AtomicUsize::new(0));
        let say = |text: &str| Say {
            guild,
            text: text.into(),
            fails: false,
            seen: seen.clone(),
        };
        let lock = db.begin().await.expect("a transaction");
        let first = tokio::spawn({
            let (log, say) = (log.clone(), say("first"));
            async move { log.commit(say).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second =
            tokio::time::timeout(Duration::from_millis(50), log.commit(say("second"))).await;
        assert!(second.is_err(), "it gave up");
        drop(lock);
        first.await.expect("the first").expect("is made");
        log.commit(say("third")).await.expect("is made");
        assert_eq!(
            log.head(Stream::Guild(guild)).await.expect("head"),
            2,
            "a retry would have doubled it"
        );
    }
);

/// A standby that is not there holds every commit back: it is sent, not answered, and made all the same in the end.
#[tokio::test]
async fn a_commit_with_an_unknown_end_is_found_out_and_never_taken_for_not_made() {
    use sea_orm::ConnectionTrait;
    let Some(cluster) = Postgres::durable().await.map(Arc::new) else {
        return;
    };
    let Log {
        log,
        db,
        mut committed,
        _database,
    } = open_on(cluster.create_database().await).await;
    let guild: GuildId = Ids::default().next();
    let seen = Arc::new(AtomicUsize::new(0));
    let say = |text: &str| Say {
        guild,
        text: text.into(),
        fails: false,
        seen: seen.clone(),
    };
    log.commit(say("before")).await.expect("made");
    let set = async |names: &str| {
        db.read()
            .execute_unprepared(&format!(
                "ALTER SYSTEM SET synchronous_standby_names = '{names}'"
            ))
            .await
            .expect("set");
        db.read()
            .execute_unprepared("SELECT pg_reload_conf()")
            .await
            .expect("reload");
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    set("nosuch").await;
    let held = tokio::spawn({
        let (log, say) = (log.clone(), say("held"));
        async move { log.commit(say).await }
    });
    // Longer than the writer waits for a commit.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!held.is_finished(), "nobody knows yet, so nobody is told");
    set("").await;
    held.await
        .expect("the held one")
        .expect("was made, and is acknowledged");
    log.commit(say("after")).await.expect("made");
    let mut delivered = Vec::new();
    while delivered.len() < 3 {
        delivered.extend(committed.recv().await.expect("open"));
    }
    let delivered: Vec<(i64, String)> = delivered
        .into_iter()
        .map(|(n, e)| (n, e.data.to_string()))
        .collect();
    let said = |text: &str| json!({ "text": text }).to_string();
    assert_eq!(
        delivered,
        [(1, said("before")), (2, said("held")), (3, said("after"))]
    );
    assert_eq!(
        seen.load(Ordering::SeqCst),
        3,
        "memory was brought up to date each time"
    );
}

/// Awaits all at once.
async fn futures<T: Send + 'static>(
    all: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut set = tokio::task::JoinSet::new();
    for one in all {
        set.spawn(one);
    }
    set.join_all().await
}

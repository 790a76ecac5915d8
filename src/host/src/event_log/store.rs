use std::{collections::BTreeMap, fmt::Write as _};

use filament_kernel::{
    db::{WriteTx, chunk, insert_all},
    log::{LoggedEvent, NewEvent, Stream, Topic},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
};

use super::entity::{event, stream};

/// Raises the number of each stream by its count, creating streams that are new, and answers the first of the numbers
/// taken for each. The rows stay locked until the transaction ends, which makes commit order the order of numbers.
pub(super) async fn take_numbers(
    tx: &WriteTx,
    counts: &BTreeMap<Stream, i64>,
    now_ms: i64,
) -> Result<BTreeMap<Stream, i64>, DbErr> {
    // In the order of their names, so that two servers that need the same streams cannot wait for each other.
    let mut wanted: Vec<(Stream, i64)> = counts.iter().map(|(s, n)| (*s, *n)).collect();
    wanted.sort_by_cached_key(|(stream, _)| stream.to_string());
    let mut first = BTreeMap::new();
    let mut rest = &wanted[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(chunk(rest.len()));
        rest = later;
        let mut sql =
            String::from("INSERT INTO event_streams (stream, last_number, updated_at_ms) VALUES ");
        let mut values: Vec<Value> = Vec::with_capacity(now.len() * 3);
        for (index, (stream, count)) in now.iter().enumerate() {
            let at = index * 3;
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}(${}, ${}, ${})", at + 1, at + 2, at + 3);
            values.extend([stream.to_string().into(), (*count).into(), now_ms.into()]);
        }
        sql.push_str(
            " ON CONFLICT (stream) DO UPDATE SET \
             last_number = event_streams.last_number + excluded.last_number, \
             updated_at_ms = excluded.updated_at_ms \
             RETURNING stream, last_number",
        );
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
        for row in tx.query_all_raw(statement).await? {
            let name: String = row.try_get_by_index(0)?;
            let last: i64 = row.try_get_by_index(1)?;
            let stream: Stream = name
                .parse()
                .map_err(|_| DbErr::Custom(format!("`{name}` is no stream")))?;
            first.insert(stream, last - counts.get(&stream).copied().unwrap_or(0) + 1);
        }
    }
    Ok(first)
}

/// Stores events with the numbers that they were given.
pub(super) async fn append(
    tx: &WriteTx,
    events: &[(i64, NewEvent)],
    now_ms: i64,
) -> Result<(), DbErr> {
    let rows = events
        .iter()
        .map(|(number, new)| event::ActiveModel {
            stream: Set(new.topic.stream.to_string()),
            number: Set(*number),
            at_ms: Set(now_ms),
            name: Set(new.name.to_string()),
            channel_id: Set(new.topic.channel),
            data: Set(new.data.to_string()),
            admits: Set(new.admits),
            expels: Set(new.expels),
        })
        .collect();
    insert_all(tx, rows).await
}

pub(super) async fn read(
    db: &impl ConnectionTrait,
    stream: Stream,
    after: i64,
    limit: u64,
) -> Result<Vec<LoggedEvent>, DbErr> {
    let rows = event::Entity::find()
        .filter(event::Column::Stream.eq(stream.to_string()))
        .filter(event::Column::Number.gt(after))
        .order_by_asc(event::Column::Number)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| LoggedEvent {
            number: row.number,
            at_ms: row.at_ms,
            name: row.name,
            topic: Topic {
                stream,
                channel: row.channel_id,
            },
            data: row.data.into(),
            admits: row.admits,
            expels: row.expels,
        })
        .collect())
}

pub(super) async fn head(db: &impl ConnectionTrait, stream: Stream) -> Result<i64, DbErr> {
    Ok(stream::Entity::find_by_id(stream.to_string())
        .one(db)
        .await?
        .map_or(0, |row| row.last_number))
}

/// Waits until no transaction that has taken numbers of `stream` is open any more: afterwards what it wrote is either there or will never
/// be. To be called in a transaction that is rolled back.
pub(super) async fn wait_for_others(tx: &WriteTx, stream: Stream) -> Result<(), DbErr> {
    let sql = "INSERT INTO event_streams (stream, last_number, updated_at_ms) VALUES ($1, 0, 0) \
               ON CONFLICT (stream) DO UPDATE SET last_number = event_streams.last_number";
    let values = [Value::from(stream.to_string())];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    tx.execute_raw(statement).await.map(|_| ())
}

/// Whether exactly this event stands in the log under this number.
pub(super) async fn contains(
    db: &impl ConnectionTrait,
    number: i64,
    wanted: &NewEvent,
    at_ms: i64,
) -> Result<bool, DbErr> {
    let row = event::Entity::find_by_id((wanted.topic.stream.to_string(), number))
        .one(db)
        .await?;
    Ok(row.is_some_and(|row| {
        row.at_ms == at_ms && row.name == wanted.name && *row.data == *wanted.data
    }))
}

/// When the last event of all was committed, in milliseconds since the Unix epoch.
pub(super) async fn latest_ms(db: &impl ConnectionTrait) -> Result<Option<i64>, DbErr> {
    let latest: Option<Option<i64>> = stream::Entity::find()
        .select_only()
        .expr(stream::Column::UpdatedAtMs.max())
        .into_tuple()
        .one(db)
        .await?;
    Ok(latest.flatten())
}

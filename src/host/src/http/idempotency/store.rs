use std::time::Duration;

use filament_kernel::{
    ApiError, ErrorCode,
    clock::Clock,
    db::{Database, EntityShape, WriteTx},
    id::UserId,
    log::{Applied, Change, EventLog},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use super::{
    SWEEP_EVERY,
    key::{Hash, Key},
    outcome::{Answer, Failure, Outcome},
};

mod entity {
    use filament_kernel::id::UserId;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_keys")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: UserId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key_hash: Vec<u8>,
        pub fingerprint: Vec<u8>,
        #[sea_orm(column_type = "Text")]
        pub server_id: String,
        pub created_at_ms: i64,
        pub status: Option<i64>,
        #[sea_orm(column_type = "Text", nullable)]
        pub content_type: Option<String>,
        pub body: Option<Vec<u8>>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

/// The host's own table of answers that are given again.
pub fn shapes() -> Vec<EntityShape> {
    vec![EntityShape::of::<Entity>()]
}

/// How long a key and its answer are kept.
const KEEP_MS: i64 = 24 * 3_600 * 1_000;

/// Keys that are kept for one user at most.
const MAX_KEYS_PER_USER: u64 = 10_000;

/// Rows that one statement deletes at most, so that it does not keep writers waiting.
const SWEEP_ROWS: u64 = 500;

/// What is known of a key.
pub(super) struct Known {
    /// The request that it was used for.
    pub(super) fingerprint: Hash,
    /// How far that request is.
    pub(super) progress: Progress,
}

/// How far the request under a key is.
pub(super) enum Progress {
    /// It is answered.
    Answered(Answer),
    /// It was begun by this server.
    BegunHere,
    /// It was begun, so long ago, by another server on the same database.
    BegunElsewhere(Duration),
}

/// The table. What is written goes through the event log, though it tells nobody: so it shares the commits of everything else.
pub(super) struct Store {
    db: Database,
    log: EventLog,
    clock: Clock,
    server_id: String,
}

impl Store {
    pub(super) fn new(db: Database, log: EventLog, clock: Clock, server_id: String) -> Self {
        Self {
            db,
            log,
            clock,
            server_id,
        }
    }

    fn expired_ms(&self) -> i64 {
        self.clock.now_ms() - KEEP_MS
    }

    /// What is known of `key`; nothing when it was used more than 24 hours ago.
    pub(super) async fn find(&self, key: Key) -> Result<Option<Known>, ApiError> {
        let id = (key.user_id, key.hash.to_vec());
        let row = Entity::find_by_id(id)
            .filter(Column::CreatedAtMs.gt(self.expired_ms()))
            .one(self.db.read())
            .await?;
        row.map(|row| self.known(row)).transpose()
    }

    fn known(&self, row: entity::Model) -> Result<Known, ApiError> {
        let age_ms = self.clock.now_ms() - row.created_at_ms;
        let progress = match row.status.map(u16::try_from) {
            Some(status) => Progress::Answered(answer(
                status.map_err(ApiError::internal)?,
                row.content_type,
                row.body.unwrap_or_default(),
            )?),
            None if row.server_id == self.server_id => Progress::BegunHere,
            None => {
                let age_ms = u64::try_from(age_ms).unwrap_or(0);
                Progress::BegunElsewhere(Duration::from_millis(age_ms))
            }
        };
        let fingerprint = Hash::try_from(row.fingerprint)
            .map_err(|wrong| ApiError::internal(format!("{} bytes of a hash", wrong.len())))?;
        Ok(Known {
            fingerprint,
            progress,
        })
    }

    /// Whether `user` may have one key more. Requests at the same moment may each be the last that is let in: the bound is on what is
    /// stored, not on what is done.
    ///
    /// # Errors
    /// 429 when there are too many.
    pub(super) async fn admit(&self, user: UserId) -> Result<(), ApiError> {
        let held = Entity::find()
            .select_only()
            .column(Column::UserId)
            .filter(Column::UserId.eq(user))
            .count(self.db.read())
            .await?;
        if held < MAX_KEYS_PER_USER {
            return Ok(());
        }
        let told = format!(
            "Idempotency-Key: at most {MAX_KEYS_PER_USER} keys are kept for a user in 24 hours"
        );
        Err(ApiError::new(ErrorCode::RATE_LIMITED, told).retry_after(SWEEP_EVERY))
    }

    /// Claims `key` for a request: from then on it is known, whatever becomes of this server. Answers whether nobody else has it.
    pub(super) async fn claim(&self, key: Key, fingerprint: Hash) -> Result<bool, ApiError> {
        let claim = Write::Claim {
            fingerprint,
            server_id: self.server_id.clone(),
            now_ms: self.clock.now_ms(),
            expired_ms: self.expired_ms(),
        };
        self.log.commit(Record { key, write: claim }).await
    }

    /// Writes down what became of the request that has claimed `key`. Doing it twice is doing it once.
    pub(super) async fn settle(&self, key: Key, outcome: &Outcome) -> Result<(), ApiError> {
        let server_id = self.server_id.clone();
        let write = match outcome {
            Outcome::Kept(answer) => Write::Keep {
                server_id,
                answer: answer.clone(),
            },
            Outcome::Released => Write::Release { server_id },
            Outcome::Unknown => return Ok(()),
        };
        self.log.commit(Record { key, write }).await.map(|_| ())
    }

    /// Deletes what has expired.
    pub(super) async fn sweep(&self) -> Result<(), ApiError> {
        loop {
            let expired_ms = self.expired_ms();
            let deleted = self
                .db
                .write(move |tx| Box::pin(async move { Ok(delete_expired(tx, expired_ms).await?) }))
                .await?;
            if deleted < SWEEP_ROWS {
                return Ok(());
            }
        }
    }
}

async fn delete_expired(tx: &WriteTx, expired_ms: i64) -> Result<u64, DbErr> {
    let oldest = Entity::find()
        .select_only()
        .columns([Column::UserId, Column::KeyHash])
        .filter(Column::CreatedAtMs.lte(expired_ms))
        .order_by_asc(Column::CreatedAtMs)
        .limit(SWEEP_ROWS)
        .into_query();
    let id = Expr::tuple([Expr::col(Column::UserId), Expr::col(Column::KeyHash)]);
    let deleted = Entity::delete_many()
        .filter(id.in_subquery(oldest))
        .exec(tx)
        .await?;
    Ok(deleted.rows_affected)
}

/// A stored answer. A failure has no content type: it is rendered anew each time.
fn answer(status: u16, content_type: Option<String>, body: Vec<u8>) -> Result<Answer, ApiError> {
    if status >= 400 && content_type.is_none() {
        let failure: Failure = serde_json::from_slice(&body).map_err(ApiError::internal)?;
        return Ok(Answer::Failure { status, failure });
    }
    Ok(Answer::Success {
        status,
        content_type,
        body,
    })
}

/// A change to the row of a key. Answers whether there was one to change.
struct Record {
    key: Key,
    write: Write,
}

enum Write {
    Claim {
        fingerprint: Hash,
        server_id: String,
        now_ms: i64,
        expired_ms: i64,
    },
    Keep {
        server_id: String,
        answer: Answer,
    },
    Release {
        server_id: String,
    },
}

#[async_trait::async_trait]
impl Change for Record {
    type Output = bool;

    const BATCH: usize = 64;

    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<bool>>, ApiError> {
        let mut applied = Vec::with_capacity(batch.len());
        for record in batch {
            let changed = record.write(tx).await?;
            applied.push(Applied::silent(changed > 0));
        }
        Ok(applied)
    }
}

impl Record {
    async fn write(&self, tx: &WriteTx) -> Result<u64, ApiError> {
        match &self.write {
            Write::Claim {
                fingerprint,
                server_id,
                now_ms,
                expired_ms,
            } => {
                let row = entity::ActiveModel {
                    user_id: Set(self.key.user_id),
                    key_hash: Set(self.key.hash.to_vec()),
                    fingerprint: Set(fingerprint.to_vec()),
                    server_id: Set(server_id.clone()),
                    created_at_ms: Set(*now_ms),
                    status: Set(None),
                    content_type: Set(None),
                    body: Set(None),
                };
                let free_when_expired = OnConflict::columns([Column::UserId, Column::KeyHash])
                    .update_columns([
                        Column::Fingerprint,
                        Column::ServerId,
                        Column::CreatedAtMs,
                        Column::Status,
                        Column::ContentType,
                        Column::Body,
                    ])
                    .action_and_where(Expr::col((Entity, Column::CreatedAtMs)).lte(*expired_ms))
                    .to_owned();
                Ok(Entity::insert(row)
                    .on_conflict(free_when_expired)
                    .exec_without_returning(tx)
                    .await?)
            }
            Write::Keep { server_id, answer } => {
                let (status, content_type, body) = match answer {
                    Answer::Success {
                        status,
                        content_type,
                        body,
                    } => (*status, content_type.clone(), body.clone()),
                    Answer::Failure { status, failure } => {
                        let body = serde_json::to_vec(failure).map_err(ApiError::internal)?;
                        (*status, None, body)
                    }
                };
                let kept = entity::ActiveModel {
                    status: Set(Some(status.into())),
                    content_type: Set(content_type),
                    body: Set(Some(body)),
                    user_id: NotSet,
                    key_hash: NotSet,
                    fingerprint: NotSet,
                    server_id: NotSet,
                    created_at_ms: NotSet,
                };
                let update = Entity::update_many()
                    .set(kept)
                    .filter(self.own_claim(server_id));
                Ok(update.exec(tx).await?.rows_affected)
            }
            Write::Release { server_id } => {
                let delete = Entity::delete_many().filter(self.own_claim(server_id));
                Ok(delete.exec(tx).await?.rows_affected)
            }
        }
    }

    /// The row of this key, as long as `server_id` has claimed it and it is not answered.
    fn own_claim(&self, server_id: &str) -> sea_orm::Condition {
        sea_orm::Condition::all()
            .add(Column::UserId.eq(self.key.user_id))
            .add(Column::KeyHash.eq(self.key.hash.to_vec()))
            .add(Column::ServerId.eq(server_id))
            .add(Column::Status.is_null())
    }
}

//! Notes that a user keeps: one table, two routes, one that takes any bytes and three that misbehave, one gateway command, one event, one
//! task, one thread, one service, and two commands of the operator, one of which panics.

use std::{sync::Arc, time::Duration};

use filament_kernel::{
    ApiError, Caller, Context, ErrorCode, Instance, Manifest, Module, Required,
    config::{Complaint, Profile, Secret, Section, unset_if_empty},
    db::{EntityShape, WriteTx},
    gateway::Socket,
    http::{NotStored, RawBody, Valid},
    id::UserId,
    log::{Applied, Change, EventLog, NewEvent, Stream},
    module::{Host, Stability, StartError},
    operator::Asked,
    ports::Accounts,
    scope::Workers,
    service::{Port, PortKey},
    text,
};
use poem_openapi::{Enum, Object, OpenApi, Tags, payload::Json};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::shelf::{Shelf, shelf_blob};

/// The table.
pub mod note {
    use filament_kernel::id::{MessageId, UserId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "notes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub note_id: MessageId,
        pub user_id: UserId,
        #[sea_orm(column_type = "Text")]
        pub text: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where the module fails on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailAt {
    Nowhere,
    Validate,
    Prepare,
    Probe,
}

/// `[notes]`
#[derive(Debug, Clone, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[validate(range(min = 1, max = 1000))]
    pub max_chars: u32,
    #[validate(length(max = 32))]
    pub prefix: String,
    pub fail_at: FailAt,
    #[validate(range(max = 20_000))]
    pub prepare_millis: u64,
    pub panic_in_task: bool,
    #[serde(deserialize_with = "unset_if_empty")]
    pub token: Option<Secret>,
}

impl Section for Config {
    const DEFAULTS: &'static str = include_str!("notes/config.default.toml");

    fn check(&self, _profile: Profile) -> Vec<Complaint> {
        match self.fail_at {
            FailAt::Validate => vec![Complaint::new(
                "fail_at",
                "fails on purpose, as it was told",
            )],
            _ => Vec::new(),
        }
    }
}

/// How many notes there are: a service that nobody has to use.
#[async_trait::async_trait]
pub trait NoteCounter: Send + Sync {
    /// The notes of one user.
    async fn count(&self, user: UserId) -> Result<u64, ApiError>;
}

impl Port for dyn NoteCounter {
    const NAME: &'static str = "note_counter";
}

/// The module.
pub struct Notes;

impl Module for Notes {
    type Config = Config;
    type Api = NotesApi;

    const MANIFEST: Manifest = Manifest {
        id: "notes",
        summary: "notes that a user keeps",
        stability: Stability::Experimental,
        requires: &[PortKey::of::<dyn Accounts>()],
        uses: &[],
        provides: &[PortKey::of::<dyn NoteCounter>()],
        routes: &[
            "POST /notes",
            "GET /notes",
            "POST /notes/clumsy",
            "POST /notes/panic",
            "POST /notes/secret",
            "POST /notes/weigh",
        ],
        commands: &["note_create"],
        operator_commands: &["note.count", "note.panic"],
        events: &["note_create"],
        tables: &["notes"],
        metrics: &[],
    };

    fn entities() -> Vec<EntityShape> {
        vec![EntityShape::of::<note::Entity>()]
    }

    async fn prepare(context: Context<Config>) -> Result<Instance<NotesApi>, StartError> {
        let config = context.config.clone();
        tokio::time::sleep(Duration::from_millis(config.prepare_millis)).await;
        if config.fail_at == FailAt::Prepare {
            return Err("fails to prepare, as it was told".into());
        }
        if config.panic_in_task {
            context.scope.task("fragile", async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                panic!("panics, as it was told");
            });
        }
        let scope = context.scope.clone();
        context
            .scope
            .task("idle", async move { scope.cancelled().await });
        let workers = context.scope.workers("notes", 1);
        let keeper = Arc::new(Keeper {
            accounts: context.required::<dyn Accounts>()?,
            host: context.host.clone(),
            config: config.clone(),
            workers: workers.clone(),
        });
        let fails = config.fail_at == FailAt::Probe;
        Ok(Instance::new(NotesApi(keeper.clone()))
            .provide::<dyn NoteCounter>(keeper.clone())
            .command("note_create", keeper.clone(), note_create_command)
            .operator_command("note.count", keeper.clone(), note_count)
            .operator_command("note.panic", keeper, note_panic)
            .probe(move || {
                let workers = workers.clone();
                async move {
                    if workers.run(move || fails).await? {
                        return Err("fails its probe, as it was told".into());
                    }
                    Ok(())
                }
            }))
    }
}

struct Keeper {
    accounts: Required<dyn Accounts>,
    host: Host,
    config: Arc<Config>,
    workers: Workers,
}

/// A note that is to be kept.
#[derive(Debug, Object, Validate, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct NoteCreate {
    /// The text.
    #[validate(length(min = 1))]
    text: String,
}

/// A note that is to be kept, and how that ends.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct ClumsyNoteCreate {
    /// The text.
    #[validate(length(min = 1))]
    text: String,
    /// How long the answer takes once the note is kept, in milliseconds; 0 when absent.
    #[validate(range(max = 60_000))]
    wait_millis: Option<u64>,
    /// What comes then; the note when absent.
    end: Option<ClumsyEnd>,
}

/// What comes after the work is done.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ClumsyEnd {
    Note,
    Panic,
    Unavailable,
    Limit,
}

/// A kept note.
#[derive(Debug, Clone, Object, Serialize)]
pub struct Note {
    /// The note.
    note_id: String,
    /// Its text.
    text: String,
}

/// Notes, newest first.
#[derive(Debug, Object)]
pub struct NotePage {
    /// The notes.
    notes: Vec<Note>,
}

/// What a body of any kind weighs.
#[derive(Debug, Object)]
pub struct Weight {
    /// The media type that it was declared to be, if any.
    declared: Option<String>,
    /// Its length.
    bytes: u64,
}

/// The longest body that is weighed.
pub const WEIGHED_BYTES: usize = 2 * 1024 * 1024;

struct Keep {
    host: Host,
    user: UserId,
    text: String,
}

#[async_trait::async_trait]
impl Change for Keep {
    type Output = Note;

    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<Note>>, ApiError> {
        let mut applied = Vec::new();
        for keep in batch {
            let row = note::ActiveModel {
                note_id: Set(keep.host.ids.next()),
                user_id: Set(keep.user),
                text: Set(keep.text.clone()),
            };
            let note = Note {
                note_id: row.note_id.as_ref().to_string(),
                text: keep.text.clone(),
            };
            note::Entity::insert(row).exec_without_returning(tx).await?;
            let event = NewEvent::new(Stream::User(keep.user), "note_create", &note)?;
            applied.push(Applied {
                output: note,
                events: vec![event],
            });
        }
        Ok(applied)
    }
}

impl Keeper {
    async fn note_create(&self, caller: &Caller, note: NoteCreate) -> Result<Note, ApiError> {
        let longest = self.config.max_chars as usize;
        if text::utf16_len(&note.text) > longest {
            return Err(ApiError::invalid(
                "text",
                format!("must be at most {longest} characters"),
            ));
        }
        if self.accounts.accounts(&[caller.user_id]).await?.is_empty() {
            return Err(ApiError::not_found());
        }
        let log: &EventLog = &self.host.log;
        log.commit(Keep {
            host: self.host.clone(),
            user: caller.user_id,
            text: format!("{}{}", self.config.prefix, note.text),
        })
        .await
    }
}

#[async_trait::async_trait]
impl NoteCounter for Keeper {
    async fn count(&self, user: UserId) -> Result<u64, ApiError> {
        use sea_orm::PaginatorTrait;
        Ok(note::Entity::find()
            .filter(note::Column::UserId.eq(user))
            .count(self.host.db.read())
            .await?)
    }
}

async fn note_create_command(
    keeper: &Keeper,
    socket: &dyn Socket,
    note: NoteCreate,
) -> Result<(), ApiError> {
    keeper.note_create(socket.caller(), note).await.map(|_| ())
}

/// Whose notes the operator counts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountOf {
    user_id: UserId,
}

async fn note_count(keeper: Arc<Keeper>, asked: Asked<CountOf>) -> Result<u64, ApiError> {
    keeper.count(asked.data.user_id).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn note_panic(_: Arc<Keeper>, _: Asked<Nothing>) -> Result<(), ApiError> {
    panic!("panics, as it was told")
}

/// The heading under which the document lists the routes.
#[derive(Tags)]
enum Tag {
    /// What people want to remember.
    Notes,
}

/// The routes.
pub struct NotesApi(Arc<Keeper>);

#[OpenApi(tag = "Tag::Notes")]
impl NotesApi {
    /// Keep a note
    #[oai(path = "/notes", method = "post", operation_id = "note_create")]
    async fn note_create(
        &self,
        caller: Caller,
        Valid(note): Valid<NoteCreate>,
    ) -> Result<Json<Note>, ApiError> {
        self.0.note_create(&caller, note).await.map(Json)
    }

    /// One's notes, newest first
    #[oai(path = "/notes", method = "get", operation_id = "note_list")]
    async fn note_list(&self, caller: Caller) -> Result<Json<NotePage>, ApiError> {
        let rows = note::Entity::find()
            .filter(note::Column::UserId.eq(caller.user_id))
            .order_by_desc(note::Column::NoteId)
            .all(self.0.host.db.read())
            .await?;
        let notes = rows
            .into_iter()
            .map(|row| Note {
                note_id: row.note_id.to_string(),
                text: row.text,
            })
            .collect();
        Ok(Json(NotePage { notes }))
    }

    /// Keep a note, and then be slow or fail on purpose
    #[oai(path = "/notes/clumsy", method = "post", operation_id = "note_clumsy")]
    async fn note_clumsy(
        &self,
        caller: Caller,
        Valid(clumsy): Valid<ClumsyNoteCreate>,
    ) -> Result<Json<Note>, ApiError> {
        let note = NoteCreate { text: clumsy.text };
        let note = self.0.note_create(&caller, note).await?;
        tokio::time::sleep(Duration::from_millis(clumsy.wait_millis.unwrap_or(0))).await;
        match clumsy.end.unwrap_or(ClumsyEnd::Note) {
            ClumsyEnd::Note => Ok(Json(note)),
            ClumsyEnd::Panic => panic!("panics, as it was told"),
            ClumsyEnd::Unavailable => Err(ApiError::unavailable("is away, as it was told")),
            ClumsyEnd::Limit => Err(ApiError::new(
                ErrorCode::RATE_LIMITED,
                "is enough, as it was told",
            )
            .retry_after(Duration::from_secs(1))),
        }
    }

    /// Keep a note whose answer must not be stored
    #[oai(path = "/notes/secret", method = "post", operation_id = "note_secret")]
    async fn note_secret(
        &self,
        caller: Caller,
        Valid(note): Valid<NoteCreate>,
    ) -> Result<NotStored<Json<Note>>, ApiError> {
        let note = self.0.note_create(&caller, note).await?;
        Ok(NotStored(Json(note)))
    }

    /// Weigh a body of any kind
    #[oai(path = "/notes/weigh", method = "post", operation_id = "note_weigh")]
    async fn note_weigh(&self, body: RawBody) -> Result<Json<Weight>, ApiError> {
        let declared = body.declared.clone();
        let body = body.bytes(WEIGHED_BYTES).await?;
        let bytes = self.0.workers.run(move || body.len() as u64).await?;
        Ok(Json(Weight { declared, bytes }))
    }

    /// A handler that panics on purpose
    #[oai(path = "/notes/panic", method = "post", operation_id = "note_panic")]
    async fn note_panic(&self) -> Result<Json<Note>, ApiError> {
        panic!("panics, as it was told")
    }
}

/// The product's schema, and the tables of notes and of the shelf.
pub struct Schema;

/// What [`Schema`] adds.
const OWN_TABLES: [&str; 2] = ["notes", "shelf_blobs"];

#[async_trait::async_trait]
impl filament_host::database::Schema for Schema {
    async fn up(&self, db: &sea_orm::DatabaseConnection) -> Result<(), sea_orm::DbErr> {
        use sea_orm::ConnectionTrait;
        filament_server::ProductSchema.up(db).await?;
        let schema = sea_orm::Schema::new(db.get_database_backend());
        for mut table in [
            schema.create_table_from_entity(note::Entity),
            schema.create_table_from_entity(shelf_blob::Entity),
        ] {
            db.execute(table.if_not_exists()).await?;
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        let mut names = filament_server::ProductSchema.names();
        names.extend(OWN_TABLES.map(str::to_string));
        names
    }

    async fn status(
        &self,
        db: &sea_orm::DatabaseConnection,
    ) -> Result<Vec<(String, bool)>, sea_orm::DbErr> {
        use sea_orm::ConnectionTrait;
        let mut status = filament_server::ProductSchema.status(db).await?;
        for table in OWN_TABLES {
            let look = format!("SELECT 1 FROM {table} LIMIT 1");
            let there = db.execute_unprepared(&look).await.is_ok();
            status.push((table.to_string(), there));
        }
        Ok(status)
    }
}

/// The product's modules, this one and the shelf.
pub fn modules() -> Vec<Box<dyn filament_host::catalogue::AnyModule>> {
    let mut modules = filament_server::modules();
    modules.push(filament_host::catalogue::module::<Notes>());
    modules.push(filament_host::catalogue::module::<Shelf>());
    modules
}

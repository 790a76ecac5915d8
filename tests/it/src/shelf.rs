//! A shelf for small files: provides the port `Blobs` from a folder of its own, with a table that says which are claimed.
//!
//! What is put and never claimed stays: a test that leaves something behind is to see it.

use std::{path::PathBuf, sync::Arc};

use filament_kernel::{
    ApiError, Caller, Context, ErrorCode, Instance, Manifest, Module,
    config::Section,
    db::{EntityShape, WriteTx},
    id::BlobId,
    module::{Host, Stability, StartError},
    ports::{Blob, Blobs, NewBlob},
    service::PortKey,
};
use poem_openapi::{Object, OpenApi, Tags, payload::Json};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    sea_query::Expr,
};
use serde::{Deserialize, Serialize};
use validator::Validate;

/// The table.
pub mod shelf_blob {
    use filament_kernel::id::{BlobId, UserId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "shelf_blobs")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub blob_id: BlobId,
        pub owner_user_id: UserId,
        #[sea_orm(column_type = "Text")]
        pub media_type: String,
        pub claimed: bool,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// `[shelf]`
#[derive(Debug, Clone, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[validate(range(min = 1, max = 1_000))]
    pub max_blobs_per_user: u64,
}

impl Section for Config {
    const DEFAULTS: &'static str = include_str!("shelf/config.default.toml");
}

/// The module.
pub struct Shelf;

impl Module for Shelf {
    type Config = Config;
    type Api = ShelfApi;

    const MANIFEST: Manifest = Manifest {
        id: "shelf",
        summary: "a shelf for small files",
        stability: Stability::Experimental,
        requires: &[],
        uses: &[],
        provides: &[PortKey::of::<dyn Blobs>()],
        routes: &["GET /shelf"],
        commands: &[],
        operator_commands: &[],
        events: &[],
        tables: &["shelf_blobs"],
        metrics: &[],
    };

    fn entities() -> Vec<EntityShape> {
        vec![EntityShape::of::<shelf_blob::Entity>()]
    }

    async fn prepare(context: Context<Config>) -> Result<Instance<ShelfApi>, StartError> {
        let folder = context.host.data_dir.join(Self::MANIFEST.id);
        tokio::fs::create_dir_all(&folder).await?;
        let boards = Arc::new(Boards {
            config: context.config,
            host: context.host,
            folder,
        });
        Ok(Instance::new(ShelfApi(boards.clone())).provide::<dyn Blobs>(boards))
    }
}

struct Boards {
    config: Arc<Config>,
    host: Host,
    folder: PathBuf,
}

impl Boards {
    fn path(&self, id: BlobId) -> PathBuf {
        self.folder.join(id.to_string())
    }
}

#[async_trait::async_trait]
impl Blobs for Boards {
    async fn put(&self, blob: NewBlob) -> Result<BlobId, ApiError> {
        let max = self.config.max_blobs_per_user;
        let has = shelf_blob::Entity::find()
            .filter(shelf_blob::Column::OwnerUserId.eq(blob.owner))
            .count(self.host.db.read())
            .await?;
        if has >= max {
            return Err(ApiError::new(
                ErrorCode::QUOTA_EXCEEDED,
                format!("one user may have {max} blobs at most"),
            ));
        }
        let id: BlobId = self.host.ids.next();
        tokio::fs::write(self.path(id), &blob.bytes)
            .await
            .map_err(ApiError::internal)?;
        let row = shelf_blob::ActiveModel {
            blob_id: Set(id),
            owner_user_id: Set(blob.owner),
            media_type: Set(blob.media_type.to_string()),
            claimed: Set(false),
        };
        self.host
            .db
            .write(move |tx| {
                Box::pin(async move {
                    shelf_blob::Entity::insert(row)
                        .exec_without_returning(tx)
                        .await?;
                    Ok(())
                })
            })
            .await?;
        Ok(id)
    }

    async fn claim(&self, tx: &WriteTx, id: BlobId) -> Result<(), ApiError> {
        let claimed = shelf_blob::Entity::update_many()
            .col_expr(shelf_blob::Column::Claimed, Expr::value(true))
            .filter(shelf_blob::Column::BlobId.eq(id))
            .exec(tx)
            .await?;
        match claimed.rows_affected {
            1 => Ok(()),
            _ => Err(ApiError::not_found()),
        }
    }

    async fn release(&self, tx: &WriteTx, id: BlobId) -> Result<(), ApiError> {
        shelf_blob::Entity::delete_by_id(id).exec(tx).await?;
        Ok(())
    }

    async fn get(&self, id: BlobId) -> Result<Option<Blob>, ApiError> {
        let row = shelf_blob::Entity::find_by_id(id)
            .one(self.host.db.read())
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let bytes = tokio::fs::read(self.path(id))
            .await
            .map_err(ApiError::internal)?;
        Ok(Some(Blob {
            media_type: row.media_type,
            bytes: bytes.into(),
        }))
    }
}

/// Something on the shelf.
#[derive(Debug, Object)]
pub struct ShelfBlob {
    /// The blob.
    blob_id: BlobId,
    /// Its type.
    media_type: String,
    /// Whether something refers to it.
    claimed: bool,
}

/// What is on the shelf, oldest first.
#[derive(Debug, Object)]
pub struct ShelfPage {
    /// All of it.
    blobs: Vec<ShelfBlob>,
}

/// The heading under which the document lists the routes.
#[derive(Tags)]
enum Tag {
    /// What lies on the shelf.
    Shelf,
}

/// The routes.
pub struct ShelfApi(Arc<Boards>);

#[OpenApi(tag = "Tag::Shelf")]
impl ShelfApi {
    /// What the caller has on the shelf
    #[oai(path = "/shelf", method = "get", operation_id = "shelf_list")]
    async fn shelf_list(&self, caller: Caller) -> Result<Json<ShelfPage>, ApiError> {
        let rows = shelf_blob::Entity::find()
            .filter(shelf_blob::Column::OwnerUserId.eq(caller.user_id))
            .order_by_asc(shelf_blob::Column::BlobId)
            .all(self.0.host.db.read())
            .await?;
        let blobs = rows
            .into_iter()
            .map(|row| ShelfBlob {
                blob_id: row.blob_id,
                media_type: row.media_type,
                claimed: row.claimed,
            })
            .collect();
        Ok(Json(ShelfPage { blobs }))
    }
}

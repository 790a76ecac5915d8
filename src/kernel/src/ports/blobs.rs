use bytes::Bytes;

use crate::{
    db::WriteTx,
    error::ApiError,
    id::{BlobId, UserId},
    service::Port,
};

/// Bytes that are about to be kept.
#[derive(Debug, Clone)]
pub struct NewBlob {
    /// Against whose quota it counts.
    pub owner: UserId,
    /// Found by looking at the bytes, never believed.
    pub media_type: &'static str,
    /// The whole of it.
    pub bytes: Bytes,
}

/// Bytes as they are kept.
#[derive(Debug, Clone)]
pub struct Blob {
    /// As it was given.
    pub media_type: String,
    /// The whole of it.
    pub bytes: Bytes,
}

/// Small immutable bytes (avatars, banners) under a quota. Provided by `attachments`, used by `auth`.
///
/// A blob is **put** first and **claimed** in the transaction of whatever refers to it. What is not claimed, because the transaction
/// failed or the server died in between, expires by itself; so does what is **released**, in the transaction that drops the last
/// reference. So rows and bytes agree after a crash at any point.
#[async_trait::async_trait]
pub trait Blobs: Send + Sync {
    /// Stores bytes, claimed by nobody yet.
    ///
    /// # Errors
    /// 409 `quota_exceeded` beyond the owner's quota; 503 when there is no room or the store is away.
    async fn put(&self, blob: NewBlob) -> Result<BlobId, ApiError>;

    /// From the commit of `tx` on the blob is kept until it is released.
    ///
    /// # Errors
    /// 404 when there is no such blob (any more); 503 when the database is away.
    async fn claim(&self, tx: &WriteTx, id: BlobId) -> Result<(), ApiError>;

    /// From the commit of `tx` on the blob may go. Harmless when it has gone already.
    ///
    /// # Errors
    /// 503 when the database is away.
    async fn release(&self, tx: &WriteTx, id: BlobId) -> Result<(), ApiError>;

    /// The bytes of a blob, if it is there.
    ///
    /// # Errors
    /// 503 when the store or the database is away.
    async fn get(&self, id: BlobId) -> Result<Option<Blob>, ApiError>;
}

impl Port for dyn Blobs {
    const NAME: &'static str = "blobs";
}

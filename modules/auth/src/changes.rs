//! How a profile changes: one file per change, each a function that the routes call, and the
//! [`SingleChange`](filament_kernel::log::SingleChange) that it commits.

mod picture_update;
mod profile_update;

use std::sync::{Arc, Mutex, PoisonError};

use filament_kernel::{
    ApiError, Optional,
    db::WriteTx,
    id::UserId,
    limits::RateLimit,
    module::Host,
    ports::{Blobs, Friends},
};

pub(crate) use picture_update::picture_update;
pub(crate) use profile_update::{NewProfile, profile_update};

/// What changes of profiles work with.
pub(crate) struct Profiles {
    pub(crate) host: Host,
    /// Without a provider nobody has friends.
    pub(crate) friends: Optional<dyn Friends>,
    /// Without a provider there are no pictures.
    pub(crate) blobs: Optional<dyn Blobs>,
    /// Of all kinds of changes together: each writes an event for every friend.
    pub(crate) limit: Arc<RateLimit<UserId>>,
}

/// The hourly limit of the instance that came up last, for the next one: a reload gives nobody new changes.
#[derive(Default)]
pub(crate) struct KeptLimit(Mutex<Option<Arc<RateLimit<UserId>>>>);

impl KeptLimit {
    /// So many changes an hour. When that is another number than before, everybody begins anew.
    pub(crate) fn per_hour(&self, changes: u32) -> Arc<RateLimit<UserId>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = kept.take().filter(|limit| limit.rate() == changes);
        let limit = same.unwrap_or_else(|| Arc::new(RateLimit::per_hour(changes)));
        kept.insert(limit).clone()
    }
}

impl Profiles {
    /// Whom a change that is made in `tx` concerns besides its owner.
    async fn friends_of(&self, tx: &WriteTx, user: UserId) -> Result<Vec<UserId>, ApiError> {
        match self.friends.get() {
            Some(friends) => friends.friends_of(tx, user).await,
            None => Ok(Vec::new()),
        }
    }
}

/// Nobody keeps bytes.
pub(crate) fn pictures_are_off() -> ApiError {
    ApiError::unavailable("there are no pictures: the module that keeps files is off")
}

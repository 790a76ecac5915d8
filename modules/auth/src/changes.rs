//! How a profile changes: one file per change, each a function that the routes call, and the
//! [`Change`](filament_kernel::log::Change) that it commits.
//!
//! A change that is refused answers the refusal as its output. As an error it would roll back the transaction, and with it
//! everybody else's changes that share it.

mod picture_update;
mod profile_update;

use filament_kernel::{
    ApiError, Optional,
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
    pub(crate) limit: RateLimit<UserId>,
}

impl Profiles {
    /// Whom a change concerns besides its owner. Asked before the change is made: who becomes a friend in between reads the profile
    /// anyway.
    async fn friends_of(&self, user: UserId) -> Result<Vec<UserId>, ApiError> {
        match self.friends.get() {
            Some(friends) => friends.friends_of(user).await,
            None => Ok(Vec::new()),
        }
    }
}

/// Nobody keeps bytes.
pub(crate) fn pictures_are_off() -> ApiError {
    ApiError::unavailable("there are no pictures: the module that keeps files is off")
}

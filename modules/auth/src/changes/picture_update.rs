use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{BlobId, UserId},
    log::{Applied, NewEvent, SingleChange, Stop},
    ports::Blobs,
};

use super::{Profiles, pictures_are_off};
use crate::{
    domain::picture::Picture,
    events::{self, PROFILE_AVATAR_UPDATE, PROFILE_BANNER_UPDATE},
    store::{self, pictures::StoredPicture, profiles::Profile},
};

/// Puts a picture, or none, in the place of an account's: the new bytes are claimed, the old ones released and the version raised in
/// one transaction. Removing what is not there is no change.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn picture_update(
    profiles: &Arc<Profiles>,
    user_id: UserId,
    picture: Picture,
    blob: Option<BlobId>,
) -> Result<Profile, ApiError> {
    let change = PictureUpdate {
        profiles: profiles.clone(),
        user_id,
        picture,
        blob,
        blobs: profiles.blobs.get(),
    };
    profiles.host.log.commit(change).await?
}

struct PictureUpdate {
    profiles: Arc<Profiles>,
    user_id: UserId,
    picture: Picture,
    /// Put, and not yet claimed.
    blob: Option<BlobId>,
    blobs: Option<Arc<dyn Blobs>>,
}

#[async_trait::async_trait]
impl SingleChange for PictureUpdate {
    type Output = Profile;

    async fn make(&self, tx: &WriteTx) -> Result<Applied<Profile>, Stop> {
        let gone = || Stop::Refused(ApiError::unauthenticated());
        let old = store::pictures::find_locked(tx, self.user_id, self.picture)
            .await?
            .ok_or_else(gone)?;
        let mut events = Vec::new();
        if self.blob.is_some() || old.blob.is_some() {
            let Some(blobs) = &self.blobs else {
                return Err(Stop::Refused(pictures_are_off()));
            };
            if let Some(new) = self.blob {
                blobs.claim(tx, new).await?;
            }
            if let Some(old) = old.blob {
                blobs.release(tx, old).await?;
            }
            let next = StoredPicture {
                version: old.version + 1,
                blob: self.blob,
            };
            store::pictures::set(tx, self.user_id, self.picture, next).await?;
            let friends = self.profiles.friends_of(tx, self.user_id).await?;
            events = self.events(next.version, &friends)?;
        }
        let profile = store::profiles::find(tx, self.user_id).await?;
        Ok(Applied {
            output: profile.ok_or_else(ApiError::unauthenticated)?,
            events,
        })
    }
}

impl PictureUpdate {
    fn events(&self, version: i64, friends: &[UserId]) -> Result<Vec<NewEvent>, ApiError> {
        let user_id = self.user_id;
        let updated_at_unix = self.profiles.host.clock.now_unix();
        match self.picture {
            Picture::Avatar => {
                let event = events::ProfileAvatarUpdate {
                    user_id,
                    avatar_version: version,
                    updated_at_unix,
                    actor_user_id: user_id,
                };
                events::to_user_and_friends(user_id, friends, PROFILE_AVATAR_UPDATE, &event)
            }
            Picture::Banner => {
                let event = events::ProfileBannerUpdate {
                    user_id,
                    banner_version: version,
                    updated_at_unix,
                    actor_user_id: user_id,
                };
                events::to_user_and_friends(user_id, friends, PROFILE_BANNER_UPDATE, &event)
            }
        }
    }
}

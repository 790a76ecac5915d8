use std::sync::Arc;

use filament_kernel::{
    ApiError, Caller,
    id::{BlobId, UserId},
    ports::NewBlob,
};
use poem::web::{TypedHeader, headers::IfNoneMatch};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{Tag, image::ImageAnswer, image_body::ImageBody, profile::Profile};
use crate::{
    changes::{Profiles, picture_update, pictures_are_off},
    domain::{image, picture::Picture},
    store::{self, pictures::StoredPicture},
};

pub struct Pictures {
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) avatar_max_bytes: usize,
    pub(crate) banner_max_bytes: usize,
}

/// What a client has of an image already.
type Known = Option<TypedHeader<IfNoneMatch>>;

#[OpenApi]
impl Pictures {
    /// Change one's avatar
    ///
    /// The body is the image itself, told by its bytes; at most 2 MiB. Oneself and one's friends are told by `profile_avatar_update`.
    ///
    /// - 415: The bytes are no JPEG, PNG, WebP, AVIF or GIF, or the `Content-Type` contradicts them
    #[oai(
        path = "/users/me/profile/avatar",
        method = "post",
        operation_id = "profile_avatar_update",
        tag = "Tag::Users"
    )]
    async fn profile_avatar_update(
        &self,
        caller: Caller,
        body: ImageBody,
    ) -> Result<Json<Profile>, ApiError> {
        self.update(caller, body, Picture::Avatar).await
    }

    /// Change one's banner
    ///
    /// As the avatar; at most 6 MiB. Oneself and one's friends are told by `profile_banner_update`.
    ///
    /// - 415: The bytes are no JPEG, PNG, WebP, AVIF or GIF, or the `Content-Type` contradicts them
    #[oai(
        path = "/users/me/profile/banner",
        method = "post",
        operation_id = "profile_banner_update",
        tag = "Tag::Users"
    )]
    async fn profile_banner_update(
        &self,
        caller: Caller,
        body: ImageBody,
    ) -> Result<Json<Profile>, ApiError> {
        self.update(caller, body, Picture::Banner).await
    }

    /// Remove one's avatar
    ///
    /// Raises the version, as a change does. Nothing happens when there is none.
    #[oai(
        path = "/users/me/profile/avatar",
        method = "delete",
        operation_id = "profile_avatar_delete",
        tag = "Tag::Users"
    )]
    async fn profile_avatar_delete(&self, caller: Caller) -> Result<Json<Profile>, ApiError> {
        self.delete(caller, Picture::Avatar).await
    }

    /// Remove one's banner
    ///
    /// Raises the version, as a change does. Nothing happens when there is none.
    #[oai(
        path = "/users/me/profile/banner",
        method = "delete",
        operation_id = "profile_banner_delete",
        tag = "Tag::Users"
    )]
    async fn profile_banner_delete(&self, caller: Caller) -> Result<Json<Profile>, ApiError> {
        self.delete(caller, Picture::Banner).await
    }

    /// Load somebody's avatar
    ///
    /// Needs no access token, so that pages can show it. With `v` being the `avatar_version` of the profile it may be kept for ever;
    /// otherwise it is to be asked for again, and `If-None-Match` saves the bytes.
    ///
    /// - 404: There is no such user, or they have no avatar
    #[oai(
        path = "/users/:user_id/avatar",
        method = "get",
        operation_id = "profile_avatar_get",
        tag = "Tag::Users"
    )]
    async fn profile_avatar_get(
        &self,
        user_id: Path<UserId>,
        /// The version that the profile names.
        v: Query<Option<i64>>,
        known: Known,
    ) -> Result<ImageAnswer, ApiError> {
        self.get(user_id.0, Picture::Avatar, v.0, known).await
    }

    /// Load somebody's banner
    ///
    /// As the avatar, with the `banner_version` of the profile.
    ///
    /// - 404: There is no such user, or they have no banner
    #[oai(
        path = "/users/:user_id/banner",
        method = "get",
        operation_id = "profile_banner_get",
        tag = "Tag::Users"
    )]
    async fn profile_banner_get(
        &self,
        user_id: Path<UserId>,
        /// The version that the profile names.
        v: Query<Option<i64>>,
        known: Known,
    ) -> Result<ImageAnswer, ApiError> {
        self.get(user_id.0, Picture::Banner, v.0, known).await
    }
}

impl Pictures {
    async fn update(
        &self,
        caller: Caller,
        body: ImageBody,
        picture: Picture,
    ) -> Result<Json<Profile>, ApiError> {
        let Profiles { limit, blobs, .. } = &*self.profiles;
        let blobs = blobs.get().ok_or_else(pictures_are_off)?;
        limit.check(&caller.user_id)?;
        let ImageBody(body) = body;
        let declared = body.declared.clone();
        let bytes = body.bytes(self.max_bytes(picture)).await?;
        let image = image::check(&bytes, declared.as_deref())?;
        let blob = NewBlob {
            owner: caller.user_id,
            media_type: image.media_type(),
            bytes,
        };
        let blob = blobs.put(blob).await?;
        self.change(caller, picture, Some(blob)).await
    }

    async fn delete(&self, caller: Caller, picture: Picture) -> Result<Json<Profile>, ApiError> {
        self.profiles.limit.check(&caller.user_id)?;
        self.change(caller, picture, None).await
    }

    async fn change(
        &self,
        caller: Caller,
        picture: Picture,
        blob: Option<BlobId>,
    ) -> Result<Json<Profile>, ApiError> {
        let profile = picture_update(&self.profiles, caller.user_id, picture, blob).await?;
        Ok(Json(profile.into()))
    }

    async fn get(
        &self,
        user_id: UserId,
        picture: Picture,
        asked: Option<i64>,
        known: Known,
    ) -> Result<ImageAnswer, ApiError> {
        let mut stored = self.stored(user_id, picture).await?;
        loop {
            let id = stored.blob.ok_or_else(ApiError::not_found)?;
            let answer = ImageAnswer::new(stored.version, asked)?;
            if let Some(TypedHeader(known)) = &known
                && answer.is_known(known)
            {
                return Ok(answer);
            }
            let blobs = self.profiles.blobs.get().ok_or_else(pictures_are_off)?;
            if let Some(blob) = blobs.get(id).await? {
                return Ok(answer.with(blob));
            }
            // The bytes go as soon as another picture is there: then that is the one to show.
            let next = self.stored(user_id, picture).await?;
            if next == stored {
                return Err(ApiError::not_found());
            }
            stored = next;
        }
    }

    async fn stored(&self, user_id: UserId, picture: Picture) -> Result<StoredPicture, ApiError> {
        store::pictures::find(self.profiles.host.db.read(), user_id, picture)
            .await?
            .ok_or_else(ApiError::not_found)
    }

    fn max_bytes(&self, picture: Picture) -> usize {
        match picture {
            Picture::Avatar => self.avatar_max_bytes,
            Picture::Banner => self.banner_max_bytes,
        }
    }
}

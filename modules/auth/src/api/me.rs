use filament_kernel::{ApiError, Caller, db::Database};
use poem_openapi::{OpenApi, payload::Json};

use super::{Tag, profile::Profile};
use crate::store;

pub struct Me {
    pub(crate) db: Database,
}

#[OpenApi]
impl Me {
    /// Who am I
    ///
    /// The caller's own profile.
    #[oai(
        path = "/auth/me",
        method = "get",
        operation_id = "me",
        tag = "Tag::Auth"
    )]
    async fn me(&self, caller: Caller) -> Result<Json<Profile>, ApiError> {
        let profile = store::profiles::find(self.db.read(), caller.user_id)
            .await?
            .ok_or_else(ApiError::unauthenticated)?;
        Ok(Json(profile.into()))
    }
}

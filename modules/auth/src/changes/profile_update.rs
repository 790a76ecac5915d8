use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    http::Origin,
    id::UserId,
    log::{Applied, SingleChange, Stop},
    markdown,
};
use sea_orm::SqlErr;
use serde_json::json;

use super::Profiles;
use crate::{
    actor::Actor,
    domain::username::{self, Username},
    events::{self, PROFILE_UPDATE},
    store::{self, profiles::Profile},
};

/// What is to be changed; what is `None` stays.
pub(crate) struct NewProfile {
    pub(crate) username: Option<Username>,
    pub(crate) about_markdown: Option<String>,
}

/// Changes the name of an account, or what it says of itself. What is the same as before is no change, and nobody is told of it.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn profile_update(
    profiles: &Arc<Profiles>,
    user_id: UserId,
    origin: Origin,
    wanted: NewProfile,
) -> Result<Profile, ApiError> {
    let change = ProfileUpdate {
        profiles: profiles.clone(),
        user_id,
        actor: Actor::Owner(origin),
        wanted,
    };
    profiles.host.log.commit(change).await?
}

struct ProfileUpdate {
    profiles: Arc<Profiles>,
    user_id: UserId,
    actor: Actor,
    wanted: NewProfile,
}

#[async_trait::async_trait]
impl SingleChange for ProfileUpdate {
    type Output = Profile;

    async fn make(&self, tx: &WriteTx) -> Result<Applied<Profile>, Stop> {
        let gone = || Stop::Refused(ApiError::unauthenticated());
        let old = store::profiles::find_locked(tx, self.user_id)
            .await?
            .ok_or_else(gone)?;
        let username = self.wanted.username.as_ref();
        let username = username.filter(|wanted| wanted.shown != old.username);
        let about = self.wanted.about_markdown.as_deref();
        let about = about.filter(|wanted| *wanted != old.about_markdown);
        if let Some(username) = username
            && store::profiles::is_taken(tx, username, self.user_id).await?
        {
            return Err(Stop::Refused(username::taken()));
        }
        if username.is_none() && about.is_none() {
            return Ok(Applied::silent(old));
        }

        let mut new = old.clone();
        if let Some(username) = username {
            self.rename(tx, &old.username, username).await?;
            new.username.clone_from(&username.shown);
        }
        if let Some(about) = about {
            store::profiles::set_about(tx, self.user_id, about).await?;
            about.clone_into(&mut new.about_markdown);
        }
        let event = events::ProfileUpdate {
            user_id: self.user_id,
            updated_fields: events::UpdatedFields {
                username: username.map(|username| username.shown.as_str()),
                about_markdown: about,
                about_markdown_tokens: about.map(markdown::tokens),
            },
            updated_at_unix: self.profiles.host.clock.now_unix(),
            actor_user_id: self.user_id,
        };
        let friends = self.profiles.friends_of(tx, self.user_id).await?;
        Ok(Applied {
            output: new,
            events: events::to_user_and_friends(self.user_id, &friends, PROFILE_UPDATE, &event)?,
        })
    }
}

impl ProfileUpdate {
    async fn rename(&self, tx: &WriteTx, from: &str, to: &Username) -> Result<(), ApiError> {
        store::profiles::set_username(tx, self.user_id, to)
            .await
            .map_err(|error| match error.sql_err() {
                // Registered by somebody in this moment.
                Some(SqlErr::UniqueConstraintViolation(_)) => username::taken(),
                _ => ApiError::from(error),
            })?;
        let entry = self.actor.entry(
            "account.rename",
            self.user_id,
            json!({ "from": from, "to": to.shown }),
        );
        self.profiles.host.audit.record(tx, entry).await
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError, Caller,
    http::{Origin, Valid},
    id::{ChannelId, GuildId},
};
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use validator::Validate;

use super::{Accepted, Answer, Tag, accepted};
use crate::{
    access::Actor,
    changes::{self, Subject},
    domain::{
        act::Act,
        channel_override::{Override, Target},
        permission::{Permission, PermissionSet},
        role::Standing,
    },
    state::State,
};

pub struct Overrides(pub(super) Arc<State>);

/// What a channel is to say: all of it. Nothing in either takes the override away.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct PermissionOverride {
    /// What is allowed though the roles do not allow it.
    allow: Vec<Permission>,
    /// What is not allowed though the roles allow it. Nothing may stand in both.
    deny: Vec<Permission>,
}

/// What an override is about; the numbers are what old clients say.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum OverrideKind {
    Role,
    Member,
    #[oai(rename = "0")]
    RoleNumber,
    #[oai(rename = "1")]
    MemberNumber,
}

#[OpenApi]
impl Overrides {
    /// Set what a channel says about owners, moderators or members
    ///
    /// Takes `manage_channel_overrides` in the channel. About the roles that stand for the three: what it says of the owner
    /// changes nothing, as the owner may do everything.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id/overrides/:role",
        method = "post",
        operation_id = "channel_role_override_set",
        tag = "Tag::Channels"
    )]
    async fn channel_role_override_set(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        role: Path<Standing>,
        body: Valid<PermissionOverride>,
    ) -> Answer<Accepted> {
        let subject = Subject::Standing(role.0);
        self.set(caller, origin, guild_id.0, channel_id.0, subject, body.0)
            .await
    }

    /// Set what a channel says about a role or a member
    ///
    /// Takes `manage_channel_overrides` in the channel, a rank above the role or member (so that nobody but an owner sets their own), and
    /// every permission, in the channel, about which it is to say something else than before.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id/permission-overrides/:kind/:id",
        method = "post",
        operation_id = "channel_permission_override_set",
        tag = "Tag::Channels"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are the route's parts")]
    async fn channel_permission_override_set(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        kind: Path<OverrideKind>,
        /// The role's or member's id; for a role also `owner`, `moderator` or `member`.
        id: Path<String>,
        body: Valid<PermissionOverride>,
    ) -> Answer<Accepted> {
        let subject = kind.0.subject(&id.0)?;
        self.set(caller, origin, guild_id.0, channel_id.0, subject, body.0)
            .await
    }
}

impl Overrides {
    async fn set(
        &self,
        caller: Caller,
        origin: Origin,
        guild: GuildId,
        channel: ChannelId,
        subject: Subject,
        body: PermissionOverride,
    ) -> Answer<Accepted> {
        let (user, act) = (caller.user_id, Act::OverrideSet);
        let actor = Actor::in_channel(&self.0, user, guild, channel, act, origin).await?;
        let says = body.says()?;
        changes::override_set(&self.0, actor, channel, subject, says).await?;
        accepted()
    }
}

impl OverrideKind {
    /// Whom an id of this kind names; what is no id names nobody.
    fn subject(self, id: &str) -> Result<Subject, ApiError> {
        let invalid = |error| ApiError::invalid("id", error);
        match self {
            Self::Role | Self::RoleNumber => match Standing::of_word(id) {
                Some(standing) => Ok(Subject::Standing(standing)),
                None => Ok(Subject::Target(Target::Role(id.parse().map_err(invalid)?))),
            },
            Self::Member | Self::MemberNumber => Ok(Subject::Target(Target::Member(
                id.parse().map_err(invalid)?,
            ))),
        }
    }
}

impl PermissionOverride {
    fn says(self) -> Result<Override, ApiError> {
        let allow: PermissionSet = self.allow.into_iter().collect();
        let deny: PermissionSet = self.deny.into_iter().collect();
        if !allow.is_disjoint(deny) {
            return Err(ApiError::invalid(
                "deny",
                "must not name what allow names too",
            ));
        }
        Ok(Override { allow, deny })
    }
}

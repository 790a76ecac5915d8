use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{RoleId, UserId},
    log::NewEvent,
};

use super::effects::revises_sight;
use crate::{
    access::Actor,
    domain::roster::Fact,
    events::{
        self, WORKSPACE_MEMBER_UPDATE, WORKSPACE_ROLE_ASSIGNMENT_ADD,
        WORKSPACE_ROLE_ASSIGNMENT_REMOVE,
    },
    store,
};

/// What of a member's roles is to change.
#[derive(Default)]
pub(super) struct Reassignment {
    pub(super) give: Vec<RoleId>,
    pub(super) take: Vec<RoleId>,
}

/// Gives roles to a member and takes others; what they have already or do not have is passed over. Answers the events, and what
/// memory learns.
pub(super) async fn reassign(
    actor: &Actor,
    tx: &WriteTx,
    user_id: UserId,
    change: Reassignment,
    now: i64,
) -> Result<(Vec<NewEvent>, Vec<Fact>), ApiError> {
    let guild_id = actor.guild_id();
    let held = store::members::roles_of(tx, guild_id, user_id).await?;
    let mut role_ids = held.clone();
    let mut told = Vec::new();
    for role_id in change.give {
        if role_ids.contains(&role_id) {
            continue;
        }
        store::members::give_role(tx, guild_id, user_id, role_id).await?;
        role_ids.push(role_id);
        told.push(actor.event(
            WORKSPACE_ROLE_ASSIGNMENT_ADD,
            &events::WorkspaceRoleAssignmentAdd {
                guild_id,
                user_id,
                role_id,
                assigned_at_unix: now,
                actor_user_id: actor.user_id(),
            },
        )?);
    }
    for role_id in change.take {
        if !role_ids.contains(&role_id) {
            continue;
        }
        store::members::take_role(tx, guild_id, user_id, role_id).await?;
        role_ids.retain(|held| *held != role_id);
        told.push(actor.event(
            WORKSPACE_ROLE_ASSIGNMENT_REMOVE,
            &events::WorkspaceRoleAssignmentRemove {
                guild_id,
                user_id,
                role_id,
                removed_at_unix: now,
                actor_user_id: actor.user_id(),
            },
        )?);
    }
    if told.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let role = actor.guild().standing_of(&role_ids);
    if role != actor.guild().standing_of(&held) {
        told.push(actor.event(
            WORKSPACE_MEMBER_UPDATE,
            &events::WorkspaceMemberUpdate {
                guild_id,
                user_id,
                updated_fields: events::MemberFields { role },
                updated_at_unix: now,
                actor_user_id: actor.user_id(),
            },
        )?);
    }
    // Any role may carry an override, so that giving one can take sight as well as taking one.
    let last = told.pop();
    told.extend(last.map(|event| event.with_effect(revises_sight(actor.guild()))));
    Ok((told, vec![Fact::Member { user_id, role_ids }]))
}

/// Refuses to leave a guild without an owner, when an owner is about to be none any more.
pub(super) fn check_not_last_owner(owners: usize) -> Result<(), ApiError> {
    if owners > 1 {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "this is the last owner: transfer the guild first, or delete it",
    ))
}

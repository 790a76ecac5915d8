//! Commands of the operator about accounts and their sessions: `user.create`, `user.list`, `user.disable`, `user.enable`,
//! `user.reset_password`, `user.sessions` and `user.end_sessions`.

use std::sync::Arc;

use filament_kernel::{
    ApiError, ErrorCode,
    id::{SessionId, UserId},
    module::{Host, Instance},
    operator::Asked,
};
use poem_openapi::OpenApi;
use serde::{Deserialize, Serialize};
use validator::ValidationError;

use crate::{
    accounts::Accounts,
    domain::{
        password,
        username::{self, Username},
    },
    hasher::Hasher,
    sessions::Sessions,
    store::{
        self,
        sessions::{Shown, Which},
    },
};

/// The commands, as the manifest claims them.
pub(crate) const COMMANDS: &[&str] = &[
    "user.create",
    "user.list",
    "user.disable",
    "user.enable",
    "user.reset_password",
    "user.sessions",
    "user.end_sessions",
];

/// Accounts on one page of `user.list` when the operator does not say.
const PAGE: u64 = 100;
/// And at most.
const MAX_PAGE: u64 = 200;

/// Carries out the commands.
pub(crate) struct Operator {
    pub(crate) host: Host,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) sessions: Arc<Sessions>,
}

impl Operator {
    /// Adds the commands to an instance.
    pub(crate) fn offer<A: OpenApi>(self, instance: Instance<A>) -> Instance<A> {
        let state = Arc::new(self);
        instance
            .operator_command("user.create", state.clone(), user_create)
            .operator_command("user.list", state.clone(), user_list)
            .operator_command("user.disable", state.clone(), user_disable)
            .operator_command("user.enable", state.clone(), user_enable)
            .operator_command("user.reset_password", state.clone(), user_reset_password)
            .operator_command("user.sessions", state.clone(), user_sessions)
            .operator_command("user.end_sessions", state, user_end_sessions)
    }

    /// The account with a name, and the name as its owner writes it.
    async fn account(&self, username: &str) -> Result<(UserId, String), ApiError> {
        let found = match Username::parse(username) {
            Some(username) => store::users::named(self.host.db.read(), &username).await?,
            None => None,
        };
        found.ok_or_else(|| {
            ApiError::new(
                ErrorCode::NOT_FOUND,
                "username: there is no account of this name",
            )
        })
    }

    /// The hash of a given password, or of a new one, which is answered too.
    async fn hash(&self, given: Option<String>) -> Result<(String, Option<String>), ApiError> {
        let (password, made) = match given {
            Some(password) => {
                password::check_new(&password).map_err(|error| invalid("password", &error))?;
                (password, None)
            }
            None => {
                let password = password::generate();
                (password.clone(), Some(password))
            }
        };
        Ok((self.hasher.hash(password).await?, made))
    }
}

fn invalid(field: &str, error: &ValidationError) -> ApiError {
    let message = error.message.as_deref().unwrap_or("is not valid");
    ApiError::invalid(field, message)
}

/// `user.create` and `user.reset_password`: whose, and which password; without one the server makes one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    username: String,
    password: Option<String>,
}

#[derive(Serialize)]
struct Created {
    user_id: UserId,
    username: String,
    /// Only if the server made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

async fn user_create(
    operator: Arc<Operator>,
    asked: Asked<Credentials>,
) -> Result<Created, ApiError> {
    let Asked { request_id, data } = asked;
    let username =
        Username::checked(&data.username).map_err(|error| invalid("username", &error))?;
    let shown = username.shown.clone();
    let (hash, password) = operator.hash(data.password).await?;
    let user_id = operator
        .accounts
        .create(username, hash, request_id)
        .await?
        .ok_or_else(username::taken)?;
    Ok(Created {
        user_id,
        username: shown,
        password,
    })
}

#[derive(Serialize)]
struct Reset {
    user_id: UserId,
    username: String,
    ended_sessions: usize,
    /// Only if the server made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

async fn user_reset_password(
    operator: Arc<Operator>,
    asked: Asked<Credentials>,
) -> Result<Reset, ApiError> {
    let Asked { request_id, data } = asked;
    let (user_id, username) = operator.account(&data.username).await?;
    let (hash, password) = operator.hash(data.password).await?;
    let ended_sessions = operator
        .accounts
        .reset_password(user_id, hash, request_id)
        .await?;
    Ok(Reset {
        user_id,
        username,
        ended_sessions,
        password,
    })
}

/// Which account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    username: String,
}

#[derive(Serialize)]
struct Switched {
    user_id: UserId,
    username: String,
    disabled: bool,
    ended_sessions: usize,
}

async fn user_disable(operator: Arc<Operator>, asked: Asked<Named>) -> Result<Switched, ApiError> {
    switch(&operator, asked, true).await
}

async fn user_enable(operator: Arc<Operator>, asked: Asked<Named>) -> Result<Switched, ApiError> {
    switch(&operator, asked, false).await
}

async fn switch(
    operator: &Operator,
    asked: Asked<Named>,
    disabled: bool,
) -> Result<Switched, ApiError> {
    let Asked { request_id, data } = asked;
    let (user_id, username) = operator.account(&data.username).await?;
    let ended_sessions = operator
        .accounts
        .set_disabled(user_id, disabled, request_id)
        .await?;
    Ok(Switched {
        user_id,
        username,
        disabled,
        ended_sessions,
    })
}

/// A page of all accounts, in the order of their names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// A part of the name, in any case.
    search: Option<String>,
    /// The `next_after` of the page before.
    after: Option<String>,
    limit: Option<u64>,
}

#[derive(Serialize)]
struct Listed {
    user_id: UserId,
    username: String,
    created_at_unix: i64,
    disabled: bool,
    live_sessions: i64,
    last_used_at_unix: Option<i64>,
}

#[derive(Serialize)]
struct Page {
    users: Vec<Listed>,
    next_after: Option<String>,
}

async fn user_list(operator: Arc<Operator>, asked: Asked<Listing>) -> Result<Page, ApiError> {
    let asked = asked.data;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let problem = format!("must be 1 to {MAX_PAGE}");
        return Err(ApiError::invalid("limit", problem));
    }
    let search = asked.search.map(|part| part.to_ascii_lowercase());
    let after = asked.after.map(|name| name.to_ascii_lowercase());
    let now_ms = operator.host.clock.now_ms();
    let db = operator.host.db.read();
    // One more than asked for tells whether there is a next page.
    let mut rows =
        store::users::list(db, search.as_deref(), after.as_deref(), limit + 1, now_ms).await?;
    let more = rows.len() as u64 > limit;
    rows.truncate(limit as usize);
    Ok(Page {
        next_after: rows
            .last()
            .filter(|_| more)
            .map(|row| row.username_key.clone()),
        users: rows
            .into_iter()
            .map(|row| Listed {
                user_id: row.user_id,
                username: row.username,
                created_at_unix: row.created_at_ms / 1_000,
                disabled: row.disabled,
                live_sessions: row.live_sessions,
                last_used_at_unix: row.last_used_at_ms.map(|ms| ms / 1_000),
            })
            .collect(),
    })
}

#[derive(Serialize)]
struct Session {
    session_id: SessionId,
    created_at_unix: i64,
    last_used_at_unix: i64,
    client: Option<String>,
    network: Option<String>,
}

impl From<Shown> for Session {
    fn from(shown: Shown) -> Self {
        Self {
            session_id: shown.session_id,
            created_at_unix: shown.created_at_ms / 1_000,
            last_used_at_unix: shown.last_used_at_ms / 1_000,
            client: shown.client,
            network: shown.network,
        }
    }
}

#[derive(Serialize)]
struct Sessioned {
    user_id: UserId,
    username: String,
    sessions: Vec<Session>,
}

async fn user_sessions(
    operator: Arc<Operator>,
    asked: Asked<Named>,
) -> Result<Sessioned, ApiError> {
    let (user_id, username) = operator.account(&asked.data.username).await?;
    let now_ms = operator.host.clock.now_ms();
    let live = store::sessions::live(operator.host.db.read(), user_id, now_ms).await?;
    Ok(Sessioned {
        user_id,
        username,
        sessions: live.into_iter().map(Session::from).collect(),
    })
}

/// One session of an account, or all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ending {
    username: String,
    session_id: Option<SessionId>,
}

#[derive(Serialize)]
struct Ended {
    user_id: UserId,
    username: String,
    ended_sessions: usize,
}

async fn user_end_sessions(
    operator: Arc<Operator>,
    asked: Asked<Ending>,
) -> Result<Ended, ApiError> {
    let Asked { request_id, data } = asked;
    let (user_id, username) = operator.account(&data.username).await?;
    let which = data.session_id.map_or(Which::All, Which::Only);
    let ended_sessions = operator
        .sessions
        .end_for_operator(user_id, which, request_id)
        .await?;
    if ended_sessions == 0 && data.session_id.is_some() {
        return Err(ApiError::new(
            ErrorCode::NOT_FOUND,
            "session_id: this account has no live session of this id",
        ));
    }
    Ok(Ended {
        user_id,
        username,
        ended_sessions,
    })
}

//! Open sockets, as modules see them: commands in, events of the moment out, and who follows what.
//!
//! A socket **follows** topics ([`crate::log::Topic`]). Every socket of a user follows the user's own stream and those that the
//! modules' [`Audience`]s name for that user; events that admit or expel a user change that as they are delivered. What a socket
//! follows beyond this (a channel that the person looks at) is asked for by a command.

use std::{future::Future, marker::PhantomData, net::IpAddr, sync::Arc};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    caller::Caller,
    error::ApiError,
    id::{SessionId, UserId},
    log::{Stream, Topic},
};

/// One open socket, as a command sees it.
pub trait Socket: Send + Sync {
    /// Who is on the other end.
    fn caller(&self) -> &Caller;

    /// The client's address.
    fn client_ip(&self) -> IpAddr;

    /// Queues an event for this socket alone. `data` is the text of one JSON object.
    fn send(&self, name: &'static str, data: &str);

    /// This socket gets the events of `topic` from now on. Harmless when it does already. Answers `false` when the
    /// user has lost the topic's stream in the meantime, or follows too much already.
    fn follow(&self, topic: Topic) -> bool;

    /// This socket does not get the events of `topic` any more, as far as it asked for them by [`Socket::follow`].
    fn unfollow(&self, topic: Topic);
}

/// A gateway command. An error is told to the socket as an `error` event; the socket stays.
#[async_trait::async_trait]
pub trait Command: Send + Sync + 'static {
    /// Carries it out. Commands of one socket run one after the other.
    async fn run(&self, socket: &dyn Socket, data: &RawValue) -> Result<(), ApiError>;
}

/// A command made of a function and the type of its payload; see [`crate::module::Instance::command`].
pub(crate) struct TypedCommand<S, T, F> {
    pub(crate) state: Arc<S>,
    pub(crate) run: F,
    pub(crate) payload: PhantomData<fn(T)>,
}

#[async_trait::async_trait]
impl<S, T, F> Command for TypedCommand<S, T, F>
where
    S: Send + Sync + 'static,
    T: DeserializeOwned + Send + 'static,
    F: for<'a> CommandFn<'a, S, T>,
{
    async fn run(&self, socket: &dyn Socket, data: &RawValue) -> Result<(), ApiError> {
        let payload =
            serde_json::from_str(data.get()).map_err(|error| ApiError::invalid("d", error))?;
        self.run.call(&self.state, socket, payload).await
    }
}

/// An `async fn(&S, &dyn Socket, T) -> Result<(), ApiError>`.
pub trait CommandFn<'a, S: 'a, T>: Send + Sync + 'static {
    /// What it returns.
    type Future: Future<Output = Result<(), ApiError>> + Send + 'a;

    /// Calls it.
    fn call(&self, state: &'a S, socket: &'a dyn Socket, payload: T) -> Self::Future;
}

impl<'a, S, T, F, Fut> CommandFn<'a, S, T> for F
where
    S: 'a,
    F: Fn(&'a S, &'a dyn Socket, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), ApiError>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, state: &'a S, socket: &'a dyn Socket, payload: T) -> Fut {
        self(state, socket, payload)
    }
}

/// What a module knows about who hears what.
#[async_trait::async_trait]
pub trait Audience: Send + Sync + 'static {
    /// The streams of this module that `user` follows by right. Asked when a socket opens and when the module comes up; sockets that
    /// are open then lose what is no longer named.
    async fn streams_of(&self, user: UserId) -> Result<Vec<Stream>, ApiError>;

    /// `user` came (first socket) or went (last socket, after the grace time), having followed `streams`; or was there already and has just
    /// been admitted to `streams`, after the event that says so.
    fn presence_changed(&self, user: UserId, online: bool, streams: &[Stream]);
}

/// The gateway's side for modules.
pub trait Gateway: Send + Sync + 'static {
    /// An event of the moment, not logged, for the followers of `topic` except one user.
    fn publish(&self, topic: Topic, name: &'static str, data: &str, except: Option<UserId>);

    /// An event of the moment for every socket of one user.
    fn send_to_user(&self, user: UserId, name: &'static str, data: &str);

    /// Up to `limit` users that follow `stream` now, each once, in the order of their ids.
    fn followers(&self, stream: Stream, limit: usize) -> Vec<UserId>;

    /// Whether the user has an open socket, or had one within the grace time.
    fn is_online(&self, user: UserId) -> bool;

    /// Closes every socket of a session, now.
    fn end_session(&self, session: SessionId, reason: &str);
}

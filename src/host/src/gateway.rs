//! The gateway: WebSockets, framed by hand.
//!
//! An event is encoded once, and the same bytes go to every socket that gets it; one task serves one socket, and what has
//! gathered for it goes out in one write. Everything else here follows from what must not happen: a slow peer that delays
//! others, a lock that is held while something is written, an idle socket that owns buffers, an event that reaches
//! somebody who was just expelled.
//!
//! From the wire inwards:
//! - [`handshake`]: which requests become sockets; [`frame`]: RFC 6455 without IO; [`rate`]: how much a client may send.
//! - [`connection`]: the task of one socket; [`command`]: what a client asks for; [`outbox`]: what waits to be written.
//! - [`hub`]: all sockets; [`doors`]: who may come in; [`user`] and [`feed`]: who follows what; [`asking`]: how that is
//!   found out; [`presence`]: who came and went; [`pressure`]: how the sender waits for the writers.

use std::{net::IpAddr, sync::Arc, time::Duration};

use filament_kernel::{
    ApiError, Caller,
    gateway::{Audience, Command},
    http::RequestContext,
    id::UserId,
    log::{Effect, NewEvent, Topic},
    ports::Authenticator,
};
use poem::{OnUpgrade, Request, Response};
use tokio::time::timeout;

mod asking;
mod command;
mod connection;
mod doors;
mod feed;
mod frame;
mod handshake;
mod hub;
mod outbox;
mod presence;
mod pressure;
mod rate;
mod socket;
#[cfg(test)]
mod tests;
mod user;

pub use handshake::access_token;
pub use hub::Hub;

use socket::Registration;

/// How long the HTTP side may take to hand the connection over.
const HANDOVER: Duration = Duration::from_secs(10);

/// The bounds of the gateway. All of them can change while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Commands that one socket may send in any span of `ingress_window`.
    pub ingress_events_per_window: u32,
    /// That span.
    pub ingress_window: Duration,
    /// Bytes of one message from a client, at most.
    pub max_frame_bytes: usize,
    /// Events that may wait for a peer that does not read.
    pub outbound_queue_events: usize,
    /// A peer that was silent for so long is pinged.
    pub ping_interval: Duration,
    /// How long it may then be silent still.
    pub pong_timeout: Duration,
    /// How long a write may make no progress.
    pub write_timeout: Duration,
    /// How long a user without a socket still counts as online.
    pub offline_grace: Duration,
    /// Whether the access token may stand in the query.
    pub query_token: bool,
    /// Sockets of one user at once.
    pub max_sockets_per_user: usize,
    /// Sockets of one client address at once.
    pub max_sockets_per_ip: usize,
    /// Origins whose pages may open sockets, besides the one that the request is made to; `*` for all.
    pub public_origins: Vec<String>,
}

/// An event on its way from the log to the sockets.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// For whom.
    pub topic: Topic,
    /// Its name.
    pub name: &'static str,
    /// Its payload: the text of one JSON object.
    pub data: Arc<str>,
    /// This user follows the stream from this event on, this event included.
    pub admits: Option<UserId>,
    /// This user follows the stream up to this event, this event included.
    pub expels: Option<UserId>,
    /// What else it does to those who follow the stream.
    pub effect: Option<Arc<Effect>>,
}

impl From<NewEvent> for Delivery {
    fn from(event: NewEvent) -> Self {
        Self {
            topic: event.topic,
            name: event.name,
            data: event.data,
            admits: event.admits,
            expels: event.expels,
            effect: event.effect,
        }
    }
}

/// What becomes of a command.
pub enum Lookup {
    /// It is carried out.
    Run(Arc<dyn Command>),
    /// Its module is switched off.
    Disabled {
        /// That module.
        module: &'static str,
    },
    /// Its module should be there but is not.
    Unavailable {
        /// That module.
        module: &'static str,
    },
    /// There is no such command.
    Unknown,
}

/// What the gateway needs of one generation.
pub trait Table: Send + Sync {
    /// What becomes of the command `name`.
    fn command(&self, name: &str) -> Lookup;
    /// The modules that say who follows what.
    fn audiences(&self) -> Vec<(&'static str, Arc<dyn Audience>)>;
    /// Who says which access tokens are good, if a module does.
    fn authenticator(&self) -> Option<Arc<dyn Authenticator>>;
    /// The generation.
    fn generation(&self) -> u64;
}

/// The running generation, whichever that is; asked at each use.
pub trait CurrentTable: Send + Sync + 'static {
    /// Its table.
    fn table(&self) -> Arc<dyn Table>;
}

/// Makes a socket of an authenticated request: checks the handshake, the origin and the limits, and answers 101. The socket
/// begins when that answer has been sent.
///
/// # Errors
/// 400 when it is no handshake, 401 when the session has just ended or the key of its token was given up, 403 for a foreign origin, 429 for too many sockets, 503 when
/// the server stops. Another version of the protocol is answered with a ready-made 426.
pub fn upgrade(
    hub: &Arc<Hub>,
    request: &Request,
    caller: Caller,
    client_ip: IpAddr,
) -> Result<Response, ApiError> {
    let accept = match handshake::check(request, &hub.settings().public_origins) {
        Ok(accept) => accept,
        Err(handshake::Refusal::Error(error)) => return Err(error),
        Err(handshake::Refusal::Version) => {
            let context = RequestContext::of(request).ok();
            let request_id = context.map_or("", |context| &context.request_id);
            return Ok(handshake::other_version(request_id));
        }
    };
    let handover = request
        .take_upgrade()
        .map_err(|error| ApiError::invalid("connection", error))?;
    let registration = hub.register(caller, client_ip)?;
    hub.tracker.spawn(serve(handover, registration));
    Ok(handshake::switching(accept))
}

/// The task of a socket.
async fn serve(handover: OnUpgrade, registration: Registration) {
    if let Ok(Ok(io)) = timeout(HANDOVER, handover).await {
        connection::run(io, registration).await;
    }
}

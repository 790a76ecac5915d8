//! A gateway client that holds every frame against the contract.

use std::{fmt, time::Duration};

use filament_protocol::{Envelope, MAX_FRAME_BYTES};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, client::IntoClientRequest, handshake::client::Request, http::HeaderValue,
        protocol::WebSocketConfig,
    },
};

pub use tokio_tungstenite::tungstenite::Message as Frame;

use crate::{
    http::{Answer, Api},
    people::{Channel, Guild},
};

/// How long anything that must come may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long silence lasts until it counts as silence.
const SILENCE: Duration = Duration::from_millis(300);

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its payload.
    pub data: Value,
}

impl Event {
    /// Reads the payload into a type.
    #[track_caller]
    pub fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.data.clone())
            .unwrap_or_else(|error| panic!("{error} in {self}"))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.data)
    }
}

/// How the server closed a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The code; 1006 when the connection ended without a close frame.
    pub code: u16,
    /// The reason; empty without one.
    pub reason: String,
}

enum Received {
    Event(Event),
    Closed(Closed),
}

/// An open socket. It answers the server's pings only while something is being awaited, as it reads only then.
pub struct GatewayClient {
    socket: WebSocketStream<TcpStream>,
    seen: Vec<Event>,
}

impl GatewayClient {
    /// Opens a socket with the caller's token in the header. The first event is still to come.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn connect(api: &Api) -> Self {
        Self::try_connect(api)
            .await
            .unwrap_or_else(|error| panic!("the gateway refuses: {error}"))
    }

    /// The same with the token in the query, as browsers do it.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn connect_by_query(api: &Api) -> Self {
        let token = api.token.as_deref().unwrap_or_default();
        let request = request(&format!("{}?access_token={token}", api.ws_url()));
        Self::open(request)
            .await
            .unwrap_or_else(|error| panic!("the gateway refuses: {error}"))
    }

    /// Opens a socket of a server that may be dying.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn try_connect(api: &Api) -> Result<Self, tungstenite::Error> {
        let mut request = request(&api.ws_url());
        if let Some(token) = &api.token {
            let bearer =
                HeaderValue::from_str(&format!("Bearer {token}")).expect("a token is plain text");
            request.headers_mut().insert("authorization", bearer);
        }
        Self::open(request).await
    }

    /// Opens a socket for a request with headers of the test's own; see [`request`].
    ///
    /// # Errors
    /// What went wrong.
    pub async fn open(request: Request) -> Result<Self, tungstenite::Error> {
        let addr = request
            .uri()
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default();
        let opening = async {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            // Small buffers, so that thousands of clients fit beside the server that they measure.
            let config = WebSocketConfig::default()
                .read_buffer_size(8 * 1024)
                .write_buffer_size(0);
            client_async_with_config(request, stream, Some(config)).await
        };
        let (socket, _) = timeout(PATIENCE, opening)
            .await
            .map_err(|_| tungstenite::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
        Ok(Self {
            socket,
            seen: Vec::new(),
        })
    }

    /// Asks for a socket that must be refused, and answers the refusal, checked like every answer over HTTP. `query`
    /// begins with `?` or is empty.
    ///
    /// # Panics
    /// When the server opens one.
    pub async fn refused(api: &Api, query: &str, headers: &[(&str, &str)]) -> Answer {
        let upgrade = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let mut request = api.request(Method::GET, &format!("/gateway/ws{query}"));
        for (name, value) in upgrade.iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let answer = api.send(request).await;
        assert!(
            answer.status >= 400,
            "a socket was opened that must not be: {answer:?}"
        );
        answer
    }

    /// The next event.
    ///
    /// # Panics
    /// When none comes, or the socket is closed.
    pub async fn next_event(&mut self) -> Event {
        match timeout(PATIENCE, self.receive()).await {
            Ok(Received::Event(event)) => event,
            Ok(Received::Closed(closed)) => panic!(
                "{closed:?} in place of an event; seen so far:\n{}",
                self.story()
            ),
            Err(_) => panic!(
                "no event within {PATIENCE:?}; seen so far:\n{}",
                self.story()
            ),
        }
    }

    /// The next event, which must have this name.
    pub async fn expect(&mut self, name: &str) -> Event {
        let event = self.next_event().await;
        assert!(
            event.name == name,
            "{event} in place of {name}; seen so far:\n{}",
            self.story()
        );
        event
    }

    /// The next event of this name; others before it are passed over.
    pub async fn next_named(&mut self, name: &str) -> Event {
        self.next_that(name, |_| true).await
    }

    /// The next event of this name that fits; others before it are passed over.
    pub async fn next_that(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Event {
        let search = async {
            loop {
                match self.receive().await {
                    Received::Event(event) if event.name == name && fits(&event.data) => {
                        return Ok(event);
                    }
                    Received::Event(_) => {}
                    Received::Closed(closed) => return Err(closed),
                }
            }
        };
        match timeout(PATIENCE, search).await {
            Ok(Ok(event)) => event,
            Ok(Err(closed)) => panic!(
                "{closed:?} in place of {name}; seen so far:\n{}",
                self.story()
            ),
            Err(_) => panic!(
                "no {name} that fits within {PATIENCE:?}; seen so far:\n{}",
                self.story()
            ),
        }
    }

    /// Every event that has come or comes before it gets silent.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(received) = timeout(SILENCE, self.receive()).await {
            match received {
                Received::Event(event) => events.push(event),
                Received::Closed(closed) => panic!("{closed:?}; seen so far:\n{}", self.story()),
            }
        }
        events
    }

    /// Asserts that nothing has come and that nothing comes for a while.
    pub async fn expect_silence(&mut self) {
        let events = self.drain().await;
        assert!(events.is_empty(), "expected silence: {events:#?}");
    }

    /// Waits until the server closes the socket; events before that are passed over.
    ///
    /// # Panics
    /// When it does not.
    pub async fn closed(&mut self) -> Closed {
        let end = async {
            loop {
                if let Received::Closed(closed) = self.receive().await {
                    return closed;
                }
            }
        };
        timeout(PATIENCE, end).await.unwrap_or_else(|_| {
            panic!(
                "the socket is still open after {PATIENCE:?}; seen so far:\n{}",
                self.story()
            )
        })
    }

    /// Sends a command.
    pub async fn send(&mut self, name: &str, data: Value) {
        let frame = json!({ "v": filament_protocol::VERSION, "t": name, "d": data });
        self.send_raw(&frame.to_string()).await;
    }

    /// Sends any text.
    pub async fn send_raw(&mut self, text: &str) {
        self.send_frame(Frame::text(text)).await;
    }

    /// Sends any frame.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send_frame(&mut self, frame: Frame) {
        let sent = self.socket.send(frame).await;
        sent.unwrap_or_else(|error| panic!("cannot send: {error}; seen so far:\n{}", self.story()));
    }

    /// Sends a command to a server that may be dying.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn try_send(&mut self, name: &str, data: Value) -> Result<(), tungstenite::Error> {
        let frame = json!({ "v": filament_protocol::VERSION, "t": name, "d": data });
        self.socket.send(Frame::text(frame.to_string())).await
    }

    /// Looks at a channel: asks for its events, and waits until they are coming. Answers who is present.
    pub async fn subscribe(&mut self, guild: &Guild, channel: &Channel) -> Vec<String> {
        let place = json!({ "guild_id": guild.guild_id, "channel_id": channel.channel_id });
        self.send("subscribe", place.clone()).await;
        let same_guild = |data: &Value| data["guild_id"] == place["guild_id"];
        let presence = self.next_that("presence_sync", same_guild).await;
        let same_place =
            |data: &Value| same_guild(data) && data["channel_id"] == place["channel_id"];
        self.next_that("subscribed", same_place).await;
        serde_json::from_value(presence.data["user_ids"].clone())
            .unwrap_or_else(|error| panic!("{error} in {presence}"))
    }

    /// Says something over the socket; it comes back as an event.
    pub async fn say(&mut self, guild: &Guild, channel: &Channel, content: &str) {
        let message = json!({ "guild_id": guild.guild_id, "channel_id": channel.channel_id, "content": content });
        self.send("message_create", message).await;
    }

    /// Says goodbye and waits for the answer.
    pub async fn close(mut self) -> Closed {
        let _ = self.socket.close(None).await;
        self.closed().await
    }

    /// All events since the socket was opened.
    pub fn seen(&self) -> &[Event] {
        &self.seen
    }

    /// The connection under the socket.
    pub fn stream(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    fn story(&self) -> String {
        let start = self.seen.len().saturating_sub(50);
        let lines: Vec<String> = self.seen[start..]
            .iter()
            .map(|event| format!("  {event}"))
            .collect();
        lines.join("\n")
    }

    async fn receive(&mut self) -> Received {
        loop {
            match self.socket.next().await {
                Some(Ok(Frame::Text(text))) => {
                    let event = checked(text.as_str());
                    self.seen.push(event.clone());
                    return Received::Event(event);
                }
                Some(Ok(Frame::Close(frame))) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |frame| {
                        (frame.code.into(), frame.reason.as_str().to_owned())
                    });
                    return Received::Closed(Closed { code, reason });
                }
                Some(Ok(Frame::Binary(bytes))) => panic!("a binary frame of {} bytes", bytes.len()),
                Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => {}
                Some(Err(_)) | None => {
                    return Received::Closed(Closed {
                        code: 1006,
                        reason: String::new(),
                    });
                }
            }
        }
    }
}

/// A request for a socket, to be given headers.
///
/// # Panics
/// When `url` is none.
pub fn request(url: &str) -> Request {
    url.into_client_request().expect("a WebSocket URL")
}

/// Reads a frame: exactly `v`, `t` and `d`, of the right kinds and within the limit.
fn checked(text: &str) -> Event {
    assert!(
        text.len() <= MAX_FRAME_BYTES,
        "a frame of {} bytes",
        text.len()
    );
    let envelope = Envelope::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    Event {
        name: envelope.name.to_owned(),
        data: serde_json::from_str(envelope.data.get()).expect("an envelope's payload is JSON"),
    }
}

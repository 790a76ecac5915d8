//! The gateway with clients at the other end of a pipe, and modules that do as they are told.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use filament_kernel::{
    ApiError, Caller,
    gateway::{Audience, Command, Socket},
    id::{ChannelId, GuildId, UserId},
    log::{Stream, Topic},
    ports::{Authenticator, TokenKeyId},
};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::Semaphore,
    time::timeout,
};
use ulid::Ulid;

use super::{CurrentTable, Delivery, Hub, Lookup, Settings, Table, connection};

mod commands;
mod following;
mod framing;
mod lifetime;
mod load;
mod opening;
mod presence;

const SECOND: Duration = Duration::from_secs(1);
/// The size of the pipe between a socket and its client; what a peer does not read beyond it makes it slow.
const PIPE: usize = 4096;

fn settings() -> Settings {
    Settings {
        ingress_events_per_window: 60,
        ingress_window: 10 * SECOND,
        max_frame_bytes: 65_536,
        outbound_queue_events: 256,
        ping_interval: 30 * SECOND,
        pong_timeout: 20 * SECOND,
        write_timeout: 20 * SECOND,
        offline_grace: Duration::ZERO,
        query_token: true,
        max_sockets_per_user: 4,
        max_sockets_per_ip: 10_000,
        public_origins: Vec::new(),
    }
}

fn user(number: u128) -> UserId {
    Ulid::from(number).into()
}

fn guild(number: u128) -> Stream {
    Stream::Guild(GuildId::from(Ulid::from(number)))
}

/// The key of a user's tokens: everybody has another one.
fn key_of(user: UserId) -> TokenKeyId {
    let mut key = [0; 12];
    key.copy_from_slice(&user.ulid().to_bytes()[4..]);
    TokenKeyId(key)
}

fn channel(guild: u128, channel: u128) -> Topic {
    Topic::channel(
        Ulid::from(guild).into(),
        ChannelId::from(Ulid::from(channel)),
    )
}

fn event(topic: impl Into<Topic>, number: usize) -> Delivery {
    Delivery {
        topic: topic.into(),
        name: "event",
        data: format!(r#"{{"number":{number}}}"#).into(),
        admits: None,
        expels: None,
        effect: None,
    }
}

/// A user, whether they came, and what they follow.
type Told = (UserId, bool, Vec<Stream>);

/// What becomes of a command.
type Offer = fn() -> Lookup;

/// The one module of these tests.
struct Module {
    streams: Mutex<HashMap<UserId, Vec<Stream>>>,
    /// Permits for answers; taken away where a test wants an answer to take time.
    answers: Semaphore,
    asked: Semaphore,
    presence: Mutex<Vec<Told>>,
    commands: Mutex<HashMap<&'static str, Offer>>,
    /// The keys that are good no more.
    lost_keys: Mutex<Vec<TokenKeyId>>,
}

#[async_trait::async_trait]
impl Authenticator for Module {
    async fn authenticate(&self, _: &str) -> Result<Caller, ApiError> {
        Err(ApiError::unauthenticated())
    }

    fn trusts(&self, key: TokenKeyId) -> bool {
        !self.lost_keys.lock().expect("a lock").contains(&key)
    }
}

#[async_trait::async_trait]
impl Audience for Module {
    async fn streams_of(&self, user: UserId) -> Result<Vec<Stream>, ApiError> {
        let named = self.streams.lock().expect("a lock").get(&user).cloned();
        self.asked.add_permits(1);
        self.answers
            .acquire()
            .await
            .map_err(ApiError::internal)?
            .forget();
        Ok(named.unwrap_or_default())
    }

    fn presence_changed(&self, user: UserId, online: bool, streams: &[Stream]) {
        let mut streams = streams.to_vec();
        streams.sort();
        let mut presence = self.presence.lock().expect("a lock");
        presence.push((user, online, streams));
    }
}

struct Current(Arc<Module>);

impl Table for Current {
    fn command(&self, name: &str) -> Lookup {
        let commands = self.0.commands.lock().expect("a lock");
        commands
            .get(name)
            .map_or(Lookup::Unknown, |lookup| lookup())
    }

    fn audiences(&self) -> Vec<(&'static str, Arc<dyn Audience>)> {
        vec![("module", self.0.clone())]
    }

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        Some(self.0.clone())
    }

    fn generation(&self) -> u64 {
        1
    }
}

impl CurrentTable for Current {
    fn table(&self) -> Arc<dyn Table> {
        Arc::new(Self(self.0.clone()))
    }
}

/// A hub, its module, and its settings.
struct World {
    hub: Arc<Hub>,
    module: Arc<Module>,
    settings: Arc<ArcSwap<Settings>>,
}

impl World {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut first = settings();
        change(&mut first);
        let settings = Arc::new(ArcSwap::from_pointee(first));
        let module = Arc::new(Module {
            streams: Mutex::default(),
            answers: Semaphore::new(1_000_000),
            asked: Semaphore::new(0),
            presence: Mutex::default(),
            commands: Mutex::default(),
            lost_keys: Mutex::default(),
        });
        let hub = Hub::new(settings.clone());
        hub.connect_table(Arc::new(Current(module.clone())));
        Self {
            hub,
            module,
            settings,
        }
    }

    fn names(&self, user: UserId, streams: &[Stream]) {
        self.module
            .streams
            .lock()
            .expect("a lock")
            .insert(user, streams.to_vec());
    }

    /// The key of a user's tokens is good no more, as of the next change of modules.
    fn loses_key_of(&self, user: UserId) {
        let mut lost = self.module.lost_keys.lock().expect("a lock");
        lost.push(key_of(user));
    }

    fn offers(&self, name: &'static str, lookup: Offer) {
        self.module
            .commands
            .lock()
            .expect("a lock")
            .insert(name, lookup);
    }

    fn caller(user: UserId) -> Caller {
        Caller {
            user_id: user,
            session_id: user.ulid().into(),
            key: key_of(user),
        }
    }

    /// A socket of `user`; its events wait in the pipe.
    fn open(&self, user: UserId) -> Client {
        self.try_open(user).expect("there is room")
    }

    fn try_open(&self, user: UserId) -> Result<Client, ApiError> {
        let address = IpAddr::from([192, 0, 2, 1]);
        let registration = self.hub.register(Self::caller(user), address)?;
        let (near, far) = tokio::io::duplex(PIPE);
        self.hub.tracker.spawn(connection::run(near, registration));
        Ok(Client(far))
    }

    /// A socket of `user` that is ready.
    async fn opened(&self, user: UserId) -> Client {
        let mut client = self.open(user);
        assert_eq!(client.event().await.0, "ready");
        client
    }

    /// Waits until the hub has come to rest in some state.
    async fn until(&self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        for _ in 0..500 {
            if reached(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never came to be that {what}");
    }

    fn presence(&self) -> Vec<Told> {
        self.module.presence.lock().expect("a lock").clone()
    }

    /// Nothing is left of anybody.
    async fn until_empty(&self) {
        self.until("nothing is left", |world| {
            world.hub.open_sockets() == 0
                && world.hub.directory.all().is_empty()
                && world.hub.directory.feeds.len() == 0
                && world.hub.pressure.woken() == 0
        })
        .await;
    }
}

/// What a client reads.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Text(String),
    Ping,
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// The server has hung up.
    End,
}

/// The other end of a pipe.
struct Client<IO = DuplexStream>(IO);

impl<IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Client<IO> {
    /// Sends bytes as they are; whether the server still reads them does not matter.
    async fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Sends one frame with the given first byte.
    async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send_raw(&masked(first, payload)).await;
    }

    async fn send(&mut self, name: &str, data: &str) {
        self.send_frame(0x81, filament_protocol::encode(name, data).as_bytes())
            .await;
    }

    async fn hear(&mut self) -> Heard {
        timeout(10 * SECOND, self.read())
            .await
            .expect("the server says something")
    }

    async fn read(&mut self) -> Heard {
        let Ok(first) = self.0.read_u8().await else {
            return Heard::End;
        };
        let length = match self.0.read_u8().await.expect("a length") {
            126 => u64::from(self.0.read_u16().await.expect("a length")),
            127 => self.0.read_u64().await.expect("a length"),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        self.0.read_exact(&mut payload).await.expect("a payload");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        match first {
            0x81 => Heard::Text(text(&payload)),
            0x89 => Heard::Ping,
            0x8A => Heard::Pong(payload),
            0x88 if payload.is_empty() => Heard::Close(None, String::new()),
            0x88 => Heard::Close(
                Some(u16::from_be_bytes([payload[0], payload[1]])),
                text(&payload[2..]),
            ),
            other => panic!("a frame that begins with {other:#x}"),
        }
    }

    /// The next event: its name and its payload.
    async fn event(&mut self) -> (String, serde_json::Value) {
        match self.hear().await {
            Heard::Text(text) => {
                let envelope = filament_protocol::Envelope::parse(&text).expect("an envelope");
                let data = serde_json::from_str(envelope.data.get()).expect("JSON");
                (envelope.name.to_owned(), data)
            }
            other => panic!("no event but {other:?}"),
        }
    }

    /// The next events are exactly those with these numbers.
    async fn hears(&mut self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            assert_eq!(self.event().await.1["number"], number);
        }
    }

    async fn is_silent(&mut self) {
        let heard = timeout(Duration::from_millis(100), self.read()).await;
        assert!(heard.is_err(), "heard {heard:?}");
    }

    /// The next thing is a close frame; answers it, and the server hangs up.
    async fn is_closed(&mut self) -> (u16, String) {
        let Heard::Close(Some(code), reason) = self.hear().await else {
            panic!("not closed");
        };
        self.send_frame(0x88, &code.to_be_bytes()).await;
        assert_eq!(self.hear().await, Heard::End);
        (code, reason)
    }
}

/// A client's frame.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        medium @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    let mask = [0xA5, 0x00, 0xFF, 0x3C];
    frame.extend_from_slice(&mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// A command made of a function.
struct Does(
    for<'a> fn(
        &'a dyn Socket,
        &'a RawValue,
    ) -> futures_util::future::BoxFuture<'a, Result<(), ApiError>>,
);

#[async_trait::async_trait]
impl Command for Does {
    async fn run(&self, socket: &dyn Socket, data: &RawValue) -> Result<(), ApiError> {
        (self.0)(socket, data).await
    }
}

//! Servers and people to measure with.

use std::{net::SocketAddr, sync::Arc};

use filament_test_support::{
    Backend, Channel, Guild, Person, Postgres, Server, Visibility, raw::Socket, server::Builder,
};
use serde_json::json;

/// A server on a database of its own, as it is set up for production.
pub(crate) async fn server(postgres: &Arc<Postgres>) -> Server {
    builder(postgres).await.start().await
}

/// The same, still to be described.
pub(crate) async fn builder(postgres: &Arc<Postgres>) -> Builder {
    Server::builder(Backend::Postgres)
        .database(postgres.create_database().await)
        .usual_log()
        .env("FILAMENT_LOG__FORMAT", "json")
        .config("[modules]\nchat = true\n")
}

pub(crate) async fn a_channel(server: &Server) -> (Person, Guild, Channel) {
    let ada = Person::register(server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Public).await;
    let channel = ada.open_channel(&guild, "general").await;
    (ada, guild, channel)
}

/// Sockets that look at a channel.
pub(crate) async fn subscribers(
    addr: SocketAddr,
    ada: &Person,
    guild: &Guild,
    channel: &Channel,
    count: usize,
) -> Vec<Socket> {
    let subscribe = json!({ "v": 1, "t": "subscribe", "d": { "guild_id": guild.guild_id, "channel_id": channel.channel_id } }).to_string();
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = Socket::open(addr, &ada.session.access_token)
            .await
            .expect("a socket");
        socket.send(&subscribe).await.expect("sent");
        socket.until("\"subscribed\"").await.expect("subscribed");
        sockets.push(socket);
    }
    sockets
}

/// Sockets that look at nothing.
pub(crate) async fn open(addr: SocketAddr, ada: &Person, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = Socket::open(addr, &ada.session.access_token)
            .await
            .expect("a socket");
        socket.until("\"ready\"").await.expect("ready");
        sockets.push(socket);
    }
    sockets
}

//! What the integration tests stand on.
//!
//! | file | what it gives |
//! |---|---|
//! | [`people`] | a small language for stories: people register, found guilds, talk and listen |
//! | [`server`] | the real binary as a process: started, configured, signalled, killed, restarted |
//! | [`secrets`] | what no log may show, and a search for it; every server's whole log is searched when it is dropped |
//! | [`http`] | an HTTP client that holds every answer against the contract |
//! | [`gateway`] | a gateway client that holds every frame against the contract |
//! | [`backend`] | one test body for both databases: [`on_both_databases!`] |
//! | [`postgres`] | throwaway PostgreSQL clusters that cannot outlive their tests |
//! | [`raw`] | a client that costs next to nothing, for load and measurements |
//! | [`process`] | what a process uses: files, memory, threads, CPU |
//!
//! A story:
//!
//! ```ignore
//! on_both_databases!(a_message_reaches_the_other_at_once, async |backend| {
//!     let server = Server::start(backend).await;
//!     let ada = Person::register(&server, "ada").await;
//!     let bob = Person::register(&server, "bob").await;
//!     let guild = ada.found_guild("engines", Visibility::Public).await;
//!     let channel = ada.open_channel(&guild, "general").await;
//!     bob.join(&guild).await;
//!     let mut ears = bob.listen_in(&guild, &channel).await;
//!     let sent = ada.say(&guild, &channel, "hello").await;
//!     assert_eq!(ears.next_named("message_create").await.read::<Message>(), sent);
//! });
//! ```
//!
//! Everything here panics where a test would have to fail, with the server's log or the frames seen so far in the text.
//! It runs on Linux, where `/proc` is.

#![allow(
    clippy::disallowed_methods,
    reason = "what tests stand on is a host of its own"
)]

#[macro_use]
pub mod backend;
pub mod gateway;
pub mod http;
pub mod people;
mod port;
pub mod postgres;
pub mod process;
pub mod raw;
pub mod secrets;
pub mod server;

pub use backend::Backend;
pub use gateway::{Event, GatewayClient};
pub use http::{Answer, Api};
pub use people::{Channel, Guild, Message, Person, Visibility};
pub use postgres::{Postgres, TestDatabase};
pub use process::Usage;
pub use server::Server;

//! All that a module may know.
//!
//! Start with [`module`]: the contract between the host and a module, as prose above the trait. Then, as needed:
//! [`service`] and [`ports`] (how modules reach each other), [`config`] (a module's section), [`log`] (events that
//! must not be lost), [`gateway`] (open sockets), [`http`] and [`error`] (requests and failures), [`db`].

pub mod audit;
pub mod caller;
pub mod clock;
pub mod config;
pub mod db;
pub mod error;
pub mod gateway;
pub mod http;
pub mod id;
pub mod kept;
pub mod limits;
pub mod log;
pub mod markdown;
pub mod module;
pub mod operator;
pub mod ports;
pub mod scope;
pub mod service;
pub mod text;
pub mod turns;

pub use caller::Caller;
pub use error::{ApiError, ErrorCode};
pub use module::{Context, Instance, Manifest, Module};
pub use service::{Many, Optional, Required};

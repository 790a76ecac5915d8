//! HTTP: from an accepted connection to an endpoint of the running generation, and back.
//!
//! - [`serve`]: accepts connections, with time-outs that hyper leaves to us.
//! - [`dispatch`]: what happens to every request: id, client address, limits, time-out, routing, one shape of failure.
//! - [`endpoint`]: what is wrapped around each route of a module: containment, its limit, its metrics.
//! - [`idempotency`]: a request that is sent again under the same key is not carried out again.
//! - [`failure`]: every failure, the framework's included, as one JSON shape.
//! - [`system`]: the host's own routes.

mod client;
mod dispatch;
mod endpoint;
mod failure;
pub mod idempotency;
mod progress;
mod serve;
mod settings;
mod system;
mod upload;

pub use dispatch::App;
pub use endpoint::{ContainedEndpoint, RouteLimit};
pub use idempotency::Idempotency;
pub use serve::{Listener, serve};
pub use settings::HttpSettings;
pub use system::{SystemApi, Vitals, swagger_page, system_document, system_routes};

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use filament_kernel::{
    ApiError,
    http::RequestContext,
    limits::{Allowance, RateLimit, limit_key},
    module::EndpointRef,
    scope::panic_message,
};
use futures_util::FutureExt;
use metrics::{Counter, Histogram};
use poem::{Endpoint, Request, Response, Result, http::Method};
use tracing::error;

/// The limit on a module's routes: by route and client address.
pub type RouteLimit = RateLimit<(Arc<str>, IpAddr)>;

/// What a route's limit has left; travels with the answer to where headers are written.
#[derive(Clone, Copy)]
pub(super) struct RouteAllowance(pub(super) Allowance);

/// A route of a module with what the host puts around it: a panic stays inside and is a 500 and a count; the limit of
/// the module's routes; its time in the metrics.
pub struct ContainedEndpoint {
    module: &'static str,
    operation: Arc<str>,
    inner: EndpointRef,
    limit: Option<Arc<RouteLimit>>,
    seconds: Histogram,
    panics: Counter,
}

impl ContainedEndpoint {
    /// Wraps `inner`, which serves `method` at `path` for `module`.
    pub fn new(
        module: &'static str,
        method: &Method,
        path: &str,
        inner: EndpointRef,
        limit: Option<Arc<RouteLimit>>,
    ) -> Self {
        let operation: Arc<str> = format!("{method} {path}").into();
        Self {
            module,
            seconds: metrics::histogram!(
                "filament_http_request_seconds",
                "module" => module, "operation" => operation.to_string()
            ),
            panics: metrics::counter!("filament_module_panics_total", "module" => module),
            operation,
            inner,
            limit,
        }
    }
}

impl Endpoint for ContainedEndpoint {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let allowance = match &self.limit {
            Some(limit) => {
                let client = RequestContext::of(&request)?.client_ip;
                Some(limit.check(&(self.operation.clone(), limit_key(client)))?)
            }
            None => None,
        };
        let started = Instant::now();
        let result = AssertUnwindSafe(self.inner.call(request))
            .catch_unwind()
            .await;
        self.seconds.record(started.elapsed());
        let mut response = result.unwrap_or_else(|panic| {
            self.panics.increment(1);
            let message = panic_message(&*panic);
            error!(module = self.module, operation = %self.operation, message, "a handler panicked");
            Err(ApiError::internal(format!("panic: {message}")).into())
        })?;
        if let Some(allowance) = allowance {
            response.extensions_mut().insert(RouteAllowance(allowance));
        }
        Ok(response)
    }
}

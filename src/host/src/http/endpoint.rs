use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Instant,
};

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

use super::idempotency::Idempotency;

/// The limit on a module's routes: by route and client address.
pub type RouteLimit = RateLimit<(Arc<str>, IpAddr)>;

/// What the limit on a request's route has left: noted when the request gets there, told in the answer whatever that becomes.
#[derive(Default)]
pub(super) struct RouteAllowance(OnceLock<Allowance>);

impl RouteAllowance {
    pub(super) fn get(&self) -> Option<Allowance> {
        self.0.get().copied()
    }
}

/// A route of a module with what the host puts around it: a panic stays inside and is a 500 and a count; the limit of
/// the module's routes; its time in the metrics; and, where it takes an `Idempotency-Key`, that retries get the first answer.
pub struct ContainedEndpoint {
    handler: Arc<Handler>,
    limit: Option<Arc<RouteLimit>>,
    takes_key: bool,
}

/// What answers, contained.
struct Handler {
    module: &'static str,
    operation: Arc<str>,
    inner: EndpointRef,
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
        takes_key: bool,
    ) -> Self {
        let operation: Arc<str> = format!("{method} {path}").into();
        let handler = Handler {
            module,
            seconds: metrics::histogram!(
                "filament_http_request_seconds",
                "module" => module, "operation" => operation.to_string()
            ),
            panics: metrics::counter!("filament_module_panics_total", "module" => module),
            operation,
            inner,
        };
        Self {
            handler: Arc::new(handler),
            limit,
            takes_key,
        }
    }
}

impl Handler {
    async fn call(&self, request: Request) -> Result<Response> {
        let started = Instant::now();
        let result = AssertUnwindSafe(self.inner.call(request))
            .catch_unwind()
            .await;
        self.seconds.record(started.elapsed());
        result.unwrap_or_else(|panic| {
            self.panics.increment(1);
            let message = panic_message(&*panic);
            error!(module = self.module, operation = %self.operation, message, "a handler panicked");
            Err(ApiError::internal(format!("panic: {message}")).into())
        })
    }
}

impl Endpoint for ContainedEndpoint {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let handler = &self.handler;
        if let Some(limit) = &self.limit {
            let client = RequestContext::of(&request)?.client_ip;
            let allowance = limit.check(&(handler.operation.clone(), limit_key(client)))?;
            if let Some(noted) = request.extensions().get::<Arc<RouteAllowance>>() {
                noted.0.get_or_init(|| allowance);
            }
        }
        // Dispatch puts it there where the request has the header.
        let idempotency = self
            .takes_key
            .then(|| request.extensions().get::<Arc<Idempotency>>().cloned())
            .flatten();
        match idempotency {
            Some(idempotency) => {
                let handler = handler.clone();
                let run = move |request| async move { handler.call(request).await };
                idempotency.answer(request, run).await
            }
            None => handler.call(request).await,
        }
    }
}

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use bytes::Bytes;
use filament_kernel::{
    ApiError, Caller, ErrorCode,
    http::{BodyLimit, RequestContext},
    id::Ids,
    limits::{Allowance, limit_key},
    scope::panic_message,
};
use futures_util::FutureExt;
use hyper::body::{Body as _, Incoming};
use poem::{
    Body, Endpoint, IntoResponse, Request, RequestParts, Response,
    http::{HeaderValue, Method, StatusCode, header},
    web::{Compress, CompressionAlgo},
};
use tracing::info;
use ulid::Ulid;

use super::{
    client::client_ip,
    endpoint::RouteAllowance,
    failure::{api_error, render},
    idempotency::{self, Idempotency},
    upload::Upload,
};
use crate::{
    gateway::{self, Hub},
    snapshot::{Current, Snapshot},
};

/// Answers every request.
pub struct App {
    /// The running generation.
    pub current: Arc<Current>,
    /// Sockets.
    pub hub: Arc<Hub>,
    /// Request ids.
    pub ids: Arc<Ids>,
    /// The page of Swagger UI.
    pub docs: Bytes,
    /// The answers to requests that are sent again.
    pub idempotency: Arc<Idempotency>,
}

/// Shorter answers are not worth compressing.
const COMPRESS_FROM: u64 = 1024;

impl App {
    /// Answers one request. Never fails: a failure is an answer too.
    pub async fn handle(&self, parts: RequestParts, body: Incoming, peer: IpAddr) -> Response {
        let started = Instant::now();
        let snapshot = self.current.load();
        let headers = &parts.headers;
        let context = Arc::new(RequestContext {
            request_id: self.request_id(),
            client_ip: client_ip(peer, headers, &snapshot.http.trusted_proxies),
            services: snapshot.services.clone(),
            generation: snapshot.generation,
        });
        let method = parts.method.clone();
        let path = parts.uri.path().to_string();
        let accepts = headers.get(header::ACCEPT_ENCODING).cloned();

        let upload = Upload::new(body, headers);

        let limit = limited(&path)
            .then(|| snapshot.http.per_ip.check(&limit_key(context.client_ip)))
            .transpose();
        let route = Arc::new(RouteAllowance::default());
        let (address, answer) = match limit {
            Ok(allowance) => {
                let work = self.answer(&snapshot, &context, &route, parts, &upload);
                let answer = AssertUnwindSafe(work)
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|panic| {
                        metrics::counter!("filament_module_panics_total", "module" => "host")
                            .increment(1);
                        Err(ApiError::internal(format!(
                            "panic: {}",
                            panic_message(&*panic)
                        )))
                    });
                (allowance, answer)
            }
            Err(limited) => (None, Err(limited)),
        };
        let refused_by = answer.as_ref().err().and_then(ApiError::allowance);
        let mut response = answer.unwrap_or_else(|failure| {
            let mut response = render(&failure, &context.request_id);
            if failure.code() == ErrorCode::METHOD_NOT_ALLOWED
                && let Ok(allow) = allowed(&snapshot, &path).parse()
            {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            response
        });
        // The tighter one first.
        let allowances: Vec<Allowance> = [refused_by, route.get(), address]
            .into_iter()
            .flatten()
            .collect();
        finish_headers(&mut response, &context, &allowances);
        if !upload.drained().await {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let response = if snapshot.http.compression {
            compressed(response, accepts.as_ref())
        } else {
            response
        };
        let status = response.status().as_u16();
        let elapsed = started.elapsed();
        metrics::counter!("filament_http_responses_total", "status" => class(status)).increment(1);
        info!(
            target: "filament::access",
            %method, path, status,
            ms = elapsed.as_micros() as f64 / 1000.0,
            client = %context.client_ip,
            request_id = context.request_id,
        );
        response
    }

    fn request_id(&self) -> String {
        self.ids.next::<Ulid>().to_string()
    }

    async fn answer(
        &self,
        snapshot: &Arc<Snapshot>,
        context: &Arc<RequestContext>,
        route: &Arc<RouteAllowance>,
        parts: RequestParts,
        upload: &Upload,
    ) -> Result<Response, ApiError> {
        let longest = snapshot.config.host.http.max_header_bytes;
        let length: usize = parts
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        if length > longest {
            // hyper looks at its bound only between reads.
            return Err(ApiError::new(
                ErrorCode::INVALID_REQUEST,
                format!("the headers are longer than {longest} bytes"),
            ));
        }
        let limit = BodyLimit::new(snapshot.http.max_json_body_bytes);
        let mut request = Request::from_parts(parts, upload.body(limit.clone()));
        request.extensions_mut().insert(limit);
        request.extensions_mut().insert(context.clone());
        request.extensions_mut().insert(snapshot.clone());
        request.extensions_mut().insert(route.clone());
        if request.headers().contains_key(idempotency::HEADER) {
            request.extensions_mut().insert(self.idempotency.clone());
        }
        let path = request.uri().path().to_string();
        let work = async {
            match (request.method(), path.as_str()) {
                (&Method::GET, "/gateway/ws") => self.gateway(context, &request).await,
                (&Method::GET | &Method::HEAD, "/openapi.json") => Ok(document(snapshot, &request)),
                (&Method::GET, "/favicon.ico") => Ok(StatusCode::NO_CONTENT.into_response()),
                (&Method::GET | &Method::HEAD, "/docs" | "/docs/") => Ok(Response::builder()
                    .content_type("text/html; charset=utf-8")
                    .body(self.docs.clone())),
                (_, "/gateway/ws" | "/openapi.json" | "/docs" | "/docs/" | "/favicon.ico") => Err(
                    ApiError::new(ErrorCode::METHOD_NOT_ALLOWED, "this path allows GET"),
                ),
                _ => snapshot
                    .router
                    .call(request)
                    .await
                    .map_err(|error| api_error(error, snapshot, &path)),
            }
        };
        match tokio::time::timeout(snapshot.http.request_timeout, work).await {
            Ok(answer) => answer,
            Err(_) => Err(ApiError::new(
                ErrorCode::REQUEST_TIMEOUT,
                format!(
                    "this took longer than {} s",
                    snapshot.http.request_timeout.as_secs()
                ),
            )),
        }
    }

    async fn gateway(
        &self,
        context: &RequestContext,
        request: &Request,
    ) -> Result<Response, ApiError> {
        let token = self
            .hub
            .access_token(request)
            .ok_or_else(ApiError::unauthenticated)?;
        let caller = Caller::authenticate(context, &token).await?;
        gateway::upgrade(&self.hub, request, caller, context.client_ip)
    }
}

/// Probes of load balancers and monitors are not counted against anybody.
fn limited(path: &str) -> bool {
    !matches!(path, "/health" | "/metrics")
}

/// The methods that a path allows, for `Allow`: those of the routes, or GET for what the host serves beside them.
fn allowed(snapshot: &Snapshot, path: &str) -> String {
    match snapshot.methods(path) {
        methods if methods.is_empty() => "GET".to_string(),
        methods => methods.join(", "),
    }
}

fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// The document of this generation. The tag is the process's start and the generation, so a restart is never taken for the same.
fn document(snapshot: &Snapshot, request: &Request) -> Response {
    let tag = format!("\"{}-{}\"", crate::started_ms(), snapshot.generation);
    let known = request.header(header::IF_NONE_MATCH).is_some_and(|known| {
        known
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == tag)
    });
    let response = Response::builder()
        .header(header::ETAG, tag)
        .header(header::CACHE_CONTROL, "no-cache");
    if known {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response
        .content_type("application/json; charset=utf-8")
        .body(snapshot.document.clone())
}

fn finish_headers(response: &mut Response, context: &RequestContext, allowances: &[Allowance]) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        headers.insert("x-request-id", id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-store"));
    if allowances.is_empty() {
        return;
    }
    // draft-ietf-httpapi-ratelimit-headers-10: policies and what is left of each.
    let list = |write: fn(&Allowance) -> String| {
        let items: Vec<String> = allowances.iter().map(write).collect();
        HeaderValue::from_str(&items.join(", ")).ok()
    };
    if let Some(policies) = list(|a| format!("\"{}\";q={};w={}", a.policy, a.quota, a.window_secs))
    {
        headers.insert("ratelimit-policy", policies);
    }
    if let Some(left) = list(|a| format!("\"{}\";r={};t={}", a.policy, a.remaining, a.wait_secs)) {
        headers.insert("ratelimit", left);
    }
}

/// Compresses what gets smaller by it. poem's middleware misreads `zstd` and compresses everything, so the choice is made here.
fn compressed(mut response: Response, accepts: Option<&HeaderValue>) -> Response {
    let body: http_body_util::combinators::BoxBody<Bytes, std::io::Error> =
        response.take_body().into();
    let long = body
        .size_hint()
        .exact()
        .is_none_or(|length| length >= COMPRESS_FROM);
    response.set_body(Body::from(body));
    let headers = response.headers();
    let textual = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json") || kind.starts_with("text/"));
    let accepts = accepts.and_then(|value| value.to_str().ok()).unwrap_or("");
    if !textual
        || !long
        || headers.contains_key(header::CONTENT_ENCODING)
        || response.status().as_u16() < 200
    {
        return response;
    }
    let offered = |name: &str| {
        accepts.split(',').any(|part| {
            let mut pieces = part.split(';');
            pieces
                .next()
                .is_some_and(|coding| coding.trim().eq_ignore_ascii_case(name))
                && !pieces.any(|q| {
                    matches!(
                        q.trim().trim_start_matches("q="),
                        "0" | "0.0" | "0.00" | "0.000"
                    )
                })
        })
    };
    let mut response = match () {
        () if offered("zstd") => Compress::new(response, CompressionAlgo::ZSTD).into_response(),
        () if offered("br") => Compress::new(response, CompressionAlgo::BR).into_response(),
        () if offered("gzip") => Compress::new(response, CompressionAlgo::GZIP).into_response(),
        () => response,
    };
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

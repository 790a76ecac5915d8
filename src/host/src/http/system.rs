//! The host's own routes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use filament_kernel::{
    ApiError, ErrorCode, Instance,
    db::Database,
    http::{ClientIp, Valid},
    module::{Erased, Routes, document_of},
};
use metrics_exporter_prometheus::PrometheusHandle;
use poem::{http::HeaderMap, web::Data};
use poem_openapi::{
    Object, OpenApi,
    param::Query,
    payload::{Json, PlainText},
};
use serde_json::Value;
use validator::Validate;

use crate::{
    database,
    reconciler::States,
    snapshot::{Counted, Snapshot},
};

/// How long an answer of the database is believed, so that nobody can make the server ask it in a loop.
const BELIEVED: Duration = Duration::from_millis(500);
/// How long the database may take to answer a health check.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// What `/health` looks at.
pub struct Vitals {
    /// The database.
    pub db: Database,
    /// The modules.
    pub states: States,
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Vitals {
    /// Nothing has been looked at yet.
    pub fn new(db: Database, states: States) -> Arc<Self> {
        Arc::new(Self {
            db,
            states,
            turn: tokio::sync::Mutex::default(),
            last: Mutex::new(None),
        })
    }

    async fn database_answers(&self) -> bool {
        // One asks, the others wait for its answer.
        let _turn = self.turn.lock().await;
        let known = *self.last.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((at, answer)) = known
            && at.elapsed() < BELIEVED
        {
            return answer;
        }
        let ping = tokio::time::timeout(PING_TIMEOUT, database::ping(&self.db)).await;
        let answer = match ping {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database does not answer");
                false
            }
            Err(_) => {
                tracing::warn!("the database does not answer in time");
                false
            }
        };
        *self.last.lock().unwrap_or_else(|e| e.into_inner()) = Some((Instant::now(), answer));
        answer
    }
}

/// The host's own routes.
pub struct SystemApi {
    /// What `/health` looks at.
    pub vitals: Arc<Vitals>,
    /// What `/metrics` prints.
    pub metrics: PrometheusHandle,
}

/// That the server is well.
#[derive(Object)]
struct Health {
    /// Always `ok`; a server that is not answers 503.
    status: String,
    /// The modules that are on and not fully up, each with its state. Absent when all are well.
    #[oai(skip_serializing_if_is_none)]
    modules: Option<BTreeMap<String, String>>,
}

/// Something to be sent back.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
struct Echo {
    /// Any text that is not empty.
    #[validate(length(min = 1))]
    message: String,
}

/// That the wait is over.
#[derive(Object)]
struct Waited {
    /// How long it was, in milliseconds.
    waited_ms: u64,
}

/// Tags of the host's own operations.
#[derive(poem_openapi::Tags)]
enum Tag {
    /// The server itself.
    System,
}

#[OpenApi(tag = "Tag::System")]
impl SystemApi {
    /// Whether the server is well
    ///
    /// Answers 503 with the failing part while the database is away. A module that is not fully up is named, and does not make
    /// the server unwell: the others serve.
    #[oai(path = "/health", method = "get", operation_id = "health")]
    async fn health(&self) -> Result<Json<Health>, ApiError> {
        if !self.vitals.database_answers().await {
            return Err(ApiError::unavailable("the database does not answer"));
        }
        let unwell: BTreeMap<String, String> = self
            .vitals
            .states
            .all()
            .into_iter()
            .filter(|module| !module.phase.is_well())
            .map(|module| (module.id.to_string(), module.phase.word().to_string()))
            .collect();
        Ok(Json(Health {
            status: "ok".to_string(),
            modules: (!unwell.is_empty()).then_some(unwell),
        }))
    }

    /// Figures for a monitor
    ///
    /// Prometheus text.
    ///
    /// - 403: The client's address is in none of the networks of `http.metrics_allowed_cidrs`
    #[oai(path = "/metrics", method = "get", operation_id = "metrics")]
    async fn metrics(
        &self,
        ClientIp(client): ClientIp,
        snapshot: Data<&Arc<Snapshot>>,
        headers: &HeaderMap,
    ) -> Result<PlainText<String>, ApiError> {
        // Behind a proxy that nobody told us of, everybody seems to be the proxy, and often on this very machine.
        if snapshot.http.trusted_proxies.is_empty() && headers.contains_key("x-forwarded-for") {
            return Err(ApiError::forbidden(
                "metrics are not for requests through a proxy that `server.trusted_proxy_cidrs` does not name",
            ));
        }
        if !snapshot
            .http
            .metrics_readers
            .iter()
            .any(|net| net.contains(&client))
        {
            return Err(ApiError::forbidden("metrics are not for this address"));
        }
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        metrics::gauge!("filament_tasks").set(tasks as f64);
        metrics::gauge!("filament_live_instances").set(Counted::instances() as f64);
        Ok(PlainText(self.metrics.render()))
    }

    /// Sends a message back
    ///
    /// A probe for clients and proxies.
    #[oai(path = "/echo", method = "post", operation_id = "echo")]
    async fn echo(&self, Valid(echo): Valid<Echo>) -> Result<Json<Echo>, ApiError> {
        Ok(Json(echo))
    }

    /// Answers after a wait
    ///
    /// A probe for the time-outs of proxies: 200 after the wait, or 408 when the wait is longer than the server's own time-out.
    #[oai(path = "/slow", method = "get", operation_id = "slow")]
    async fn slow(
        &self,
        /// The wait in milliseconds, 0 to 60000; 200 when absent.
        wait_ms: Query<Option<u64>>,
    ) -> Result<Json<Waited>, ApiError> {
        let waited_ms = wait_ms.0.unwrap_or(200);
        if waited_ms > 60_000 {
            return Err(ApiError::new(
                ErrorCode::INVALID_REQUEST,
                "wait_ms: must be 0 to 60000",
            ));
        }
        tokio::time::sleep(Duration::from_millis(waited_ms)).await;
        Ok(Json(Waited { waited_ms }))
    }
}

/// The routes of the host.
pub fn system_routes(api: SystemApi) -> Routes {
    Erased::from(Instance::new(api)).routes
}

/// The host's part of the document.
pub fn system_document() -> Value {
    document_of::<SystemApi>()
}

/// The page of Swagger UI, which reads the live document: what is switched off vanishes from it with a reload of the page.
pub fn swagger_page() -> String {
    struct Nothing;

    #[OpenApi]
    impl Nothing {}

    let page = poem_openapi::OpenApiService::new(Nothing, "filament", "").swagger_ui_html();
    let (before, rest) = page.split_once("let spec = ").unwrap_or((&page, ""));
    let after = rest.split_once("};").map_or(rest, |(_, after)| after);
    format!("{before}let url = '/openapi.json';{after}")
        .replacen("spec: spec,", "url: url, persistAuthorization: true,", 1)
        .replacen(
            "<html charset=\"UTF-8\">",
            "<!doctype html><html lang=\"en\">",
            1,
        )
}

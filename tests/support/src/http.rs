//! A thin HTTP client that holds every answer against the contract.

use std::time::Duration;

pub use reqwest::Method;
use reqwest::{
    Request, RequestBuilder, StatusCode,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::secrets::Secrets;

/// What a JSON answer stays within.
const MAX_JSON_BYTES: usize = 64 * 1024;

/// The contract's error codes and their statuses. Modules have codes of their own besides.
const CODES: &[(&str, u16)] = &[
    ("invalid_request", 400),
    ("invalid_credentials", 401),
    ("forbidden", 403),
    ("not_found", 404),
    ("module_disabled", 404),
    ("method_not_allowed", 405),
    ("request_timeout", 408),
    ("quota_exceeded", 409),
    ("payload_too_large", 413),
    ("unsupported_media_type", 415),
    ("rate_limited", 429),
    ("internal_error", 500),
    ("service_unavailable", 503),
];

/// Does for the process of a test what the server's `main` does for the server's: a client that could speak TLS is not made without.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// No proxies, no redirects, and no surprises from the environment.
pub(crate) fn client() -> reqwest::Client {
    install_tls();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .expect("an HTTP client")
}

/// The API of one server, as one caller.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    /// `http://127.0.0.1:<port>`.
    pub base: String,
    /// The access token, when the caller has one.
    pub token: Option<String>,
    secrets: Secrets,
}

impl Api {
    pub(crate) fn new(client: reqwest::Client, base: String, secrets: Secrets) -> Self {
        Self {
            client,
            base,
            token: None,
            secrets,
        }
    }

    /// The same server, as another caller.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        self.secrets.note("an access token", token);
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same server, as nobody.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self {
            token: None,
            ..self.clone()
        }
    }

    /// `ws://127.0.0.1:<port>/gateway/ws`.
    pub fn ws_url(&self) -> String {
        format!("{}/gateway/ws", self.base.replacen("http", "ws", 1))
    }

    /// GET `path`, which may have a query.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: impl Serialize) -> Answer {
        self.send(self.request(Method::POST, path).json(&body))
            .await
    }

    /// POST without a body.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: impl Serialize) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body))
            .await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// A request of any kind with the caller's token, to be given headers and a body and then to [`Api::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and checks the answer.
    ///
    /// # Panics
    /// When there is no answer, or one against the contract.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request)
            .await
            .unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends a request to a server that may be dying, and checks the answer when one comes.
    ///
    /// # Errors
    /// When no whole answer came. What was asked for may have been done or not.
    ///
    /// # Panics
    /// When the answer is against the contract.
    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let request = request.build()?;
        self.note_secrets(&request);
        let asked = format!("{} {}", request.method(), request.url().path());
        let (is_head, path) = (
            request.method() == Method::HEAD,
            request.url().path().to_owned(),
        );
        let response = self.client.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?;
        let answer = Answer {
            asked,
            status: status.as_u16(),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            bytes: bytes.into(),
            headers,
        };
        self.secrets.note_json(&answer.body);
        if let Err(broken) = answer.check(status, is_head, &path) {
            panic!("{answer:?} breaks the contract: {broken}");
        }
        Ok(answer)
    }

    /// Remembers the secrets of a request, which must not be in the log.
    fn note_secrets(&self, request: &Request) {
        for (name, value) in request.url().query_pairs() {
            self.secrets.note_named(&name, &value);
        }
        let bearer = request.headers().get(AUTHORIZATION);
        let bearer = bearer.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if let Some(token) = bearer {
            self.secrets.note("a bearer token", token);
        }
        let body = request.body().and_then(reqwest::Body::as_bytes);
        if let Some(document) = body.and_then(|body| serde_json::from_slice(body).ok()) {
            self.secrets.note_json(&document);
        }
    }
}

/// An answer that keeps the contract.
#[derive(Clone)]
pub struct Answer {
    asked: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body when it is JSON, else `Null`.
    pub body: Value,
    /// The body as text.
    pub text: String,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Asserts the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}: {self:?}");
        self
    }

    /// Asserts a failure: its status and its code.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Self {
        assert!(
            self.status == status && self.body["error"] == code,
            "expected {status} {code}: {self:?}"
        );
        self
    }

    /// Reads a successful body into a type.
    #[track_caller]
    pub fn read<T: DeserializeOwned>(&self) -> T {
        assert!(self.status == 200, "expected 200: {self:?}");
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }

    /// What a failure says to a person.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or("")
    }

    fn check(&self, status: StatusCode, is_head: bool, path: &str) -> Result<(), String> {
        let rule = |holds: bool, text: &str| if holds { Ok(()) } else { Err(text.to_owned()) };
        rule(
            !self.header("x-request-id").is_empty(),
            "every answer has x-request-id",
        )?;
        rule(
            self.headers
                .get(X_CONTENT_TYPE_OPTIONS)
                .is_some_and(|value| value == "nosniff"),
            "every answer is nosniff",
        )?;
        if is_head
            || status == StatusCode::NOT_MODIFIED
            || status == StatusCode::SWITCHING_PROTOCOLS
        {
            return rule(self.bytes.is_empty(), "this answer has no body");
        }
        if status == StatusCode::NO_CONTENT {
            rule(self.bytes.is_empty(), "204 is empty")?;
            return rule(
                !self.headers.contains_key(CONTENT_TYPE),
                "204 has no content type",
            );
        }
        if status.is_client_error() || status.is_server_error() {
            return self.check_error(path);
        }
        rule(status.is_success(), "an answer is a success or a failure")?;
        rule(!self.bytes.is_empty(), "a success without content is 204")?;
        rule(
            self.headers.contains_key(CONTENT_TYPE),
            "content has a type",
        )?;
        if self.is_json() && path != "/openapi.json" {
            rule(!self.body.is_null(), "JSON can be parsed")?;
            rule(self.bytes.len() <= MAX_JSON_BYTES, "JSON is at most 64 KiB")?;
            rule(
                self.header(CACHE_CONTROL.as_str()).contains("no-store"),
                "JSON is not stored",
            )?;
        }
        Ok(())
    }

    fn check_error(&self, path: &str) -> Result<(), String> {
        let rule = |holds: bool, text: &str| if holds { Ok(()) } else { Err(text.to_owned()) };
        rule(self.is_json(), "a failure is JSON")?;
        let body = self.body.as_object().ok_or("a failure is an object")?;
        for key in ["error", "message", "request_id"] {
            let text = body.get(key).and_then(Value::as_str);
            rule(
                text.is_some_and(|text| !text.is_empty()),
                &format!("a failure has `{key}`, a text"),
            )?;
        }
        // The health probe also says which part failed.
        rule(
            body.len() == 3 || path == "/health",
            "a failure has three keys",
        )?;
        rule(
            self.body["request_id"] == self.header("x-request-id"),
            "request_id and x-request-id are the same",
        )?;
        rule(!self.message().ends_with('.'), "a message has no full stop")?;
        let code = self.body["error"].as_str().unwrap_or_default();
        let is_word = code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        rule(is_word, "a code is a snake_case word")?;
        if let Some((_, status)) = CODES.iter().find(|(known, _)| *known == code) {
            rule(self.status == *status, &format!("{code} is {status}"))?;
        }
        let wait = self
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        rule(
            self.status != 429 || wait.is_some_and(|seconds| seconds >= 1),
            "429 has Retry-After, in seconds, at least 1",
        )
    }

    fn is_json(&self) -> bool {
        let kind = self.header(CONTENT_TYPE.as_str());
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "application/json")
    }
}

/// The answer on one line, with the start of its body.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.text.chars().take(2_000).collect();
        write!(
            f,
            "{} -> {} {body} {:?}",
            self.asked, self.status, self.headers
        )
    }
}

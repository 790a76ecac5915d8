//! The opening handshake of RFC 6455, section 4.2: is this a WebSocket request, and from a page that may make it?

use base64::{Engine, engine::general_purpose::STANDARD};
use filament_kernel::ApiError;
use poem::{
    Request, Response,
    http::{HeaderMap, Method, StatusCode, Version, header},
};
use serde::Deserialize;
use sha1::{Digest, Sha1};

/// What the key is hashed with, by the RFC.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a request is not upgraded.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is wrong or not allowed.
    Error(ApiError),
    /// It speaks another version of the protocol; the answer names ours.
    Version,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// Checks the request; answers the value of `Sec-WebSocket-Accept`.
pub(super) fn check(request: &Request, public_origins: &[String]) -> Result<String, Refusal> {
    let headers = request.headers();
    if request.method() != Method::GET || request.version() < Version::HTTP_11 {
        return Err(
            ApiError::invalid("method", "a WebSocket is opened by a GET of HTTP/1.1").into(),
        );
    }
    for (name, token) in [
        (header::UPGRADE, "websocket"),
        (header::CONNECTION, "upgrade"),
    ] {
        if !has_token(headers, &name, token) {
            return Err(ApiError::invalid(name.as_str(), format!("must be {token}")).into());
        }
    }
    if only(headers, header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Refusal::Version);
    }
    let key = only(headers, header::SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16))
        .ok_or_else(|| {
            ApiError::invalid("sec-websocket-key", "must be 16 bytes in base 64, once")
        })?;
    check_origin(headers, public_origins)?;
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    Ok(STANDARD.encode(digest))
}

/// 101: from here on the connection speaks WebSocket.
pub(super) fn switching(accept: String) -> Response {
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .finish()
}

/// 426, with the one version that is spoken here.
pub(super) fn other_version(request_id: &str) -> Response {
    let body = serde_json::json!({
        "error": "upgrade_required",
        "message": "sec-websocket-version: must be 13",
        "request_id": request_id,
    });
    Response::builder()
        .status(StatusCode::UPGRADE_REQUIRED)
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::UPGRADE, "websocket")
        .content_type("application/json")
        .body(body.to_string())
}

/// The access token of a request: that of `Authorization: Bearer` or, with `query_token`, that of `?access_token=`, for
/// browsers, which cannot set headers here. It is a secret: not to be logged.
pub fn access_token(request: &Request, query_token: bool) -> Option<String> {
    #[derive(Deserialize)]
    struct Query {
        access_token: String,
    }

    if let Some(token) = filament_kernel::caller::bearer_token(request) {
        return Some(token.to_owned());
    }
    let query = query_token
        .then(|| request.params::<Query>().ok())
        .flatten()?;
    Some(query.access_token).filter(|token| !token.is_empty())
}

/// A page of another site must not open sockets with what the browser knows of its user. No `Origin`: not a browser.
fn check_origin(headers: &HeaderMap, public_origins: &[String]) -> Result<(), ApiError> {
    if !headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    let origin = only(headers, header::ORIGIN).and_then(Origin::parse);
    let allowed = public_origins.iter().any(|public| {
        public == "*" || origin.is_some_and(|origin| Origin::parse(public) == Some(origin))
    });
    let own = || {
        let host = only(headers, header::HOST)?;
        Some(origin?.is_of_host(host))
    };
    if allowed || own() == Some(true) {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "origin: pages of this origin may not open a socket; see server.public_origins",
    ))
}

/// Scheme, host and port of a page.
#[derive(Debug, Clone, Copy)]
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = split_port(authority);
        Some(Self { scheme, host, port })
    }

    fn default_port(self) -> &'static str {
        if self.scheme.eq_ignore_ascii_case("https") {
            "443"
        } else {
            "80"
        }
    }

    /// Whether this page came from the `Host` of the request. The scheme is not compared: behind a proxy the request comes by
    /// http, whatever the page came by.
    fn is_of_host(self, host: &str) -> bool {
        let default = self.default_port();
        let (name, port) = split_port(host);
        self.host.eq_ignore_ascii_case(name)
            && self.port.unwrap_or(default) == port.unwrap_or(default)
    }
}

impl PartialEq for Origin<'_> {
    fn eq(&self, other: &Self) -> bool {
        let default = self.default_port();
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default) == other.port.unwrap_or(default)
    }
}

/// Host and port; the colons within the brackets of an IPv6 address are none.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// The value of a header that stands there once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

/// Whether a header that is a list of words has `token` among them.
fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("host", "chat.example.org"),
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// The status that a good request gets when one header is `value` instead; 101 when it passes.
    fn status(name: &str, value: Option<&str>) -> u16 {
        let mut request = Request::builder().method(Method::GET);
        for (key, good) in GOOD.into_iter().filter(|(key, _)| *key != name) {
            request = request.header(key, good);
        }
        if let Some(value) = value {
            request = request.header(name, value);
        }
        let public = ["https://app.example.org".to_owned()];
        match check(&request.finish(), &public) {
            Ok(_) => 101,
            Err(Refusal::Version) => 426,
            Err(Refusal::Error(error)) => error.code().status,
        }
    }

    #[test]
    fn the_sample_of_the_rfc_is_accepted() {
        let mut request = Request::builder().method(Method::GET);
        for (key, value) in GOOD {
            request = request.header(key, value);
        }
        let accept = check(&request.finish(), &[]).expect("a good request");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        assert_eq!(status("upgrade", None), 400);
        assert_eq!(status("upgrade", Some("h2c")), 400);
        assert_eq!(status("connection", Some("keep-alive")), 400);
        assert_eq!(status("sec-websocket-version", None), 426);
        assert_eq!(status("sec-websocket-version", Some("8")), 426);
        assert_eq!(status("sec-websocket-key", None), 400);
        assert_eq!(status("sec-websocket-key", Some("dGhlIHNhbXBsZQ==")), 400);
        assert_eq!(status("sec-websocket-key", Some("not base 64!")), 400);
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        assert_eq!(status("origin", None), 101);
        assert_eq!(status("origin", Some("https://chat.example.org")), 101);
        assert_eq!(status("origin", Some("http://CHAT.example.org:80")), 101);
        assert_eq!(status("origin", Some("https://app.example.org:443")), 101);
        assert_eq!(status("origin", Some("http://app.example.org")), 403);
        assert_eq!(status("origin", Some("https://chat.example.org:8443")), 403);
        assert_eq!(
            status("origin", Some("https://chat.example.org.evil.test")),
            403
        );
        assert_eq!(status("origin", Some("https://evil.test")), 403);
        assert_eq!(status("origin", Some("null")), 403);
    }

    #[test]
    fn ports_and_addresses_are_told_apart() {
        assert_eq!(split_port("[::1]:8080"), ("[::1]", Some("8080")));
        assert_eq!(split_port("[::1]"), ("[::1]", None));
        assert_eq!(split_port("localhost:3000"), ("localhost", Some("3000")));
    }

    #[test]
    fn the_token_is_taken_from_the_header_or_where_allowed_from_the_query() {
        let uri = |uri: &'static str| Request::builder().uri(poem::http::Uri::from_static(uri));
        let in_query = uri("/gateway/ws?v=1&access_token=a%2Bb").finish();
        assert_eq!(access_token(&in_query, true).as_deref(), Some("a+b"));
        assert_eq!(access_token(&in_query, false), None);
        let both = uri("/gateway/ws?access_token=a")
            .header("authorization", "Bearer h")
            .finish();
        assert_eq!(access_token(&both, true).as_deref(), Some("h"));
        let none = uri("/gateway/ws?access_token=").finish();
        assert_eq!(access_token(&none, true), None);
    }
}

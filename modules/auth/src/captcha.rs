//! hCaptcha: whoever registers or logs in has solved a captcha, says hCaptcha's server (<https://docs.hcaptcha.com/#verify-the-user-response-server-side>).
//!
//! Fails closed: while it cannot be asked, nobody registers or logs in.

use std::{net::IpAddr, time::Duration};

use filament_kernel::{ApiError, ErrorCode, config::Secret, http::Origin};
use reqwest::{Client, Response, StatusCode, redirect::Policy};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use url::{Host, Url};

/// The captcha was not solved.
const FAILED: ErrorCode = ErrorCode::new(403, "captcha_failed");

/// What an answer of hCaptcha may take, its last byte included.
const TIME_OUT: Duration = Duration::from_secs(5);

/// What an answer may be long; a real one has some hundred bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// Questions that are under way at the same time.
const AT_ONCE: usize = 64;

/// Codes by which hCaptcha complains about this server and not about the person.
const OUR_FAULT: &[&str] = &[
    "missing-input-secret",
    "invalid-input-secret",
    "sitekey-secret-mismatch",
    "bad-request",
];

/// Asks hCaptcha.
pub(crate) struct Captcha {
    client: Client,
    url: Url,
    site_key: String,
    secret: Secret,
    under_way: Semaphore,
}

/// The form, as hCaptcha documents it.
#[derive(Serialize)]
struct Question<'a> {
    secret: &'a str,
    response: &'a str,
    remoteip: IpAddr,
    sitekey: &'a str,
}

/// The part of the answer that matters.
#[derive(Deserialize)]
struct Answer {
    success: bool,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

/// Whether captchas may be checked at `url`: what is secret goes there, so only by TLS, or within this machine.
pub(crate) fn check_url(url: &str) -> Result<Url, &'static str> {
    let url = Url::parse(url).map_err(|_| "must be a URL")?;
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err("must begin with https:// (http:// only for an address of this machine)"),
    }
}

impl Captcha {
    /// Asks at `url`, by the keys of one site.
    ///
    /// # Errors
    /// When no TLS can be set up.
    pub(crate) fn new(url: Url, site_key: String, secret: Secret) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(TIME_OUT)
            .redirect(Policy::none())
            .build()?;
        Ok(Self {
            client,
            url,
            site_key,
            secret,
            under_way: Semaphore::new(AT_ONCE),
        })
    }

    /// What the widget is shown with.
    pub(crate) fn site_key(&self) -> &str {
        &self.site_key
    }

    /// Whether the captcha of `token` was solved by who makes a request. One that was not is told to the security log.
    ///
    /// # Errors
    /// 400 without a token, 403 `captcha_failed` when hCaptcha says no, 503 when it cannot be asked.
    pub(crate) async fn check(
        &self,
        token: Option<String>,
        origin: &Origin,
    ) -> Result<(), ApiError> {
        let token = token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| ApiError::invalid("captcha_token", "required, but missing"))?;
        let _under_way = self
            .under_way
            .try_acquire()
            .map_err(|_| away("too many captchas are being checked"))?;
        // The URL is of no interest, and what the client sent is none of the log's business.
        let answer = self.ask(&token, origin.client_ip).await;
        let answer = answer.map_err(|problem| away(format!("hCaptcha: {problem}")))?;
        if answer.success {
            return Ok(());
        }
        let ours = |code: &String| OUR_FAULT.contains(&code.as_str());
        if let Some(code) = answer.error_codes.iter().find(|code| ours(code)) {
            return Err(away(format!(
                "hCaptcha refuses this server ({code}): check auth.hcaptcha_site_key and auth.hcaptcha_secret"
            )));
        }
        tracing::info!(
            target: "filament::security",
            request_id = %origin.request_id,
            client_ip = %origin.client_ip,
            "a captcha was not solved"
        );
        Err(ApiError::new(
            FAILED,
            "captcha_token: the captcha was not solved",
        ))
    }

    async fn ask(&self, token: &str, client_ip: IpAddr) -> Result<Answer, &'static str> {
        let question = Question {
            secret: self.secret.expose(),
            response: token,
            remoteip: client_ip.to_canonical(),
            sitekey: &self.site_key,
        };
        let response = self
            .client
            .post(self.url.clone())
            .form(&question)
            .send()
            .await
            .map_err(|error| problem(&error))?;
        if response.status() != StatusCode::OK {
            return Err("it does not answer with 200");
        }
        let body = bounded(response).await?;
        serde_json::from_slice(&body).map_err(|_| "its answer is not understood")
    }
}

/// The body, if it is not too long.
async fn bounded(mut response: Response) -> Result<Vec<u8>, &'static str> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| problem(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err("its answer is too long");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn problem(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it does not answer in time"
    } else if error.is_connect() {
        "it cannot be reached"
    } else {
        "its answer broke off"
    }
}

/// 503. The problem is for the log, where the host writes it.
fn away(problem: impl Into<String>) -> ApiError {
    ApiError::unavailable("the captcha cannot be checked now")
        .retry_after(Duration::from_secs(5))
        .caused_by(problem.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_sent_by_tls_or_within_this_machine_only() {
        for good in [
            "https://api.hcaptcha.com/siteverify",
            "https://captcha.example.org:8443/verify",
            "http://127.0.0.1:4000/siteverify",
            "http://[::1]:4000/siteverify",
            "http://localhost/siteverify",
        ] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.hcaptcha.com",
            "http://api.hcaptcha.com/siteverify",
            "http://localhost.example.org/",
            "http://127.0.0.1.example.org/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}

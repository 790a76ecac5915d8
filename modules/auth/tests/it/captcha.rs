//! Against a stand-in that speaks hCaptcha's API: <https://docs.hcaptcha.com/#verify-the-user-response-server-side>.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use filament_kernel::config::Secret;
use filament_test_support::{Backend, backend::block_on, http::install_tls};
use poem::http::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::harness::{PASSWORD, Refusal, Server, Site};

const SITE_KEY: &str = "10000000-ffff-ffff-ffff-000000000001";
const SECRET: &str = "0x0000000000000000000000000000000000000000";

/// A server that answers each question with the same bytes, and remembers the questions. Ends with its test.
struct StandIn {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
    task: JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StandIn {
    /// Answers with JSON.
    async fn saying(status: &str, answer: Value) -> Self {
        let body = answer.to_string();
        Self::sending(format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
    }

    async fn sending(answer: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else {
                    return;
                };
                let question = read_question(&mut stream).await;
                noted.lock().expect("not poisoned").push(question);
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { addr, asked, task }
    }

    fn asked(&self) -> Vec<BTreeMap<String, String>> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

/// The form of a question, after a look at its head.
async fn read_question(stream: &mut TcpStream) -> BTreeMap<String, String> {
    let mut bytes = Vec::new();
    loop {
        let mut some = [0; 4096];
        let read = stream.read(&mut some).await.expect("a question");
        bytes.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(read > 0, "broken off: {text}");
            continue;
        };
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /siteverify http/1.1"), "{head}");
        assert!(
            head.contains("content-type: application/x-www-form-urlencoded"),
            "{head}"
        );
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .expect("a length");
        if body.len() >= length.parse().expect("a number") {
            return url::form_urlencoded::parse(body.as_bytes())
                .into_owned()
                .collect();
        }
    }
}

async fn server_asking(addr: SocketAddr) -> (Site, Server) {
    install_tls();
    let site = Site::new(Backend::Sqlite).await;
    let server = site
        .server_with(|config| {
            config.hcaptcha_site_key = Some(SITE_KEY.to_string());
            config.hcaptcha_secret = Some(Secret::new(SECRET));
            config.hcaptcha_verify_url = format!("http://{addr}/siteverify");
        })
        .await;
    (site, server)
}

async fn register(server: &Server, token: Option<&str>) -> Result<Value, Refusal> {
    attempt(server, "/auth/register", token).await
}

async fn attempt(server: &Server, path: &str, token: Option<&str>) -> Result<Value, Refusal> {
    let client: IpAddr = "203.0.113.77".parse().expect("an address");
    let body = json!({ "username": "ada", "password": PASSWORD, "captcha_token": token });
    server
        .call_from(client, None, Method::POST, path, None, Some(&body))
        .await
        .map(|(_, body)| body)
}

#[test]
fn whoever_solved_the_captcha_registers_and_logs_in() {
    block_on(async {
        let good = json!({ "success": true, "challenge_ts": "2026-11-22T00:00:00Z", "hostname": "chat.example.org", "credit": false });
        let stand_in = StandIn::saying("200 OK", good).await;
        let (_site, server) = server_asking(stand_in.addr).await;
        let shown = server.call(Method::GET, "/auth/captcha", None, None).await;
        let (_, shown) = shown.expect("shown to everybody");
        assert_eq!(
            shown,
            json!({ "provider": "hcaptcha", "site_key": SITE_KEY })
        );

        for path in ["/auth/register", "/auth/login"] {
            let (status, code, message) = attempt(&server, path, None).await.expect_err("none");
            assert_eq!((status, code), (400, "invalid_request"));
            assert!(message.starts_with("captcha_token"), "{message}");
            let empty = attempt(&server, path, Some("")).await;
            assert_eq!(empty.map_err(|refusal| refusal.0), Err(400));
        }
        assert!(stand_in.asked().is_empty());

        register(&server, Some("a token & more"))
            .await
            .expect("accepted");
        attempt(&server, "/auth/login", Some("another"))
            .await
            .expect("logged in");
        let asked = stand_in.asked();
        let expected = |response: &str| {
            [
                ("secret", SECRET),
                ("response", response),
                ("remoteip", "203.0.113.77"),
                ("sitekey", SITE_KEY),
            ]
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .into()
        };
        assert_eq!(asked, [expected("a token & more"), expected("another")]);
    });
}

#[test]
fn whoever_did_not_solve_it_is_refused_before_anything_is_hashed() {
    block_on(async {
        let no = json!({ "success": false, "error-codes": ["invalid-or-already-seen-response"] });
        let stand_in = StandIn::saying("200 OK", no).await;
        let (_site, server) = server_asking(stand_in.addr).await;
        // A wrong password would count; a captcha that was not solved does not.
        for _ in 0..10 {
            for path in ["/auth/register", "/auth/login"] {
                let refused = attempt(&server, path, Some("x")).await;
                let (status, code, _) = refused.expect_err("not solved");
                assert_eq!((status, code), (403, "captcha_failed"));
            }
        }
        assert!(server.audit.actions().is_empty());
    });
}

#[test]
fn while_the_captcha_cannot_be_checked_nobody_gets_in() {
    block_on(async {
        let own_fault = json!({ "success": false, "error-codes": ["invalid-input-secret"] });
        let long = json!({ "success": true, "hostname": "x".repeat(20_000) });
        for stand_in in [
            StandIn::saying("500 Internal Server Error", json!({ "success": true })).await,
            StandIn::saying("302 Found", json!({ "success": true })).await,
            StandIn::saying("200 OK", own_fault).await,
            StandIn::saying("200 OK", long).await,
            StandIn::saying("200 OK", json!({ "success": "true" })).await,
            StandIn::saying("200 OK", json!([])).await,
            StandIn::sending("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"succ".into()).await,
            StandIn::sending("SSH-2.0-OpenSSH\r\n\r\n".into()).await,
        ] {
            let (_site, server) = server_asking(stand_in.addr).await;
            let (status, code, message) = register(&server, Some("x"))
                .await
                .expect_err("it is not known");
            assert_eq!((status, code), (503, "service_unavailable"));
            assert!(!message.contains("127.0.0.1"), "{message}");
            assert_eq!(stand_in.asked().len(), 1);
        }
    });
}

#[test]
fn a_captcha_server_that_is_away_or_hangs_is_not_waited_for() {
    block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (_site, server) = server_asking(addr).await;
        // Takes connections and says nothing.
        let refused = register(&server, Some("x")).await;
        assert_eq!(refused.map_err(|refusal| refusal.0), Err(503));
        drop(listener);
        let refused = register(&server, Some("x")).await;
        assert_eq!(refused.map_err(|refusal| refusal.0), Err(503));
    });
}

#[test]
fn without_a_captcha_none_is_shown() {
    block_on(async {
        let site = Site::new(Backend::Sqlite).await;
        let server = site.server().await;
        let shown = server.call(Method::GET, "/auth/captcha", None, None).await;
        let (_, shown) = shown.expect("shown to everybody");
        assert_eq!(shown, json!({ "provider": null, "site_key": null }));
    });
}

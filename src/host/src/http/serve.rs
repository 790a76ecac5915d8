//! Accepting connections. poem's own server ignores accept errors (so that running out of file descriptors spins), sets no
//! TCP_NODELAY and lets half-sent requests stay for ever; hence this small one on hyper.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use poem::{
    Addr,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::{
    dispatch::App,
    progress::{Progress, Watched},
};
use crate::config::host::Http;

/// A bound listener.
pub struct Listener {
    inner: TcpListener,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Listener {
    /// Binds to `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let inner = TcpListener::bind(addr).await?;
        let addr = inner.local_addr()?;
        Ok(Self { inner, addr })
    }
}

/// How often a connection's progress is looked at.
const CHECK: Duration = Duration::from_secs(1);
/// At the stop: for how long an answer that is written may make no progress.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What connections are allowed.
#[derive(Clone, Copy)]
struct Limits {
    header_timeout: Duration,
    idle_timeout: Duration,
    max_header_bytes: usize,
}

/// Accepts and serves until `stop`, then lets the requests under way finish, until `cut`. The returned tracker is empty when they have.
pub fn serve(
    listener: Listener,
    app: Arc<App>,
    settings: &Http,
    stop: CancellationToken,
    cut: CancellationToken,
) -> TaskTracker {
    let tracker = TaskTracker::new();
    let limits = Limits {
        header_timeout: settings.header_timeout(),
        idle_timeout: settings.idle_timeout(),
        max_header_bytes: settings.max_header_bytes,
    };
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let connections = tracker.clone();
    tracker.spawn(async move {
        let accept = accept(
            listener,
            app,
            limits,
            places,
            [stop.clone(), cut],
            connections.clone(),
        );
        tokio::select! {
            () = accept => {}
            () = stop.cancelled() => {}
        }
        connections.close();
    });
    tracker
}

async fn accept(
    listener: Listener,
    app: Arc<App>,
    limits: Limits,
    places: Arc<Semaphore>,
    ends: [CancellationToken; 2],
    connections: TaskTracker,
) {
    loop {
        // Waiting for a place first leaves what is too much in the kernel's queue, where it costs nothing.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.inner.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                let progress = Progress::new();
                let local = listener.addr;
                let io = Watched::new(stream, progress.clone(), place);
                let app = app.clone();
                let ends = ends.clone();
                connections.spawn(connection(io, progress, local, peer, app, limits, ends));
            }
            // The peer gave up before it was accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                // Most likely no file descriptor is left; trying again at once would spin.
                warn!(%error, "a connection could not be accepted");
                metrics::counter!("filament_http_accept_errors_total").increment(1);
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(
    io: Watched,
    progress: Arc<Progress>,
    local: SocketAddr,
    peer: SocketAddr,
    app: Arc<App>,
    limits: Limits,
    [stop, cut]: [CancellationToken; 2],
) {
    let serving = progress.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let app = app.clone();
        let serving = serving.clone();
        async move {
            serving.request_began();
            let (parts, body) = request.into_parts();
            let local = LocalAddr(Addr::SocketAddr(local));
            let remote = RemoteAddr(Addr::SocketAddr(peer));
            let parts = (parts, local, remote, Scheme::HTTP).into();
            let response = app.handle(parts, body, peer.ip()).await;
            serving.request_ended();
            Ok::<_, Infallible>(hyper::Response::from(response))
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .half_close(false)
        .keep_alive(true)
        .max_buf_size(limits.max_header_bytes.max(8192));
    let mut connection = pin!(
        builder
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades()
    );
    let mut stopping = false;
    loop {
        let check = Instant::now() + if stopping { LAST_WORDS } else { CHECK };
        tokio::select! {
            // An error here is the peer's: it hung up or does not speak HTTP; hyper has answered what can be answered.
            _ = connection.as_mut() => return,
            () = sleep_until(check) => {
                let stuck = if stopping {
                    progress.is_stuck(Duration::ZERO, LAST_WORDS)
                } else {
                    progress.is_stuck(limits.header_timeout, limits.idle_timeout)
                };
                if stuck {
                    return;
                }
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = cut.cancelled() => return,
        }
    }
}

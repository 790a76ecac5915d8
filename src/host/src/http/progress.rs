//! Whether a connection gets anywhere. hyper's own time-out for a header also ends idle connections that are kept alive; told
//! apart here: a request's head must be complete soon after its first byte, and a connection may idle for longer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};

/// What is known of one connection. Times are milliseconds since it was accepted.
pub(super) struct Progress {
    accepted: Instant,
    active_at: AtomicU64,
    /// When the head under way began, plus one; 0 when none is.
    head_since: AtomicU64,
    serving: AtomicUsize,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted: Instant::now(),
            active_at: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            serving: AtomicUsize::new(0),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn touched(&self, reading: bool) {
        let now = self.now();
        self.active_at.store(now, Ordering::Relaxed);
        if reading && self.serving.load(Ordering::Relaxed) == 0 {
            let _ =
                self.head_since
                    .compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// A head is complete and its request is answered.
    pub(super) fn request_began(&self) {
        self.serving.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
    }

    /// The answer is on its way.
    pub(super) fn request_ended(&self) {
        self.serving.fetch_sub(1, Ordering::Relaxed);
        self.active_at.store(self.now(), Ordering::Relaxed);
    }

    /// Whether the connection has outstayed one of the two.
    pub(super) fn is_stuck(&self, header: Duration, idle: Duration) -> bool {
        let over = |since: u64, limit: Duration| {
            u128::from(self.now().saturating_sub(since)) > limit.as_millis()
        };
        let head_since = self.head_since.load(Ordering::Relaxed);
        if head_since > 0 && over(head_since - 1, header) {
            return true;
        }
        self.serving.load(Ordering::Relaxed) == 0
            && over(self.active_at.load(Ordering::Relaxed), idle)
    }
}

/// A connection that notes its progress, and holds its place among the connections that are allowed at once for as long as it
/// exists, an upgrade to a WebSocket included.
pub(super) struct Watched {
    stream: TcpStream,
    progress: Arc<Progress>,
    _place: OwnedSemaphorePermit,
}

impl Watched {
    pub(super) fn new(
        stream: TcpStream,
        progress: Arc<Progress>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            stream,
            progress,
            _place: place,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.progress.touched(true);
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if result.is_ready() {
            self.progress.touched(false);
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        if result.is_ready() {
            self.progress.touched(false);
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

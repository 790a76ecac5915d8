//! A request's body: bounded while it is read, and of which something may be left when the answer is known.
//!
//! A client that is still sending when the server closes gets a broken connection in place of the answer (RFC 9112, section 9.6). So what is
//! left is read and thrown away, up to a bound; beyond it the answer announces that the connection ends.

use std::{
    error::Error,
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use filament_kernel::http::BodyLimit;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use poem::http::{HeaderMap, header};

/// So much is read and thrown away,
const DRAIN_BYTES: usize = 8 * 1024 * 1024;
/// and for so long.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// The body, shared between the handler that reads it and whoever drains the rest.
pub(super) struct Upload {
    body: Option<Arc<Mutex<Incoming>>>,
    /// The client waits for a word before it sends its body, and reading would be that word.
    waits: bool,
}

impl Upload {
    pub(super) fn new(body: Incoming, headers: &HeaderMap) -> Self {
        Self {
            body: (!body.is_end_stream()).then(|| Arc::new(Mutex::new(body))),
            waits: headers.contains_key(header::EXPECT),
        }
    }

    /// The body for the handler. Reading it fails with [`OverLimit`] as soon as it is known to be longer than `limit`.
    pub(super) fn body(&self, limit: BodyLimit) -> poem::Body {
        match &self.body {
            Some(shared) => {
                let reader = Reader {
                    body: shared.clone(),
                    limit,
                    read: 0,
                };
                reader.boxed().into()
            }
            None => poem::Body::empty(),
        }
    }

    /// Reads what is left. Answers whether the connection can go on.
    pub(super) async fn drained(&self) -> bool {
        let Some(shared) = &self.body else {
            return true;
        };
        if lock(shared).is_end_stream() {
            return true;
        }
        if self.waits {
            return false;
        }
        let drain = async {
            let mut left = DRAIN_BYTES;
            loop {
                match poll_fn(|cx| Pin::new(&mut *lock(shared)).poll_frame(cx)).await {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(frame)) => {
                        let length = frame.data_ref().map_or(0, Bytes::len);
                        match left.checked_sub(length) {
                            Some(rest) => left = rest,
                            None => return false,
                        }
                    }
                }
            }
        };
        tokio::time::timeout(DRAIN_TIME, drain)
            .await
            .unwrap_or(false)
    }
}

fn lock(shared: &Mutex<Incoming>) -> MutexGuard<'_, Incoming> {
    shared.lock().unwrap_or_else(|e| e.into_inner())
}

/// The body is longer than may be read; travels inside an [`io::Error`].
#[derive(Debug)]
pub(super) struct OverLimit;

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is longer than may be read")
    }
}

impl Error for OverLimit {}

/// The handler's end of the body.
struct Reader {
    body: Arc<Mutex<Incoming>>,
    limit: BodyLimit,
    read: usize,
}

impl Body for Reader {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let over = || Poll::Ready(Some(Err(io::Error::other(OverLimit))));
        let left = self.limit.bytes().saturating_sub(self.read);
        let polled = {
            let mut body = lock(&self.body);
            // What was announced and is too long is refused unread.
            if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > left)
            {
                return over();
            }
            ready!(Pin::new(&mut *body).poll_frame(cx))
        };
        let length = match &polled {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        if length > left {
            return over();
        }
        self.read += length;
        Poll::Ready(polled.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.body).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.body).size_hint()
    }
}

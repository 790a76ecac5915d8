//! A request's body, of which something may be left when the answer is known.
//!
//! A client that is still sending when the server closes gets a broken connection in place of the answer (RFC 9112, section 9.6). So what is
//! left is read and thrown away, up to a bound; beyond it the answer announces that the connection ends.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
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

    /// The body for the handler, which gets an error after `limit` bytes.
    pub(super) fn body(&self, limit: usize) -> poem::Body {
        match &self.body {
            Some(shared) => Limited::new(Reader(shared.clone()), limit)
                .map_err(std::io::Error::other)
                .boxed()
                .into(),
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

struct Reader(Arc<Mutex<Incoming>>);

impl Body for Reader {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *lock(&self.0)).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).size_hint()
    }
}

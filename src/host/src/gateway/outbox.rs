//! What waits to be written to one socket: filled by whoever has an event for it, emptied by the socket's own task.
//!
//! It is bounded, and the bound is about the peer: one that does not read what is written to it while more than the limit
//! piles up is a slow consumer, and is closed at once. A task that only has not had its turn yet is no fault of its peer.

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use filament_protocol::CloseCode;

use super::pressure::Pressure;

/// Several frames go out in one write up to this size. They are copied together, because a connection that poem hands
/// over (`Upgraded`) does not pass vectored writes on; a copy of 16 KiB costs a fraction of a system call.
const WRITE_BYTES: usize = 16 * 1024;
/// A queue that had more than this gives its memory back when it is empty.
const KEPT_CAPACITY: usize = 32;
/// Times the limit that may wait while the task has not had its turn.
const UNSERVED_FACTOR: usize = 8;

/// A goodbye: its code, none to answer one that had none, and a reason for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: Option<u16>,
    pub(super) reason: Cow<'static, str>,
}

impl Close {
    pub(super) fn new(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: Some(code.as_u16()),
            reason: reason.into(),
        }
    }
}

/// What happens to the events that already wait when a socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// They go out before the goodbye.
    Sent,
    /// They are dropped.
    Dropped,
}

/// What to write next.
#[derive(Debug)]
pub(super) enum Next {
    /// One or more whole frames.
    Frames(Bytes),
    /// The goodbye, given once; nothing follows it.
    Close(Close),
}

/// What the socket's task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// It runs, and will look here before it rests.
    Running,
    /// It rests until there is something.
    Parked,
    /// It was woken for what is here, and has not run yet.
    Woken,
    /// It waits for the peer to read.
    Blocked,
}

#[derive(Debug)]
struct Queue {
    frames: VecDeque<Bytes>,
    closing: Option<Close>,
    farewell_taken: bool,
    task: Task,
    waker: Option<Waker>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    pressure: Arc<Pressure>,
}

/// What came of pushing to one or many sockets. The tasks are woken when it is [`Sent::finish`]ed, after all locks are released.
#[derive(Debug, Default)]
pub(super) struct Sent {
    wakers: Vec<Waker>,
    woken: usize,
    /// Frames queued, over all sockets.
    pub(super) delivered: usize,
    /// Sockets closed for being slow.
    pub(super) slow: usize,
}

impl Sent {
    pub(super) fn expecting(sockets: usize) -> Self {
        Self {
            wakers: Vec::with_capacity(sockets),
            ..Self::default()
        }
    }

    pub(super) fn finish(self, pressure: &Pressure) {
        pressure.rise(self.woken);
        self.wakers.into_iter().for_each(Waker::wake);
        if self.delivered > 0 {
            metrics::counter!("filament_gateway_delivered_total").increment(self.delivered as u64);
        }
        if self.slow > 0 {
            metrics::counter!("filament_gateway_slow_consumers_total").increment(self.slow as u64);
        }
    }
}

impl Outbox {
    pub(super) fn new(pressure: Arc<Pressure>) -> Self {
        Self {
            queue: Mutex::new(Queue {
                frames: VecDeque::new(),
                closing: None,
                farewell_taken: false,
                task: Task::Running,
                waker: None,
            }),
            pressure,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Queues whole frames, all or none. With more than `limit` waiting the socket is closed instead.
    pub(super) fn push(&self, frames: &[Bytes], limit: usize, sent: &mut Sent) {
        let mut queue = self.lock();
        if queue.closing.is_some() {
            return;
        }
        let bound = match queue.task {
            Task::Blocked => limit,
            Task::Running | Task::Parked | Task::Woken => limit.saturating_mul(UNSERVED_FACTOR),
        };
        let overflows = !queue.frames.is_empty() && queue.frames.len() + frames.len() > bound;
        if overflows {
            queue.frames = VecDeque::new();
            queue.closing = Some(Close::new(CloseCode::PolicyViolation, "slow consumer"));
            sent.slow += 1;
        } else {
            queue.frames.extend(frames.iter().cloned());
            sent.delivered += frames.len();
        }
        match queue.task {
            Task::Parked => {
                queue.task = Task::Woken;
                sent.woken += 1;
                sent.wakers.extend(queue.waker.take());
            }
            Task::Blocked if overflows => sent.wakers.extend(queue.waker.take()),
            Task::Running | Task::Woken | Task::Blocked => {}
        }
    }

    /// Says goodbye, unless that is already under way.
    pub(super) fn close(&self, close: Close, waiting: Waiting) {
        let waker = {
            let mut queue = self.lock();
            if waiting == Waiting::Dropped {
                queue.frames = VecDeque::new();
            }
            if queue.closing.is_some() {
                return;
            }
            queue.closing = Some(close);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The goodbye that is under way.
    pub(super) fn closing(&self) -> Option<Close> {
        self.lock().closing.clone()
    }

    /// For the socket's task: what to write next, or `Pending` until there is something.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut queue = self.lock();
        if queue.task == Task::Woken {
            self.pressure.fall();
        }
        queue.task = Task::Running;
        if let Some(frames) = queue.take_frames() {
            return Poll::Ready(Next::Frames(frames));
        }
        if queue.frames.capacity() > KEPT_CAPACITY {
            queue.frames = VecDeque::new();
        }
        if !queue.farewell_taken
            && let Some(close) = queue.closing.clone()
        {
            queue.farewell_taken = true;
            return Poll::Ready(Next::Close(close));
        }
        queue.task = Task::Parked;
        queue.remember(cx);
        Poll::Pending
    }

    /// For the socket's task: the peer does not take what is being written. Answers whether the socket is being closed.
    pub(super) fn block(&self, cx: &mut Context<'_>) -> bool {
        let mut queue = self.lock();
        if queue.task == Task::Woken {
            self.pressure.fall();
        }
        queue.task = Task::Blocked;
        queue.remember(cx);
        queue.closing.is_some()
    }

    /// For the end of the socket's task: nothing is taken any more.
    pub(super) fn retire(&self) {
        let mut queue = self.lock();
        if queue.task == Task::Woken {
            self.pressure.fall();
        }
        queue.task = Task::Running;
        queue.frames = VecDeque::new();
        queue.waker = None;
        queue.farewell_taken = true;
        if queue.closing.is_none() {
            queue.closing = Some(Close {
                code: None,
                reason: Cow::Borrowed(""),
            });
        }
    }
}

impl Queue {
    /// As many frames as go into one write.
    fn take_frames(&mut self) -> Option<Bytes> {
        let mut bytes = self.frames.front()?.len();
        let mut count = 1;
        for frame in self.frames.iter().skip(1) {
            if bytes + frame.len() > WRITE_BYTES {
                break;
            }
            bytes += frame.len();
            count += 1;
        }
        if count == 1 {
            // The buffer that all receivers share.
            return self.frames.pop_front();
        }
        let mut together = Vec::with_capacity(bytes);
        for frame in self.frames.drain(..count) {
            together.extend_from_slice(&frame);
        }
        Some(Bytes::from(together))
    }

    fn remember(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(count: usize) -> Vec<Bytes> {
        vec![Bytes::from_static(b"frame"); count]
    }

    fn push(outbox: &Outbox, count: usize) -> (usize, usize) {
        let mut sent = Sent::default();
        outbox.push(&frames(count), 4, &mut sent);
        let (delivered, slow) = (sent.delivered, sent.slow);
        sent.finish(&outbox.pressure);
        (delivered, slow)
    }

    fn next(outbox: &Outbox) -> Poll<Next> {
        outbox.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn several_frames_go_out_in_one_write_and_one_is_not_copied() {
        let outbox = Outbox::new(Arc::default());
        push(&outbox, 3);
        assert!(matches!(next(&outbox), Poll::Ready(Next::Frames(all)) if all.len() == 15));
        let shared = Bytes::from_static(b"alone");
        outbox.push(std::slice::from_ref(&shared), 4, &mut Sent::default());
        assert!(
            matches!(next(&outbox), Poll::Ready(Next::Frames(one)) if one.as_ptr() == shared.as_ptr())
        );
        let large = Bytes::from(vec![0; WRITE_BYTES]);
        outbox.push(&[shared, large], 4, &mut Sent::default());
        assert!(matches!(next(&outbox), Poll::Ready(Next::Frames(one)) if one.len() == 5));
    }

    #[test]
    fn only_a_peer_that_does_not_read_is_slow() {
        let outbox = Outbox::new(Arc::default());
        assert_eq!(push(&outbox, 30), (30, 0), "the task has not had its turn");
        assert!(next(&outbox).is_ready());
        assert!(!outbox.block(&mut Context::from_waker(Waker::noop())));
        assert_eq!(push(&outbox, 4), (4, 0));
        assert_eq!(push(&outbox, 1), (0, 1));
        assert_eq!(push(&outbox, 1), (0, 0), "nothing more is taken");
        assert!(outbox.lock().frames.is_empty());
        assert!(
            matches!(next(&outbox), Poll::Ready(Next::Close(close)) if close.reason == "slow consumer")
        );
        assert!(next(&outbox).is_pending());
    }

    #[test]
    fn a_turn_that_is_due_is_counted_once_and_given_back() {
        let outbox = Outbox::new(Arc::default());
        assert!(next(&outbox).is_pending());
        push(&outbox, 1);
        push(&outbox, 1);
        assert_eq!(outbox.pressure.woken(), 1);
        assert!(next(&outbox).is_ready());
        assert_eq!(outbox.pressure.woken(), 0);
        assert!(next(&outbox).is_pending());
        push(&outbox, 1);
        outbox.retire();
        assert_eq!(outbox.pressure.woken(), 0);
    }

    #[test]
    fn what_waits_goes_out_before_a_goodbye_or_is_dropped() {
        for (waiting, expected) in [(Waiting::Sent, true), (Waiting::Dropped, false)] {
            let outbox = Outbox::new(Arc::default());
            push(&outbox, 1);
            outbox.close(Close::new(CloseCode::GoingAway, "bye"), waiting);
            outbox.close(Close::new(CloseCode::InternalError, "late"), Waiting::Sent);
            if expected {
                assert!(matches!(next(&outbox), Poll::Ready(Next::Frames(_))));
            }
            assert!(
                matches!(next(&outbox), Poll::Ready(Next::Close(close)) if close.reason == "bye")
            );
        }
    }
}

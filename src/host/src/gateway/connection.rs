//! The task of one socket: reads what the client says, carries out its commands one after the other, writes what waits for
//! it, and keeps time. All of it is one small hand-written future, as ten thousand of them may be idle at once: it reads into
//! its stack, and owns buffers only while something is half read or half written.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use filament_protocol::CloseCode;
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{
    asking, command,
    frame::{self, Decoder, Message},
    outbox::{Close, Next, Waiting},
    rate::Window,
    socket::{Registration, Socket},
};

/// How a connection ended that broke off (RFC 6455, section 7.1.5); never sent.
pub(super) const ABNORMAL: u16 = 1006;
/// How one ended whose client gave no code.
const NO_CODE: u16 = 1005;
/// Bytes that are read at once.
const READ_BYTES: usize = 4096;
/// How long a peer may take to answer a goodbye, or to read what stands before it.
const LINGER: Duration = Duration::from_secs(2);
/// How long commands may still take that a client sent before it hung up.
const FINISH: Duration = Duration::from_secs(10);
/// Frames that are no commands (pings, fragments) may be so many times as many as commands.
const OVERHEAD_FACTOR: usize = 16;

/// Serves a socket from its set-up to its end.
pub(super) async fn run<IO>(io: IO, mut registration: Registration)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let set_up = asking::set_up(registration.socket.clone(), registration.watch.take());
    let mut connection = Connection::new(io, registration.socket.clone(), Box::pin(set_up));
    let timer = sleep_until(connection.deadline());
    tokio::pin!(timer);
    registration.ended = poll_fn(|cx| connection.poll(cx, timer.as_mut())).await;
    // Off all lists first: others need not wait to see the user leave.
    drop(registration);
    if let Some(unfinished) = connection.unfinished() {
        let _ = timeout(FINISH, unfinished).await;
    }
}

struct Connection<IO> {
    io: IO,
    socket: Arc<Socket>,

    decoder: Decoder,
    /// Texts that wait for their turn.
    waiting: VecDeque<String>,
    waiting_bytes: usize,
    /// The set-up, or a command.
    running: Option<BoxFuture<'static, Option<Close>>>,
    set_up: bool,
    commands: Window,
    overhead: Window,

    /// What is being written.
    writing: Bytes,
    unflushed: bool,
    /// A ping's answer; of several pings only the last needs one (RFC 6455, section 5.5.3).
    pong: Option<Bytes>,
    ping_due: bool,

    last_heard: Instant,
    pinged: Option<Instant>,
    /// Since when a write makes no progress.
    stuck: Option<Instant>,

    /// Until when the goodbye may take.
    ending: Option<Instant>,
    farewell_sent: bool,
    /// The client has said goodbye: its code.
    farewell_heard: Option<Option<u16>>,
    /// The server was the first to say goodbye.
    sent_away: bool,
    /// What the client sends cannot be understood any more.
    deaf: bool,
    shut: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    fn new(io: IO, socket: Arc<Socket>, set_up: BoxFuture<'static, Option<Close>>) -> Self {
        Self {
            io,
            socket,
            decoder: Decoder::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            running: Some(set_up),
            set_up: false,
            commands: Window::default(),
            overhead: Window::default(),
            writing: Bytes::new(),
            unflushed: false,
            pong: None,
            ping_due: false,
            last_heard: Instant::now(),
            pinged: None,
            stuck: None,
            ending: None,
            farewell_sent: false,
            farewell_heard: None,
            sent_away: false,
            deaf: false,
            shut: false,
        }
    }

    /// Does what can be done now; ready, with the close code, at the end.
    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<u16> {
        loop {
            if self.poll_input(cx).is_ready() {
                return Poll::Ready(self.ended());
            }
            let was_full = self.is_full();
            self.poll_commands(cx);
            if self.poll_output(cx).is_ready() {
                return Poll::Ready(self.ended());
            }
            let now_due = match self.poll_timer(cx, timer.as_mut()) {
                Poll::Ready(Err(Overdue)) => return Poll::Ready(self.ended()),
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            if !now_due && was_full == self.is_full() {
                return Poll::Pending;
            }
        }
    }

    fn ended(&mut self) -> u16 {
        self.sent_away |= self.farewell_heard.is_none() && self.socket.outbox.closing().is_some();
        match (self.farewell_heard, self.socket.outbox.closing()) {
            (Some(code), _) => code.unwrap_or(NO_CODE),
            (None, Some(close)) => close.code.unwrap_or(NO_CODE),
            (None, None) => ABNORMAL,
        }
    }

    /// Closes the socket for something that its client did.
    fn dismiss(&self, code: CloseCode, reason: impl Into<std::borrow::Cow<'static, str>>) {
        self.socket
            .outbox
            .close(Close::new(code, reason), Waiting::Sent);
    }

    // --- in

    /// While so much waits behind a command that runs, nothing more is read.
    fn is_full(&self) -> bool {
        self.waiting_bytes >= self.socket.hub.settings().max_frame_bytes && self.ending.is_none()
    }

    /// Reads what has come; ready at the end of what comes.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [const { MaybeUninit::uninit() }; READ_BYTES];
        while !self.is_full() {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
            self.last_heard = Instant::now();
            self.pinged = None;
            self.hear(buffer.filled());
        }
        Poll::Pending
    }

    fn hear(&mut self, mut input: &[u8]) {
        let settings = self.socket.hub.settings();
        let now = self.last_heard;
        let (limit, window) = (
            settings.ingress_events_per_window as usize,
            settings.ingress_window,
        );
        while !self.deaf && self.farewell_heard.is_none() {
            match self.decoder.next(&mut input, settings.max_frame_bytes) {
                Ok(None) => break,
                // Whoever is being sent away is heard out for a goodbye only.
                Ok(Some(Message::Text(_) | Message::Ping(_))) if self.ending.is_some() => {}
                Ok(Some(Message::Text(text))) => {
                    if !self.commands.admit(now, limit, window) {
                        self.dismiss(CloseCode::PolicyViolation, "too many commands");
                        self.ending = Some(now + LINGER);
                        continue;
                    }
                    self.waiting_bytes += text.len();
                    self.waiting.push_back(text);
                }
                Ok(Some(Message::Ping(payload))) => self.pong = Some(frame::pong(&payload)),
                Ok(Some(Message::Pong)) => {}
                Ok(Some(Message::Close(code))) => {
                    self.sent_away |= self.socket.outbox.closing().is_some();
                    self.farewell_heard = Some(code);
                    // What the client said before stands; what waits for it, it does not wait for.
                    let answer = Close {
                        code,
                        reason: "".into(),
                    };
                    self.socket.outbox.close(answer, Waiting::Dropped);
                }
                Err(error) => {
                    self.deaf = true;
                    let (code, reason) = error.farewell();
                    self.dismiss(code, reason);
                }
            }
        }
        let overhead_limit = limit.saturating_mul(OVERHEAD_FACTOR);
        for _ in 0..self.decoder.take_overhead() {
            if !self.overhead.admit(now, overhead_limit, window) {
                self.dismiss(CloseCode::PolicyViolation, "too many frames");
                break;
            }
        }
    }

    // --- commands

    /// Carries on the command that runs, and starts the next as long as they finish at once.
    fn poll_commands(&mut self, cx: &mut Context<'_>) {
        loop {
            if let Some(running) = &mut self.running {
                let Poll::Ready(close) = running.as_mut().poll(cx) else {
                    return;
                };
                self.running = None;
                self.set_up = true;
                if let Some(close) = close {
                    self.socket.outbox.close(close, Waiting::Sent);
                    self.ending.get_or_insert_with(|| Instant::now() + LINGER);
                }
            }
            if self.is_dismissed() {
                self.waiting = VecDeque::new();
                self.waiting_bytes = 0;
            }
            let Some(text) = self.waiting.pop_front() else {
                return;
            };
            if self.waiting.is_empty() {
                self.waiting = VecDeque::new();
            }
            self.waiting_bytes -= text.len();
            self.running = Some(Box::pin(command::execute(self.socket.clone(), text)));
        }
    }

    /// Whether it was the server that ended this, so that the client's further wishes do not count.
    fn is_dismissed(&self) -> bool {
        self.farewell_heard.is_none() && (self.deaf || self.ending.is_some())
    }

    /// What the client asked for before it hung up, and has not been done yet. Nothing, if it was the server that ended this.
    fn unfinished(self) -> Option<BoxFuture<'static, ()>> {
        if self.sent_away || !self.set_up || self.running.is_none() && self.waiting.is_empty() {
            return None;
        }
        let (socket, running, waiting) = (self.socket, self.running, self.waiting);
        Some(Box::pin(async move {
            if let Some(running) = running {
                running.await;
            }
            for text in waiting {
                if socket.hub.has_ended(&socket.caller) {
                    return;
                }
                command::execute(socket.clone(), text).await;
            }
        }))
    }

    // --- out

    /// Writes what waits; ready when there is nobody to write to any more.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            while self.writing.has_remaining() {
                match Pin::new(&mut self.io).poll_write(cx, &self.writing) {
                    Poll::Ready(Ok(written @ 1..)) => {
                        self.writing.advance(written);
                        self.stuck = None;
                        self.unflushed = true;
                    }
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {
                        self.stuck.get_or_insert_with(Instant::now);
                        if self.socket.outbox.block(cx) {
                            self.ending.get_or_insert_with(|| Instant::now() + LINGER);
                        }
                        return Poll::Pending;
                    }
                }
            }
            // The buffer that was written is not kept.
            self.writing = Bytes::new();
            if self.farewell_sent {
                return self.poll_farewell(cx);
            }
            if let Some(pong) = self.pong.take() {
                self.writing = pong;
            } else if std::mem::take(&mut self.ping_due) {
                self.writing = frame::ping();
            } else if let Poll::Ready(next) = self.socket.outbox.poll_next(cx) {
                self.writing = match next {
                    Next::Frames(frames) => frames,
                    Next::Close(close) => {
                        self.ending.get_or_insert_with(|| Instant::now() + LINGER);
                        self.farewell_sent = true;
                        frame::close(close.code, &close.reason)
                    }
                };
            } else {
                return self.poll_flush(cx);
            }
        }
    }

    /// Ready when the connection is broken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.io).poll_flush(cx)
        {
            self.unflushed = false;
            if flushed.is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// The goodbye is written: ready when the client's is there too. A client that is not understood is told that nothing more
    /// comes, and listened to until it has hung up: what it still sends would otherwise make the goodbye bounce.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_flush(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.unflushed || self.shut || !(self.deaf || self.farewell_heard.is_some()) {
            return Poll::Pending;
        }
        let shut = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
        self.shut = true;
        if shut.is_err() || self.farewell_heard.is_some() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    // --- time

    /// When something is next to be done for the time's sake.
    fn deadline(&self) -> Instant {
        if let Some(ending) = self.ending {
            return ending;
        }
        let settings = self.socket.hub.settings();
        let silence = match self.pinged {
            Some(pinged) => pinged + settings.pong_timeout,
            None => self.last_heard + settings.ping_interval,
        };
        let stuck = self.stuck.map(|since| since + settings.write_timeout);
        stuck.map_or(silence, |stuck| stuck.min(silence))
    }

    /// The timer is set back only to an earlier time; when it fires too early, it is set again. So events cost it nothing.
    fn poll_timer(
        &mut self,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Sleep>,
    ) -> Poll<Result<(), Overdue>> {
        let deadline = self.deadline();
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        let now = Instant::now();
        let due = self.pass_time(now);
        // Never at once again: that would be a loop without an end.
        timer.reset(self.deadline().max(now + Duration::from_millis(1)));
        Poll::Ready(due)
    }

    fn pass_time(&mut self, now: Instant) -> Result<(), Overdue> {
        let settings = self.socket.hub.settings();
        if let Some(ending) = self.ending {
            return if ending <= now { Err(Overdue) } else { Ok(()) };
        }
        if self
            .stuck
            .is_some_and(|since| since + settings.write_timeout <= now)
        {
            return Err(Overdue);
        }
        if self.is_full() {
            // Nothing is heard while nothing is read.
            self.last_heard = now;
            self.pinged = None;
        }
        match self.pinged {
            Some(pinged) if pinged + settings.pong_timeout <= now => {
                let silent = Close::new(CloseCode::PolicyViolation, "no answer to a ping");
                self.socket.outbox.close(silent, Waiting::Dropped);
                self.ending = Some(now + LINGER);
            }
            None if self.last_heard + settings.ping_interval <= now => {
                self.ping_due = true;
                self.pinged = Some(now);
                self.commands.tidy(now, settings.ingress_window);
                self.overhead.tidy(now, settings.ingress_window);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The peer had its time.
struct Overdue;

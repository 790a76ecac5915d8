//! Who may come in, and all who are in: by number, by session, by address.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use filament_kernel::{ApiError, Caller, ErrorCode, id::SessionId};
use tokio::time::Instant;

use super::socket::Socket;

/// A token that was good may take so long from its check to its socket's registration. A session that ends in between is
/// remembered that long, so that the socket does not outlive it.
const SESSION_MEMORY: Duration = Duration::from_secs(30);

pub(super) struct Doors {
    open: bool,
    sockets: HashMap<u64, Arc<Socket>>,
    sessions: HashMap<SessionId, Vec<Arc<Socket>>>,
    addresses: HashMap<IpAddr, usize>,
    ended: HashSet<SessionId>,
    ended_order: VecDeque<(Instant, SessionId)>,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            open: true,
            sockets: HashMap::new(),
            sessions: HashMap::new(),
            addresses: HashMap::new(),
            ended: HashSet::new(),
            ended_order: VecDeque::new(),
        }
    }
}

impl Doors {
    /// Whether one more may come in.
    pub(super) fn check(
        &mut self,
        caller: &Caller,
        address: IpAddr,
        max_per_address: usize,
    ) -> Result<(), ApiError> {
        if !self.open {
            return Err(
                ApiError::unavailable("the server is stopping").retry_after(Duration::from_secs(1))
            );
        }
        self.forget_sessions();
        if self.ended.contains(&caller.session_id) {
            return Err(ApiError::unauthenticated());
        }
        if self
            .addresses
            .get(&address)
            .is_some_and(|open| *open >= max_per_address)
        {
            return Err(too_many("address", max_per_address));
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, socket: &Arc<Socket>) {
        self.sockets.insert(socket.number, socket.clone());
        self.sessions
            .entry(socket.caller.session_id)
            .or_default()
            .push(socket.clone());
        *self.addresses.entry(socket.address).or_default() += 1;
    }

    pub(super) fn leave(&mut self, socket: &Socket) {
        self.sockets.remove(&socket.number);
        if self.sockets.capacity() > 1024 && self.sockets.len() < self.sockets.capacity() / 4 {
            let twice = self.sockets.len() * 2;
            self.sockets.shrink_to(twice);
            self.sessions.shrink_to(twice);
            self.addresses.shrink_to(twice);
        }
        if let Some(sockets) = self.sessions.get_mut(&socket.caller.session_id) {
            sockets.retain(|other| other.number != socket.number);
            if sockets.is_empty() {
                self.sessions.remove(&socket.caller.session_id);
            }
        }
        if let Some(open) = self.addresses.get_mut(&socket.address) {
            *open -= 1;
            if *open == 0 {
                self.addresses.remove(&socket.address);
            }
        }
    }

    /// Who is in.
    pub(super) fn sockets(&self) -> Vec<Arc<Socket>> {
        self.sockets.values().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// The session is over: answers its sockets, and lets none of it in for a while.
    pub(super) fn end_session(&mut self, session: SessionId) -> Vec<Arc<Socket>> {
        self.forget_sessions();
        if self.ended.insert(session) {
            self.ended_order.push_back((Instant::now(), session));
        }
        self.sessions.get(&session).cloned().unwrap_or_default()
    }

    pub(super) fn has_ended(&self, session: SessionId) -> bool {
        self.ended.contains(&session)
    }

    /// Lets nobody in any more; answers who is in.
    pub(super) fn close(&mut self) -> Vec<Arc<Socket>> {
        self.open = false;
        self.sockets()
    }

    fn forget_sessions(&mut self) {
        while let Some((_, session)) = self
            .ended_order
            .pop_front_if(|(since, _)| since.elapsed() > SESSION_MEMORY)
        {
            self.ended.remove(&session);
        }
    }
}

/// 429: so many sockets are open already for one `whom`.
pub(super) fn too_many(whom: &str, limit: usize) -> ApiError {
    ApiError::new(
        ErrorCode::RATE_LIMITED,
        format!("at most {limit} sockets may be open for one {whom}"),
    )
    .retry_after(Duration::from_secs(5))
}

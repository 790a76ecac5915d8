use std::{net::IpAddr, sync::Arc};

use filament_kernel::{Caller, gateway, log::Topic};

use super::{
    frame,
    hub::Hub,
    outbox::{Outbox, Sent},
    user::{User, Watch},
};

/// An open socket, as the hub knows it; the connection itself belongs to its task.
pub(super) struct Socket {
    pub(super) number: u64,
    pub(super) caller: Caller,
    /// The client's address.
    pub(super) client_ip: IpAddr,
    /// The address that it counts for.
    pub(super) address: IpAddr,
    pub(super) user: Arc<User>,
    pub(super) outbox: Outbox,
    pub(super) hub: Arc<Hub>,
}

/// A socket as a command has it.
pub(super) struct Handle(pub(super) Arc<Socket>);

impl gateway::Socket for Handle {
    fn caller(&self) -> &Caller {
        &self.0.caller
    }

    fn client_ip(&self) -> IpAddr {
        self.0.client_ip
    }

    fn send(&self, name: &'static str, data: &str) {
        self.0.send(name, data);
    }

    fn follow(&self, topic: Topic) -> bool {
        self.0.hub.directory.follow_topic(&self.0, topic)
    }

    fn unfollow(&self, topic: Topic) {
        self.0.hub.directory.unfollow_topic(&self.0, topic);
    }
}

impl Socket {
    /// Queues an event for this socket alone.
    pub(super) fn send(&self, name: &str, data: &str) {
        let mut sent = Sent::default();
        let limit = self.hub.settings().outbound_queue_events;
        self.outbox
            .push(&[frame::event(name, data)], limit, &mut sent);
        sent.finish(&self.hub.pressure);
    }
}

/// The claim of a task on its socket. Dropping it, at the end of the task whatever that is, takes the socket out of everything.
pub(super) struct Registration {
    pub(super) socket: Arc<Socket>,
    /// From before its user's streams are asked for.
    pub(super) watch: Option<Watch>,
    /// How it ended, as a close code.
    pub(super) ended: u16,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.socket.hub.unregister(&self.socket, self.ended);
    }
}

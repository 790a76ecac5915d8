//! Running the server until a signal ends it.

use filament_host::{
    config::Inputs,
    server::{Product, Server, StartError},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{exit::Exit, output};

pub(super) async fn serve(product: Product, inputs: Inputs) -> Exit {
    // Listening for signals comes first: one that arrives while the server starts must not kill it half-way.
    let (mut terminate, mut interrupt, mut hang_up) = match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) {
        (Ok(terminate), Ok(interrupt), Ok(hang_up)) => (terminate, interrupt, hang_up),
        _ => {
            output::complain("signals cannot be listened for");
            return Exit::Software;
        }
    };
    let started = tokio::select! {
        started = Server::start(product, inputs) => started,
        _ = terminate.recv() => return Exit::Ok,
        _ = interrupt.recv() => return Exit::Ok,
    };
    let server = match started {
        Ok(server) => server,
        Err(error) => {
            output::complain(&error);
            return match error {
                StartError::Configuration(_) => Exit::Config,
                StartError::DataDir(_) | StartError::Bind(..) => Exit::CannotCreate,
                StartError::Database(_) => Exit::Unavailable,
                StartError::Other(_) => Exit::Software,
            };
        }
    };
    if server.is_dev() {
        output::say(server.banner());
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                let reconciler = server.reconciler.clone();
                // What came of it stands in the log.
                #[expect(clippy::disallowed_methods, reason = "the binary spawns, so that a stop does not wait for a reload")]
                tokio::spawn(async move { reconciler.reload("SIGHUP").await });
            }
        }
    }
    if server.stop().await {
        Exit::Ok
    } else {
        Exit::Unclean
    }
}

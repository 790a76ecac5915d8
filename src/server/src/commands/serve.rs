//! Running the server until a signal ends it.

use filament_host::{
    config::Inputs,
    server::{Product, Server, StartError},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{exit::Exit, failure::Failure, output};

pub(super) async fn serve(product: Product, inputs: Inputs) -> Result<(), Failure> {
    // Listening for signals comes first: one that arrives while the server starts must not kill it half-way.
    let (mut terminate, mut interrupt, mut hang_up) = match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) {
        (Ok(terminate), Ok(interrupt), Ok(hang_up)) => (terminate, interrupt, hang_up),
        _ => {
            let text = "signals cannot be listened for";
            return Err(Failure::new(Exit::Software, text));
        }
    };
    let started = tokio::select! {
        started = Server::start(product, inputs) => started,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let server = started.map_err(|error| {
        let exit = match error {
            StartError::Configuration(_) => Exit::Config,
            StartError::DataDir(_) | StartError::Bind(..) => Exit::CannotCreate,
            StartError::Database(_) => Exit::Unavailable,
            StartError::Other(_) => Exit::Software,
        };
        Failure::new(exit, error)
    })?;
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
    match server.stop().await {
        true => Ok(()),
        false => Err(Failure::new(
            Exit::Unclean,
            "the stop took longer than its grace time (server.shutdown_grace_secs)",
        )),
    }
}

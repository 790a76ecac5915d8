//! Carrying out what a client asks for.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use filament_kernel::{ApiError, ErrorCode, gateway::Command, scope::panic_message};
use filament_protocol::{CloseCode, Envelope};
use futures_util::FutureExt;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use tracing::{debug, error};

use super::{
    Lookup,
    outbox::Close,
    socket::{Handle, Socket},
    user::Watch,
};

/// As long as a request over HTTP.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Carries out one text message. Answers why the socket must be closed, if it must.
pub(super) async fn execute(socket: Arc<Socket>, text: String) -> Option<Close> {
    let envelope = match Envelope::parse(&text) {
        Ok(envelope) => envelope,
        Err(error) => {
            count("unreadable", "refused");
            return Some(Close::new(CloseCode::InvalidPayload, error.to_string()));
        }
    };
    let name = envelope.name;
    let lookup = socket
        .hub
        .table()
        .map_or(Lookup::Unknown, |table| table.command(name));
    let (outcome, refusal) = match lookup {
        Lookup::Run(command) => run(&socket, command, name, envelope.data).await,
        Lookup::Disabled { module } => {
            let message = format!("the module {module} is switched off");
            (
                "disabled",
                Some(ApiError::new(ErrorCode::MODULE_DISABLED, message)),
            )
        }
        Lookup::Unavailable { module } => {
            let message = format!("the module {module} is away for now");
            ("unavailable", Some(ApiError::unavailable(message)))
        }
        Lookup::Unknown => {
            // Not by its name: it is the client's, and metrics are not for clients to fill.
            count("unknown", "refused");
            let reason = format!("there is no command {name}");
            return Some(Close::new(CloseCode::PolicyViolation, reason));
        }
    };
    count(name, outcome);
    if let Some(error) = refusal {
        refuse(&socket, name, &error);
    }
    None
}

async fn run(
    socket: &Arc<Socket>,
    command: Arc<dyn Command>,
    name: &str,
    data: &RawValue,
) -> (&'static str, Option<ApiError>) {
    // A right that the command checks may be lost before the command makes use of it.
    let _watch = Watch::new(&socket.user);
    let handle = Handle(socket.clone());
    let work = AssertUnwindSafe(async { command.run(&handle, data).await }).catch_unwind();
    match timeout(TIMEOUT, work).await {
        Ok(Ok(Ok(()))) => ("ok", None),
        Ok(Ok(Err(error))) => ("error", Some(error)),
        Ok(Err(panic)) => {
            metrics::counter!("filament_gateway_command_panics_total").increment(1);
            let panic = panic_message(panic.as_ref());
            error!(command = name, panic, "a gateway command panicked");
            ("panic", Some(ApiError::internal("the command panicked")))
        }
        Err(_) => {
            let message = format!("the command took longer than {} s", TIMEOUT.as_secs());
            (
                "timeout",
                Some(ApiError::new(ErrorCode::REQUEST_TIMEOUT, message)),
            )
        }
    }
}

/// Tells the client why its command was refused; the cause is for the log only.
fn refuse(socket: &Socket, command: &str, error: &ApiError) {
    #[derive(Serialize)]
    struct Refusal<'a> {
        code: &'a str,
        message: &'a str,
        command: &'a str,
    }

    let code = error.code();
    let (user, cause) = (socket.caller.user_id, error.cause());
    // What refuses on purpose, as a part that is switched off does, names no cause.
    if code.status >= 500 && cause.is_some() {
        error!(%user, command, code = code.word, ?cause, "a gateway command failed");
    } else {
        debug!(%user, command, code = code.word, ?cause, "a gateway command was refused");
    }
    let refusal = Refusal {
        code: code.word,
        message: error.message(),
        command,
    };
    if let Ok(data) = serde_json::to_string(&refusal) {
        socket.send("error", &data);
    }
}

fn count(command: &str, outcome: &'static str) {
    metrics::counter!(
        "filament_gateway_commands_total",
        "command" => command.to_owned(),
        "outcome" => outcome
    )
    .increment(1);
}

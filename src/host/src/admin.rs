//! The operator's door: a Unix socket in the data folder, open to the server's own user only.
//!
//! One request per connection, one line of JSON each way: `{"command":"reload"}` or `{"command":"modules"}`.

use std::{io, os::unix::fs::PermissionsExt, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use crate::reconciler::{Handle, Refusal, States};

/// What an operator may ask of a running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Read the configuration and make it so.
    Reload,
    /// The state of every module.
    Modules,
}

/// The longest path of a Unix socket (unix(7): 108 bytes with the NUL at the end).
const MAX_SOCKET_PATH: usize = 107;
/// The longest request.
const MAX_REQUEST: u64 = 4096;

/// Opens the socket. A socket file that a killed server left behind is replaced: the data folder's lock says that it is ours.
///
/// # Errors
/// When the socket cannot be made, for instance because its path is longer than the 107 bytes that Unix sockets allow.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        let text = format!(
            "{}: the path of the operators' socket must be at most {MAX_SOCKET_PATH} bytes; choose a shorter data.dir",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers operators until `stop`.
pub async fn serve(
    listener: UnixListener,
    reconciler: Handle,
    states: States,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "an operator's connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let reconciler = reconciler.clone();
        let states = states.clone();
        connections.spawn(async move {
            if let Err(error) = answer(stream, &reconciler, &states).await {
                warn!(%error, "an operator went away");
            }
        });
    }
}

async fn answer(stream: UnixStream, reconciler: &Handle, states: &States) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_REQUEST))
        .read_line(&mut line)
        .await?;
    let answer = match serde_json::from_str::<Ask>(&line) {
        Ok(Ask::Modules) => json!({ "modules": states.all() }),
        Ok(Ask::Reload) => match reconciler.reload("command").await {
            Some(Ok(report)) => {
                let text = report.plan.to_string();
                json!({ "report": report, "text": text })
            }
            Some(Err(refusal)) => refused(&refusal),
            None => json!({ "error": "the server is stopping" }),
        },
        Err(error) => json!({ "error": format!("not a request: {error}") }),
    };
    write.write_all(format!("{answer}\n").as_bytes()).await?;
    write.shutdown().await
}

fn refused(refusal: &Refusal) -> Value {
    let problems = match refusal {
        Refusal::Configuration(problems) => serde_json::to_value(problems).unwrap_or_default(),
        _ => Value::Null,
    };
    json!({ "error": refusal.to_string(), "step": refusal.step(), "problems": problems })
}

/// Asks the server whose socket is at `path`. Answers `None` when none runs.
///
/// # Errors
/// When the connection breaks or the answer is not JSON.
pub async fn ask(path: &Path, ask: Ask) -> io::Result<Option<Value>> {
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let request = serde_json::to_string(&ask).map_err(io::Error::other)?;
    stream.write_all(format!("{request}\n").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(io::Error::other)
}

//! The operator's door: a Unix socket in the data folder, open to the server's own user only.
//!
//! One request per connection, one line of JSON each way: `{"command":"reload"}`, `{"command":"modules"}`, or a command of a module,
//! `{"command":"run","name":"user.create","data":{…}}`, which is answered `{"result":…}` or `{"error":"<message>","code":"<word>"}`.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use filament_kernel::{ApiError, ErrorCode, id::Ids, operator::Asked, scope::panic_message};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};
use ulid::Ulid;

use crate::{
    reconciler::{Handle, Refusal, States},
    snapshot::Current,
};

/// What an operator may ask of a running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Read the configuration and make it so.
    Reload,
    /// The state of every module.
    Modules,
    /// Carry out a command of a module.
    Run {
        /// The command, as in the module's manifest: `user.create`.
        name: String,
        /// What it is told.
        #[serde(default)]
        data: Map<String, Value>,
    },
}

/// What the door opens to.
#[derive(Clone)]
pub struct Behind {
    /// Makes changes.
    pub reconciler: Handle,
    /// The state of each module.
    pub states: States,
    /// The running generation, whose modules' commands are run.
    pub current: Arc<Current>,
    /// The ids of commands.
    pub ids: Arc<Ids>,
    /// Nothing new is answered after this.
    pub stop: CancellationToken,
    /// What is being answered still is given up at this.
    pub cut: CancellationToken,
}

/// The longest path of a Unix socket (unix(7): 108 bytes with the NUL at the end).
const MAX_SOCKET_PATH: usize = 107;
/// The longest request, in bytes.
const MAX_REQUEST: u64 = 64 * 1024;
/// A module's command that takes longer is given up.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the socket of the server with this data folder is.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("filament.sock")
}

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

/// Answers operators until the stop. What is being answered then is finished, until the cut; `connections` is empty when it is.
pub async fn serve(listener: UnixListener, behind: Behind, connections: TaskTracker) {
    loop {
        let stream = tokio::select! {
            () = behind.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "an operator's connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let behind = behind.clone();
        connections.spawn(async move {
            let cut = behind.cut.clone();
            if let Some(Err(error)) = cut.run_until_cancelled(converse(stream, &behind)).await {
                warn!(%error, "an operator went away");
            }
        });
    }
}

async fn converse(stream: UnixStream, behind: &Behind) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read.take(MAX_REQUEST + 1));
    let mut line = Vec::new();
    let reading = reader.read_until(b'\n', &mut line);
    // Who has not asked by the time of the stop is not waited for.
    match behind.stop.run_until_cancelled(reading).await {
        Some(read) => read?,
        None => return Ok(()),
    };
    let answer = if line.len() as u64 > MAX_REQUEST {
        json!({ "error": format!("the request is longer than {MAX_REQUEST} bytes") })
    } else {
        match serde_json::from_slice::<Ask>(&line) {
            Ok(ask) => answer(ask, behind).await,
            Err(error) => json!({ "error": format!("not a request: {error}") }),
        }
    };
    write.write_all(format!("{answer}\n").as_bytes()).await?;
    write.shutdown().await
}

async fn answer(ask: Ask, behind: &Behind) -> Value {
    match ask {
        Ask::Modules => json!({ "modules": behind.states.all() }),
        Ask::Reload => {
            let reload = behind.reconciler.reload("command");
            match behind.stop.run_until_cancelled(reload).await.flatten() {
                Some(Ok(report)) => {
                    let text = report.plan.to_string();
                    json!({ "report": report, "text": text })
                }
                Some(Err(refusal)) => refused(&refusal),
                None => json!({ "error": "the server is stopping" }),
            }
        }
        Ask::Run { name, data } => {
            let started = Instant::now();
            let request_id: Arc<str> = behind.ids.next::<Ulid>().to_string().into();
            let asked = Asked {
                request_id: request_id.clone(),
                data,
            };
            let done = run(&behind.current, &name, asked).await;
            let ms = started.elapsed().as_millis() as u64;
            match done {
                Ok(result) => {
                    info!(%request_id, command = name, ms, "a command of the operator is done");
                    json!({ "result": result })
                }
                Err(refusal) => {
                    told(&request_id, &name, &refusal);
                    json!({ "error": refusal.message(), "code": refusal.code().word })
                }
            }
        }
    }
}

/// Runs a module's command. The snapshot is held until it is done, so that the module is not unloaded under it.
async fn run(
    current: &Current,
    name: &str,
    asked: Asked<Map<String, Value>>,
) -> Result<Value, ApiError> {
    let snapshot = current.load();
    let (module, command) = snapshot.operator_command(name)?;
    let request_id = asked.request_id.clone();
    let work = AssertUnwindSafe(command.run(asked)).catch_unwind();
    match tokio::time::timeout(COMMAND_TIMEOUT, work).await {
        Ok(Ok(done)) => done,
        Ok(Err(panic)) => {
            metrics::counter!("filament_module_panics_total", "module" => module).increment(1);
            let message = panic_message(&*panic);
            error!(
                %request_id,
                module,
                command = name,
                message,
                "a command of the operator panicked"
            );
            Err(ApiError::internal(format!("panic: {message}")))
        }
        Err(_) => Err(ApiError::new(
            ErrorCode::REQUEST_TIMEOUT,
            format!("this took longer than {} s", COMMAND_TIMEOUT.as_secs()),
        )),
    }
}

/// The log hears of a refusal, and of its inside where the fault is ours.
fn told(request_id: &str, command: &str, refusal: &ApiError) {
    let code = refusal.code();
    if code.status < 500 {
        info!(
            request_id,
            command,
            code = code.word,
            "a command of the operator was refused"
        );
        return;
    }
    let cause = refusal.cause().map(ToString::to_string);
    error!(
        request_id,
        command,
        code = code.word,
        cause,
        "a command of the operator failed"
    );
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
pub async fn ask(path: &Path, ask: &Ask) -> io::Result<Option<Value>> {
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
    let request = serde_json::to_string(ask).map_err(io::Error::other)?;
    stream.write_all(format!("{request}\n").as_bytes()).await?;
    let mut text = String::new();
    BufReader::new(stream).read_line(&mut text).await?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_of_three() {
        let read = |line: &str| serde_json::from_str::<Ask>(line);
        assert_eq!(read(r#"{"command":"reload"}"#).expect("known"), Ask::Reload);
        assert_eq!(
            read(r#"{"command":"run","name":"user.list"}"#).expect("known"),
            Ask::Run {
                name: "user.list".to_string(),
                data: Map::new()
            }
        );
        for wrong in [
            r#"{"command":"stop"}"#,
            r#"{"command":"run"}"#,
            r#"{"command":"run","name":"user.list","now":true}"#,
            r#"{"command":"run","name":"user.list","data":[]}"#,
            "",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

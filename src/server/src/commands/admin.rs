//! Accounts, as the operator looks after them: each command is one question to the running server, whose auth module answers.

use std::io::{BufRead, Read};

use filament_host::{admin::Ask, config::Inputs, server::Product};
use serde_json::{Map, Value, json};

use super::ask_running;
use crate::{
    cli::{PasswordArgument, UserCommand},
    exit::Exit,
    output,
    table::{Table, utc},
};

/// The most accounts that the server lists at once.
const PAGE: u32 = 200;
/// More of standard input is not taken for a password.
const MAX_PASSWORD_BYTES: u64 = 4096;

pub(super) async fn user(
    product: &Product,
    inputs: &Inputs,
    command: UserCommand,
    json: bool,
) -> Exit {
    let operator = Operator {
        product,
        inputs,
        json,
    };
    let done = match command {
        UserCommand::Create { name, password } => operator.create(&name, &password).await,
        UserCommand::List { search } => operator.list(search.as_deref()).await,
        UserCommand::Disable { name } => operator.switch("user.disable", &name).await,
        UserCommand::Enable { name } => operator.switch("user.enable", &name).await,
        UserCommand::ResetPassword { name, password } => {
            operator.reset_password(&name, &password).await
        }
        UserCommand::Sessions { name, end, end_all } => match end {
            None if !end_all => operator.sessions(&name).await,
            end => operator.end_sessions(&name, end.as_deref()).await,
        },
    };
    match done {
        Ok(()) => Exit::Ok,
        Err(exit) => exit,
    }
}

/// Who asks, and how they want to read the answer.
struct Operator<'a> {
    product: &'a Product,
    inputs: &'a Inputs,
    json: bool,
}

impl Operator<'_> {
    /// Has the running server carry out a command. A refusal is told here; with `--json` also as JSON.
    async fn run(&self, name: &str, data: Value) -> Result<Value, Exit> {
        let data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        let name = name.to_string();
        let mut answer = ask_running(self.product, self.inputs, &Ask::Run { name, data }).await?;
        let Some(error) = answer["error"].as_str() else {
            return Ok(answer["result"].take());
        };
        if self.json {
            output::json(&answer);
        } else {
            output::complain(format!("refused: {error}"));
        }
        Err(match answer["code"].as_str() {
            Some("service_unavailable") => Exit::Unavailable,
            Some("internal_error") => Exit::Software,
            _ => Exit::Refused,
        })
    }

    async fn create(&self, name: &str, password: &PasswordArgument) -> Result<(), Exit> {
        let data = json!({ "username": name, "password": read_password(password)? });
        let made = self.run("user.create", data).await?;
        if self.json {
            output::json(&made);
            return Ok(());
        }
        let (name, user_id) = (text(&made["username"]), text(&made["user_id"]));
        output::say(format!("{name} has an account: {user_id}"));
        show_password(&made);
        Ok(())
    }

    async fn list(&self, search: Option<&str>) -> Result<(), Exit> {
        let mut users = Vec::new();
        let mut after = Value::Null;
        loop {
            let data = json!({ "search": search, "after": after, "limit": PAGE });
            let mut page = self.run("user.list", data).await?;
            if let Value::Array(listed) = page["users"].take() {
                users.extend(listed);
            }
            after = page["next_after"].take();
            if after.is_null() {
                break;
            }
        }
        if self.json {
            output::json(&json!({ "users": users }));
            return Ok(());
        }
        let mut table = Table::new(["NAME", "ID", "CREATED", "STATE", "SESSIONS", "LAST USED"]);
        for user in &users {
            let disabled = user["disabled"] == true;
            table.row([
                text(&user["username"]),
                text(&user["user_id"]),
                time(&user["created_at_unix"]),
                if disabled { "disabled" } else { "enabled" }.to_string(),
                user["live_sessions"].to_string(),
                time(&user["last_used_at_unix"]),
            ]);
        }
        output::print(table);
        Ok(())
    }

    async fn switch(&self, command: &str, name: &str) -> Result<(), Exit> {
        let switched = self.run(command, json!({ "username": name })).await?;
        if self.json {
            output::json(&switched);
            return Ok(());
        }
        let name = text(&switched["username"]);
        output::say(match switched["disabled"] == true {
            true => format!("{name} is disabled; {}", ended(&switched)),
            false => format!("{name} is enabled"),
        });
        Ok(())
    }

    async fn reset_password(&self, name: &str, password: &PasswordArgument) -> Result<(), Exit> {
        let data = json!({ "username": name, "password": read_password(password)? });
        let reset = self.run("user.reset_password", data).await?;
        if self.json {
            output::json(&reset);
            return Ok(());
        }
        let name = text(&reset["username"]);
        output::say(format!("{name} has another password; {}", ended(&reset)));
        show_password(&reset);
        Ok(())
    }

    async fn sessions(&self, name: &str) -> Result<(), Exit> {
        let data = json!({ "username": name });
        let answer = self.run("user.sessions", data).await?;
        if self.json {
            output::json(&answer);
            return Ok(());
        }
        let mut table = Table::new(["SESSION", "CREATED", "LAST USED", "NETWORK", "CLIENT"]);
        for session in answer["sessions"].as_array().into_iter().flatten() {
            table.row([
                text(&session["session_id"]),
                time(&session["created_at_unix"]),
                time(&session["last_used_at_unix"]),
                text(&session["network"]),
                text(&session["client"]),
            ]);
        }
        output::print(table);
        Ok(())
    }

    /// Ends one session, or all of them.
    async fn end_sessions(&self, name: &str, session_id: Option<&str>) -> Result<(), Exit> {
        let data = json!({ "username": name, "session_id": session_id });
        let answer = self.run("user.end_sessions", data).await?;
        if self.json {
            output::json(&answer);
        } else {
            output::say(ended(&answer));
        }
        Ok(())
    }
}

/// The password on standard input, if that is where it is: without the end of its line.
fn read_password(argument: &PasswordArgument) -> Result<Option<String>, Exit> {
    if !argument.password_stdin {
        return Ok(None);
    }
    let mut line = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_PASSWORD_BYTES)
        .read_line(&mut line);
    if let Err(error) = read {
        output::complain(format!("standard input cannot be read as text: {error}"));
        return Err(Exit::Refused);
    }
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        output::complain("standard input holds no password");
        return Err(Exit::Refused);
    }
    Ok(Some(password.to_string()))
}

/// A password that the server made is told once, and stored nowhere but as a hash.
fn show_password(answer: &Value) {
    if let Some(password) = answer["password"].as_str() {
        output::say(format!("password: {password}"));
        output::say("It is not shown again. Hand it over safely, and have it changed.");
    }
}

fn ended(answer: &Value) -> String {
    match answer["ended_sessions"].as_u64().unwrap_or_default() {
        0 => "no session was live".to_string(),
        1 => "1 session ended".to_string(),
        many => format!("{many} sessions ended"),
    }
}

/// A text that may be unset.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_string()
}

/// A time that may be unset.
fn time(value: &Value) -> String {
    value.as_i64().map_or_else(|| "-".to_string(), utc)
}

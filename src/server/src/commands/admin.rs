//! Accounts, as the operator looks after them: each command is one question to the running server, whose auth module answers.

use filament_host::{admin::Ask, config::Inputs, server::Product};
use serde_json::{Map, Value, json};

use super::ask_running;
use crate::{
    cli::{PasswordArgument, UserCommand},
    exit::Exit,
    failure::Failure,
    output, password,
    table::{Table, utc},
};

/// The most accounts that the server lists at once.
const PAGE: u32 = 200;

pub(super) async fn user(
    product: &Product,
    inputs: &Inputs,
    command: UserCommand,
    json: bool,
) -> Result<(), Failure> {
    let operator = Operator {
        product,
        inputs,
        json,
    };
    match command {
        UserCommand::Create { name, password } => operator.create(&name, &password).await,
        UserCommand::List { search } => operator.list(search.as_deref()).await,
        UserCommand::Disable { name } => operator.switch("user.disable", &name).await,
        UserCommand::Enable { name } => operator.switch("user.enable", &name).await,
        UserCommand::ResetPassword { name, password } => {
            operator.reset_password(&name, &password).await
        }
        UserCommand::Sessions { name, end, end_all } => match end {
            None if !end_all => operator.sessions(&name).await,
            end => operator.end_sessions(&name, end).await,
        },
    }
}

/// Who asks, and how they want to read the answer.
struct Operator<'a> {
    product: &'a Product,
    inputs: &'a Inputs,
    json: bool,
}

impl Operator<'_> {
    /// Has the running server carry out a command.
    async fn run(&self, name: &str, data: Value) -> Result<Value, Failure> {
        let data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        let name = name.to_string();
        let mut answer = ask_running(self.product, self.inputs, &Ask::Run { name, data }).await?;
        let Some(error) = answer["error"].as_str() else {
            return Ok(answer["result"].take());
        };
        let exit = match answer["code"].as_str() {
            Some("service_unavailable") => Exit::Unavailable,
            Some("internal_error") => Exit::Software,
            _ => Exit::Refused,
        };
        let text = format!("refused: {error}");
        Err(Failure::with_object(exit, text, answer))
    }

    async fn create(&self, name: &str, password: &PasswordArgument) -> Result<(), Failure> {
        let data = json!({ "username": name, "password": given(password).await? });
        let made = self.run("user.create", data).await?;
        let (name, user_id) = (text(&made["username"]), text(&made["user_id"]));
        self.hand_over(
            &made,
            &format!("{name} has an account: {user_id}"),
            "the account was made",
        )
    }

    /// Tells what was done, and the password if the server made one: it is told once, and stored nowhere but as a hash.
    fn hand_over(&self, answer: &Value, told: &str, done: &str) -> Result<(), Failure> {
        let password = answer["password"].as_str();
        let printed = match (self.json, password) {
            (true, _) => output::json(answer),
            (false, None) => output::say(told),
            (false, Some(password)) => output::say(format!(
                "{told}\npassword: {password}\nIt is not shown again. Hand it over safely, and have it changed."
            )),
        };
        if printed || password.is_none() {
            return Ok(());
        }
        let text = format!(
            "{done}, but its password could not be printed; give it another password with `admin user reset-password`"
        );
        Err(Failure::new(Exit::Output, text))
    }

    async fn list(&self, search: Option<&str>) -> Result<(), Failure> {
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
        if users.is_empty() {
            output::complain(match search {
                Some(part) => format!("no account has `{part}` in its name"),
                None => "no account".to_string(),
            });
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

    async fn switch(&self, command: &str, name: &str) -> Result<(), Failure> {
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

    async fn reset_password(&self, name: &str, password: &PasswordArgument) -> Result<(), Failure> {
        let data = json!({ "username": name, "password": given(password).await? });
        let reset = self.run("user.reset_password", data).await?;
        let name = text(&reset["username"]);
        self.hand_over(
            &reset,
            &format!("{name} has another password; {}", ended(&reset)),
            "the account has another password",
        )
    }

    async fn sessions(&self, name: &str) -> Result<(), Failure> {
        let data = json!({ "username": name });
        let answer = self.run("user.sessions", data).await?;
        if self.json {
            output::json(&answer);
            return Ok(());
        }
        let sessions = answer["sessions"].as_array();
        let sessions = sessions.filter(|sessions| !sessions.is_empty());
        let Some(sessions) = sessions else {
            let name = text(&answer["username"]);
            output::complain(format!("{name} has no live session"));
            return Ok(());
        };
        let mut table = Table::new(["SESSION", "CREATED", "LAST USED", "NETWORK", "CLIENT"]);
        for session in sessions {
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
    async fn end_sessions(&self, name: &str, session_id: Option<String>) -> Result<(), Failure> {
        let session_id = session_id.map(|id| id.to_ascii_uppercase());
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

/// The password of the operator's own, where there is to be one.
async fn given(argument: &PasswordArgument) -> Result<Option<String>, Failure> {
    match argument.password_stdin {
        true => password::read().await.map(Some),
        false => Ok(None),
    }
}

fn ended(answer: &Value) -> String {
    match answer["ended_sessions"].as_u64().unwrap_or_default() {
        0 => "no session was live".to_string(),
        1 => "1 session ended".to_string(),
        many => format!("{many} sessions ended"),
    }
}

/// A text that may be unset or empty.
fn text(value: &Value) -> String {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.unwrap_or("-").to_string()
}

/// A time that may be unset.
fn time(value: &Value) -> String {
    value.as_i64().map_or_else(|| "-".to_string(), utc)
}

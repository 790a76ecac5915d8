//! What each command does. Programs read standard output; people read it too, and errors on standard error.

mod admin;
mod config;
mod migrate;
mod modules;
mod openapi;
mod reload;
mod serve;

use std::{io, path::Path};

use filament_host::{
    admin::{self as door, Ask},
    config::Inputs,
    server::Product,
};
use serde_json::Value;

use crate::{
    cli::{
        AdminCommand, Arguments, Command, ConfigCommand, MigrateCommand, ModulesCommand,
        SourceArguments,
    },
    exit::Exit,
    failure::Failure,
    output,
};

/// Carries out a command line.
pub(crate) async fn run(arguments: Arguments, product: Product) -> Exit {
    let SourceArguments { config, profile } = arguments.source;
    let inputs = Inputs::from_process(config, profile.map(Into::into));
    let command = arguments.command.unwrap_or(Command::Serve);
    let json = command.json();
    match carry_out(command, product, inputs).await {
        Ok(()) => Exit::Ok,
        Err(failure) => failure.tell(json),
    }
}

async fn carry_out(command: Command, product: Product, inputs: Inputs) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::serve(product, inputs).await,
        Command::Reload { json } => reload::reload(&product, &inputs, json).await,
        Command::Config(ConfigCommand::Check { json }) => config::check(&product, &inputs, json),
        Command::Config(ConfigCommand::Explain { key, json }) => {
            config::explain(&product, &inputs, key.as_deref(), json)
        }
        Command::Config(ConfigCommand::Example) => {
            output::print(filament_host::config::example(
                &product.catalogue.sections(),
                &product.catalogue.ids(),
            ));
            Ok(())
        }
        Command::Modules {
            json,
            command: None,
        } => modules::modules(&product, &inputs, json).await,
        Command::Modules {
            json,
            command: Some(ModulesCommand::Why { id }),
        } => modules::why(&product, &inputs, &id, json).await,
        Command::Admin(AdminCommand::User { json, command }) => {
            admin::user(&product, &inputs, command, json).await
        }
        Command::Openapi { modules } => openapi::document(&product, &inputs, modules),
        Command::Migrate { command, json } => {
            migrate::migrate(
                &product,
                &inputs,
                command.unwrap_or(MigrateCommand::Up),
                json,
            )
            .await
        }
    }
}

/// Asks the running server of a data folder; `None` when none runs there.
async fn ask(data_dir: &Path, what: &Ask) -> Result<Option<Value>, Failure> {
    let socket = door::socket_path(data_dir);
    door::ask(&socket, what).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => "; run it as the server's user",
            _ => "",
        };
        let socket = absolute(&socket);
        Failure::new(
            Exit::Unavailable,
            format!("the running server did not answer at {socket}: {error}{advice}"),
        )
    })
}

/// The same for what only a running server can answer. A configuration that the server would refuse does not keep an operator from
/// asking it, as long as there is no doubt about which server is meant.
async fn ask_running(product: &Product, inputs: &Inputs, what: &Ask) -> Result<Value, Failure> {
    let data_dir = product.data_dir(inputs)?;
    let answer = ask(&data_dir, what).await?;
    answer.ok_or_else(|| {
        let nobody = no_server(&data_dir);
        Failure::new(
            Exit::Unavailable,
            format!("{nobody}; use --config, or run it where the server was started"),
        )
    })
}

fn no_server(data_dir: &Path) -> String {
    format!(
        "no server runs on the data folder {} (data.dir)",
        absolute(data_dir)
    )
}

/// A path as it is found from everywhere.
fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}

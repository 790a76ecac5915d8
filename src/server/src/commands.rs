//! What each command does. Programs read standard output; people read it too, and errors on standard error.

mod admin;
mod config;
mod migrate;
mod modules;
mod openapi;
mod reload;
mod serve;

use filament_host::{
    admin::Ask,
    config::{Inputs, Loaded},
    server::Product,
};
use serde_json::Value;

use crate::{
    cli::{
        AdminCommand, Arguments, Command, ConfigCommand, MigrateCommand, ModulesCommand,
        SourceArguments,
    },
    exit::Exit,
    output,
};

/// Carries out a command line.
pub(crate) async fn run(arguments: Arguments, product: Product) -> Exit {
    let SourceArguments { config, profile } = arguments.source;
    let inputs = Inputs::from_process(config, profile.map(Into::into));
    match arguments.command.unwrap_or(Command::Serve) {
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
            Exit::Ok
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

fn load(product: &Product, inputs: &Inputs) -> Result<Loaded, Exit> {
    product.load(inputs).map_err(|problems| {
        output::complain(&problems);
        Exit::Config
    })
}

/// Asks the running server of this configuration's data folder.
async fn ask(product: &Product, inputs: &Inputs, what: &Ask) -> Result<Option<Value>, Exit> {
    // A configuration that the running server would refuse must not keep an operator from asking it: the data folder is
    // taken from the environment and the file as far as they can be read.
    let socket = match product.load(inputs) {
        Ok(loaded) => loaded.host.socket_path(),
        Err(_) => inputs.socket_path(),
    };
    filament_host::admin::ask(&socket, what)
        .await
        .map_err(|error| {
            output::complain(format!(
                "the running server did not answer at {}: {error}",
                socket.display()
            ));
            Exit::Unavailable
        })
}

/// The same for what only a running server can answer.
async fn ask_running(product: &Product, inputs: &Inputs, what: &Ask) -> Result<Value, Exit> {
    let answer = ask(product, inputs, what).await?;
    answer.ok_or_else(|| {
        output::complain("no server runs on this data folder");
        Exit::Unavailable
    })
}

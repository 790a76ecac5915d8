//! `filament-server`: the command line around the host, and the list of modules.
//!
//! The library exists so that a program with modules of its own is a two-line `main`:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     let mut modules = filament_server::modules();
//!     // modules.push(filament_host::catalogue::module::<MyModule>());
//!     filament_server::main(modules)
//! }
//! ```

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a reader that went away is no panic: use `output`"
)]

mod cli;
mod commands;
mod exit;
mod failure;
mod modules;
mod output;
mod password;
mod schema;
mod table;

pub use exit::Exit;
pub use modules::modules;
pub use schema::ProductSchema;

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use filament_host::{
    catalogue::{AnyModule, Catalogue},
    database::Schema,
    server::Product,
};

/// Runs the command line of a server with these modules, and answers the process's exit code.
pub fn main(modules: Vec<Box<dyn AnyModule>>) -> ExitCode {
    main_with(modules, ProductSchema)
}

/// The same for modules that bring tables of their own.
pub fn main_with(modules: Vec<Box<dyn AnyModule>>, schema: impl Schema) -> ExitCode {
    // Where TLS finds its cryptography. It fails only in a program that has chosen another before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // What this server writes (tokens' key, database, sockets) is nobody else's.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Ok.into()
            };
        }
    };
    let catalogue = match Catalogue::new(modules) {
        Ok(catalogue) => Arc::new(catalogue),
        Err(conflicts) => {
            output::complain(format!(
                "the modules of this build contradict each other:\n{}",
                conflicts.join("\n")
            ));
            return Exit::Software.into();
        }
    };
    let product = Product {
        catalogue,
        schema: Arc::new(schema),
    };
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let exit = runtime.block_on(commands::run(arguments, product));
            // What still blocks (a hash under way) is not worth waiting for.
            runtime.shutdown_background();
            if let Some(error) = output::failure() {
                output::complain(format!("standard output cannot be written: {error}"));
                if exit == Exit::Ok {
                    return Exit::Output.into();
                }
            }
            exit.into()
        }
        Err(error) => {
            output::complain(format!("the runtime cannot be started: {error}"));
            Exit::Software.into()
        }
    }
}

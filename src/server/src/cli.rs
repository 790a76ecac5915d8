use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use filament_kernel::config::Profile;

/// A self-hosted chat server
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) source: SourceArguments,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 done · 1 refused or not found · 64 command line · 69 database or running server out \
of reach · 70 fault of the program · 73 data folder or address not usable · 74 standard output not \
writable · 75 stopped, but not within the grace time · 78 \
configuration";

/// How to print stands below what to do.
const JSON: usize = 99;
/// Options that every command takes stand below its own.
const GLOBAL: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct SourceArguments {
    /// The configuration file (default: FILAMENT_CONFIG, or filament.toml in the current folder)
    #[arg(long, global = true, value_name = "FILE", display_order = GLOBAL)]
    pub(crate) config: Option<PathBuf>,
    /// The profile (default: FILAMENT_PROFILE, or dev)
    #[arg(long, global = true, value_enum, display_order = GLOBAL)]
    pub(crate) profile: Option<ProfileArgument>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ProfileArgument {
    Dev,
    Production,
}

impl From<ProfileArgument> for Profile {
    fn from(profile: ProfileArgument) -> Self {
        match profile {
            ProfileArgument::Dev => Self::Dev,
            ProfileArgument::Production => Self::Production,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server (the default)
    Serve,
    /// Make the running server read its configuration; prints the plan and waits until it is carried out or refused
    Reload {
        /// Print JSON
        #[arg(long, display_order = JSON)]
        json: bool,
    },
    /// Check or explain the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The state of the modules of the running server, or the catalogue when none runs
    Modules {
        /// Print JSON
        #[arg(long, global = true, display_order = JSON)]
        json: bool,
        #[command(subcommand)]
        command: Option<ModulesCommand>,
    },
    /// Look after the running server as its operator: whoever may do this on this machine is the operator
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Print the OpenAPI document; needs no database
    Openapi {
        /// Only these modules, separated by commas (default: those that the configuration has on)
        #[arg(long, value_delimiter = ',', value_name = "IDS")]
        modules: Option<Vec<String>>,
    },
    /// Bring the database's schema up to date, or show where it is
    Migrate {
        #[command(subcommand)]
        command: Option<MigrateCommand>,
        /// Print JSON
        #[arg(long, global = true, display_order = JSON)]
        json: bool,
    },
}

impl Command {
    /// Whether programs read what is printed.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Reload { json }
            | Self::Config(ConfigCommand::Check { json } | ConfigCommand::Explain { json, .. })
            | Self::Modules { json, .. }
            | Self::Admin(AdminCommand::User { json, .. })
            | Self::Migrate { json, .. } => *json,
            Self::Serve | Self::Config(ConfigCommand::Example) | Self::Openapi { .. } => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report every problem of the configuration at once
    Check {
        /// Print JSON
        #[arg(long, display_order = JSON)]
        json: bool,
    },
    /// Show values, where they come from and what they mean; secrets stay hidden
    Explain {
        /// A key or a section (default: everything)
        key: Option<String>,
        /// Print JSON
        #[arg(long, display_order = JSON)]
        json: bool,
    },
    /// Print a configuration file with every key, its documentation and its default
    Example,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModulesCommand {
    /// Why a module is, or is not, up
    Why {
        /// The module's id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Accounts and their sessions
    User {
        /// Print JSON
        #[arg(long, global = true, display_order = JSON)]
        json: bool,
        #[command(subcommand)]
        command: UserCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account; without a password of your own, the server makes one and it is shown once
    Create {
        /// The name
        name: String,
        #[command(flatten)]
        password: PasswordArgument,
    },
    /// List accounts, by name
    List {
        /// Only names that contain this, in any case
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Switch an account off: it cannot log in, and all of its sessions end
    Disable {
        /// The name
        name: String,
    },
    /// Switch an account on again
    Enable {
        /// The name
        name: String,
    },
    /// Give an account another password and end all of its sessions; without one of your own, the server makes one and it is shown once
    ResetPassword {
        /// The name
        name: String,
        #[command(flatten)]
        password: PasswordArgument,
    },
    /// Show the sessions of an account, or end them
    Sessions {
        /// The name
        name: String,
        /// End this session
        #[arg(long, value_name = "SESSION_ID", conflicts_with = "end_all")]
        end: Option<String>,
        /// End all of them
        #[arg(long)]
        end_all: bool,
    },
}

/// A password is never an argument: arguments are seen by everybody on the machine and kept by shells.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgument {
    /// Read the password from standard input, up to the first line's end; a terminal does not show it
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Show each migration and whether it is applied
    Status,
    /// Apply what is missing (the default)
    Up,
}

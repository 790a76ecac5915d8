//! What each command does. Programs read standard output; people read it too, and errors on standard error.

use filament_host::{
    admin::{self, Ask},
    config::{self, Inputs, Loaded},
    database, openapi,
    server::{Product, Server, StartError},
};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Arguments, Command, ConfigCommand, MigrateCommand, ModulesCommand, SourceArguments},
    exit::Exit,
};

/// Carries out a command line.
pub(crate) async fn run(arguments: Arguments, product: Product) -> Exit {
    let SourceArguments { config, profile } = arguments.source;
    let inputs = Inputs::from_process(config, profile.map(Into::into));
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(product, inputs).await,
        Command::Reload { json } => reload(&product, &inputs, json).await,
        Command::Config(ConfigCommand::Check { json }) => check(&product, &inputs, json),
        Command::Config(ConfigCommand::Explain { key, json }) => explain(&product, &inputs, key.as_deref(), json),
        Command::Config(ConfigCommand::Example) => {
            print!("{}", config::example(&product.catalogue.sections(), &product.catalogue.ids()));
            Exit::Ok
        }
        Command::Modules { json, command: None } => modules(&product, &inputs, json).await,
        Command::Modules { json, command: Some(ModulesCommand::Why { id }) } => why(&product, &inputs, &id, json).await,
        Command::Openapi { modules } => document(&product, &inputs, modules),
        Command::Migrate { command, json } => migrate(&product, &inputs, command.unwrap_or(MigrateCommand::Up), json).await,
    }
}

fn load(product: &Product, inputs: &Inputs) -> Result<Loaded, Exit> {
    product.load(inputs).map_err(|problems| {
        eprintln!("{problems}");
        Exit::Config
    })
}

fn pretty(value: &impl serde::Serialize) {
    println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}

async fn serve(product: Product, inputs: Inputs) -> Exit {
    // Listening for signals comes first: one that arrives while the server starts must not kill it half-way.
    let (mut terminate, mut interrupt, mut hang_up) = match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) {
        (Ok(terminate), Ok(interrupt), Ok(hang_up)) => (terminate, interrupt, hang_up),
        _ => {
            eprintln!("signals cannot be listened for");
            return Exit::Software;
        }
    };
    let started = tokio::select! {
        started = Server::start(product, inputs) => started,
        _ = terminate.recv() => return Exit::Ok,
        _ = interrupt.recv() => return Exit::Ok,
    };
    let server = match started {
        Ok(server) => server,
        Err(error) => {
            eprintln!("{error}");
            return match error {
                StartError::Configuration(_) => Exit::Config,
                StartError::DataDir(_) | StartError::Bind(..) => Exit::CannotCreate,
                StartError::Database(_) => Exit::Unavailable,
                StartError::Other(_) => Exit::Software,
            };
        }
    };
    if server.is_dev() {
        println!("{}", server.banner());
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
    if server.stop().await { Exit::Ok } else { Exit::Unclean }
}

/// Asks the running server of this configuration's data folder.
async fn ask(product: &Product, inputs: &Inputs, what: Ask) -> Result<Option<Value>, Exit> {
    // A configuration that the running server would refuse must not keep an operator from asking it: the data folder is
    // taken from the environment and the file as far as they can be read.
    let socket = match product.load(inputs) {
        Ok(loaded) => loaded.host.socket_path(),
        Err(_) => inputs.socket_path(),
    };
    admin::ask(&socket, what).await.map_err(|error| {
        eprintln!("the running server did not answer at {}: {error}", socket.display());
        Exit::Unavailable
    })
}

async fn reload(product: &Product, inputs: &Inputs, json: bool) -> Exit {
    let answer = match ask(product, inputs, Ask::Reload).await {
        Ok(Some(answer)) => answer,
        Ok(None) => {
            eprintln!("no server runs on this data folder");
            return Exit::Unavailable;
        }
        Err(exit) => return exit,
    };
    if json {
        pretty(&answer);
    }
    if let Some(error) = answer["error"].as_str() {
        if !json {
            let step = answer["step"].as_str().unwrap_or("reload");
            eprintln!("refused at the step `{step}`; the running generation goes on:\n{error}");
        }
        return Exit::Refused;
    }
    if !json {
        let report = &answer["report"];
        println!("{}", answer["text"].as_str().unwrap_or_default());
        println!(
            "generation {} (prepare {} ms, commit {} ms, drain {} ms)",
            report["generation"], report["prepare_ms"], report["commit_ms"], report["drain_ms"]
        );
        for (module, reason) in report["failed"].as_object().into_iter().flatten() {
            println!("! {module} did not come up: {}", reason.as_str().unwrap_or_default());
        }
    }
    Exit::Ok
}

fn check(product: &Product, inputs: &Inputs, json: bool) -> Exit {
    let problems = match product.load(inputs) {
        Ok(loaded) => {
            let missing: Vec<String> = product
                .catalogue
                .missing(&|id| loaded.is_enabled(id))
                .iter()
                .map(ToString::to_string)
                .collect();
            if missing.is_empty() {
                if json {
                    pretty(&json!({ "ok": true, "problems": [] }));
                } else {
                    for note in loaded.notes() {
                        println!("note: {note}");
                    }
                    println!("the configuration is valid (profile {})", loaded.profile);
                }
                return Exit::Ok;
            }
            if !json {
                eprintln!("{}", missing.join("\n"));
            }
            json!(missing)
        }
        Err(problems) => {
            if !json {
                eprintln!("{problems}");
            }
            json!(problems)
        }
    };
    if json {
        pretty(&json!({ "ok": false, "problems": problems }));
    }
    Exit::Config
}

fn explain(product: &Product, inputs: &Inputs, key: Option<&str>, json: bool) -> Exit {
    let loaded = match load(product, inputs) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let explanations = config::explain(&loaded, key);
    if explanations.is_empty() {
        let key = key.unwrap_or_default();
        match config::nearest_key(&loaded, key) {
            Some(nearest) => eprintln!("there is no key `{key}`; did you mean `{nearest}`?"),
            None => eprintln!("there is no key `{key}`"),
        }
        return Exit::Refused;
    }
    if json {
        pretty(&explanations);
        return Exit::Ok;
    }
    for one in explanations {
        println!("{} = {}", one.key, one.value);
        println!("  from {} (default {})", one.source, one.default);
        for line in one.documentation.lines() {
            println!("  # {line}");
        }
        println!();
    }
    Exit::Ok
}

/// The catalogue, for when no server runs.
fn catalogue(product: &Product) -> Vec<Value> {
    product
        .catalogue
        .iter()
        .map(|one| {
            let manifest = &one.manifest;
            let names = |ports: &[filament_kernel::service::PortKey]| -> Vec<&'static str> {
                ports.iter().map(|port| port.name).collect()
            };
            json!({
                "id": manifest.id,
                "summary": manifest.summary,
                "stability": manifest.stability,
                "requires": names(manifest.requires),
                "uses": names(manifest.uses),
                "provides": names(manifest.provides),
                "routes": manifest.routes,
                "commands": manifest.commands,
                "events": manifest.events,
                "tables": manifest.tables,
                "metrics": manifest.metrics,
            })
        })
        .collect()
}

async fn modules(product: &Product, inputs: &Inputs, json: bool) -> Exit {
    match ask(product, inputs, Ask::Modules).await {
        Ok(Some(answer)) if json => pretty(&answer),
        Ok(Some(answer)) => {
            for module in answer["modules"].as_array().into_iter().flatten() {
                let text = |key: &str| module[key].as_str().unwrap_or_default().to_string();
                let reason = module["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
                println!("{:<14} {:<12} {}{reason}", text("id"), text("state"), text("summary"));
            }
        }
        Ok(None) if json => pretty(&json!({ "running": false, "catalogue": catalogue(product) })),
        Ok(None) => {
            println!("no server runs on this data folder; this build has:");
            for one in product.catalogue.iter() {
                println!("{:<14} {}", one.manifest.id, one.manifest.summary);
            }
        }
        Err(exit) => return exit,
    }
    Exit::Ok
}

async fn why(product: &Product, inputs: &Inputs, id: &str, json: bool) -> Exit {
    let Some(listed) = product.catalogue.get(id) else {
        eprintln!("there is no module `{id}`; there are: {}", product.catalogue.ids().join(", "));
        return Exit::Refused;
    };
    let running = match ask(product, inputs, Ask::Modules).await {
        Ok(answer) => answer.and_then(|answer| {
            answer["modules"].as_array()?.iter().find(|module| module["id"] == id).cloned()
        }),
        Err(exit) => return exit,
    };
    let setting = product
        .load(inputs)
        .ok()
        .and_then(|loaded| config::explain(&loaded, Some(&format!("modules.{id}"))).into_iter().next());
    let ports: Vec<Value> = listed
        .manifest
        .requires
        .iter()
        .map(|port| json!({ "port": port.name, "provided_by": product.catalogue.providers(*port, &|_| true) }))
        .collect();
    let dependents = product.catalogue.dependents(id, &|_| true);
    if json {
        pretty(&json!({ "id": id, "running": running, "setting": setting, "requires": ports, "required_by": dependents }));
        return Exit::Ok;
    }
    match &running {
        Some(module) => {
            let state = module["state"].as_str().unwrap_or_default();
            println!("{id} is {state}");
            if let Some(reason) = module["reason"].as_str() {
                println!("  because {reason}");
            }
            for missing in module["missing"].as_array().into_iter().flatten() {
                println!("  waits for {}", missing.as_str().unwrap_or_default());
            }
        }
        None => println!("{id}: no server runs on this data folder"),
    }
    if let Some(setting) = setting {
        println!("  modules.{id} = {} from {}", setting.value, setting.source);
    }
    for port in &ports {
        println!("  requires {} from {}", port["port"], port["provided_by"]);
    }
    if !dependents.is_empty() {
        println!("  is required by {}", dependents.join(", "));
    }
    Exit::Ok
}

fn document(product: &Product, inputs: &Inputs, modules: Option<Vec<String>>) -> Exit {
    let on: Vec<String> = match modules {
        Some(modules) => {
            for id in &modules {
                if product.catalogue.get(id).is_none() {
                    eprintln!("there is no module `{id}`; there are: {}", product.catalogue.ids().join(", "));
                    return Exit::Refused;
                }
            }
            modules
        }
        None => match load(product, inputs) {
            Ok(loaded) => product
                .catalogue
                .ids()
                .into_iter()
                .filter(|id| loaded.is_enabled(id))
                .map(ToString::to_string)
                .collect(),
            Err(exit) => return exit,
        },
    };
    let is_on = |id: &str| on.iter().any(|one| one == id);
    let missing = product.catalogue.missing(&is_on);
    if !missing.is_empty() {
        for one in missing {
            eprintln!("{one}");
        }
        return Exit::Config;
    }
    let system = filament_host::http::system_document();
    let parts: Vec<(&str, &Value)> = std::iter::once(("host", &system))
        .chain(
            product
                .catalogue
                .iter()
                .filter(|one| is_on(one.manifest.id))
                .map(|one| (one.manifest.id, &one.document)),
        )
        .collect();
    match openapi::merge(&parts) {
        Ok(document) => {
            print!("{}", openapi::text(&document));
            Exit::Ok
        }
        Err(conflicts) => {
            eprintln!("{}", conflicts.join("\n"));
            Exit::Software
        }
    }
}

async fn migrate(product: &Product, inputs: &Inputs, command: MigrateCommand, json: bool) -> Exit {
    let loaded = match load(product, inputs) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let work = async {
        let db = database::connect(loaded.host.database_url().expose(), &loaded.host.database).await?;
        if let MigrateCommand::Up = command {
            database::migrate(&db, &product.schema).await?;
        }
        let status = product.schema.status(db.read()).await?;
        db.close().await?;
        Ok::<_, sea_orm::DbErr>(status)
    };
    match work.await {
        Ok(status) => {
            if json {
                let list: Vec<Value> = status
                    .iter()
                    .map(|(name, applied)| json!({ "migration": name, "applied": applied }))
                    .collect();
                pretty(&list);
            } else {
                for (name, applied) in status {
                    println!("{} {name}", if applied { "applied" } else { "pending" });
                }
            }
            Exit::Ok
        }
        Err(error) => {
            eprintln!("the database cannot be used: {error}");
            Exit::Unavailable
        }
    }
}

//! The database's schema.

use filament_host::{
    config::{Inputs, Loaded},
    data_dir::DataDir,
    database,
    server::Product,
};
use serde_json::{Value, json};

use crate::{cli::MigrateCommand, exit::Exit, failure::Failure, output};

/// Each migration and whether it is applied.
type Status = Vec<(String, bool)>;

pub(super) async fn migrate(
    product: &Product,
    inputs: &Inputs,
    command: MigrateCommand,
    json: bool,
) -> Result<(), Failure> {
    let loaded = product.load(inputs)?;
    let url = loaded.host.database_url();
    let file = database::sqlite_file(url.expose());
    let result = match (command, file) {
        // A question makes nothing.
        (MigrateCommand::Status, Some(file)) if !file.exists() => Ok(product
            .schema
            .names()
            .into_iter()
            .map(|name| (name, false))
            .collect()),
        (MigrateCommand::Status, _) => look(product, &loaded).await,
        (MigrateCommand::Up, file) => {
            // A SQLite file belongs to who holds the data folder.
            let ours = file.map(|_| DataDir::open(loaded.host.data_dir()));
            let _ours = ours.transpose().map_err(|error| {
                let text = format!("the data folder cannot be used: {error}");
                Failure::new(Exit::CannotCreate, text)
            })?;
            apply(product, &loaded).await
        }
    };
    let status = result.map_err(|error| {
        let text = format!("the database cannot be used: {error}");
        Failure::new(Exit::Unavailable, text)
    })?;
    show(status, json);
    Ok(())
}

async fn look(product: &Product, loaded: &Loaded) -> Result<Status, sea_orm::DbErr> {
    let url = loaded.host.database_url();
    let db = database::connect(url.expose(), &loaded.host.database).await?;
    let status = product.schema.status(db.read()).await?;
    db.close().await?;
    Ok(status)
}

async fn apply(product: &Product, loaded: &Loaded) -> Result<Status, sea_orm::DbErr> {
    let url = loaded.host.database_url();
    let settings = &loaded.host.database;
    let db = database::connect(url.expose(), settings).await?;
    database::migrate(&db, url.expose(), settings, &product.schema).await?;
    let status = product.schema.status(db.read()).await?;
    db.close().await?;
    Ok(status)
}

fn show(status: Status, as_json: bool) {
    if as_json {
        let list: Vec<Value> = status
            .iter()
            .map(|(name, applied)| json!({ "migration": name, "applied": applied }))
            .collect();
        output::json(&list);
        return;
    }
    for (name, applied) in status {
        let word = if applied { "applied" } else { "pending" };
        output::say(format!("{word} {name}"));
    }
}

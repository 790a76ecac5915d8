//! The database's schema.

use filament_host::{config::Inputs, database, server::Product};
use serde_json::{Value, json};

use super::{load, pretty};
use crate::{cli::MigrateCommand, exit::Exit};

pub(super) async fn migrate(
    product: &Product,
    inputs: &Inputs,
    command: MigrateCommand,
    json: bool,
) -> Exit {
    let loaded = match load(product, inputs) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let work = async {
        let db =
            database::connect(loaded.host.database_url().expose(), &loaded.host.database).await?;
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

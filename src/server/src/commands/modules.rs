//! What the modules are, and how they do.

use filament_host::{
    admin::Ask,
    config::{self, Inputs},
    server::Product,
};
use serde_json::{Value, json};

use super::ask;
use crate::{exit::Exit, output};

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
                "operator_commands": manifest.operator_commands,
                "events": manifest.events,
                "tables": manifest.tables,
                "metrics": manifest.metrics,
            })
        })
        .collect()
}

pub(super) async fn modules(product: &Product, inputs: &Inputs, json: bool) -> Exit {
    match ask(product, inputs, &Ask::Modules).await {
        Ok(Some(answer)) if json => output::json(&answer),
        Ok(Some(answer)) => {
            for module in answer["modules"].as_array().into_iter().flatten() {
                let text = |key: &str| module[key].as_str().unwrap_or_default().to_string();
                let reason = module["reason"]
                    .as_str()
                    .map(|reason| format!(": {reason}"))
                    .unwrap_or_default();
                output::say(format!(
                    "{:<14} {:<12} {}{reason}",
                    text("id"),
                    text("state"),
                    text("summary")
                ));
            }
        }
        Ok(None) if json => {
            output::json(&json!({ "running": false, "catalogue": catalogue(product) }))
        }
        Ok(None) => {
            output::say("no server runs on this data folder; this build has:");
            for one in product.catalogue.iter() {
                output::say(format!("{:<14} {}", one.manifest.id, one.manifest.summary));
            }
        }
        Err(exit) => return exit,
    }
    Exit::Ok
}

pub(super) async fn why(product: &Product, inputs: &Inputs, id: &str, json: bool) -> Exit {
    let Some(listed) = product.catalogue.get(id) else {
        output::complain(format!(
            "there is no module `{id}`; there are: {}",
            product.catalogue.ids().join(", ")
        ));
        return Exit::Refused;
    };
    let running = match ask(product, inputs, &Ask::Modules).await {
        Ok(answer) => answer.and_then(|answer| {
            answer["modules"]
                .as_array()?
                .iter()
                .find(|module| module["id"] == id)
                .cloned()
        }),
        Err(exit) => return exit,
    };
    let setting = product.load(inputs).ok().and_then(|loaded| {
        config::explain(&loaded, Some(&format!("modules.{id}")))
            .into_iter()
            .next()
    });
    let ports: Vec<Value> = listed
        .manifest
        .requires
        .iter()
        .map(|port| json!({ "port": port.name, "provided_by": product.catalogue.providers(*port, &|_| true) }))
        .collect();
    let dependents = product.catalogue.dependents(id, &|_| true);
    if json {
        output::json(
            &json!({ "id": id, "running": running, "setting": setting, "requires": ports, "required_by": dependents }),
        );
        return Exit::Ok;
    }
    match &running {
        Some(module) => {
            let state = module["state"].as_str().unwrap_or_default();
            output::say(format!("{id} is {state}"));
            if let Some(reason) = module["reason"].as_str() {
                output::say(format!("  because {reason}"));
            }
            for missing in module["missing"].as_array().into_iter().flatten() {
                output::say(format!(
                    "  waits for {}",
                    missing.as_str().unwrap_or_default()
                ));
            }
        }
        None => output::say(format!("{id}: no server runs on this data folder")),
    }
    if let Some(setting) = setting {
        output::say(format!(
            "  modules.{id} = {} from {}",
            setting.value, setting.source
        ));
    }
    for port in &ports {
        output::say(format!(
            "  requires {} from {}",
            port["port"], port["provided_by"]
        ));
    }
    if !dependents.is_empty() {
        output::say(format!("  is required by {}", dependents.join(", ")));
    }
    Exit::Ok
}

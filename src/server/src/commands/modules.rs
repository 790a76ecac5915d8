//! What the modules are, and how they do.

use filament_host::{
    admin::Ask,
    config::{self, Inputs},
    server::Product,
};
use serde_json::{Value, json};

use super::{ask, no_server};
use crate::{exit::Exit, failure::Failure, output};

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

pub(super) async fn modules(product: &Product, inputs: &Inputs, json: bool) -> Result<(), Failure> {
    let data_dir = product.data_dir(inputs)?;
    match ask(&data_dir, &Ask::Modules).await? {
        Some(answer) if json => {
            output::json(&answer);
        }
        Some(answer) => {
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
        None if json => {
            output::json(&json!({ "running": false, "catalogue": catalogue(product) }));
        }
        None => {
            output::say(format!("{}; this build has:", no_server(&data_dir)));
            for one in product.catalogue.iter() {
                output::say(format!("{:<14} {}", one.manifest.id, one.manifest.summary));
            }
        }
    }
    Ok(())
}

pub(super) async fn why(
    product: &Product,
    inputs: &Inputs,
    id: &str,
    json: bool,
) -> Result<(), Failure> {
    let listed = product
        .catalogue
        .get(id)
        .ok_or_else(|| unknown_module(product, id))?;
    let data_dir = product.data_dir(inputs)?;
    let answer = ask(&data_dir, &Ask::Modules).await?;
    let running = answer.and_then(|answer| {
        answer["modules"]
            .as_array()?
            .iter()
            .find(|module| module["id"] == id)
            .cloned()
    });
    let setting = product.load(inputs).ok().and_then(|loaded| {
        config::explain(&loaded, Some(&format!("modules.{id}")))
            .into_iter()
            .next()
    });
    let ports: Vec<(&str, Vec<&str>)> = listed
        .manifest
        .requires
        .iter()
        .map(|port| (port.name, product.catalogue.providers(*port, &|_| true)))
        .collect();
    let dependents = product.catalogue.dependents(id, &|_| true);
    if json {
        let ports = ports.iter();
        let ports: Vec<Value> = ports
            .map(|(port, providers)| json!({ "port": port, "provided_by": providers }))
            .collect();
        output::json(
            &json!({ "id": id, "running": running, "setting": setting, "requires": ports, "required_by": dependents }),
        );
        return Ok(());
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
        None => {
            output::say(format!("{id}: {}", no_server(&data_dir)));
        }
    }
    if let Some(setting) = setting {
        output::say(format!(
            "  modules.{id} = {} from {}",
            setting.value, setting.source
        ));
    }
    for (port, providers) in &ports {
        let providers = providers.join(" or ");
        output::say(format!("  requires {port} from {providers}"));
    }
    if !dependents.is_empty() {
        output::say(format!("  is required by {}", dependents.join(", ")));
    }
    Ok(())
}

/// That this build has no such module, and which it has.
pub(super) fn unknown_module(product: &Product, id: &str) -> Failure {
    let ids = product.catalogue.ids().join(", ");
    let text = format!("there is no module `{id}`; there are: {ids}");
    Failure::new(Exit::Refused, text)
}

//! The OpenAPI document of a set of modules.

use filament_host::{config::Inputs, openapi, server::Product};
use serde_json::Value;

use super::modules::unknown_module;
use crate::{exit::Exit, failure::Failure, output};

pub(super) fn document(
    product: &Product,
    inputs: &Inputs,
    modules: Option<Vec<String>>,
) -> Result<(), Failure> {
    let on: Vec<String> = match modules {
        Some(modules) => {
            let modules: Vec<String> = modules
                .iter()
                .map(|id| id.trim().to_string())
                .filter(|id| !id.is_empty())
                .collect();
            for id in &modules {
                if product.catalogue.get(id).is_none() {
                    return Err(unknown_module(product, id));
                }
            }
            modules
        }
        None => {
            let loaded = product.load(inputs)?;
            product
                .catalogue
                .ids()
                .into_iter()
                .filter(|id| loaded.is_enabled(id))
                .map(ToString::to_string)
                .collect()
        }
    };
    let is_on = |id: &str| on.iter().any(|one| one == id);
    let missing = product.catalogue.missing(&is_on);
    if !missing.is_empty() {
        let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
        return Err(Failure::new(Exit::Config, lines.join("\n")));
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
    let document = openapi::merge(&parts)
        .map_err(|conflicts| Failure::new(Exit::Software, conflicts.join("\n")))?;
    output::print(openapi::text(&document));
    Ok(())
}

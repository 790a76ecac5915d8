//! The OpenAPI document of a set of modules.

use filament_host::{config::Inputs, openapi, server::Product};
use serde_json::Value;

use super::load;
use crate::{exit::Exit, output};

pub(super) fn document(product: &Product, inputs: &Inputs, modules: Option<Vec<String>>) -> Exit {
    let on: Vec<String> = match modules {
        Some(modules) => {
            let modules: Vec<String> = modules
                .iter()
                .map(|id| id.trim().to_string())
                .filter(|id| !id.is_empty())
                .collect();
            for id in &modules {
                if product.catalogue.get(id).is_none() {
                    output::complain(format!(
                        "there is no module `{id}`; there are: {}",
                        product.catalogue.ids().join(", ")
                    ));
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
            output::complain(&one);
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
            output::print(openapi::text(&document));
            Exit::Ok
        }
        Err(conflicts) => {
            output::complain(conflicts.join("\n"));
            Exit::Software
        }
    }
}

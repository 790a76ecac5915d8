//! Checking and explaining the configuration.

use filament_host::{
    config::{self, Inputs},
    server::Product,
};
use serde_json::json;

use super::load;
use crate::{exit::Exit, output};

pub(super) fn check(product: &Product, inputs: &Inputs, json: bool) -> Exit {
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
                    output::json(&json!({ "ok": true, "problems": [] }));
                } else {
                    for note in loaded.notes() {
                        output::say(format!("note: {note}"));
                    }
                    output::say(format!(
                        "the configuration is valid (profile {})",
                        loaded.profile
                    ));
                }
                return Exit::Ok;
            }
            if !json {
                output::complain(missing.join("\n"));
            }
            json!(missing)
        }
        Err(problems) => {
            if !json {
                output::complain(&problems);
            }
            json!(problems)
        }
    };
    if json {
        output::json(&json!({ "ok": false, "problems": problems }));
    }
    Exit::Config
}

pub(super) fn explain(product: &Product, inputs: &Inputs, key: Option<&str>, json: bool) -> Exit {
    let loaded = match load(product, inputs) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let explanations = config::explain(&loaded, key);
    if explanations.is_empty() {
        let key = key.unwrap_or_default();
        match config::nearest_key(&loaded, key) {
            Some(nearest) => output::complain(format!(
                "there is no key `{key}`; did you mean `{nearest}`?"
            )),
            None => output::complain(format!("there is no key `{key}`")),
        }
        return Exit::Refused;
    }
    if json {
        output::json(&explanations);
        return Exit::Ok;
    }
    for one in explanations {
        output::say(format!("{} = {}", one.key, one.value));
        output::say(format!("  from {} (default {})", one.source, one.default));
        for line in one.documentation.lines() {
            output::say(format!("  # {line}"));
        }
        output::say("");
    }
    Exit::Ok
}

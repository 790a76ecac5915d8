//! Checking and explaining the configuration.

use filament_host::{
    config::{self, Inputs},
    server::Product,
};
use serde_json::json;

use super::{load, pretty};
use crate::exit::Exit;

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

pub(super) fn explain(product: &Product, inputs: &Inputs, key: Option<&str>, json: bool) -> Exit {
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

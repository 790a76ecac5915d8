//! Checking and explaining the configuration.

use filament_host::{
    config::{self, Inputs},
    server::Product,
};
use serde_json::json;

use crate::{exit::Exit, output};

pub(super) fn check(product: &Product, inputs: &Inputs, json: bool) -> Exit {
    match product.load(inputs) {
        Ok(loaded) if json => {
            output::json(&json!({ "ok": true, "problems": [], "notes": loaded.notes() }));
            Exit::Ok
        }
        Ok(loaded) => {
            for note in loaded.notes() {
                output::say(format!("note: {note}"));
            }
            output::say(format!(
                "the configuration is valid (profile {})",
                loaded.profile
            ));
            Exit::Ok
        }
        Err(problems) => {
            if json {
                output::json(&json!({ "ok": false, "problems": problems }));
            } else {
                output::complain(&problems);
            }
            Exit::Config
        }
    }
}

pub(super) fn explain(product: &Product, inputs: &Inputs, key: Option<&str>, json: bool) -> Exit {
    let (sections, ids) = (product.catalogue.sections(), product.catalogue.ids());
    let explained = config::explain_from(&sections, &ids, inputs, key);
    // What is wrong does not keep one from asking: that is when one asks.
    if let Some(problems) = &explained.problems {
        output::complain(problems);
    }
    if explained.explanations.is_empty() {
        let key = key.unwrap_or_default();
        match explained.nearest {
            Some(nearest) => output::complain(format!(
                "there is no key `{key}`; did you mean `{nearest}`?"
            )),
            None => output::complain(format!("there is no key `{key}`")),
        }
        return Exit::Refused;
    }
    if json {
        output::json(&explained.explanations);
        return Exit::Ok;
    }
    for one in explained.explanations {
        output::say(format!("{} = {}", one.key, one.value));
        output::say(format!("  from {} (default {})", one.source, one.default));
        for line in one.documentation.lines() {
            output::say(format!("  # {line}"));
        }
        output::say("");
    }
    Exit::Ok
}

//! Checking and explaining the configuration.

use filament_host::{
    config::{self, Inputs},
    server::Product,
};
use serde_json::json;

use crate::{exit::Exit, failure::Failure, output};

pub(super) fn check(product: &Product, inputs: &Inputs, json: bool) -> Result<(), Failure> {
    let loaded = product.load(inputs).map_err(|problems| {
        let text = problems.to_string();
        let object = json!({ "ok": false, "error": text, "problems": problems });
        Failure::with_object(Exit::Config, text, object)
    })?;
    if json {
        output::json(&json!({ "ok": true, "problems": [], "notes": loaded.notes() }));
        return Ok(());
    }
    for note in loaded.notes() {
        output::say(format!("note: {note}"));
    }
    output::say(format!(
        "the configuration is valid (profile {})",
        loaded.profile
    ));
    Ok(())
}

pub(super) fn explain(
    product: &Product,
    inputs: &Inputs,
    key: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let (sections, ids) = (product.catalogue.sections(), product.catalogue.ids());
    let explained = config::explain_from(&sections, &ids, inputs, key);
    // What is wrong does not keep one from asking: that is when one asks.
    if let Some(problems) = &explained.problems {
        output::complain(problems);
    }
    if explained.explanations.is_empty() {
        let mut text = format!("there is no key `{}`", key.unwrap_or_default());
        if let Some(suggestion) = explained.suggestion {
            text.push_str(&format!("; {suggestion}"));
        }
        return Err(Failure::new(Exit::Refused, text));
    }
    if json {
        output::json(&explained.explanations);
        return Ok(());
    }
    for one in explained.explanations {
        output::say(format!("{one}\n"));
    }
    Ok(())
}

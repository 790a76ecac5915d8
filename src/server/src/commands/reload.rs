//! Making the running server read its configuration.

use filament_host::{admin::Ask, config::Inputs, server::Product};

use super::ask_running;
use crate::{exit::Exit, output};

pub(super) async fn reload(product: &Product, inputs: &Inputs, json: bool) -> Exit {
    let answer = match ask_running(product, inputs, &Ask::Reload).await {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    if json {
        output::json(&answer);
    }
    if let Some(error) = answer["error"].as_str() {
        if !json {
            let step = answer["step"].as_str().unwrap_or("reload");
            output::complain(format!(
                "refused at the step `{step}`; the running generation goes on:\n{error}"
            ));
        }
        return Exit::Refused;
    }
    if !json {
        let report = &answer["report"];
        output::say(answer["text"].as_str().unwrap_or_default());
        output::say(format!(
            "generation {} (prepare {} ms, commit {} ms, drain {} ms)",
            report["generation"], report["prepare_ms"], report["commit_ms"], report["drain_ms"]
        ));
        for (module, reason) in report["failed"].as_object().into_iter().flatten() {
            output::say(format!(
                "! {module} did not come up: {}",
                reason.as_str().unwrap_or_default()
            ));
        }
    }
    Exit::Ok
}

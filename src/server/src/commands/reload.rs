//! Making the running server read its configuration.

use filament_host::{admin::Ask, config::Inputs, server::Product};

use super::ask_running;
use crate::{exit::Exit, failure::Failure, output};

pub(super) async fn reload(product: &Product, inputs: &Inputs, json: bool) -> Result<(), Failure> {
    let answer = ask_running(product, inputs, &Ask::Reload).await?;
    if let Some(error) = answer["error"].as_str() {
        let step = answer["step"].as_str().unwrap_or("reload");
        let text =
            format!("refused at the step `{step}`; the running generation goes on:\n{error}");
        return Err(Failure::with_object(Exit::Refused, text, answer));
    }
    if json {
        output::json(&answer);
        return Ok(());
    }
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
    Ok(())
}

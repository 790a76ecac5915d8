//! Which failures an operation may answer with, and what they mean there.
//!
//! The framework lists every failure for every operation. Here those are kept that can occur. What one means for a certain
//! operation is told by its handler, as a list at the end of its doc comment, and moves from there to the failure:
//!
//! ```text
//! - 401: The name or the password is wrong
//! ```
//!
//! An operation without a caller answers 401 and 403 only where it tells of them, and one that takes no `Idempotency-Key` 409.

use serde_json::Value;

use super::idempotency_key;

/// Keeps the failures that can occur, and lets them say what they mean.
///
/// # Errors
/// When the operation tells of a failure that no operation has.
pub(super) fn refine(method: &str, operation: &mut Value) -> Result<(), String> {
    let told = take_told(operation);
    let has_body = operation["requestBody"].is_object();
    let has_caller = operation["security"]
        .as_array()
        .is_some_and(|schemes| !schemes.is_empty());
    // To tell whether a request is the same, its body is read even where the operation takes none.
    let takes_key = idempotency_key::is_taken(method, operation);
    let Some(responses) = operation["responses"].as_object_mut() else {
        return Ok(());
    };
    for (status, meaning) in &told {
        let Some(response) = responses.get_mut(status) else {
            return Err(format!("a failure {status} that no operation has"));
        };
        response["description"] = meaning.as_str().into();
    }
    responses.retain(|status, _| {
        let is_told = told.iter().any(|(one, _)| one == status);
        is_told
            || match status.as_str() {
                "401" | "403" => has_caller,
                "409" => takes_key,
                "413" => has_body || takes_key,
                "415" => has_body,
                _ => true,
            }
    });
    Ok(())
}

/// Takes the list of failures out of an operation's description: their statuses, with what they mean.
fn take_told(operation: &mut Value) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = Vec::new();
    let mut prose: Vec<&str> = Vec::new();
    let description = operation["description"].as_str().unwrap_or_default();
    for line in description.lines() {
        match (item(line), told.last_mut()) {
            (Some((status, meaning)), _) => told.push((status.to_string(), meaning.to_string())),
            (None, Some((_, meaning))) => {
                meaning.push(' ');
                meaning.push_str(line);
            }
            (None, None) => prose.push(line),
        }
    }
    if !told.is_empty() {
        operation["description"] = prose.join("\n").trim_end().into();
    }
    told
}

/// The status and the meaning of `- 401: …`.
fn item(line: &str) -> Option<(&str, &str)> {
    let (status, meaning) = line.strip_prefix("- ")?.split_once(": ")?;
    let is_status = status.len() == 3 && status.bytes().all(|digit| digit.is_ascii_digit());
    is_status.then_some((status, meaning))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(description: &str, more: Value) -> Value {
        let mut operation = json!({ "description": description, "responses": {} });
        for status in ["200", "400", "401", "403", "404", "409", "413", "415"] {
            operation["responses"][status] = json!({ "description": "as everywhere" });
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            operation[name] = value.clone();
        }
        operation
    }

    fn statuses(operation: &Value) -> Vec<&String> {
        let responses = operation["responses"].as_object();
        responses.into_iter().flat_map(|all| all.keys()).collect()
    }

    #[test]
    fn an_operation_lists_what_can_occur() {
        let caller = json!({ "security": [{ "bearer": [] }] });
        let body = json!({ "security": [], "requestBody": {} });
        for (method, more, expected) in [
            ("get", json!({}), "200 400 404"),
            ("get", caller.clone(), "200 400 401 403 404"),
            ("post", body, "200 400 404 413 415"),
            ("delete", caller, "200 400 401 403 404 409 413"),
        ] {
            let mut operation = operation("", more);
            refine(method, &mut operation).expect("known failures");
            let listed: Vec<&str> = expected.split(' ').collect();
            assert_eq!(statuses(&operation), listed, "{method}");
        }
    }

    #[test]
    fn what_a_failure_means_moves_from_the_description_to_the_failure() {
        let mut operation = operation(
            "Opens it.\n\n- 401: The word is wrong,\nor old\n- 404: No door",
            json!({}),
        );
        refine("get", &mut operation).expect("known failures");
        assert_eq!(operation["description"], "Opens it.");
        let meaning = |status: &str| operation["responses"][status]["description"].clone();
        assert_eq!(meaning("401"), "The word is wrong, or old");
        assert_eq!(meaning("404"), "No door");
        assert_eq!(meaning("400"), "as everywhere");
        assert_eq!(statuses(&operation), ["200", "400", "401", "404"]);
    }

    #[test]
    fn a_failure_that_no_operation_has_is_refused() {
        let mut operation = operation("- 418: A teapot", json!({}));
        assert!(refine("get", &mut operation).is_err());
    }
}

use std::collections::BTreeSet;

use filament_auth::Auth;
use filament_kernel::module::{Module, document_of};

/// The routes that need no access token.
const OPEN: &[&str] = &[
    "POST /auth/register",
    "POST /auth/login",
    "POST /auth/refresh",
    "POST /auth/logout",
    "GET /auth/captcha",
    "GET /users/{user_id}/avatar",
    "GET /users/{user_id}/banner",
];

#[test]
fn every_claimed_route_is_documented_and_no_other() {
    let document = document_of::<<Auth as Module>::Api>();
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let route = format!("{} {path}", method.to_uppercase());
            if path.starts_with("/auth/") && !path.starts_with("/auth/sessions") {
                let name = path.rsplit('/').next().expect("a last part");
                assert_eq!(operation["operationId"], name, "{route}");
            }
            let tag = if path.starts_with("/auth/") {
                "Auth"
            } else {
                "Users"
            };
            assert_eq!(operation["tags"], serde_json::json!([tag]), "{route}");
            for text in ["summary", "description"] {
                assert!(
                    operation[text]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                    "{route}: {text}"
                );
            }
            let needs_token = operation["security"]
                .as_array()
                .is_some_and(|schemes| !schemes.is_empty());
            assert_eq!(needs_token, !OPEN.contains(&route.as_str()), "{route}");
            routes.insert(route);
        }
    }
    let claimed: BTreeSet<String> = Auth::MANIFEST
        .routes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(routes, claimed);
    let status = |route: &str| &document["paths"][route]["post"]["responses"];
    assert!(status("/auth/logout")["204"]["content"].is_null());
    assert!(status("/auth/login")["200"]["content"].is_object());
    assert!(document["components"]["schemas"]["MarkdownToken"].is_object());
}

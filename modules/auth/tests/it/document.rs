use std::collections::BTreeSet;

use filament_auth::Auth;
use filament_kernel::module::{Module, document_of};

#[test]
fn every_claimed_route_is_documented_and_no_other() {
    let document = document_of::<<Auth as Module>::Api>();
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let route = format!("{} {path}", method.to_uppercase());
            let name = path.rsplit('/').next().expect("a last part");
            assert_eq!(operation["operationId"], name, "{route}");
            assert_eq!(operation["tags"][0], "auth", "{route}");
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
            assert_eq!(needs_token, route == "GET /auth/me");
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

use std::collections::BTreeSet;

use filament_kernel::module::{Module, document_of};
use filament_social::Social;

#[test]
fn every_claimed_route_is_documented_and_no_other() {
    let document = document_of::<<Social as Module>::Api>();
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            for field in ["operationId", "summary", "description", "tags", "security"] {
                assert!(
                    operation.get(field).is_some(),
                    "{method} {path} has no {field}"
                );
            }
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let claimed = Social::MANIFEST.routes.iter().map(ToString::to_string);
    assert_eq!(routes, claimed.collect());

    let tables: BTreeSet<String> = Social::entities().into_iter().map(|e| e.table).collect();
    let claimed = Social::MANIFEST.tables.iter().map(ToString::to_string);
    assert_eq!(tables, claimed.collect());
}

#[test]
fn names_on_the_wire_are_those_of_the_contract() {
    let document = document_of::<<Social as Module>::Api>();
    let schemas = &document["components"]["schemas"];
    let required = |name: &str| schemas[name]["required"].to_string();
    assert_eq!(
        required("FriendRequest"),
        r#"["request_id","sender_user_id","sender_username","recipient_user_id","recipient_username","created_at_unix"]"#
    );
    assert_eq!(required("FriendRequestCreate"), r#"["recipient_user_id"]"#);
    assert_eq!(
        required("Friend"),
        r#"["user_id","username","created_at_unix"]"#
    );
    assert_eq!(
        required("BlockedUser"),
        r#"["user_id","username","created_at_unix"]"#
    );
}

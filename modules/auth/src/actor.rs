//! Who does something to an account, as the audit log and the security log tell of it.

use std::{net::IpAddr, sync::Arc};

use filament_kernel::{audit::AuditEntry, http::Origin, id::UserId};
use serde_json::{Map, Value, json};

/// Who acts.
#[derive(Debug, Clone)]
pub(crate) enum Actor {
    /// The account's owner, in a request.
    Owner(Origin),
    /// Whoever made a request: a bearer of a spent token may be the owner or a thief.
    Anybody(Origin),
    /// The operator, on the server's machine, by the command of this id.
    Operator(Arc<str>),
}

impl Actor {
    /// An entry of the audit log about `account`. `details` is a JSON object, or null.
    pub(crate) fn entry(
        &self,
        action: &'static str,
        account: UserId,
        details: Value,
    ) -> AuditEntry {
        let mut details = match details {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        if matches!(self, Self::Operator(_)) {
            details.insert("by".to_string(), json!("operator"));
        }
        AuditEntry {
            actor: matches!(self, Self::Owner(_)).then_some(account),
            action,
            guild: None,
            target: Some(account),
            details: (!details.is_empty()).then_some(Value::Object(details)),
            request_id: Some(self.request_id().clone()),
        }
    }

    /// The id of the request or of the operator's command.
    pub(crate) fn request_id(&self) -> &Arc<str> {
        match self {
            Self::Owner(origin) | Self::Anybody(origin) => &origin.request_id,
            Self::Operator(request_id) => request_id,
        }
    }

    /// The client's address, for the security log.
    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Owner(origin) | Self::Anybody(origin) => Some(origin.client_ip),
            Self::Operator(_) => None,
        }
    }
}

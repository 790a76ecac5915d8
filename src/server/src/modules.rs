//! The product: the modules of this build, one line each. Each is a cargo feature, on by default.

use filament_host::catalogue::{AnyModule, module};

/// The modules.
pub fn modules() -> Vec<Box<dyn AnyModule>> {
    vec![
        #[cfg(feature = "auth")]
        module::<filament_auth::Auth>(),
        #[cfg(feature = "chat")]
        module::<filament_chat::Chat>(),
    ]
}

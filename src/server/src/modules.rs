//! The product: the modules of this build, one line each. Each is a cargo feature, on by default.

use filament_host::catalogue::{self, AnyModule};

/// The modules.
pub fn modules() -> Vec<Box<dyn AnyModule>> {
    vec![
        #[cfg(feature = "auth")]
        catalogue::module::<filament_auth::Auth>(),
        #[cfg(feature = "chat")]
        catalogue::module::<filament_chat::Chat>(),
    ]
}

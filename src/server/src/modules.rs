//! The product: the modules of this build, one line each. Each is a cargo feature, on by default.

use filament_host::catalogue::AnyModule;

/// The modules.
pub fn modules() -> Vec<Box<dyn AnyModule>> {
    vec![
        #[cfg(feature = "auth")]
        filament_host::catalogue::module::<filament_auth::Auth>(),
        #[cfg(feature = "chat")]
        filament_host::catalogue::module::<filament_chat::Chat>(),
        #[cfg(feature = "social")]
        filament_host::catalogue::module::<filament_social::Social>(),
    ]
}

//! The pictures of an account.

/// Which picture of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picture {
    /// The small one beside its name.
    Avatar,
    /// The wide one above its profile.
    Banner,
}

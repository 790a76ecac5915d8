//! Queries. The only code that names entities.

pub(crate) mod pictures;
pub(crate) mod profiles;
pub(crate) mod sessions;
pub(crate) mod users;

//! Queries. The only code that names entities.

pub(crate) mod sessions;
pub(crate) mod users;

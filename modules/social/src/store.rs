//! Queries, one file for each table; the only code that names the tables.

use filament_kernel::ApiError;
use sea_orm::{DbErr, SqlErr};

pub(crate) mod blocks;
pub(crate) mod friend_requests;
pub(crate) mod friendships;
pub(crate) mod tallies;

/// What a failed insert tells the caller: that the other account is gone, if it was deleted after it was looked up.
pub(crate) fn unless_gone(error: DbErr) -> ApiError {
    match error.sql_err() {
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => ApiError::not_found().caused_by(error),
        _ => error.into(),
    }
}

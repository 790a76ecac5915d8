//! The event log: the one road by which a change that clients hear of reaches the database, and by which they hear of it.
//!
//! - [`writer`]: takes the changes that wait, makes them in one transaction, numbers their events, answers.
//! - [`store`]: the SQL.
//!
//! One writer serves all streams. That makes the order of commits the order of numbers and of delivery, and makes batches as
//! large as they can be: under load the cost of a commit is shared by everything that came in during the one before.

mod entity;
mod store;
mod writer;

pub use entity::shapes;
pub use writer::{Committed, EventLogBackend, Writer, start};

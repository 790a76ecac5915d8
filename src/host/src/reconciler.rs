//! One way for anything to change: start, toggle, reload and recovery from a panic are the same algorithm, run by one task.
//!
//! Load, validate, diff, plan, prepare, probe, **commit**, drain. The commit is one atomic swap of the
//! [`Snapshot`](crate::snapshot::Snapshot); whatever fails before it leaves the running generation as it was and says why.
//!
//! - [`plan`]: what a configuration means for what runs; pure.
//! - [`state`]: the state of each module, desired and observed.
//! - [`bring_up`]: prepares and probes one module.
//! - [`change`]: carries a plan out; [`refusal`]: why not.
//! - [`task`]: the task that all triggers go through, and what it does about panics and failed starts.

mod bring_up;
mod change;
mod plan;
mod refusal;
mod state;
mod task;

pub use change::Machinery;
#[cfg(test)]
pub(crate) use plan::is_fixed;
pub use plan::{Action, Conflict, Plan, Reason, Running, plan};
pub use refusal::Refusal;
pub use state::{ModuleStatus, Phase, States};
pub use task::{Handle, Report, start};

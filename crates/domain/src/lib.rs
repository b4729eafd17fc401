//! The rules of the paywall: who may do what, until when, and why not.
//!
//! Everything here is pure: data in, decision out. There is no I/O, no clock and no async; the
//! current instant is always an argument. The server, the console and the sample world share these
//! rules, so a preview, a refusal and an offline review can never disagree.

mod access;
mod address;
mod adjustment;
pub mod billing;
mod decision;
mod meter;
mod override_;
mod plan;
mod status;
mod tenant;
mod time;
mod trial;

pub use access::{Access, AccessLevel, assess, blocking_since, holds_until};
pub use address::Mailbox;
#[cfg(feature = "describe")]
pub use adjustment::ExtensionDays;
pub use adjustment::{
    AdjustmentError, Aspect, Change, ChangeKind, Role, TrialTarget, UndoRefusal, apply, check_undo, undo,
};
pub use decision::{Decision, Denial, DenyCode, Operation, decide};
pub use meter::{Limit, Meter, MeterKind, Reading, Usage, readings};
pub use override_::Override;
pub use plan::{Plan, PlanId};
pub use status::{Status, status};
pub use tenant::{Comp, Subscription, SubscriptionStatus, Suspension, TenantFacts, TenantId, TenantIdError, Trial};
pub use time::{DAY_MS, Timestamp};
pub use trial::{EXTENSION_DAYS_MAX, extended_end};

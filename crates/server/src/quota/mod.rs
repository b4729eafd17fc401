//! Quotas.
mod admission;
mod allotment;
mod books;
mod lease;
mod store;

pub use admission::{Admission, Ask, Exhausted, Quota, Receipt, Reservation, Settings, Unavailable};
pub use allotment::{Allotment, COOL, DRY, Demand, Dry, Due, IDLE, Pass, RETRY, Verdict};
pub use books::{Books, Lease, SPARE_SHARE};
pub use lease::{AllotmentKey, Batch, Claim, Counter, CountingPeriod, Grant, HolderId, LeaseStore, LeaseStoreError};
pub use store::SqlLeaseStore;

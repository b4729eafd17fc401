//! Quotas: how many units of a limit a request may use, decided in memory, and never above the limit.
//!
//! The gate asks [`Quota::reserve`], lets the request through, and then settles what it really used
//! ([`Reservation::settle`]) or lets the reservation go. Meters that are levels go through [`Levels`].
//!
//! # How
//!
//! Each replica holds a *lease* on an allotment (a counter of a tenant in a period): a number of units that the
//! store covers for it. What is used of a limit is `counted` (the sum of the events) and all that leases cover.
//! One task per replica writes events and claims in batches, a transaction at a time; whoever waits for units
//! is answered by the next one, a thousand at once. A replica has some units ahead of its need: at most one in
//! [`SPARE_SHARE`] of those left, as many as two rounds use up. As long as these last nobody waits.
//! Toward the limit there are none ahead, and each unit is claimed for a caller that waits for it.
//!
//! # Why no limit is passed, whatever crashes and whatever the clocks say
//!
//! 1. A unit is let through only if the store covers it: never more are in use than the lowest number that the
//!    last answered claim and each claim of unknown outcome can have left covered ([`Allotment::ceiling`]).
//! 2. The store lets `covered` grow only within `limit − counted − what others have covered`, under the lock of
//!    the allotment ([`Books::answer`]). So `counted + covered` never grows beyond the limit.
//! 3. A unit that was used goes from `covered` to `counted` in one transaction: its event is inserted, and the
//!    claim in the same batch no longer holds it. Events are unique, claims absolute and numbered: done twice,
//!    or late, they change nothing. So a batch of unknown outcome is simply written again.
//! 4. What a dead replica had covered stays covered, and is written off as used an hour later. Nobody can know
//!    which of it was used, so none of it is given out again.
//! 5. No step compares clocks. Time decides only how long others wait for units to be returned, and when a
//!    write-off puts into words what holds already.
//!
//! # Why every unit can be used
//!
//! What is given back, not needed or no longer allowed ahead is claimed no more at the next transaction; what
//! idles is returned after [`IDLE`]. Where nothing is left but another replica has some ahead, it is asked for
//! them: it returns them within a poll, and whoever lacks them asks again for a bounded time before it is
//! refused. What a crash costs is what was covered and not used at that moment: the requests that were waiting
//! right then, and of the units left one in [`SPARE_SHARE`] per replica. With fewer units left than that, a
//! dead replica holds nothing but its own requests, and no lease has to run out before others go on.
//!
//! # What may pass a limit
//!
//! Tokens: an answer's length is known when it has ended, so the answers that were let through with the last
//! tokens end beyond the limit ([`Demand::up_to`]); the next one is refused. Messages and requests are exact.
//! A limit that is lowered below what is used takes nothing back.

mod admission;
mod allotment;
mod books;
mod lease;
mod levels;
mod store;

pub use admission::{Admission, Ask, Exhausted, Quota, Receipt, Reservation, Settings, Unavailable};
pub use allotment::{Allotment, COOL, DRY, Demand, Dry, Due, IDLE, Pass, RETRY, Verdict};
pub use books::{Books, Lease, SPARE_SHARE};
pub use lease::{AllotmentKey, Batch, Claim, Counter, CountingPeriod, Grant, HolderId, LeaseStore, LeaseStoreError};
pub use levels::{Level, LevelReservation, Levels};
pub use store::SqlLeaseStore;

//! Trial arithmetic.

use crate::Timestamp;

/// The longest single extension, in days: a guard against a slip of the keyboard.
pub const EXTENSION_DAYS_MAX: u32 = 365;

/// The end of a trial extended by `days` at `now`: `max(now, current_end) + days`. A running trial
/// counts from its end and so never gets shorter; an ended one counts from now and so always ends in
/// the future.
pub fn extended_end(current_end: Timestamp, days: u32, now: Timestamp) -> Timestamp {
    now.max(current_end).plus_days(days)
}

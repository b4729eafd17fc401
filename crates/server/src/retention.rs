//! Takes out usage events that nobody needs any more, a few at a time beside everything else.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Months};
use paywall_domain::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::server::State;
use crate::store::PRUNED_AT_ONCE;

/// How often it is looked for old ones.
const EVERY: Duration = Duration::from_secs(3_600);

/// The rest between two batches, which is longer than one takes.
const REST: Duration = Duration::from_millis(100);

/// Takes out what is too old until `stop` is cancelled.
pub(crate) async fn run(state: Arc<State>, stop: CancellationToken) {
    let months = state.config.keep_usage_months;
    if months == 0 {
        return;
    }
    loop {
        let mut removed = 0;
        let wait = loop {
            let now = state.clock.now();
            let Some(before) = months_before(now, months) else { return };
            let done = state.store.prune_events(before, now).await;
            let count = done.as_ref().copied().unwrap_or(0);
            state.noted(done.map(|count| count > 0), "old usage events could not be removed");
            removed += count;
            if count < PRUNED_AT_ONCE.unsigned_abs() {
                break EVERY;
            }
            if stop.run_until_cancelled(tokio::time::sleep(REST)).await.is_none() {
                return;
            }
        };
        if removed > 0 {
            tracing::info!(removed, months, "old usage events were removed");
        }
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

fn months_before(now: Timestamp, months: u32) -> Option<Timestamp> {
    let before = DateTime::from_timestamp_millis(now.0)?.checked_sub_months(Months::new(months))?;
    Some(Timestamp(before.timestamp_millis()))
}

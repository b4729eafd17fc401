//! Follows the history of changes, whichever server makes them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

/// How long it takes to look again where the store did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// What forgets as the history goes on.
pub(super) trait Forgets {
    /// Forgets what changed after `place`, up to `last`. Everything where there is no place, or one that is further
    /// along: that is the beginning, or a database that was put back from a backup.
    fn forget_after(&self, place: Option<i64>, last: i64) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Has `what` forget what changes, until `stop` is cancelled.
pub(super) async fn follow(store: &Store, what: &impl Forgets, stop: CancellationToken) {
    let mut news = store.changes_watch();
    let mut place: Option<i64> = None;
    loop {
        let last = *news.borrow_and_update();
        match what.forget_after(place, last).await {
            Ok(()) => place = Some(last),
            Err(_) => {
                // Nothing was missed: the place stays.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = news.changed() => if changed.is_err() { return },
        }
    }
}

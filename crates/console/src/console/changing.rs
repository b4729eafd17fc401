//! Changes, through the open profile's desk.

use paywall_contract::AdjustmentOutcome;

use super::Console;
use crate::ipc::{ChangeDone, ChangeOrder, ChangePreview, Failure, PreviewRequest, Settled, UndoOrder};

impl Console {
    /// What a change would do, by the server's word of now.
    pub async fn change_preview(&self, request: &PreviewRequest) -> Result<ChangePreview, Failure> {
        self.require_open()?.desk.preview(request).await
    }

    /// Makes a change. [`crate::ipc::FailureCode::Unsettled`] where its outcome is not known yet; any other failure
    /// means that it was not made.
    pub async fn change_apply(&self, order: &ChangeOrder) -> Result<ChangeDone, Failure> {
        let open = self.require_open()?;
        let done = open.desk.apply(order).await;
        self.after_change(&open);
        done
    }

    /// What an undo would do.
    pub async fn undo_preview(&self, adjustment_id: &str) -> Result<AdjustmentOutcome, Failure> {
        self.require_open()?.desk.preview_undo(adjustment_id).await
    }

    /// Undoes an adjustment.
    pub async fn undo_apply(&self, order: &UndoOrder) -> Result<ChangeDone, Failure> {
        let open = self.require_open()?;
        let done = open.desk.undo(order).await;
        self.after_change(&open);
        done
    }

    /// What became of a change whose answer was lost.
    pub async fn settle(&self, key: &str) -> Result<Settled, Failure> {
        let open = self.require_open()?;
        let settled = open.desk.settle(key).await;
        self.after_change(&open);
        settled
    }

    pub(super) fn after_change(&self, open: &super::opening::Open) {
        self.inner.observer.data_changed();
        open.sync_now();
    }
}

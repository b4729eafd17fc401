//! Changes: previewed by the server, made by the server, settled by the server.

use paywall_contract::{Adjustment, AdjustmentOutcome, Tenant};
use paywall_domain::{Change, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A change to preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct PreviewRequest {
    /// Whom to change.
    pub tenant_id: TenantId,
    /// What to change.
    pub change: Change,
}

/// What a change would do, by the server's word of just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ChangePreview {
    /// Before and after, with the resulting decision.
    pub outcome: AdjustmentOutcome,
    /// The tenant as the server has it now.
    pub tenant: Tenant,
    /// When the server was asked, by its own clock as far as it is known.
    pub checked_at: Timestamp,
    /// Whether the server's tenant differs from the copy.
    pub changed_since_copy: bool,
    /// The latest adjustment that the copy did not have, where one made the difference.
    pub changed_by: Option<Box<Adjustment>>,
}

/// A change to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ChangeOrder {
    /// Whom to change.
    pub tenant_id: TenantId,
    /// What to change.
    pub change: Change,
    /// Why; for a note, its text.
    pub reason: String,
    /// A link to the ticket.
    pub ticket: Option<String>,
    /// The version that the preview stood on.
    pub version: i64,
    /// One per dialog: the same order sent twice changes once.
    pub key: String,
}

/// An adjustment to undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct UndoOrder {
    /// Which adjustment.
    pub adjustment_id: String,
    /// Why; may be empty.
    pub reason: String,
    /// One per dialog or click.
    pub key: String,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ChangeDone {
    /// As the server recorded it.
    pub adjustment: Adjustment,
    /// Whether the answer was lost at first, and the change was settled by its key.
    pub settled: bool,
}

/// A change that was sent and whose answer is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct UnsettledChange {
    /// Its idempotency key.
    pub key: String,
    /// Whom it was to change.
    pub tenant_id: TenantId,
    /// The tenant's name.
    pub tenant_name: String,
    /// What it was to change; of an undo, what it was to take back.
    pub change: Change,
    /// The adjustment that it was to undo; `null` = it is no undo.
    pub undoes: Option<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The server's database that it was sent to; `null` = not known then.
    pub instance: Option<String>,
}

/// A change that was in doubt and has been settled without anybody asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SettledChange {
    /// The change.
    pub change: UnsettledChange,
    /// What became of it.
    pub settled: Settled,
}

/// What became of a change whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum Settled {
    /// It was made.
    Made {
        /// As the server recorded it.
        adjustment: Box<Adjustment>,
    },
    /// It was not made and will not be.
    NotMade,
    /// It was sent to a database that no longer answers at that address, which alone could have told.
    OtherDatabase,
}

//! Adjustments on the wire.

use paywall_domain::{Access, Change, Reading, Role, Status, TenantFacts, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::{IntoParams, ToSchema};

use crate::StripeWrite;

/// Asks for one change.
///
/// `POST /admin/v1/tenants/{id}/adjustments`. With `?dry_run=true` nothing is changed and the answer
/// shows what would be; without it, the headers `Idempotency-Key` and `If-Match` are required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct AdjustmentRequest {
    /// What to change.
    pub change: Change,
    /// Why; for a note, its text. 1 to 2,000 characters. A dry run may leave it empty.
    #[serde(default)]
    pub reason: String,
    /// A link to the ticket, `http` or `https`.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// Asks to undo an adjustment: `POST /admin/v1/adjustments/{id}/undo`, with `Idempotency-Key` and, where
/// it was shown before, the `If-Match` of the tenant that it was shown on. `?dry_run=true` shows what
/// would be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct UndoRequest {
    /// Why; may be empty.
    #[serde(default)]
    pub reason: String,
}

/// A tenant on one side of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct Snapshot {
    /// What staff and billing set.
    pub facts: TenantFacts,
    /// The resulting status.
    pub status: Status,
    /// The resulting decision over all operations.
    pub access: Access,
    /// The resulting limits.
    pub meters: Vec<Reading>,
}

/// One change that staff made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct Adjustment {
    /// Sorts by time of making.
    pub id: String,
    /// Whom it changed.
    pub tenant_id: TenantId,
    /// When.
    pub at: Timestamp,
    /// Who: the name of the token.
    pub actor: String,
    /// What the actor's token may do.
    pub actor_role: Role,
    /// What; for an undo, the change that was undone.
    pub change: Change,
    /// Why.
    pub reason: String,
    /// A link to the ticket.
    pub ticket: Option<String>,
    /// The tenant before.
    pub before: Snapshot,
    /// The tenant after.
    pub after: Snapshot,
    /// For an undo: the id of the adjustment that it undid.
    pub undoes: Option<String>,
    /// The id of the adjustment that undid this one.
    pub undone_by: Option<String>,
    /// Names the request in the server's log.
    pub request_id: String,
}

/// What a change did, or, for a dry run, would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct AdjustmentOutcome {
    /// The adjustment as recorded; `null` for a dry run.
    pub adjustment: Option<Adjustment>,
    /// The tenant before.
    pub before: Snapshot,
    /// The tenant after.
    pub after: Snapshot,
    /// What it changes in Stripe too, where the tenant's trial lives there: sent by itself, soon and once.
    #[serde(default)]
    pub stripe_writes: Vec<StripeWrite>,
    /// The tenant's version that `before` stands for.
    pub version: i64,
    /// The tenant's position in the changes feed, as [`crate::Tenant::seq`]: after the change; for a dry
    /// run, the present one.
    pub seq: i64,
    /// The server's clock when it answered.
    pub now: Timestamp,
}

/// Where the change in doubt was sent to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SettleQuery {
    /// The id of the database that the change was sent to, as the feed names it. Where this server's is
    /// another, nothing is settled: it does not know what became of the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// What became of a change whose answer was lost: `POST /admin/v1/keys/{key}/settle`.
///
/// Asking settles it, for everybody: where the change under that key has not been made, the key is void
/// from then on, so that a request still on its way cannot make it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct Settlement {
    /// The adjustment made under the key; `null` = none was made, and none will be.
    pub adjustment: Option<Adjustment>,
}

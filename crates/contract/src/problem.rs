//! Errors on the wire: RFC 9457 problem documents with stable codes.

use paywall_domain::{AdjustmentError, Role, UndoRefusal};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// The stable word for an error. Callers branch on it, never on the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum ProblemCode {
    /// 401: no token, or none that is known.
    Unauthenticated,
    /// 401: the token's time is over.
    TokenExpired,
    /// 403: the token's role is too low; `required_role` says which is needed.
    RoleTooLow,
    /// 404: nothing by that id or path.
    NotFound,
    /// 405: the path does not take this method.
    MethodNotAllowed,
    /// 400: the request cannot be read; `fields` says where.
    InvalidRequest,
    /// 400: a cursor that this server did not make, or no longer takes: start over.
    InvalidCursor,
    /// 422: the change cannot be made; `adjustment` says why.
    ChangeRefused,
    /// 409: the adjustment cannot be undone; `undo` says why.
    UndoRefused,
    /// 400: a change without `Idempotency-Key`.
    IdempotencyKeyRequired,
    /// 422: the key was used for another request.
    IdempotencyKeyReused,
    /// 422: the key was settled as unused; make the change again under a new one.
    IdempotencyKeyVoid,
    /// 409: the change in doubt was sent to another database; nothing was settled.
    OtherInstance,
    /// 428: a change without `If-Match`.
    VersionRequired,
    /// 412: the tenant changed since; `version` is the present one.
    VersionMismatch,
    /// 413: the request's body is too large.
    TooLarge,
    /// 429: too many requests; see `Retry-After`.
    RateLimited,
    /// 503: the database is away or full; try again later.
    Unavailable,
    /// 503: Stripe cannot be asked now, or has not answered yet; try again later. Nothing was changed, unless `detail` says
    /// that it may have been.
    StripeUnavailable,
    /// 500: a fault of the server; the log tells more under the request id.
    Internal,
}

/// One field of a request that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct FieldError {
    /// Path of the field, such as `change.target.days`.
    pub field: String,
    /// What is wrong with it, in English.
    pub message: String,
}

/// An error, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct Problem {
    /// `urn:paywall:problem:` and the code.
    pub r#type: String,
    /// The code in words, in English.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable word.
    pub code: ProblemCode,
    /// What happened this time and what to do, in English.
    pub detail: String,
    /// Names the request in the server's log.
    pub request_id: String,
    /// With `invalid_request`: which fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
    /// With `role_too_low`: the least role that may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_role: Option<Role>,
    /// With `change_refused`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjustment: Option<AdjustmentError>,
    /// With `undo_refused`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoRefusal>,
    /// With `version_mismatch`: the present version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

//! A tenant as its callers see it.

use paywall_domain::{Access, DenyCode, Operation, PlanId, Reading, Status, TenantFacts, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::{IntoParams, ToSchema};

/// What a member may do in `RAGFlow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum MemberRole {
    /// Whose id the tenant carries.
    Owner,
    /// Administrator.
    Admin,
    /// Ordinary member.
    Normal,
    /// Invited, not joined yet.
    Invite,
}

/// A `RAGFlow` user linked to a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct Member {
    /// `RAGFlow`'s user id.
    pub user_id: String,
    /// As the user wrote it; any script.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// In `RAGFlow`'s words.
    pub role: MemberRole,
}

/// The last request that the paywall refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// What was asked for.
    pub operation: Operation,
    /// The first rule that denied.
    pub code: DenyCode,
    /// HTTP method.
    pub method: String,
    /// Path without its query.
    pub path: String,
    /// The HTTP status that the caller saw.
    pub http_status: u16,
}

/// What is remarkable about a tenant beside its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum Tag {
    /// A comp is in force.
    Comped,
    /// Its trial has been extended.
    Extended,
    /// An override is in force.
    Overridden,
    /// It has been deleted in `RAGFlow`.
    Deleted,
    /// Another tenant registered before with an address or a company's domain like its own: perhaps a
    /// second trial.
    TrialTwin,
}

/// A tenant: who it is, what it may do, and why not.
///
/// `facts` are what staff and billing set; `status`, `access` and `meters` are derived from them by
/// the server at `as_of` and hold until `access.holds_until` unless something changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct Tenant {
    /// `RAGFlow`'s tenant id.
    pub id: TenantId,
    /// Display name; any script, any length.
    pub name: String,
    /// The owner's e-mail address.
    pub email: String,
    /// The domain of the owner's address, lower case.
    pub domain: String,
    /// When the tenant was first seen.
    pub created_at: Timestamp,
    /// When it was deleted in `RAGFlow`; `null` = it exists.
    pub deleted_at: Option<Timestamp>,
    /// `cus_…`; `null` where it has no Stripe customer.
    pub stripe_customer: Option<String>,
    /// What staff and billing set.
    pub facts: TenantFacts,
    /// The plan whose limits hold now.
    pub plan_in_force: PlanId,
    /// The status at `as_of`.
    pub status: Status,
    /// What is remarkable beside the status.
    pub tags: Vec<Tag>,
    /// The server's own decision over all operations: the verdict's facts.
    pub access: Access,
    /// Every meter against the limit in force.
    pub meters: Vec<Reading>,
    /// When usage was last measured; `null` = never.
    pub measured_at: Option<Timestamp>,
    /// Members, the owner first.
    pub members: Vec<Member>,
    /// The last request that costs something, allowed or refused, to some minutes; `null` = none known.
    pub last_active_at: Option<Timestamp>,
    /// The last refused request; `null` = none known.
    pub last_refusal: Option<Refusal>,
    /// Grows with each change of `facts`; the number in the `ETag` that `If-Match` takes.
    pub version: i64,
    /// The position of its newest change in the changes feed: of two copies, the one with the greater
    /// number is the newer, whatever the clocks said. Copies of the same number differ at most in what
    /// is derived, by `as_of`. A mirror that has to start over forgets its numbers: they are given out
    /// again.
    pub seq: i64,
    /// The instant for which `status`, `access` and `meters` were derived.
    pub as_of: Timestamp,
}

impl Tenant {
    /// The entity tag of this version, as the `ETag` and `If-Match` headers carry it.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

/// How a list of tenants is sorted. A leading `-` on the wire turns the order around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub enum TenantSort {
    /// By name, ascending; case does not matter.
    #[default]
    #[serde(rename = "name")]
    Name,
    /// By name, descending.
    #[serde(rename = "-name")]
    NameDesc,
    /// Oldest first.
    #[serde(rename = "created_at")]
    CreatedAt,
    /// Newest first.
    #[serde(rename = "-created_at")]
    CreatedAtDesc,
    /// By the trial's end, soonest first; tenants without a trial come last.
    #[serde(rename = "trial_ends_at")]
    TrialEndsAt,
    /// By the trial's end, latest first.
    #[serde(rename = "-trial_ends_at")]
    TrialEndsAtDesc,
}

/// Which tenants to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TenantsQuery {
    /// Only this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Only tenants whose own plan this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanId>,
    /// Only tenants whose name, member e-mail, domain or ids contain this; case does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The order; by name without it.
    #[serde(default)]
    pub sort: TenantSort,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Rows per page at most, 1 to 500; 50 without it. A page may have fewer, and still a `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

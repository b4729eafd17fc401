//! The admin API's wire types: the one place where the contract between the paywall server and its
//! callers is declared.
//!
//! Everything is JSON. Instants are integer milliseconds since 1970 in UTC, `null` is "unknown" or
//! "no limit" as each field says, and never zero. Fields are only ever added within an API version.
//! The `OpenAPI` document made from these types is committed beside this crate as `openapi.json`.

mod adjustment;
mod billing;
mod caller;
mod changes;
mod intake;
mod page;
mod problem;
mod server;
mod tenant;
mod timeline;
pub mod token;
mod usage;

pub use adjustment::{
    Adjustment, AdjustmentOutcome, AdjustmentRequest, SettleQuery, Settlement, Snapshot, UndoRequest,
};
pub use billing::{
    BillingHealth, CheckoutLink, CheckoutRequest, CheckoutSession, CheckoutState, ConversionsQuery, DeliveryDay,
    DriftCount, DriftsQuery, EndpointHealth, EndpointStatus, InboxEvent, InboxHealth, InboxQuery, InboxSource,
    InboxState, KnownDrift, PortalLink, RepairOutcome, RepairRequest, StripeConnection, StripeFailure, StripeKeyKind,
    StripeParameter, StripeWrite, StuckAt, StuckConversion, StuckCounts, TenantBilling, TenantSubscription,
    WebhookHealth,
};
pub use caller::Caller;
pub use changes::{ChangeRecord, ChangesPage, ChangesQuery};
pub use intake::{DailyUsage, IntakeRecord, TenantIntake, TimelineIntake};
pub use page::Page;
pub use problem::{FieldError, Problem, ProblemCode};
pub use server::{
    DatabaseKind, DirectoryFailure, DirectoryHealth, DirectoryKind, GateHealth, MeteringHealth, Replica, ServerHealth,
};
pub use tenant::{Member, MemberRole, Refusal, Tag, Tenant, TenantSort, TenantsQuery};
pub use timeline::{TimelineBody, TimelineEntry, TimelineQuery};
pub use usage::{TenantDay, TenantUsage, UsageDaysPage, UsageDaysQuery, UsageQuery};

/// The version of the admin API that this crate declares: `major.minor`. A console works with a server
/// of the same major and the same or a higher minor.
pub const API_VERSION: &str = "1.0";

/// What a paywall server says of itself where it is asked who it is.
pub const PRODUCT: &str = "paywall-server";

/// The header that makes a change happen once, however often it is sent.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The header of an answer that was given before: the change under its key had been made already.
pub const IDEMPOTENT_REPLAYED: &str = "Idempotent-Replayed";

/// The header of every answer that names the request in the server's log.
pub const REQUEST_ID: &str = "X-Request-Id";

//! Who am I?

use paywall_domain::{Role, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// What the server knows of the caller, and of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct Caller {
    /// Always `paywall-server`: tells a paywall server from anything else that answers.
    pub product: String,
    /// The server's own version.
    pub version: String,
    /// The admin API's version, `major.minor`.
    pub api_version: String,
    /// A random id of this server's database. A cache filled from another one is not continued.
    pub instance: String,
    /// The server's clock, to tell a caller whose own is off.
    pub now: Timestamp,
    /// The token's id; never the token.
    pub token_id: String,
    /// The name given to the token when it was made. It stands as the actor on every adjustment.
    pub name: String,
    /// What the token may do.
    pub role: Role,
    /// When the token stops working; `null` = never.
    pub expires_at: Option<Timestamp>,
}

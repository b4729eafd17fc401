//! How the server is: its replicas, its gate, and how fresh what it knows of `RAGFlow` is.

use paywall_domain::Timestamp;
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// Where a server keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum DatabaseKind {
    /// In a file of its own.
    Sqlite,
    /// In a database that any number of servers share.
    Postgres,
}

/// A server process on the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct Replica {
    /// A random id of this start of the process.
    pub id: String,
    /// Its version.
    pub version: String,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
    /// When it last said that it runs, by its own clock: it does so every few seconds. One that is stopped
    /// is taken out; one that died stays for a day with the instant at which it was last heard of.
    pub seen_at: Timestamp,
}

/// What checks requests to `RAGFlow`. With neither way nothing is refused, counted or limited here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct GateHealth {
    /// Whether requests to `RAGFlow` go through this server, and are checked.
    #[serde(default)]
    pub proxy: bool,
    /// Whether fronts may ask at `/authz` about the requests that they hold.
    #[serde(default)]
    pub authz: bool,
    /// Where `RAGFlow` answers, without credentials; `null` = this server was not told.
    #[serde(default)]
    pub ragflow_url: Option<String>,
}

/// From where a server knows who is who in `RAGFlow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum DirectoryKind {
    /// From `RAGFlow`'s own tables: every tenant, its members and levels.
    Database,
    /// From `RAGFlow`'s HTTP API: it is asked who a caller is, and tenants are known by their calls alone.
    Api,
    /// From nowhere: no `RAGFlow` is connected.
    None,
}

/// Why `RAGFlow` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct DirectoryFailure {
    /// A word that stays, such as `ragflow_database_away`.
    pub code: String,
    /// Since when.
    pub since: Timestamp,
    /// What to do about it, in English.
    pub remedy: String,
}

/// How fresh what a server knows of `RAGFlow` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct DirectoryHealth {
    /// From where it knows.
    pub kind: DirectoryKind,
    /// When `RAGFlow` last answered without an error; `null` = it has not yet.
    #[serde(default)]
    pub last_success_at: Option<Timestamp>,
    /// When every tenant was last compared, deleted ones included; `null` = never yet, or not from its tables.
    #[serde(default)]
    pub compared_at: Option<Timestamp>,
    /// Why it fails; `null` = it does not.
    #[serde(default)]
    pub failure: Option<DirectoryFailure>,
}

/// How the counting of usage fares in the process that answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct MeteringHealth {
    /// Usage events that wait to be written. A few are on their way at any time.
    #[serde(default)]
    pub waiting: i64,
    /// Whether the last attempt to write them failed: they are kept in memory and tried again.
    #[serde(default)]
    pub store_away: bool,
}

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct ServerHealth {
    /// The version of the process that answers.
    pub version: String,
    /// The random id of the server's database.
    pub instance: String,
    /// Where it keeps its data.
    pub database: DatabaseKind,
    /// When the process that answers started.
    pub started_at: Timestamp,
    /// The server's clock: everything here holds at this instant.
    pub now: Timestamp,
    /// Every process on the database, the one that answers among them; the oldest first.
    #[serde(default)]
    pub replicas: Vec<Replica>,
    /// What checks requests to `RAGFlow`, in the process that answers.
    pub gate: GateHealth,
    /// How fresh what it knows of `RAGFlow` is.
    pub directory: DirectoryHealth,
    /// How the counting of usage fares, in the process that answers.
    #[serde(default)]
    pub metering: MeteringHealth,
}

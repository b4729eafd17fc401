//! What servers stand between: callers, and a `RAGFlow` with its database.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use paywall_server::{Clock, SystemClock};
use reqwest::{Client, StatusCode};
use serde_json::json;
use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;

use crate::ragflow::{Engine, Ragflow, id, key};
use crate::server::Settings;
use crate::upstream::Upstream;

/// Longer than any answer takes on a machine that has much else to do.
const LONG: Duration = Duration::from_secs(120);

pub(crate) struct Field {
    ragflow: Ragflow,
    pub(crate) upstream: Upstream,
    pub(crate) folder: TempDir,
    tenants: AtomicU32,
}

impl Field {
    pub(crate) async fn start() -> Self {
        sqlx::any::install_default_drivers();
        Self {
            ragflow: Ragflow::start(Engine::MariaDb),
            upstream: Upstream::start().await,
            folder: tempfile::tempdir().unwrap(),
            tenants: AtomicU32::new(0),
        }
    }

    /// A new tenant with a dialog of its own.
    pub(crate) fn tenant(&self) -> u32 {
        let number = self.tenants.fetch_add(1, Ordering::Relaxed) + 1;
        let at = SystemClock.now().0 - 7_200_000;
        self.ragflow.register(number, &format!("user{number}@example{number}.com"), at);
        let (owner, times) = (id(number), format!("{at}, NULL, {at}, NULL"));
        self.ragflow.sql(&format!("INSERT INTO dialog VALUES ('d{number}', '{owner}', 'd', '1', {times})"));
        number
    }

    /// For servers on this database, whose trials have so many messages. Nobody passes unless it is sure that
    /// something is left.
    pub(crate) fn settings(&self, database_url: &str, limit: i64) -> Settings {
        let config = self.folder.path().join(format!("limit-{limit}.toml"));
        let text = format!(
            "fail_open = \"\"\nconnections_per_address = 16384\nheader_timeout_seconds = 120\n
             [[plan]]\nid = \"starter\"\nname = \"Starter\"\ntrial_days = 14\nlimits = {{ messages = {limit} }}\n"
        );
        std::fs::write(&config, text).unwrap();
        Settings {
            database_url: database_url.to_owned(),
            ragflow_url: self.upstream.url.to_string(),
            ragflow_database_url: self.ragflow.url.clone(),
            config,
            log: self.folder.path().join("servers.log"),
        }
    }

    /// What the servers said, at most the end of it.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("servers.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// The database's file, for servers on `SQLite`.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("server.db")
    }
}

/// What a caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The answer.
    Passed,
    /// Nothing is left.
    Refused,
    /// Nobody can tell now.
    Untold,
    /// The server went away before it answered.
    Nothing,
    /// There is no server: nothing was asked.
    Away,
}

/// Somebody who asks.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client,
    tenant: u32,
}

impl Caller {
    pub(crate) fn of(tenant: u32) -> Self {
        Self { client: Client::builder().no_proxy().timeout(LONG).build().unwrap(), tenant }
    }

    /// Asks the server at `url` a question that nobody asked before.
    pub(crate) async fn ask(&self, url: &str) -> (Told, String) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let question = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let body = json!({"chat_id": format!("d{}", self.tenant), "question": question, "stream": false});
        let request = self.client.post(format!("{url}/api/v1/chat/completions")).bearer_auth(key(self.tenant));
        let answer = match request.json(&body).send().await {
            Ok(answer) => {
                let status = answer.status();
                answer.text().await.map(|text| (status, text))
            }
            Err(error) => Err(error),
        };
        let told = match answer {
            Ok((StatusCode::OK, text)) if text.contains("Paris") => Told::Passed,
            Ok((StatusCode::TOO_MANY_REQUESTS, text)) if text.contains("quota_exhausted") => Told::Refused,
            Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => Told::Untold,
            Err(error) if error.is_connect() => Told::Away,
            Err(error) if !error.is_timeout() => Told::Nothing,
            other => panic!("{other:?}"),
        };
        (told, question)
    }
}

/// What a database holds of a tenant's messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) counted: i64,
    pub(crate) covered: i64,
    /// Events by name, with their units.
    pub(crate) events: Vec<(String, i64)>,
}

impl Books {
    /// As they are now. Fails while the database is away.
    pub(crate) async fn read(url: &str, tenant: u32) -> Result<Self, sqlx::Error> {
        let mut connection = AnyConnection::connect(url).await?;
        // One state of all three.
        let mut read = connection.begin().await?;
        if url.starts_with("postgres") {
            sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *read).await?;
        }
        let id = id(tenant);
        let counted = "SELECT CAST(coalesce(sum(counted), 0) AS BIGINT) FROM usage_totals
                       WHERE tenant_id = $1 AND meter = 'messages'";
        let counted = sqlx::query_scalar(counted).bind(id.as_str()).fetch_one(&mut *read).await?;
        let covered = "SELECT CAST(coalesce(sum(covered), 0) AS BIGINT) FROM quota_leases
                       WHERE tenant_id = $1 AND meter = 'messages'";
        let covered = sqlx::query_scalar(covered).bind(id.as_str()).fetch_one(&mut *read).await?;
        let events = "SELECT id, messages FROM usage_events WHERE tenant_id = $1";
        let events = sqlx::query_as(events).bind(id.as_str()).fetch_all(&mut *read).await?;
        read.commit().await?;
        connection.close().await?;
        Ok(Self { counted, covered, events })
    }

    /// Units that events hold.
    pub(crate) fn sum(&self) -> i64 {
        self.events.iter().map(|(_, units)| units).sum()
    }
}

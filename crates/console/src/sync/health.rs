//! How the server says that it is. Beside its feed: nothing that is read from it depends on this.

use paywall_contract::ServerHealth;

use super::Shared;
use crate::admin_client::AdminClient;
use crate::cache::{Cache, CacheError};

/// The fact that remembers it, to be seen offline with its age.
pub(crate) const HEALTH: &str = "server_health";

/// How old what is remembered may become while nothing but instants changes.
const AGE_MS: i64 = 60_000;

/// What the copy remembers. One that this version cannot read is as good as none.
pub(super) async fn remembered(cache: &Cache) -> Result<Option<ServerHealth>, CacheError> {
    Ok(cache.fact(HEALTH).await?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Asks the server, and keeps what it says. One that does not answer that is no failure of the server: what it
/// said before keeps its age.
pub(super) async fn ask(shared: &Shared, client: &AdminClient) -> Result<(), CacheError> {
    let told = match client.health().await {
        Ok(told) => told,
        Err(error) => {
            tracing::debug!(error = %error.failure.detail, "the server did not say how it is");
            return Ok(());
        }
    };
    let kept = remembered(&shared.cache).await?;
    match &told {
        None if kept.is_some() => shared.cache.drop_fact(HEALTH).await?,
        Some(told) if kept.is_none_or(|kept| worth_keeping(&kept, told)) => {
            shared.cache.set_fact(HEALTH, &serde_json::to_string(told)?).await?;
        }
        None | Some(_) => {}
    }
    shared.status.took_health(told);
    Ok(())
}

/// Whether the copy should be written for it: not with every pass, as instants go on with each.
fn worth_keeping(kept: &ServerHealth, told: &ServerHealth) -> bool {
    let lasting = |it: &ServerHealth| {
        let replicas: Vec<_> = it.replicas.iter().map(|it| (it.id.clone(), it.version.clone())).collect();
        let failure = it.directory.failure.as_ref().map(|it| (it.code.clone(), it.since));
        (it.instance.clone(), it.version.clone(), replicas, it.gate.clone(), it.directory.kind, failure)
    };
    told.now.ms_since(kept.now).abs() >= AGE_MS || lasting(kept) != lasting(told)
}

#[cfg(test)]
mod tests {
    use paywall_contract::{DatabaseKind, DirectoryFailure, DirectoryHealth, DirectoryKind, GateHealth, Replica};
    use paywall_domain::Timestamp;

    use super::*;

    fn health(now: i64) -> ServerHealth {
        ServerHealth {
            version: "1".into(),
            instance: "one".into(),
            database: DatabaseKind::Postgres,
            started_at: Timestamp(0),
            now: Timestamp(now),
            replicas: vec![Replica {
                id: "a".into(),
                version: "1".into(),
                started_at: Timestamp(0),
                seen_at: Timestamp(now),
            }],
            gate: GateHealth::default(),
            directory: DirectoryHealth {
                kind: DirectoryKind::Database,
                last_success_at: Some(Timestamp(now)),
                compared_at: None,
                failure: None,
            },
            metering: paywall_contract::MeteringHealth::default(),
        }
    }

    #[test]
    fn instants_alone_are_kept_once_a_minute_and_news_at_once() {
        let kept = health(1_000_000);
        assert!(!worth_keeping(&kept, &health(1_020_000)));
        assert!(worth_keeping(&kept, &health(1_060_000)));
        let mut failing = health(1_020_000);
        failing.directory.failure =
            Some(DirectoryFailure { code: "x".into(), since: Timestamp(1), remedy: String::new() });
        assert!(worth_keeping(&kept, &failing));
        let mut other = health(1_020_000);
        other.replicas.clear();
        assert!(worth_keeping(&kept, &other));
    }
}

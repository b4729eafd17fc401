//! How the server is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use paywall_contract::{DatabaseKind, ServerHealth};

use super::auth::Caller;
use super::document::ReadProblems;
use super::problem::Fault;
use crate::server::State;
use crate::store::Dialect;

/// How the server is: its processes, its gate, and how fresh what it knows of `RAGFlow` is.
#[utoipa::path(get, path = "/admin/v1/server", tag = "server", security(("token" = [])),
    responses((status = 200, body = ServerHealth), ReadProblems))]
pub(crate) async fn get(Extract(state): Extract<Arc<State>>, _: Caller) -> Result<Json<ServerHealth>, Fault> {
    let State { store, clock, config, health, .. } = &*state;
    let now = clock.now();
    let mut replicas = store.replicas(now).await?;
    // This one runs, whether or not it could say so lately.
    let own = health.replica(now);
    replicas.retain(|it| it.id != own.id);
    replicas.push(own);
    replicas.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
    Ok(Json(ServerHealth {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: store.instance().to_owned(),
        database: match store.dialect() {
            Dialect::Sqlite => DatabaseKind::Sqlite,
            Dialect::Postgres => DatabaseKind::Postgres,
        },
        started_at: health.started_at(),
        now,
        replicas,
        gate: health.gate(config),
        directory: health.directory(config, now),
        metering: health.metering(),
    }))
}

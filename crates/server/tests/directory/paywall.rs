//! A server whose store the mirror fills.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use paywall_contract::Tenant;
use paywall_domain::{Meter, Role, TenantId, Timestamp};
use paywall_server::directory::{Directory, Mirror, Pace};
use paywall_server::{Config, Server, TestClock};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::ragflow::Ragflow;

/// 2026-06-15T12:00:00Z
pub(crate) const NOW: Timestamp = Timestamp(1_781_524_800_000);

pub(crate) struct Paywall {
    pub(crate) server: Server,
    pub(crate) clock: Arc<TestClock>,
    token: String,
    _folder: TempDir,
}

impl Paywall {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// One whose own data is in `PostgreSQL` where `RAGFlow`'s is.
    pub(crate) async fn beside(ragflow: &Ragflow) -> Self {
        Self::start_with(|config| config.database_url = ragflow.beside().unwrap_or(config.database_url.clone())).await
    }

    pub(crate) async fn start_with(set: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::at(NOW));
        let mut config = Config::embedded(folder.path().join("server.db"), ([127, 0, 0, 1], 0).into());
        set(&mut config);
        let server = Server::open(config, clock.clone()).await.unwrap();
        let token = server.create_token("test", Role::Owner, None).await.unwrap();
        Self { server, clock, token, _folder: folder }
    }

    pub(crate) fn mirror(&self, directory: Directory) -> Mirror {
        self.mirror_of(&Arc::new(directory))
    }

    pub(crate) fn mirror_of(&self, directory: &Arc<Directory>) -> Mirror {
        let pace = Pace { poll: Duration::from_millis(50), retry: Duration::from_millis(100), ..Pace::default() };
        Mirror::new(&self.server, Arc::clone(directory), pace)
    }

    pub(crate) async fn request(&self, request: axum::http::request::Builder, body: &Value) -> (StatusCode, Value) {
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        let request = request.header("Content-Type", "application/json").body(Body::from(body.to_string())).unwrap();
        let response = self.server.router().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    pub(crate) async fn find(&self, id: &TenantId) -> Option<Tenant> {
        let (status, body) = self.request(Request::get(format!("/admin/v1/tenants/{id}")), &Value::Null).await;
        (status == StatusCode::OK).then(|| serde_json::from_value(body).unwrap())
    }

    pub(crate) async fn tenant(&self, id: &TenantId) -> Tenant {
        self.find(id).await.unwrap()
    }
}

/// The level of a meter.
pub(crate) fn level(tenant: &Tenant, meter: Meter) -> Option<i64> {
    tenant.meters.iter().find(|it| it.meter == meter).unwrap().used
}

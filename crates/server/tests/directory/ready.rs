//! Whether a server says that it is ready, by whether it could ever read what it needs.

use std::net::Ipv4Addr;
use std::sync::Arc;

use paywall_server::{Config, Server, TestClock};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::mirror::eventually;
use crate::on_both;
use crate::paywall::NOW;
use crate::ragflow::{Engine, Ragflow};

/// A server that identifies callers by a database.
struct Serving {
    url: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _folder: TempDir,
}

impl Serving {
    async fn start(ragflow: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = Config::embedded(folder.path().join("server.db"), address);
        config.ragflow_database_url = Some(ragflow.into());
        let server = Server::open(config, Arc::new(TestClock::at(NOW))).await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { server.serve(listener, stop).await.unwrap() }
        });
        Self { url: format!("http://{address}"), stop, task, _folder: folder }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn a_server_is_ready_once_it_could_read_ragflows_database_and_stays_so(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.stop();
    let serving = Serving::start(ragflow.url.clone()).await;
    let (status, text) = serving.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains("not ready: directory (ragflow_database_away)"), "{text}");
    assert!(!text.contains("store"), "{text}");
    assert_eq!(serving.get("/healthz").await, (200, "ok".to_owned()), "which costs nothing");

    ragflow.restart();
    eventually(async || serving.get("/readyz").await == (200, "ready".to_owned())).await;
    // A database that goes away later is the fail policy's business: else every server would go at once.
    ragflow.stop();
    assert_eq!(serving.get("/readyz").await.0, 200);
    let failures = "\npaywall_directory_failures_total{code=\"ragflow_database_away\"} ";
    eventually(async || {
        let (_, text) = serving.get("/metrics").await;
        text.split_once(failures).unwrap().1.lines().next().unwrap() != "0"
    })
    .await;
    serving.stop().await;
}

async fn a_user_that_may_read_nothing_is_told_by_the_code(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    let serving = Serving::start(ragflow.stranger()).await;
    let (status, text) = serving.get("/readyz").await;
    assert_eq!(status, 503);
    let code = match engine {
        Engine::MariaDb => "ragflow_database_login",
        Engine::Postgres => "ragflow_database_permission",
    };
    assert!(text.contains(&format!("directory ({code})")), "{text}");
    assert!(!text.contains("s3cret") && !text.contains("GRANT"), "anybody may ask: {text}");
    serving.stop().await;
}

on_both!(
    a_server_is_ready_once_it_could_read_ragflows_database_and_stays_so,
    a_user_that_may_read_nothing_is_told_by_the_code,
);

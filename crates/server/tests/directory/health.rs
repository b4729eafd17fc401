//! What a whole server says of the `RAGFlow` whose database it reads.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::http::Request;
use paywall_contract::{DirectoryKind, GateHealth, ServerHealth};
use secrecy::SecretString;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::on_both;
use crate::paywall::{NOW, Paywall};
use crate::ragflow::{Engine, Ragflow};

on_both!(reading_ragflow_is_told_with_its_instant);

async fn health(paywall: &Paywall) -> ServerHealth {
    let (_, body) = paywall.request(Request::get("/admin/v1/server"), &Value::Null).await;
    serde_json::from_value(body).unwrap()
}

async fn reading_ragflow_is_told_with_its_instant(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    let url = SecretString::from(ragflow.url.clone());
    let paywall = Paywall::start_with(|config| config.ragflow_database_url = Some(url)).await;
    let before = health(&paywall).await.directory;
    assert_eq!((before.kind, before.last_success_at), (DirectoryKind::Database, None), "nothing is served yet");

    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn({
        let (server, stop) = (paywall.server.clone(), stop.clone());
        async move { server.serve(listener, stop).await.unwrap() }
    });
    let asked = Instant::now();
    let told = loop {
        let told = health(&paywall).await;
        if told.directory.last_success_at.is_some() {
            break told;
        }
        assert!(asked.elapsed() < Duration::from_secs(20), "{told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((told.directory.last_success_at, told.directory.compared_at), (Some(NOW), Some(NOW)));
    assert_eq!(told.directory.failure, None);
    // Its tables alone bring no request here: there is neither a RAGFlow to pass to nor a front to ask.
    assert_eq!(told.gate, GateHealth::default());
    stop.cancel();
    serving.await.unwrap();
}

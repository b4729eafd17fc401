//! A `RAGFlow` that answers every question, and remembers which came through.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::{Json, Router};
use rand::RngExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The longest that an answer takes.
const LONGEST_MS: u64 = 8;

/// Questions of one tenant that came through, and under which name the gate sent each.
type Questions = BTreeMap<String, String>;

/// Clones are the same.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) url: Arc<str>,
    seen: Arc<Mutex<BTreeMap<u32, Questions>>>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).into();
        let upstream = Self { url, seen: Arc::default() };
        let router = Router::new().fallback(answer).with_state(upstream.clone());
        // On a thread of its own: thousands of callers must not keep it from answering.
        let listener = listener.into_std().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                axum::serve(TcpListener::from_std(listener).unwrap(), router).await.unwrap();
            });
        });
        upstream
    }

    /// How many questions of a tenant came through.
    pub(crate) fn count(&self, tenant: u32) -> usize {
        self.seen.lock().unwrap().get(&tenant).map_or(0, Questions::len)
    }

    /// A tenant's questions that came through, with their names.
    pub(crate) fn of(&self, tenant: u32) -> Questions {
        self.seen.lock().unwrap().get(&tenant).cloned().unwrap_or_default()
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Json<Value> {
    let name = request.headers().get("x-request-id").map(|it| it.to_str().unwrap().to_owned());
    let body = to_bytes(request.into_body(), usize::MAX).await.unwrap_or_else(|_| Bytes::new());
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (question, chat) = (asked["question"].as_str(), asked["chat_id"].as_str());
    if let (Some(question), Some(tenant), Some(name)) =
        (question, chat.and_then(|it| it.trim_start_matches('d').parse().ok()), name)
    {
        upstream.seen.lock().unwrap().entry(tenant).or_default().insert(question.to_owned(), name);
    }
    let pause = rand::rng().random_range(0..=LONGEST_MS);
    tokio::time::sleep(Duration::from_millis(pause)).await;
    Json(json!({"code": 0, "message": "", "data": {"answer": "Paris", "session_id": "s"}}))
}

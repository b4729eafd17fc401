//! A server that answers as a script says, and remembers what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use paywall_stripe::{Client, ClientOptions, Limits, RetryPolicy, StripeKey};
use serde_json::{Value, json};

pub(crate) type Script = Arc<Mutex<Scripted>>;

/// Status, headers, body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, Value);

#[derive(Default)]
pub(crate) struct Scripted {
    /// Answers by path, in order; the last one stays.
    pub(crate) answers: HashMap<String, Vec<Answer>>,
    /// What was asked, in order.
    pub(crate) asked: Vec<Asked>,
}

#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// The path with its query.
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

async fn answer(State(script): State<Script>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut script = script.lock().unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    script.asked.push(Asked { method, line: uri.to_string(), headers, body, at: Instant::now() });
    let Some(answers) = script.answers.get_mut(uri.path()) else { return StatusCode::IM_A_TEAPOT.into_response() };
    let (status, headers, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
    let mut response = (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

pub(crate) async fn serve() -> (Script, String) {
    let script = Script::default();
    let app = Router::new().fallback(answer).with_state(script.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (script, address)
}

fn quick() -> RetryPolicy {
    RetryPolicy { retries: 3, first_pause: Duration::from_millis(5), longest_pause: Duration::from_millis(20) }
}

pub(crate) fn client(address: &str) -> Client {
    with_limits(address, Limits::NONE)
}

pub(crate) fn with_limits(address: &str, limits: Limits) -> Client {
    let options = ClientOptions { limits, retry: quick(), user_agent: "paywall-test/7".into() };
    Client::new(address, StripeKey::new("rk_test_key"), options).unwrap()
}

pub(crate) fn on(script: &Script, path: &str, answers: Vec<Answer>) {
    script.lock().unwrap().answers.insert(path.to_owned(), answers);
}

pub(crate) fn list(data: &[Value], has_more: bool) -> Value {
    json!({"object": "list", "data": data, "has_more": has_more})
}

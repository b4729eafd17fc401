//! `RAGFlow` as far as a caller sees it: it knows credentials, streams answers, and tells errors inside
//! HTTP 200. What a question says decides how it is answered.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use crate::ragflow::{beta, key, session};

/// Users that it knows.
const USERS: u32 = 150;

/// Answered with an error inside HTTP 200.
pub(crate) const WRONG: &str = "wrong";
/// Refused, as where the key was deleted a moment ago.
pub(crate) const STRANGER: &str = "stranger";
/// Not answered at all.
pub(crate) const SILENT: &str = "silent";
/// Half answered: the rest comes when it is let go of ([`Upstream::let_go`]).
pub(crate) const HELD: &str = "held";

/// What the answers say, in pieces.
pub(crate) const PIECES: [&str; 3] = ["Paris", " is the capital", " of France."];
/// What an agent's model is told to have used.
pub(crate) const AGENT_TOKENS: i64 = 77;

/// A request that came through.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    open: Arc<watch::Sender<bool>>,
    change: Arc<Mutex<Option<Change>>>,
}

/// What a change does in the database before it is answered.
type Change = Arc<dyn Fn() + Send + Sync>;

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream =
            Self { address, seen: Arc::default(), open: Arc::new(watch::Sender::new(false)), change: Arc::default() };
        let router = Router::new().fallback(answer).with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        upstream
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// What uploads, new datasets and invitations do from now on.
    pub(crate) fn does(&self, change: impl Fn() + Send + Sync + 'static) {
        *self.change.lock().unwrap() = Some(Arc::new(change));
    }

    /// Lets what is held be answered to its end.
    pub(crate) fn let_go(&self) {
        self.open.send_replace(true);
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
    let target = head.uri.to_string();
    let path = head.uri.path().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let documents = String::from_utf8_lossy(&body).matches("filename=").count();
    let known = path.ends_with("/webhook") || path == "/" || path.contains("/auth/") || signed_in(&head.headers);
    upstream.seen.lock().unwrap().push(Seen { method: head.method.to_string(), target, headers: head.headers, body });
    let question = asked["question"].as_str().or(asked["query"].as_str()).unwrap_or_default();
    if !known || question == STRANGER {
        let body = json!({"code": 401, "message": "<Unauthorized '401: Unauthorized'>", "data": null});
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    if question == WRONG {
        return Json(json!({"code": 102, "message": "No such thing!", "data": null})).into_response();
    }
    if question == SILENT {
        std::future::pending::<()>().await;
    }
    let changes = ["/documents", "/datasets", "/users"].iter().any(|it| path.ends_with(it));
    let change = upstream.change.lock().unwrap().clone().filter(|_| changes && head.method == "POST");
    if let Some(change) = change {
        tokio::task::spawn_blocking(move || change()).await.unwrap();
    }
    let streams = |otherwise: bool| asked["stream"].as_bool().unwrap_or(otherwise);
    let frames = match path.as_str() {
        _ if path.contains("/openai/") && streams(false) => openai_frames(),
        _ if path.contains("/openai/") => return Json(openai()).into_response(),
        _ if path.starts_with("/api/v1/agents/") && path.ends_with("completions") && streams(true) => agent_frames(),
        _ if path.ends_with("completions") && streams(true) => chat_frames(),
        _ if path.ends_with("completions") => {
            return Json(json!({"code": 0, "message": "", "data": {"answer": PIECES.concat(), "session_id": "s"}}))
                .into_response();
        }
        _ if path.ends_with("/documents") && head.method == "POST" => {
            let data: Vec<Value> = (0..documents).map(|number| json!({"id": number.to_string()})).collect();
            return Json(json!({"code": 0, "data": data})).into_response();
        }
        _ => return Json(json!({"code": 0, "message": "success", "data": {"id": "made"}})).into_response(),
    };
    stream(frames, if question == HELD { Some(upstream.open.subscribe()) } else { None })
}

/// Whether `RAGFlow` lets these in.
fn signed_in(headers: &HeaderMap) -> bool {
    let sent = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let sent = sent.rsplit(' ').next().unwrap_or_default();
    let known = |number: u32| [key(number), session(number), beta(number)].iter().any(|it| it == sent);
    headers.contains_key(COOKIE) || (1..=USERS).any(known)
}

fn stream(frames: Vec<String>, mut held: Option<watch::Receiver<bool>>) -> Response {
    let (sender, receiver) = mpsc::channel::<Result<String, Infallible>>(1);
    tokio::spawn(async move {
        for (number, frame) in frames.into_iter().enumerate() {
            if number == 2
                && let Some(held) = &mut held
            {
                tokio::select! {
                    _ = held.wait_for(|open| *open) => {}
                    () = sender.closed() => return,
                }
            }
            if sender.send(Ok(frame)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let headers = [(CONTENT_TYPE.as_str(), "text/event-stream; charset=utf-8"), ("x-accel-buffering", "no")];
    (headers, Body::from_stream(ReceiverStream::new(receiver))).into_response()
}

fn frame(value: &Value) -> String {
    format!("data:{value}\n\n")
}

/// What a streamed chat answers, frame by frame.
pub(crate) fn chat_frames() -> Vec<String> {
    let piece =
        |text: &str| json!({"code": 0, "message": "", "data": {"answer": text, "reference": {}, "session_id": "s"}});
    let mut frames: Vec<String> = PIECES.iter().map(|text| frame(&piece(text))).collect();
    let prompt = "You are helpful.\n### Query:\nWhich city?\n  - Generated tokens(approximately): 8\n";
    let last = json!({"answer": "", "reference": {}, "prompt": prompt, "final": true});
    frames.push(frame(&json!({"code": 0, "message": "", "data": last})));
    frames.push(frame(&json!({"code": 0, "message": "", "data": true})));
    frames
}

fn agent_frames() -> Vec<String> {
    let event =
        |name: &str, data: Value| frame(&json!({"event": name, "message_id": "m", "task_id": "t", "data": data}));
    let mut frames: Vec<String> = PIECES.iter().map(|it| event("message", json!({"content": it}))).collect();
    let usage = json!({"prompt_tokens": 70, "completion_tokens": 7, "total_tokens": AGENT_TOKENS, "calls": 1});
    frames.push(event("workflow_finished", json!({"outputs": {}, "usage": usage})));
    frames.push("data:[DONE]\n\n".to_owned());
    frames
}

fn openai_frames() -> Vec<String> {
    let chunk =
        |text: &str| frame(&json!({"object": "chat.completion.chunk", "choices": [{"delta": {"content": text}}]}));
    let mut frames: Vec<String> = PIECES.iter().map(|it| chunk(it)).collect();
    frames.push("data:[DONE]\n\n".to_owned());
    frames
}

fn openai() -> Value {
    json!({
        "object": "chat.completion",
        "choices": [{"message": {"role": "assistant", "content": PIECES.concat()}, "finish_reason": "stop", "index": 0}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 8, "total_tokens": 11},
    })
}

//! Without `RAGFlow`'s database.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use paywall_domain::{Meter, Status};
use paywall_server::directory::{Directory, RagflowApi, Sight};
use paywall_server::gate::{Effect, Resource};
use serde_json::json;
use tokio::net::TcpListener;

use crate::paywall::{Paywall, level};
use crate::ragflow::{THEN, bearing, candidates, id, key, session, who};

/// Answers as RAGFlow does; counts how often it was asked.
async fn me(State(asked): State<Arc<AtomicUsize>>, headers: HeaderMap) -> Response {
    asked.fetch_add(1, Ordering::SeqCst);
    let header = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let user = json!({"id": id(1).as_str(), "nickname": "Ada", "email": "ada@example.com", "create_time": THEN,
                      "password": "hash", "avatar": null});
    match header.trim_start_matches("Bearer ") {
        it if it == key(1) || it == session(1) => Json(json!({"code": 0, "message": "", "data": user})).into_response(),
        "broken" => Json(json!({"code": 100, "message": "(2003, \"Can't connect to MySQL\")"})).into_response(),
        "down" => StatusCode::BAD_GATEWAY.into_response(),
        "odd" => Json(json!({"code": 0, "data": {"id": "me"}})).into_response(),
        "old" => Json(json!({"code": 401, "message": "Unauthorized", "data": null})).into_response(),
        _ => (StatusCode::UNAUTHORIZED, Json(json!({"code": 401}))).into_response(),
    }
}

async fn ragflow(path: &str) -> (Directory, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let router = Router::new().route(path, get(me)).with_state(Arc::clone(&asked));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Directory::from_api(RagflowApi::new(&url).unwrap()), asked)
}

#[tokio::test]
async fn ragflow_itself_tells_who_the_caller_is() {
    for path in ["/api/v1/users/me", "/v1/user/info"] {
        let (directory, asked) = ragflow(path).await;
        for _ in 0..5 {
            assert_eq!(who(&directory, bearing(&key(1))).await.unwrap(), Some(id(1)), "{path}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "and is asked once");
        assert_eq!(who(&directory, bearing(&session(1))).await.unwrap(), Some(id(1)));
        assert_eq!(who(&directory, bearing("nonsense")).await.unwrap(), None);
        assert_eq!(who(&directory, bearing("old")).await.unwrap(), None);
        assert_eq!(who(&directory, HeaderMap::new()).await.unwrap(), None);
        assert_eq!(directory.owner(Resource::Dataset, "kb1").await.unwrap(), None, "so the caller pays");
        let before = asked.load(Ordering::SeqCst);
        directory.after(Effect::SignOut, &id(1)).await;
        assert_eq!(who(&directory, bearing(&key(1))).await.unwrap(), Some(id(1)));
        assert_eq!(asked.load(Ordering::SeqCst), before + 1, "asked again");
    }
}

#[tokio::test]
async fn trouble_is_told_apart_from_nobody() {
    let (directory, _) = ragflow("/api/v1/users/me").await;
    for (credential, code) in
        [("broken", "ragflow_api_away"), ("down", "ragflow_api_away"), ("odd", "ragflow_unreadable")]
    {
        assert_eq!(who(&directory, bearing(credential)).await.unwrap_err().code(), code, "{credential}");
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nowhere = Directory::from_api(RagflowApi::new(&url).unwrap());
    assert_eq!(who(&nowhere, bearing(&key(1))).await.unwrap_err().code(), "ragflow_api_away");
    let (other, _) = ragflow("/elsewhere").await;
    assert_eq!(who(&other, bearing(&key(1))).await.unwrap_err().code(), "ragflow_unreadable");
    for url in ["ftp://ragflow", "ragflow"] {
        assert_eq!(RagflowApi::new(url).unwrap_err().code(), "ragflow_setting");
    }
}

#[tokio::test]
async fn a_caller_comes_in_at_its_first_sight() {
    let (directory, _) = ragflow("/api/v1/users/me").await;
    let directory = Arc::new(directory);
    let paywall = Paywall::start().await;
    let mirror = paywall.mirror_of(&directory);
    let headers = bearing(&key(1));
    let candidates = candidates(&headers);
    let identity = directory.identify(&candidates, &headers).await.unwrap().unwrap();
    assert_eq!(mirror.meet(&identity).await.unwrap(), Sight::Known);
    let tenant = paywall.tenant(&id(1)).await;
    assert_eq!((tenant.name.as_str(), tenant.email.as_str(), tenant.status), ("Ada", "ada@example.com", Status::Trial));
    assert_eq!(tenant.created_at.0, THEN);
    assert_eq!(level(&tenant, Meter::Documents), None, "unknown is not zero");
    assert_eq!(mirror.see(&id(2)).await.unwrap(), Sight::Unknown);
    mirror.pass().await.unwrap();
}

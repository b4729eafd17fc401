//! A Stripe whose Checkout page is emulate's: whatever is asked goes to the scripted account, and what is paid on
//! the page is told by a webhook that emulate signs, and paid there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use paywall_sandbox::scripted::{Card, ScriptedStripe};
use paywall_stripe::webhook::{SIGNATURE_HEADER, TOLERANCE, WebhookSecret, verify};
use paywall_tests::emulate::{Emulate, Price};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SECRET: &str = "whsec_between_emulate_and_the_account";

struct Between {
    stripe: Arc<ScriptedStripe>,
    emulate: OnceLock<String>,
    client: Client,
    /// emulate's sessions by the account's, and what the page is found under.
    pages: Mutex<BTreeMap<String, Page>>,
}

#[derive(Clone)]
struct Page {
    emulates: String,
    url: String,
}

/// The scripted account behind emulate's page. Dropping it ends both.
pub(crate) struct EmulatedCheckout {
    pub(crate) url: String,
    serving: JoinHandle<()>,
    _emulate: Emulate,
}

impl Drop for EmulatedCheckout {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl EmulatedCheckout {
    pub(crate) async fn start(stripe: Arc<ScriptedStripe>, price: &Price) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let between = Arc::new(Between {
            stripe,
            emulate: OnceLock::new(),
            client: Client::builder().no_proxy().build()?,
            pages: Mutex::default(),
        });
        let router = Router::new().route("/emulate", post(paid)).fallback(pass).with_state(between.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        let emulate = Emulate::start(&format!("{url}/emulate"), SECRET, price)?;
        between.emulate.get_or_init(|| emulate.address.clone());
        Ok(Self { url, serving, _emulate: emulate })
    }
}

/// A payment on emulate's page: signed as Stripe's own deliveries are.
async fn paid(State(between): State<Arc<Between>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get(SIGNATURE_HEADER).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let secret = WebhookSecret::new(SECRET).unwrap();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    if verify(&body, signature, &[secret], now, TOLERANCE).is_err() {
        return StatusCode::BAD_REQUEST;
    }
    let event: Value = serde_json::from_slice(&body).unwrap();
    let pages = between.pages.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let paid = pages.iter().find(|(_, page)| json!(page.emulates) == event["data"]["object"]["id"]);
    if event["type"] == "checkout.session.completed"
        && let Some((session, _)) = paid
    {
        between.stripe.complete_checkout(session, Card::Good).unwrap();
    }
    StatusCode::OK
}

/// Hands a request to the scripted account; a session of Checkout comes back with emulate's page.
async fn pass(
    State(between): State<Arc<Between>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    headers.remove(header::HOST);
    headers.remove(header::ACCEPT_ENCODING);
    let to = format!("{}{}", between.stripe.url(), uri.path_and_query().map_or("/", |it| it.as_str()));
    let asked = between.client.request(method, to).headers(headers).body(body).send().await.unwrap();
    let (status, mut told) = (asked.status(), asked.headers().clone());
    let bytes = asked.bytes().await.unwrap();
    told.remove(header::TRANSFER_ENCODING);
    told.remove(header::CONTENT_LENGTH);
    let session = serde_json::from_slice::<Value>(&bytes).ok().filter(|it| it["object"] == "checkout.session");
    let bytes = match session {
        Some(session) if !session["url"].is_null() => {
            Bytes::from(with_page(&between, session).await.unwrap().to_string())
        }
        _ => bytes,
    };
    (status, told, bytes).into_response()
}

async fn with_page(between: &Between, mut session: Value) -> anyhow::Result<Value> {
    let id = session["id"].as_str().context("a session without an id")?.to_owned();
    let known = between.pages.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
    let page = if let Some(page) = known {
        page
    } else {
        let page = open(between, &session, &id).await?;
        between.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(id, page.clone());
        page
    };
    session["url"] = json!(page.url);
    Ok(session)
}

/// Opens the page at emulate. It leads back with the account's own session.
async fn open(between: &Between, session: &Value, id: &str) -> anyhow::Result<Page> {
    let price = between.stripe.get(&format!("/v1/checkout/sessions/{id}/line_items"))?["data"][0]["price"]["id"]
        .as_str()
        .context("a session that sells nothing")?
        .to_owned();
    let address = |name: &str| session[name].as_str().unwrap_or_default().replace("{CHECKOUT_SESSION_ID}", id);
    let fields = [
        ("mode", "subscription".to_owned()),
        ("line_items[0][price]", price),
        ("line_items[0][quantity]", "1".to_owned()),
        ("success_url", address("success_url")),
        ("cancel_url", address("cancel_url")),
    ];
    let emulate = between.emulate.get().context("emulate is not there yet")?;
    let asked = between.client.post(format!("{emulate}/v1/checkout/sessions")).bearer_auth("sk_test_emulate");
    let opened: Value = asked.form(&fields).send().await?.error_for_status()?.json().await?;
    let text = |name: &str| opened[name].as_str().map(str::to_owned).with_context(|| format!("no {name}: {opened}"));
    Ok(Page { emulates: text("id")?, url: text("url")? })
}

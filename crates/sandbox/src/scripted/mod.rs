//! A scripted Stripe: a live account in memory that behaves by Stripe's documented rules.
//!
//! Beside the sample world, which is only read, this one is written to: customers, Checkout, the portal,
//! subscriptions and their invoices, payments that fail and recover, signed webhooks. Its clock is moved by
//! the script, and what can go wrong goes wrong when the script says so.

mod cards;
mod catalog;
mod changes;
mod checkout;
mod clock;
mod customers;
mod faults;
mod form;
mod history;
mod invoices;
mod pages;
mod pauses;
mod payments;
mod portal;
mod requests;
mod reversals;
mod routes;
mod server;
mod settings;
mod state;
mod subscriptions;
mod webhooks;

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use paywall_domain::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use cards::Card;
pub use faults::{Copy, Delivered, Faults, Order, Sent};
pub use history::Step;
pub use portal::PortalAct;
pub use requests::Trouble;
pub use settings::{AfterRetries, Clock, Delivering, Settings};

use crate::ids::Kind;
use crate::keys::Keys;
use crate::wire::Gate;
use requests::{Asked, Planned};
use routes::operation;
use state::{Fields, State};

/// What the server, the script and the deliveries share.
struct Shared {
    state: Mutex<State>,
    gate: Arc<Gate>,
    http: reqwest::Client,
    /// Something happened that may have to be delivered.
    news: Notify,
    /// How far the account's clock is ahead of the machine's, where that one moves it.
    ahead: Option<AtomicI64>,
    rounds: AtomicU32,
}

/// The machine's time, in Unix seconds.
fn wall() -> i64 {
    chrono::Utc::now().timestamp()
}

impl Shared {
    /// The account, at its present.
    fn locked(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ahead) = &self.ahead {
            let now = wall() + ahead.load(Ordering::Relaxed);
            if now > state.now {
                state.advance_to(now);
            }
        }
        state
    }

    fn advance(&self, by: Duration) {
        let seconds = by.as_secs() as i64;
        match &self.ahead {
            Some(ahead) => {
                ahead.fetch_add(seconds, Ordering::Relaxed);
                drop(self.locked());
            }
            None => self.locked().advance(seconds),
        }
    }

    async fn deliver(&self, faults: Faults) -> Delivered {
        let now = wall();
        let parcels = self.locked().parcels(now);
        let plans = faults.plan(parcels, self.rounds.fetch_add(1, Ordering::Relaxed));
        let events = |parcels: &[webhooks::Parcel]| parcels.iter().map(|it| it.event.clone()).collect();
        let mut delivered = Delivered {
            sent: Vec::new(),
            dropped: events(&plans.dropped),
            lost: events(&plans.lost),
            delayed: events(&plans.delayed),
        };
        {
            let mut state = self.locked();
            for parcel in &plans.dropped {
                state.attempted(parcel.delivery, false);
            }
            for (parcels, lost) in [(&plans.lost, true), (&plans.delayed, false)] {
                for parcel in parcels {
                    state.unsent(parcel.delivery, lost);
                }
            }
        }
        let (sent, taken) = faults::send(&self.http, plans.send, faults.at_once, now).await;
        let mut state = self.locked();
        for (delivery, success) in taken {
            state.attempted(delivery, success);
        }
        delivered.sent = sent;
        delivered
    }
}

/// A webhook endpoint and the secret that it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `we_…`
    pub id: String,
    /// `whsec_…`
    pub secret: String,
}

/// Something that the account refused, in Stripe's words.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The status of the answer.
    pub status: u16,
    /// Its body.
    pub body: Value,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.body["error"].text("message"))
    }
}

impl std::error::Error for Refused {}

/// A scripted Stripe account that is being served. Dropping it ends it.
pub struct ScriptedStripe {
    shared: Arc<Shared>,
    url: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for ScriptedStripe {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl ScriptedStripe {
    /// Starts an empty account on a free port of this machine.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        Self::serve(TcpListener::bind("127.0.0.1:0").await?, settings)
    }

    /// Starts an empty account on a listener. Has to be called within a tokio runtime.
    pub fn serve(listener: TcpListener, settings: Settings) -> io::Result<Self> {
        let url = format!("http://{}", listener.local_addr()?);
        let ahead =
            (settings.clock == Clock::Running).then(|| AtomicI64::new(settings.now.0.div_euclid(1000) - wall()));
        let (seed, rules, delivering) = (settings.seed, settings.rules, settings.delivering);
        let state = State::new(settings, url.clone());
        let keys = Keys::new(seed, &state.account());
        let shared = Arc::new(Shared {
            gate: Arc::new(Gate::new(keys, state.account(), rules)),
            state: Mutex::new(state),
            http: faults::http().map_err(io::Error::other)?,
            news: Notify::new(),
            ahead,
            rounds: AtomicU32::new(0),
        });
        let router = server::router(shared.clone());
        let mut tasks = vec![tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the scripted account is no longer served");
            }
        })];
        if delivering == Delivering::AtOnce {
            let shared = shared.clone();
            tasks.push(tokio::spawn(async move {
                loop {
                    // What time alone brings about makes no news.
                    let _ = tokio::time::timeout(Duration::from_millis(250), shared.news.notified()).await;
                    shared.deliver(Faults::default()).await;
                }
            }));
        }
        Ok(Self { shared, url, tasks })
    }

    /// Where it is served.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A restricted key that may read and write.
    pub fn key(&self) -> &str {
        &self.keys().writing
    }

    /// All keys.
    pub fn keys(&self) -> &Keys {
        &self.shared.gate.keys
    }

    /// The account's present.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.shared.locked().now * 1000)
    }

    /// Moves its clock on. Whatever falls due on the way happens at its time.
    pub fn advance(&self, by: Duration) {
        self.shared.advance(by);
        self.shared.news.notify_one();
    }

    /// Sends a request past the network, as the holder of every permission.
    fn ask(&self, method: &Method, path: &str, fields: &[(&str, &str)]) -> Result<Value, Refused> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = HeaderMap::new();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let asked = Asked { method, path, query, headers: &headers, body: body.as_bytes(), request: "req_script" };
        let Some(found) = operation(method, path) else {
            return Err(Refused { status: 404, body: Value::Null });
        };
        let done = self.shared.locked().act(&found, &asked);
        self.shared.news.notify_one();
        done.map_err(|failure| Refused { status: failure.status.as_u16(), body: failure.body })
    }

    /// A change by the API's own path, such as `/v1/customers`, without the network.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Value, Refused> {
        self.ask(&Method::POST, path, fields)
    }

    /// What the API would show at a path, without the network.
    pub fn get(&self, path: &str) -> Result<Value, Refused> {
        self.ask(&Method::GET, path, &[])
    }

    /// A deletion by the API's own path, without the network.
    pub fn delete(&self, path: &str) -> Result<Value, Refused> {
        self.ask(&Method::DELETE, path, &[])
    }

    /// A product with a monthly or yearly price; gives the price's id.
    pub fn add_price(&self, name: &str, currency: &str, unit_amount: i64, interval: &str) -> Result<String, Refused> {
        let amount = unit_amount.to_string();
        let fields = [
            ("product_data[name]", name),
            ("currency", currency),
            ("unit_amount", &amount),
            ("recurring[interval]", interval),
        ];
        Ok(self.post("/v1/prices", &fields)?.id())
    }

    /// Takes over the products and prices of a sample world, under their ids, so that its plans can be bought.
    pub fn add_catalog(&self, world: &crate::World) {
        let (products, prices) = world.catalog();
        let mut state = self.shared.locked();
        for (kind, objects) in [(Kind::Product, products), (Kind::Price, prices)] {
            for object in objects {
                state.insert(kind, object, None);
            }
        }
    }

    /// A coupon of so many percent, forever or for some months; its id is also its promotion code.
    pub fn add_coupon(&self, code: &str, percent: i64, months: Option<i64>) {
        self.shared.locked().create_coupon(code, percent, months);
    }

    /// Registers a webhook endpoint.
    pub fn add_endpoint(&self, url: &str, events: &[&str]) -> Result<Endpoint, Refused> {
        let names: Vec<String> = (0..events.len()).map(|at| format!("enabled_events[{at}]")).collect();
        let mut fields = vec![("url", url)];
        fields.extend(names.iter().map(String::as_str).zip(events.iter().copied()));
        let made = self.post("/v1/webhook_endpoints", &fields)?;
        Ok(Endpoint { id: made.id(), secret: made.text("secret").to_owned() })
    }

    /// Gives an endpoint a new secret; the old one signs too for that long.
    pub fn roll_secret(&self, endpoint: &str, overlap: Duration) -> Option<String> {
        self.shared.locked().roll_secret(endpoint, overlap.as_secs() as i64)
    }

    /// A person pays in Checkout with a card. Gives the address that they are sent to, or what the page says.
    pub fn complete_checkout(&self, session: &str, card: Card) -> Result<String, String> {
        self.fill_checkout(session, Some(card), None)
    }

    /// The same with a promotion code, or without a card where none is needed.
    pub fn fill_checkout(&self, session: &str, card: Option<Card>, code: Option<&str>) -> Result<String, String> {
        let country = Some("DE".to_owned());
        let filled = checkout::Filled { card, code: code.map(str::to_owned), country, email: None };
        let paid = self.shared.locked().pay_session(session, &filled);
        self.shared.news.notify_one();
        paid
    }

    /// What a customer does in the portal.
    pub fn act_in_portal(&self, customer: &str, act: &PortalAct) -> Result<(), Refused> {
        let done = self.shared.locked().act_in_portal(customer, act);
        self.shared.news.notify_one();
        done.map_err(|failure| Refused { status: failure.status.as_u16(), body: failure.body })
    }

    /// From now on everything that a customer pays with behaves like `card`. False where there is nothing.
    pub fn fail_payment(&self, customer: &str, card: Card) -> bool {
        self.shared.locked().spoil(customer, card)
    }

    /// From now on everything that a customer pays with is good.
    pub fn mend_payment(&self, customer: &str) -> bool {
        self.fail_payment(customer, Card::Good)
    }

    /// A cardholder disputes a payment; gives the dispute's id.
    pub fn dispute(&self, charge: &str) -> Option<String> {
        let dispute = self.shared.locked().dispute(charge, "fraudulent");
        self.shared.news.notify_one();
        dispute
    }

    /// The bank decides a dispute. False where there is no open one.
    pub fn decide(&self, dispute: &str, won: bool) -> bool {
        let decided = self.shared.locked().decide(dispute, won);
        self.shared.news.notify_one();
        decided
    }

    /// Lets the next request of a method to a path that begins like this go wrong.
    pub fn trouble(&self, method: &Method, path: &str, trouble: Trouble) {
        let planned = Planned { method: method.clone(), path: path.to_owned(), trouble };
        self.shared.locked().planned.push(planned);
    }

    /// Sends every delivery that is due, with what goes wrong on the way.
    pub async fn deliver(&self, faults: Faults) -> Delivered {
        self.shared.deliver(faults).await
    }

    /// Every object of a kind as it is now, oldest first; deleted ones as what is left of them.
    pub fn state(&self, kind: Kind) -> Vec<Value> {
        self.shared.locked().table(kind).cloned().collect()
    }

    /// One object as it is now.
    pub fn object(&self, kind: Kind, id: &str) -> Option<Value> {
        self.shared.locked().get(kind, id).cloned()
    }

    /// Every event so far, oldest first, those past 30 days too.
    pub fn events(&self) -> Vec<Value> {
        let state = self.shared.locked();
        state.table(Kind::Event).map(|event| state.shown_event(event)).collect()
    }

    /// Plays random valid actions, the same for the same seed and the same account, until there are so many
    /// events more. Gives what it did.
    pub fn history(&self, seed: u64, events: usize) -> Vec<Step> {
        let steps = history::play(&mut self.shared.locked(), seed, events);
        self.shared.news.notify_one();
        steps
    }
}

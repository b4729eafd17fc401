//! What Prometheus reads at `/metrics`: the one place that knows the names.
//!
//! What happens is counted where it happens, through handles that are found by a number: nothing is allocated
//! there, and nothing is looked up. What is so at the moment is asked for when somebody reads. The names and
//! what they mean for whoever is on duty stand in `docs/operations.md`, which a test compares with these.

mod billing;
mod handles;
mod labels;
mod sources;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub(crate) use labels::{Delivery, Purpose, Verdict, way_word};
pub(crate) use sources::Sources;

use self::handles::Handles;
use self::labels::{CLASSES, DELIVERIES, DIRECTIONS, METHODS, PURPOSES, VERDICTS, WAYS};
use crate::gate::Via;
use crate::server::State;
use crate::store::with_patience;

/// The type of what is answered at `/metrics`.
pub(crate) const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the time that admission takes, in seconds: from memory, and with the database or `RAGFlow`'s asked.
const ADMISSION: [f64; 15] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Bounds of the time to an answer's first byte, in seconds: from a read to a model that thinks.
const FIRST_BYTE: [f64; 15] =
    [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Bounds of the time from an event to its delivery, in seconds: at once, and after Stripe's retries.
const LAG: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0];

/// Every figure of one server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Handles<Counter, 3>,
    answers: Handles<Counter, 2>,
    admission: Handles<Histogram, 1>,
    first_byte: Handles<Histogram, 1>,
    bytes: Handles<Counter, 1>,
    streams: Gauge,
    admin: Handles<Counter, 2>,
    store_up: Gauge,
    store_ping: Gauge<f64, AtomicU64>,
    sources: sources::Known,
    webhooks: Handles<Counter, 1>,
    webhook_lag: Histogram,
    billing: billing::Latest,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let it = &mut registry;
        it.register("paywall_build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let purposes = ("operation", &PURPOSES[..PURPOSES.len() - 1]);
        let requests = Handles::register(
            it,
            "paywall_requests",
            "Requests for RAGFlow that were judged, by the way they came, what they are for, and the verdict",
            [("way", WAYS), ("operation", PURPOSES), ("verdict", VERDICTS)],
            Counter::default,
        );
        let answers = Handles::register(
            it,
            "paywall_answers",
            "RAGFlow's answers that were passed on, by the class of their status; none = there was no answer",
            [purposes, ("class", CLASSES)],
            Counter::default,
        );
        let admission = Handles::register(
            it,
            "paywall_admission_seconds",
            "Time that it took to judge a request",
            [("way", WAYS)],
            || Histogram::new(ADMISSION),
        );
        let first_byte = Handles::register(
            it,
            "paywall_first_byte_seconds",
            "Time from a request's head to the head of RAGFlow's answer",
            [purposes],
            || Histogram::new(FIRST_BYTE),
        );
        let bytes = Handles::register(
            it,
            "paywall_proxied_bytes",
            "Bytes of bodies that passed through the proxy, from callers (in) and to them (out)",
            [("direction", DIRECTIONS)],
            Counter::default,
        );
        let admin = Handles::register(
            it,
            "paywall_admin_requests",
            "Requests to the admin API, by the class of the answer's status",
            [("method", METHODS), ("class", CLASSES)],
            Counter::default,
        );
        let (streams, store_up, store_ping) = (Gauge::default(), Gauge::default(), Gauge::default());
        it.register("paywall_streams", "Requests that RAGFlow is answering", streams.clone());
        it.register("paywall_store_up", "1 if the database answered when this was read, else 0", store_up.clone());
        it.register("paywall_store_ping_seconds", "Time that its last answer to this took", store_ping.clone());
        let webhooks = Handles::register(
            it,
            "paywall_webhooks",
            "Deliveries of Stripe, by what became of them",
            [("outcome", DELIVERIES)],
            Counter::default,
        );
        let webhook_lag = Histogram::new(LAG);
        it.register("paywall_webhook_lag_seconds", "Time from an event to its first delivery", webhook_lag.clone());
        let billing = billing::Latest::default();
        it.register_collector(Box::new(billing.clone()));
        let sources = sources::Known::default();
        it.register_collector(Box::new(sources.clone()));
        Self {
            registry,
            requests,
            answers,
            admission,
            first_byte,
            bytes,
            streams,
            admin,
            store_up,
            store_ping,
            sources,
            webhooks,
            webhook_lag,
            billing,
        }
    }

    /// From now on, asks these too.
    pub(crate) fn ask(&self, sources: Sources) {
        // A server serves once: it closes its database at the end.
        drop(self.sources.0.set(sources));
    }

    /// A request was judged.
    pub(crate) fn judged(&self, via: Via, purpose: Purpose, verdict: Verdict) {
        self.requests.at([labels::way(via), purpose.0, verdict.0]).inc();
    }

    /// How long the engine took for a verdict.
    pub(crate) fn admission(&self, via: Via, took: Duration) {
        self.admission.at([labels::way(via)]).observe(took.as_secs_f64());
    }

    /// `RAGFlow` answers a request whose route could be read; `None` = it does not.
    pub(crate) fn answered(&self, purpose: Purpose, status: Option<StatusCode>, took: Duration) {
        self.answers.at([purpose.0, labels::class(status)]).inc();
        if status.is_some() {
            self.first_byte.at([purpose.0]).observe(took.as_secs_f64());
        }
    }

    /// Counts bytes that callers send.
    pub(crate) fn received(&self) -> Counter {
        self.bytes.at([0]).clone()
    }

    /// Bytes go to a caller.
    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes.at([1]).inc_by(bytes as u64);
    }

    /// A request goes to `RAGFlow`; it is there until what this answers is dropped.
    pub(crate) fn stream(self: &Arc<Self>) -> Streaming {
        self.streams.inc();
        Streaming(Arc::clone(self))
    }

    /// The admin API answered.
    pub(crate) fn admin(&self, method: &Method, status: StatusCode) {
        self.admin.at([labels::method(method), labels::class(Some(status))]).inc();
    }

    /// Stripe delivered something.
    pub(crate) fn delivered(&self, delivery: Delivery) {
        self.webhooks.at([delivery as usize]).inc();
    }

    /// How long an event took to come here.
    pub(crate) fn webhook_lag(&self, ms: i64) {
        self.webhook_lag.observe(ms.max(0) as f64 / 1000.0);
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(64 * 1024);
        // Writing into a text cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// A request that `RAGFlow` is answering.
pub(crate) struct Streaming(pub(crate) Arc<Metrics>);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.streams.dec();
    }
}

/// Every figure as text, with the database asked whether it answers.
pub(crate) async fn read(state: &State) -> String {
    let started = Instant::now();
    let up = with_patience(state.store.ping()).await.is_ok();
    state.metrics.store_up.set(i64::from(up));
    if up {
        state.metrics.store_ping.set(started.elapsed().as_secs_f64());
    }
    state.metrics.billing.read(state).await;
    state.metrics.text()
}

#[cfg(test)]
mod tests;

//! A server in front of the upstream, with an engine that blocks one key and notes what it sees.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use paywall_domain::{Decision, Denial, Meter, TenantId, Timestamp};
use paywall_server::gate::{Blocked, Caller, Language, Refusal, Route, Via, identify, refuse};
use paywall_server::proxy::{Admission, Arrival, End, Engine, Named, Peek, Watch};
use paywall_server::{Config, Server, TestClock};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::upstream::Upstream;
use crate::wire::{self, LONG};

/// The key of a tenant whose trial ended.
pub(crate) const BLOCKED: &str = "ragflow-blocked";
/// The key of a tenant whose messages are used up, for another hour.
pub(crate) const EXHAUSTED: &str = "ragflow-exhausted";
/// Who pays for everybody else.
pub(crate) const PAYER: &str = "0000000000000000000000000000abcd";

/// One request as the engine saw it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) target: String,
    pub(crate) peer: String,
    pub(crate) length: Option<String>,
    pub(crate) credential: String,
    pub(crate) named: Option<Named>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) chunks: usize,
    pub(crate) bytes: usize,
    /// Every end that was told: there must be one.
    pub(crate) ends: Vec<End>,
    pub(crate) ended_at: Option<Instant>,
}

#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<Seen>>>);

impl Journal {
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until every request of `target` has ended, and answers the last.
    pub(crate) async fn ended(&self, target: &str) -> Seen {
        let start = Instant::now();
        loop {
            if let Some(seen) = self.all().into_iter().rev().find(|it| it.target == target && !it.ends.is_empty()) {
                assert_eq!(seen.ends.len(), 1, "{seen:?}");
                return seen;
            }
            assert!(start.elapsed() < LONG, "{:?}", self.all());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub(crate) struct TestEngine(pub(crate) Journal);

pub(crate) struct TestWatch(Journal, usize);

impl TestWatch {
    fn with(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.0.lock().unwrap()[self.1]);
    }
}

impl Watch for TestWatch {
    fn response(&mut self, status: StatusCode, _: &HeaderMap) {
        self.with(|it| it.status = Some(status));
    }

    fn data(&mut self, chunk: &Bytes) {
        self.with(|it| {
            it.chunks += 1;
            it.bytes += chunk.len();
        });
    }

    fn end(self, end: End) {
        self.with(|it| {
            it.ends.push(end);
            it.ended_at = Some(Instant::now());
        });
    }
}

impl Engine for TestEngine {
    type Watch = TestWatch;

    async fn admit(&self, arrival: Arrival<'_>, body: &mut Peek) -> Admission<TestWatch> {
        let Arrival { head, route, via, peer, .. } = arrival;
        let key = head.headers.get(AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
        let credential = format!("{:?}", identify(&head.headers, false).map(|it| it.first().clone()));
        let named = match Named::read(&arrival, body).await {
            Ok(named) => named,
            Err(error) => return Admission::Refuse { payer: None, refusal: error.refusal() },
        };
        let mut seen = self.0.0.lock().unwrap();
        seen.push(Seen {
            target: head.uri.to_string(),
            peer: peer.to_string(),
            length: head.headers.get(CONTENT_LENGTH).map(|it| it.to_str().unwrap().to_owned()),
            credential,
            named: Some(named.clone()),
            ..Seen::default()
        });
        let ended_at = Some(Timestamp(1_781_524_800_000));
        if key.contains("blocked") {
            let refusal = refusal(route, via, &named, Denial::TrialEnded { ended_at }, None);
            return Admission::Refuse { payer: None, refusal };
        }
        if key.contains(EXHAUSTED) {
            let denial = Denial::QuotaExhausted { meter: Meter::Messages, used: 5, limit: 5, resets_at: ended_at };
            return Admission::Refuse { payer: None, refusal: refusal(route, via, &named, denial, Some(3600)) };
        }
        let watch = TestWatch(self.0.clone(), seen.len() - 1);
        Admission::Pass { payer: TenantId::parse(PAYER).ok(), plain: head.uri.path() == "/plain", watch }
    }
}

fn refusal(route: &Route, via: Via, named: &Named, denial: Denial, retry_after: Option<u64>) -> Refusal {
    refuse(&Blocked {
        answer: route.kind.answer(named.asked),
        caller: Caller::Key,
        member: true,
        via,
        decision: &Decision { denials: vec![denial] },
        retry_after,
        upgrade_url: "https://pay.example/paywall",
        language: Language::En,
    })
    .unwrap()
}

pub(crate) struct App {
    pub(crate) address: SocketAddr,
    pub(crate) upstream: Upstream,
    pub(crate) journal: Journal,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
    _folder: TempDir,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        Self::before(Upstream::start().await, configure).await
    }

    pub(crate) async fn before(upstream: Upstream, configure: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = Config::embedded(folder.path().join("server.db"), address);
        config.ragflow_url = Some(format!("http://{}", upstream.address).parse().unwrap());
        configure(&mut config);
        let clock = Arc::new(TestClock::at(Timestamp(1_781_524_800_000)));
        let server = Server::open(config, clock).await.unwrap();
        let (journal, stop) = (Journal::default(), CancellationToken::new());
        let engine = Arc::new(TestEngine(journal.clone()));
        let serving = tokio::spawn({
            let stop = stop.clone();
            async move { server.serve_with(listener, stop, engine).await.unwrap() }
        });
        Self { address, upstream, journal, stop, serving, _folder: folder }
    }

    pub(crate) async fn caller(&self) -> wire::Caller {
        wire::Caller::connect(self.address).await
    }

    /// One request over a connection of its own.
    pub(crate) async fn ask(&self, request: &str) -> (wire::Head, String) {
        self.caller().await.ask(request).await
    }
}

/// A `GET` without a body.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: ragflow.example\r\n\r\n")
}

//! The connection test: what is typed is tried step by step, and nothing is saved.

use std::time::Duration;

use paywall_contract::{Caller, ServerHealth};
use paywall_domain::Role;
use paywall_stripe::transport::Fault;
use paywall_stripe::{Client, ClientOptions, ErrorKind, KeyKind, ListParams, RetryPolicy, Stream, StripeKey};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::USER_AGENT;
use crate::admin_client::AdminClient;
use crate::ipc::{ConnectionReport, FailureCode, Source, StepName, StepState, TestStep};
use crate::profile::{normalised_url, readable_on_the_way};

/// From where on a clock that is off is worth a word: signatures and "in 5 minutes" go wrong.
const SKEW_MS: i64 = 60_000;

/// How long a name may take to be found.
const LOOKUP: Duration = Duration::from_secs(5);

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The paywall server's address as typed.
    pub server_url: &'a str,
    /// The server's token.
    pub token: Option<&'a SecretString>,
    /// Stripe's address as typed.
    pub stripe_url: &'a str,
    /// The Stripe key.
    pub stripe_key: Option<&'a SecretString>,
    /// Whether the profile is live.
    pub live: bool,
    /// Whether the profile makes changes, for which a viewer's token is not enough.
    pub changes: bool,
}

/// The steps so far, each told as it ends.
struct Walk<'a> {
    steps: Vec<TestStep>,
    health: Option<ServerHealth>,
    tell: &'a (dyn Fn(TestStep) + Send + Sync),
}

impl Walk<'_> {
    fn step(&mut self, name: StepName, subject: impl Into<String>, state: StepState, detail: impl Into<String>) {
        self.push(TestStep { name, subject: subject.into(), state, failure: None, detail: detail.into() });
    }

    fn fail(&mut self, name: StepName, subject: impl Into<String>, failure: FailureCode, detail: impl Into<String>) {
        self.because(name, subject, StepState::Failed, failure, detail);
    }

    fn because(
        &mut self,
        name: StepName,
        subject: impl Into<String>,
        state: StepState,
        failure: FailureCode,
        detail: impl Into<String>,
    ) {
        self.push(TestStep { name, subject: subject.into(), state, failure: Some(failure), detail: detail.into() });
    }

    fn push(&mut self, step: TestStep) {
        (self.tell)(step.clone());
        self.steps.push(step);
    }

    /// The steps of `names` that no word has been said of.
    fn skip(&mut self, names: &[StepName], why: &str) {
        for name in names {
            if !self.steps.iter().any(|step| step.name == *name) {
                self.step(*name, "", StepState::Skipped, why);
            }
        }
    }

    fn well(&self, names: &[StepName]) -> bool {
        self.steps
            .iter()
            .filter(|step| names.contains(&step.name))
            .all(|step| matches!(step.state, StepState::Ok | StepState::Warning))
    }
}

const SERVER: [StepName; 7] = [
    StepName::Address,
    StepName::Connect,
    StepName::Identity,
    StepName::Version,
    StepName::Token,
    StepName::Role,
    StepName::Clock,
];
const STRIPE: [StepName; 3] = [StepName::StripeKey, StepName::StripeMode, StepName::StripePermission];

/// Tries the server, then Stripe. `tell` hears each step as it ends; dropping the future stops.
pub async fn test(subject: &Subject<'_>, tell: &(dyn Fn(TestStep) + Send + Sync)) -> ConnectionReport {
    let mut walk = Walk { steps: Vec::new(), health: None, tell };
    server(&mut walk, subject).await;
    walk.skip(&SERVER, "an earlier step failed");
    let server_ok = walk.well(&SERVER);

    match subject.stripe_key {
        Some(key) => stripe(&mut walk, subject, key).await,
        None => walk.skip(&STRIPE, "no key given"),
    }
    walk.skip(&STRIPE, "an earlier step failed");
    let stripe_ok = subject.stripe_key.map(|_| walk.well(&STRIPE));
    ConnectionReport { steps: walk.steps, server_ok, stripe_ok, health: walk.health }
}

async fn server(walk: &mut Walk<'_>, subject: &Subject<'_>) {
    let Some(address) = normalised_url(subject.server_url) else {
        let detail = "give an address such as https://paywall.example.com";
        return walk.fail(StepName::Address, "", FailureCode::AddressInvalid, detail);
    };
    let Ok(url) = Url::parse(&address) else {
        return walk.fail(StepName::Address, "", FailureCode::AddressInvalid, "the address cannot be read");
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    if readable_on_the_way(&address) {
        let detail = "over plain http everybody on the way could read the token: give an https address";
        return walk.fail(StepName::Address, &*host, FailureCode::AddressInsecure, detail);
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let lookup = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host.trim_matches(['[', ']']), port))).await;
    match lookup.map(|answer| answer.map(|mut found| found.next().is_some())) {
        Ok(Ok(true)) => walk.step(StepName::Address, &*host, StepState::Ok, ""),
        Ok(Err(error)) => {
            let code = FailureCode::AddressUnknown { host: host.clone() };
            return walk.fail(StepName::Address, &*host, code, error.to_string());
        }
        Ok(Ok(_)) | Err(_) => {
            let code = FailureCode::AddressUnknown { host: host.clone() };
            return walk.fail(StepName::Address, &*host, code, "the name leads nowhere");
        }
    }

    let nobody = SecretString::from(String::new());
    let client = match AdminClient::new(&address, subject.token.unwrap_or(&nobody).clone()) {
        Ok(client) => client,
        Err(error) => return walk.fail(StepName::Connect, &*host, error.failure.code, error.failure.detail),
    };
    let place = format!("{host}:{port}");
    let secured = if url.scheme() == "https" { "over TLS" } else { "plain http" };
    match client.me().await {
        Ok(caller) => {
            walk.step(StepName::Connect, place, StepState::Ok, secured);
            walk.step(StepName::Identity, &*caller.product, StepState::Ok, "");
            walk.step(StepName::Version, &*caller.version, StepState::Ok, format!("API {}", caller.api_version));
            walk.step(StepName::Token, &*caller.name, StepState::Ok, "");
            known(walk, &caller, &client, subject.changes);
            // Whether it says so or not, the connection works.
            walk.health = client.health().await.ok().flatten();
        }
        Err(error) => {
            let (code, detail) = (error.failure.code, error.failure.detail);
            let failed = match &code {
                FailureCode::AddressUnknown { .. }
                | FailureCode::Unreachable { .. }
                | FailureCode::TimedOut { .. }
                | FailureCode::TlsFailed => StepName::Connect,
                FailureCode::ServerVersion { .. } => StepName::Version,
                FailureCode::NotPaywallServer => StepName::Identity,
                // It answered as a paywall server does: it refused the token, or had a fault of its own.
                _ => StepName::Token,
            };
            if failed != StepName::Connect {
                walk.step(StepName::Connect, place.clone(), StepState::Ok, secured);
                if failed != StepName::Identity {
                    walk.step(StepName::Identity, paywall_contract::PRODUCT, StepState::Ok, "");
                }
                if failed == StepName::Token {
                    walk.step(StepName::Version, "", StepState::Skipped, "told to a known token only");
                }
            }
            match (failed, subject.token) {
                (StepName::Token, None) => walk.fail(failed, "", FailureCode::TokenMissing, "no token given"),
                (StepName::Connect, _) => walk.fail(failed, place, code, detail),
                _ => walk.fail(failed, "", code, detail),
            }
        }
    }
}

fn known(walk: &mut Walk<'_>, caller: &Caller, client: &AdminClient, changes: bool) {
    let role = caller.role.as_str();
    if changes && caller.role == Role::Viewer {
        let code = FailureCode::RoleTooLow { required: Role::Support };
        walk.because(StepName::Role, role, StepState::Warning, code, "it reads everything and changes nothing");
    } else {
        walk.step(StepName::Role, role, StepState::Ok, "");
    }
    let skew = client.clock_skew_ms().unwrap_or_default();
    let state = if skew.abs() > SKEW_MS { StepState::Warning } else { StepState::Ok };
    walk.step(StepName::Clock, skew.to_string(), state, "this machine's clock minus the server's, in milliseconds");
}

async fn stripe(walk: &mut Walk<'_>, subject: &Subject<'_>, key: &SecretString) {
    let key = StripeKey::new(key.expose_secret());
    match key.kind() {
        KeyKind::Restricted => walk.step(StepName::StripeKey, "restricted", StepState::Ok, ""),
        KeyKind::Secret => {
            walk.step(StepName::StripeKey, "secret", StepState::Warning, "a restricted key that reads is enough");
        }
        KeyKind::Publishable => {
            let detail = "a publishable key reads nothing; make a restricted key";
            return walk.fail(StepName::StripeKey, "publishable", FailureCode::StripeKeyRefused, detail);
        }
        KeyKind::Unknown => {
            return walk.fail(StepName::StripeKey, "", FailureCode::StripeKeyRefused, "this is no Stripe key");
        }
    }
    match key.live() {
        Some(live) => {
            let state = if live == subject.live { StepState::Ok } else { StepState::Warning };
            walk.step(StepName::StripeMode, if live { "live" } else { "test" }, state, "");
        }
        None => walk.step(StepName::StripeMode, "", StepState::Warning, "its look does not tell"),
    }
    if readable_on_the_way(subject.stripe_url) {
        let detail = "over plain http everybody on the way could read the key: give an https address";
        return walk.fail(StepName::StripePermission, "", FailureCode::AddressInsecure, detail);
    }
    let retry = RetryPolicy { retries: 1, ..RetryPolicy::default() };
    let options = ClientOptions { retry, user_agent: USER_AGENT.to_owned(), ..ClientOptions::default() };
    let client = match Client::new(subject.stripe_url, key, options) {
        Ok(client) => client,
        Err(error) => {
            return walk.fail(StepName::StripePermission, "", FailureCode::AddressInvalid, error.to_string());
        }
    };
    for stream in Stream::ALL {
        let one = ListParams { limit: Some(1), ..ListParams::default() };
        let Err(error) = client.list(stream, &one).await else {
            walk.step(StepName::StripePermission, stream.name(), StepState::Ok, "");
            continue;
        };
        let detail = error.to_string();
        let name = stream.name().to_owned();
        match error.kind {
            ErrorKind::PermissionMissing { permission, .. } => {
                let code = FailureCode::StripePermission { permission, stream: name.clone() };
                walk.fail(StepName::StripePermission, name, code, detail);
            }
            ErrorKind::NotOffered { .. } => {
                let code = FailureCode::StripeMissing { stream: name.clone() };
                walk.because(StepName::StripePermission, name, StepState::Warning, code, detail);
            }
            ErrorKind::RateLimited => {
                let code = FailureCode::StripeRateLimited;
                walk.because(StepName::StripePermission, name, StepState::Warning, code, detail);
            }
            // What follows would fail alike.
            kind => return walk.fail(StepName::StripePermission, name, stripe_code(&kind), detail),
        }
    }
}

fn stripe_code(kind: &ErrorKind) -> FailureCode {
    match kind {
        ErrorKind::Unauthorized { .. } => FailureCode::StripeKeyRefused,
        ErrorKind::Address(_) => FailureCode::AddressInvalid,
        ErrorKind::Transport(Fault::UnknownHost { host }) => FailureCode::AddressUnknown { host: host.clone() },
        ErrorKind::Transport(Fault::Unreachable(_)) => FailureCode::Unreachable { source: Source::Stripe },
        ErrorKind::Transport(Fault::TimedOut) => FailureCode::TimedOut { source: Source::Stripe },
        ErrorKind::Transport(Fault::Tls) => FailureCode::TlsFailed,
        _ => FailureCode::StripeFault,
    }
}

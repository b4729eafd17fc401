//! Decides about requests: brings together who asks ([`crate::directory`]), what for ([`crate::gate`]), how
//! its payer stands ([`Standings`]), and what is left ([`crate::quota`]); and settles what an answer used.
//!
//! In the order of the work:
//! 1. A free request passes at once; whose it is does not matter.
//! 2. The caller is identified. Nobody known passes: `RAGFlow` itself refuses it, and that costs nothing.
//! 3. The payer is the owner of what the request names, else the caller.
//! 4. The payer's facts, plan and levels are judged by the domain's rules, from memory.
//! 5. Units of its counters are set aside, from this replica's leases.
//! 6. What the answer used is settled at its end ([`Settling`]).
//!
//! What cannot be told (a database is away) is neither yes nor no: [`FailOpen`] says what becomes of it.

mod allow;
mod credentials;
mod fail;
mod follow;
mod notes;
mod settling;
mod standings;

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::{HeaderMap, StatusCode};
use moka::future::Cache;
use paywall_domain::{Decision, Denial, Operation, TenantId};
use tokio_util::sync::CancellationToken;

pub use fail::FailOpen;
pub(crate) use notes::Notes;
pub(crate) use settling::Settling;
pub(crate) use standings::{Standing, Standings};

use self::allow::Allowed;
use self::credentials::Credentials;
use self::follow::follow;
use self::settling::{Charge, Tells};
use crate::directory::{Directory, Identity, Mirror};
use crate::gate::{
    self, Asked, Blocked, Caller, Credential, CredentialError, Language, Refusal, Via, identify, refuse,
};
use crate::metering::estimate;
use crate::proxy::{Admission, Arrival, Engine, Named, Peek, envelope};
use crate::quota::{Levels, Quota};
use crate::server::State;

/// After how many seconds a caller may ask again, where nobody could tell.
const ASK_AGAIN_S: u64 = 5;

/// How long it is not tried again to begin a tenant's trial, and of how many tenants that is remembered.
const BEGUN: Duration = Duration::from_secs(2);
const MANY: u64 = 10_000;

/// The engine of a server in front of `RAGFlow`.
pub(crate) struct Enforcement {
    state: Arc<State>,
    directory: Arc<Directory>,
    credentials: Arc<Credentials>,
    mirror: Arc<Mirror>,
    standings: Standings,
    quota: Quota,
    levels: Levels,
    notes: Notes,
    /// Tenants whose trial was begun just now, where there was one to begin: once, however many ask.
    begun: Cache<TenantId, ()>,
}

/// Who asks, as far as that is known.
enum Who<'a> {
    Known(Identity<'a>),
    Nobody,
    /// The directory is away.
    Untold,
}

/// Why a request does not simply pass.
enum Stop {
    /// This is its answer.
    Answer(Refusal),
    /// These rules deny.
    Denied(Denied),
    /// Nobody can tell, and the policy lets it pass.
    Untold(Option<TenantId>),
}

/// What denies a request, and to whom that may be told.
struct Denied {
    payer: Option<TenantId>,
    /// Whether the caller belongs to the payer.
    member: bool,
    denials: Vec<Denial>,
}

/// A refused request's answer, and who would have paid.
struct Refused {
    payer: Option<TenantId>,
    refusal: Refusal,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { payer: None, refusal }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Answer(refusal)
    }
}

impl Enforcement {
    pub(crate) fn new(state: Arc<State>, directory: Arc<Directory>, mirror: Arc<Mirror>, quota: Quota) -> Self {
        Self {
            standings: Standings::new(Arc::clone(&state)),
            credentials: Arc::new(Credentials::new(Arc::clone(&state), Arc::clone(&directory))),
            notes: Notes::new(),
            levels: Levels::default(),
            begun: Cache::builder().max_capacity(MANY).time_to_live(BEGUN).build(),
            state,
            directory,
            mirror,
            quota,
        }
    }

    /// Keeps what is in memory up to date, and writes down what was noted, until `stop` is cancelled.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        tokio::join!(
            follow(&self.state.store, &self.standings, stop.clone()),
            self.credentials.run(stop.clone()),
            self.notes.write(&self.state, stop),
        );
    }

    /// How a caller's own tenant stands: for its page. `Ok(None)` = nobody that is known, also where a cookie
    /// alone says who: the page asks again with the session token.
    pub(crate) async fn visitor(&self, headers: &HeaderMap) -> Result<Option<Visitor>, Untellable> {
        let Ok(candidates) = identify(headers, false) else { return Ok(None) };
        match self.directory.identify(&candidates, headers).await {
            Ok(Some(identity)) if identity.is_proven() => {
                let in_person = !matches!(identity.credential, Credential::ApiKey(_));
                let standing = self.meet(&identity.tenant, Some(&identity)).await?;
                Ok(standing.map(|standing| Visitor { standing, in_person }))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                self.notes.directory_away(&error);
                Err(Untellable)
            }
        }
    }

    async fn judge(&self, arrival: &Arrival<'_>, body: &mut Peek) -> Result<Admission<Settling>, Refused> {
        let route = arrival.route;
        let asks_who = arrival.via == Via::Authz || route.kind.effect.is_some();
        if route.kind.work.operation().is_none() && !asks_who {
            return Ok(passed(None, Settling::nothing()));
        }
        let headers = &arrival.head.headers;
        let candidates = identify(headers, route.kind.embeds).map_err(|error| odd(error, arrival.via))?;
        let who = match self.directory.identify(&candidates, headers).await {
            Ok(Some(identity)) => Who::Known(identity),
            Ok(None) => Who::Nobody,
            Err(error) => {
                self.notes.directory_away(&error);
                Who::Untold
            }
        };
        let caller = match &who {
            Who::Known(identity) => Caller::from(identity.credential),
            Who::Nobody if route.kind.open => Caller::Nobody,
            Who::Nobody | Who::Untold => Caller::from(candidates.first()),
        };
        let named = Named::read(arrival, body).await.map_err(|error| error.refusal())?;
        let Some(operation) = route.kind.work(named.asked).operation() else {
            return Ok(self.free(arrival, &who));
        };
        match self.allow(arrival, &who, caller, operation, &named).await {
            Ok(allowed) => Ok(self.pass(arrival, allowed, &who, caller, operation, &named)),
            Err(Stop::Answer(refusal)) => Err(refusal.into()),
            Err(Stop::Untold(payer)) => Ok(passed(payer, Settling::nothing())),
            Err(Stop::Denied(denied)) => {
                let asked = if body.is_empty() { named.asked } else { Named::asked(headers, body).await };
                Err(self.refuse(arrival, denied, caller, asked, operation))
            }
        }
    }

    /// A request that costs nothing: it may still change what is known.
    fn free(&self, arrival: &Arrival<'_>, who: &Who<'_>) -> Admission<Settling> {
        let tenant = match who {
            Who::Known(identity) => identity.tenant.clone(),
            Who::Nobody if arrival.via == Via::Authz && self.needs_somebody(arrival) => {
                return Admission::Refuse { payer: None, refusal: unauthorized() };
            }
            Who::Nobody | Who::Untold => return passed(None, Settling::nothing()),
        };
        let watch = match arrival.route.kind.effect {
            Some(effect) => Settling::telling(self.tells(Some((effect, tenant.clone())), Vec::new())),
            None => Settling::nothing(),
        };
        passed(Some(tenant), watch)
    }

    /// Whether a free request of nobody is refused: not one for `RAGFlow`'s pages, or for signing in.
    fn needs_somebody(&self, arrival: &Arrival<'_>) -> bool {
        let first = arrival.head.uri.path().split('/').find(|it| !it.is_empty()).unwrap_or_default();
        let api = ["api", "v1"].iter().any(|it| it.eq_ignore_ascii_case(first));
        self.state.config.authz_refuses_anonymous && api && !arrival.route.kind.open
    }

    fn tells(&self, effect: Option<(gate::Effect, TenantId)>, touched: Vec<TenantId>) -> Tells {
        let (directory, credentials) = (Arc::clone(&self.directory), Arc::clone(&self.credentials));
        Tells { directory, credentials, effect, touched }
    }

    fn pass(
        &self,
        arrival: &Arrival<'_>,
        allowed: Allowed,
        who: &Who<'_>,
        caller: Caller,
        operation: Operation,
        named: &Named,
    ) -> Admission<Settling> {
        let Allowed { payer, standing, reservation, levels, period } = allowed;
        let kind = arrival.route.kind;
        self.notes.passed(&standing.row, operation, self.state.clock.now());
        let effect = match who {
            Who::Known(identity) => kind.effect.map(|effect| (effect, identity.tenant.clone())),
            Who::Nobody | Who::Untold => None,
        };
        let touched = if levels.is_empty() { Vec::new() } else { vec![payer.clone()] };
        let charge = Charge {
            quota: self.quota.clone(),
            clock: Arc::clone(&self.state.clock),
            id: arrival.id.to_owned(),
            payer: payer.clone(),
            period,
            meters: gate::costs(arrival.route, caller).collect(),
            answer: kind.answer(named.asked),
            asked: named.tokens.saturating_add(estimate(arrival.head.uri.query().unwrap_or_default())),
            reservation,
            levels,
        };
        // Of a compressed answer nobody could tell whether it is an error.
        let plain = true;
        Admission::Pass { payer: Some(payer), plain, watch: Settling::charging(charge, self.tells(effect, touched)) }
    }

    fn refuse(
        &self,
        arrival: &Arrival<'_>,
        denied: Denied,
        caller: Caller,
        asked: Asked,
        operation: Operation,
    ) -> Refused {
        let Denied { payer, member, denials } = denied;
        let now = self.state.clock.now();
        let resets_at = denials.iter().find_map(|it| match it {
            Denial::QuotaExhausted { resets_at, .. } => *resets_at,
            _ => None,
        });
        let retry_after = match resets_at {
            Some(at) => u64::try_from(at.ms_since(now).max(0)).unwrap_or(0).div_ceil(1000),
            None => ASK_AGAIN_S,
        };
        let decision = Decision { denials };
        let headers = &arrival.head.headers;
        let language = headers.get(ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok()).map(Language::of);
        let refusal = refuse(&Blocked {
            answer: arrival.route.kind.answer(asked),
            caller,
            member,
            via: arrival.via,
            decision: &decision,
            retry_after: Some(retry_after),
            upgrade_url: &self.state.config.page_url(),
            language: language.unwrap_or_default(),
        });
        let refusal = refusal.unwrap_or_else(|| envelope(StatusCode::FORBIDDEN, "this request is not allowed"));
        if let (Some(payer), Some(denial)) = (&payer, decision.denials.first()) {
            let told = paywall_contract::Refusal {
                at: now,
                operation,
                code: denial.code(),
                method: arrival.head.method.as_str().to_owned(),
                path: arrival.head.uri.path().to_owned(),
                http_status: refusal.status.as_u16(),
            };
            self.notes.refused(payer.clone(), told);
        }
        Refused { payer, refusal }
    }
}

impl Engine for Enforcement {
    type Watch = Settling;

    async fn admit(&self, arrival: Arrival<'_>, body: &mut Peek) -> Admission<Settling> {
        let judged = self.judge(&arrival, body).await;
        judged.unwrap_or_else(|Refused { payer, refusal }| Admission::Refuse { payer, refusal })
    }
}

/// Who looks at the page of its own tenant, which it owns.
pub(crate) struct Visitor {
    pub(crate) standing: Arc<Standing>,
    /// Whether it is the owner who signed in, and not a program with a key: programs buy nothing.
    pub(crate) in_person: bool,
}

/// A database is away, so that nobody can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Untellable;

fn passed(payer: Option<TenantId>, watch: Settling) -> Admission<Settling> {
    Admission::Pass { payer, plain: false, watch }
}

fn unauthorized() -> Refusal {
    envelope(StatusCode::UNAUTHORIZED, "sign in, or send an API key")
}

fn odd(error: CredentialError, via: Via) -> Refusal {
    let status = match via {
        Via::Proxy => StatusCode::BAD_REQUEST,
        Via::Authz => StatusCode::FORBIDDEN,
    };
    envelope(status, &error.to_string())
}

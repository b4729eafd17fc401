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

mod fail;
mod notes;
mod settling;
mod standings;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use paywall_domain::{
    Decision, Denial, Limit, Meter, MeterKind, Operation, Reading, TenantId, Timestamp, Usage, decide, readings, status,
};
use tokio_util::sync::CancellationToken;

pub use fail::FailOpen;
pub(crate) use notes::Notes;
pub(crate) use settling::Settling;
pub(crate) use standings::{Standing, Standings};

use self::settling::{Charge, Tells};
use crate::directory::{Directory, DirectoryError, Identity, Mirror, Sight, TrialStart};
use crate::gate::{
    self, Asked, Blocked, Caller, CredentialError, Language, PathId, Refusal, Route, Via, identify, refuse, relevant,
};
use crate::metering::estimate;
use crate::proxy::{Admission, Arrival, Engine, Named, Peek, envelope};
use crate::quota::{self, Ask, Counter, CountingPeriod, Demand, Level, LevelReservation, Levels, Quota, Reservation};
use crate::server::State;
use crate::transition::Period;

/// Tokens that are set aside for an answer whose length nobody knows yet.
const ANSWER_TOKENS: i64 = 1_000;

/// After how many seconds a caller may ask again, where nobody could tell.
const ASK_AGAIN_S: u64 = 5;

/// The engine of a server in front of `RAGFlow`.
pub(crate) struct Enforcement {
    state: Arc<State>,
    directory: Arc<Directory>,
    mirror: Arc<Mirror>,
    standings: Standings,
    quota: Quota,
    levels: Levels,
    notes: Notes,
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
    Denied { payer: Option<TenantId>, denials: Vec<Denial> },
    /// Nobody can tell, and the policy lets it pass.
    Untold(Option<TenantId>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Answer(refusal)
    }
}

/// A request that the rules let pass, with what is set aside for it.
struct Allowed {
    payer: TenantId,
    reservation: Option<Reservation>,
    levels: Vec<(LevelReservation, Meter)>,
    period: CountingPeriod,
}

impl Enforcement {
    pub(crate) fn new(state: Arc<State>, directory: Arc<Directory>, mirror: Arc<Mirror>, quota: Quota) -> Self {
        Self {
            standings: Standings::new(Arc::clone(&state)),
            notes: Notes::new(),
            levels: Levels::default(),
            state,
            directory,
            mirror,
            quota,
        }
    }

    /// Keeps what is in memory up to date, and writes down what was noted, until `stop` is cancelled.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.standings.follow(stop.clone()), self.notes.write(&self.state, stop));
    }

    /// How a caller's own tenant stands: for its page. `Ok(None)` = nobody that is known.
    pub(crate) async fn standing_of(&self, headers: &HeaderMap) -> Result<Option<Arc<Standing>>, Untellable> {
        let Ok(candidates) = identify(headers, false) else { return Ok(None) };
        match self.directory.identify(&candidates, headers).await {
            Ok(Some(identity)) => self.meet(&identity.tenant, Some(&identity)).await,
            Ok(None) => Ok(None),
            Err(error) => {
                self.notes.directory_away(&error);
                Err(Untellable)
            }
        }
    }

    async fn judge(&self, arrival: &Arrival<'_>, body: &mut Peek) -> Result<Admission<Settling>, Refusal> {
        let route = arrival.route;
        let asks_who = arrival.via == Via::Authz || route.kind.effect.is_some() || route.kind.open;
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
            Ok(allowed) => Ok(self.pass(arrival, allowed, &who, caller, &named)),
            Err(Stop::Answer(refusal)) => Err(refusal),
            Err(Stop::Untold(payer)) => Ok(passed(payer, Settling::nothing())),
            Err(Stop::Denied { payer, denials }) => {
                let asked = if body.is_empty() { named.asked } else { Named::asked(headers, body).await };
                Err(self.refuse(arrival, payer, denials, caller, asked, operation))
            }
        }
    }

    /// A request that costs nothing: it may still change what is known.
    fn free(&self, arrival: &Arrival<'_>, who: &Who<'_>) -> Admission<Settling> {
        let tenant = match who {
            Who::Known(identity) => identity.tenant.clone(),
            Who::Nobody if arrival.via == Via::Authz && self.state.config.authz_refuses_anonymous => {
                return Admission::Refuse(unauthorized());
            }
            Who::Nobody | Who::Untold => return passed(None, Settling::nothing()),
        };
        let watch = match arrival.route.kind.effect {
            Some(effect) => Settling::telling(self.tells(Some((effect, tenant.clone())), Vec::new())),
            None => Settling::nothing(),
        };
        passed(Some(tenant), watch)
    }

    fn tells(&self, effect: Option<(gate::Effect, TenantId)>, touched: Vec<TenantId>) -> Tells {
        Tells { directory: Arc::clone(&self.directory), effect, touched }
    }

    /// Whether the rules and the quotas let a request pass that costs something.
    async fn allow(
        &self,
        arrival: &Arrival<'_>,
        who: &Who<'_>,
        caller: Caller,
        operation: Operation,
        named: &Named,
    ) -> Result<Allowed, Stop> {
        let payers = self.payers(arrival, who, named).await?;
        let mut payer = None;
        for tenant in &payers {
            let identity = match who {
                Who::Known(identity) if identity.tenant == *tenant => Some(identity),
                _ => None,
            };
            let standing = self.judged(arrival, tenant, identity, caller, operation).await?;
            // Whoever owns a part of what is used must be allowed to; one of them pays: the caller, where it
            // is among them.
            if payer.is_none() || identity.is_some() {
                payer = Some((tenant.clone(), standing));
            }
        }
        let Some((payer, standing)) = payer else { return Err(self.anonymous(arrival)) };
        self.set_aside(arrival, payer, &standing, caller).await
    }

    /// A request of nobody that is known, for nothing that anybody owns: `RAGFlow` refuses it itself.
    fn anonymous(&self, arrival: &Arrival<'_>) -> Stop {
        if arrival.via == Via::Authz && self.state.config.authz_refuses_anonymous {
            Stop::Answer(unauthorized())
        } else {
            Stop::Untold(None)
        }
    }

    /// Who pays: the owners of what is named, else the caller; nobody where nobody is known.
    async fn payers(&self, arrival: &Arrival<'_>, who: &Who<'_>, named: &Named) -> Result<BTreeSet<TenantId>, Stop> {
        let ids: Vec<&PathId> = match arrival.route.payer() {
            Some(id) => vec![id],
            None => named.ids.iter().filter(|it| it.resource != gate::Resource::Other).collect(),
        };
        // Whoever is nobody to RAGFlow gets nothing from it, whatever it names.
        if matches!(who, Who::Nobody) && !arrival.route.kind.open {
            return Ok(BTreeSet::new());
        }
        let mut owners = BTreeSet::new();
        for id in ids {
            match self.directory.owner(id.resource, &id.id).await {
                Ok(owner) => owners.extend(owner),
                Err(error) => return Err(self.untold(&error)),
            }
        }
        match who {
            _ if !owners.is_empty() => Ok(owners),
            Who::Known(identity) => Ok(BTreeSet::from([identity.tenant.clone()])),
            Who::Nobody => Ok(BTreeSet::new()),
            Who::Untold => Err(self.unknown_standing()),
        }
    }

    fn untold(&self, error: &DirectoryError) -> Stop {
        self.notes.directory_away(error);
        self.unknown_standing()
    }

    /// Nobody can tell whose request it is, or how its payer stands.
    fn unknown_standing(&self) -> Stop {
        if self.state.config.fail_open.unknown() {
            Stop::Untold(None)
        } else {
            Stop::Denied { payer: None, denials: vec![Denial::PaywallUnavailable] }
        }
    }

    /// The standing of a tenant that the rules let do this.
    async fn judged(
        &self,
        arrival: &Arrival<'_>,
        tenant: &TenantId,
        identity: Option<&Identity<'_>>,
        caller: Caller,
        operation: Operation,
    ) -> Result<Arc<Standing>, Stop> {
        let Ok(known) = self.meet(tenant, identity).await else { return Err(self.unknown_standing()) };
        let Some(mut standing) = known else {
            return Err(Stop::Denied { payer: Some(tenant.clone()), denials: vec![Denial::UnknownTenant] });
        };
        let mut denials = self.denials(arrival.route, &standing, caller, operation);
        let gauge =
            |it: &Denial| matches!(it, Denial::QuotaExhausted { meter, .. } if meter.kind() == MeterKind::Gauge);
        // Room may have been made since the levels were measured.
        if denials.iter().all(gauge) && !denials.is_empty() && self.mirror.see(tenant).await.is_ok() {
            self.standings.forget(tenant).await;
            if let Ok(Some(again)) = self.standings.get(tenant).await {
                denials = self.denials(arrival.route, &again, caller, operation);
                standing = again;
            }
        }
        if denials.is_empty() { Ok(standing) } else { Err(Stop::Denied { payer: Some(tenant.clone()), denials }) }
    }

    /// What the rules say from the facts and the levels. Counters are the leases' to say.
    fn denials(&self, route: &Route, standing: &Standing, caller: Caller, operation: Operation) -> Vec<Denial> {
        let now = self.state.clock.now();
        let usage = Usage { used: standing.row.gauges.clone(), resets_at: None };
        let plan = standing.plan(now);
        let decision = decide(&standing.row.facts, &plan, &usage, operation, now);
        relevant(&decision, route, caller).denials
    }

    /// A tenant's standing; one that is met for the first time is brought in, and its trial begun.
    async fn meet(
        &self,
        tenant: &TenantId,
        identity: Option<&Identity<'_>>,
    ) -> Result<Option<Arc<Standing>>, Untellable> {
        let mut found = self.standings.get(tenant).await?;
        if found.is_none() {
            let sight = match identity {
                Some(identity) => self.mirror.meet(identity).await,
                None => self.mirror.see(tenant).await,
            };
            match sight {
                Ok(Sight::Known) => {
                    self.standings.forget(tenant).await;
                    found = self.standings.get(tenant).await?;
                }
                Ok(Sight::Unknown) => {}
                Err(_) => return Err(Untellable),
            }
        }
        let untried = |it: &Arc<Standing>| {
            let facts = &it.row.facts;
            facts.trial.is_none() && facts.subscription.is_none() && facts.comp.is_none()
        };
        if self.state.config.trial_start == TrialStart::FirstUse && found.as_ref().is_some_and(untried) {
            self.mirror.first_use(tenant).await.map_err(|_| Untellable)?;
            self.standings.forget(tenant).await;
            found = self.standings.get(tenant).await?;
        }
        Ok(found)
    }

    /// Sets aside what the request may use.
    async fn set_aside(
        &self,
        arrival: &Arrival<'_>,
        payer: TenantId,
        standing: &Standing,
        caller: Caller,
    ) -> Result<Allowed, Stop> {
        let now = self.state.clock.now();
        let plan = standing.plan(now);
        let read = readings(&standing.row.facts, &plan, &standing.row.usage(), now);
        let limit = |meter| read.iter().find(|it: &&Reading| it.meter == meter).map_or(Limit::Unlimited, |it| it.limit);
        let period = period(standing, now);
        let mut asks = Vec::new();
        let mut levels = Vec::new();
        let mut exhausted = Vec::new();
        for meter in gate::costs(arrival.route, caller) {
            if let Some(counter) = Counter::of(meter) {
                let demand = match counter {
                    Counter::Tokens => Demand::up_to(ANSWER_TOKENS),
                    Counter::Messages | Counter::ApiRequests => Demand::exactly(1),
                };
                asks.push(Ask { counter, demand, limit: limit(meter) });
                continue;
            }
            let level = standing.row.gauges.get(&meter).zip(standing.row.measured_at);
            let level = level.map(|(value, measured_at)| Level { value: *value, measured_at });
            let amount = if meter == Meter::StorageBytes { length(&arrival.head.headers) } else { 1 };
            match self.levels.reserve(&payer, meter, amount, limit(meter), level) {
                Ok(reserved) => levels.push((reserved, meter)),
                Err(dry) => exhausted.push(dry),
            }
        }
        let reservation = match self.quota.reserve(&payer, period, &asks).await {
            _ if !exhausted.is_empty() => None,
            quota::Admission::Reserved(reservation) => Some(reservation),
            quota::Admission::Exhausted(dry) => {
                exhausted.extend(dry);
                None
            }
            quota::Admission::Unavailable(_) => {
                if !self.state.config.fail_open.status(status(&standing.row.facts, now)) {
                    return Err(Stop::Denied { payer: Some(payer), denials: vec![Denial::PaywallUnavailable] });
                }
                None
            }
        };
        if !exhausted.is_empty() {
            exhausted.sort_by_key(|it| it.meter);
            let denials = exhausted.into_iter().map(|it| Denial::QuotaExhausted {
                meter: it.meter,
                used: it.used,
                limit: it.limit,
                resets_at: it.resets_at,
            });
            return Err(Stop::Denied { payer: Some(payer), denials: denials.collect() });
        }
        Ok(Allowed { payer, reservation, levels, period })
    }

    fn pass(
        &self,
        arrival: &Arrival<'_>,
        allowed: Allowed,
        who: &Who<'_>,
        caller: Caller,
        named: &Named,
    ) -> Admission<Settling> {
        let Allowed { payer, reservation, levels, period } = allowed;
        let kind = arrival.route.kind;
        self.notes.active(&payer, self.state.clock.now());
        let effect = match who {
            Who::Known(identity) => kind.effect.map(|effect| (effect, identity.tenant.clone())),
            Who::Nobody | Who::Untold => None,
        };
        let touched = if levels.is_empty() { Vec::new() } else { vec![payer.clone()] };
        let meters: Vec<Meter> = gate::costs(arrival.route, caller).collect();
        let plain = meters.contains(&Meter::Tokens);
        let charge = Charge {
            quota: self.quota.clone(),
            clock: Arc::clone(&self.state.clock),
            id: arrival.id.to_owned(),
            payer: payer.clone(),
            period,
            meters,
            answer: kind.answer(named.asked),
            asked: estimate(arrival.head.uri.query().unwrap_or_default()),
            reservation,
            levels,
        };
        Admission::Pass { payer: Some(payer), plain, watch: Settling::charging(charge, self.tells(effect, touched)) }
    }

    fn refuse(
        &self,
        arrival: &Arrival<'_>,
        payer: Option<TenantId>,
        denials: Vec<Denial>,
        caller: Caller,
        asked: Asked,
        operation: Operation,
    ) -> Refusal {
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
            via: arrival.via,
            decision: &decision,
            retry_after: Some(retry_after),
            upgrade_url: &self.state.config.page_url(),
            language: language.unwrap_or_default(),
        });
        let refusal = refusal.unwrap_or_else(|| envelope(StatusCode::FORBIDDEN, "this request is not allowed"));
        if let (Some(payer), Some(denial)) = (payer, decision.denials.first()) {
            let told = paywall_contract::Refusal {
                at: now,
                operation,
                code: denial.code(),
                method: arrival.head.method.as_str().to_owned(),
                path: arrival.head.uri.path().to_owned(),
                http_status: refusal.status.as_u16(),
            };
            self.notes.refused(payer, told);
        }
        refusal
    }
}

impl Engine for Enforcement {
    type Watch = Settling;

    async fn admit(&self, arrival: Arrival<'_>, body: &mut Peek) -> Admission<Settling> {
        self.judge(&arrival, body).await.unwrap_or_else(Admission::Refuse)
    }
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

/// The period in which usage counts now.
fn period(standing: &Standing, now: Timestamp) -> CountingPeriod {
    let period = standing.row.period.map(|it| it.at(now)).or_else(|| Period::month_of(now));
    period.map_or(CountingPeriod { start: now, end: now }, |it| CountingPeriod { start: it.start, end: it.end })
}

/// Bytes that a request brings; 0 where it does not say.
fn length(headers: &HeaderMap) -> i64 {
    headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok()).unwrap_or(0)
}

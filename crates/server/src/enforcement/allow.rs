//! Whether a request that costs something may pass: who pays for it, how the payer stands, and what is left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use paywall_contract::MemberRole;
use paywall_domain::{
    Denial, Limit, Meter, MeterKind, Operation, Reading, TenantId, Timestamp, Usage, decide, readings, status,
};

use super::{Denied, Enforcement, Standing, Stop, Untellable, Who, unauthorized};
use crate::directory::{DirectoryError, Identity, MirrorError, Sight, TrialStart};
use crate::gate::{self, Caller, PathId, Route, Via, relevant};
use crate::patience::{within, within_turns};
use crate::proxy::{Arrival, Named};
use crate::quota::{self, Ask, Counter, CountingPeriod, Demand, Exhausted, Level, LevelReservation, Reservation};
use crate::transition::Period;

/// Tokens that are set aside for an answer whose length nobody knows yet.
const ANSWER_TOKENS: i64 = 1_000;

/// How long a request waits for its payer to be read from `RAGFlow`, or for its trial to begin, while nobody gets
/// there; and how often, while others do.
const PATIENCE: Duration = Duration::from_secs(1);
const TURNS: u32 = 10;

/// A request that the rules let pass, with what is set aside for it.
pub(super) struct Allowed {
    pub(super) payer: TenantId,
    pub(super) standing: Arc<Standing>,
    pub(super) reservation: Option<Reservation>,
    pub(super) levels: Vec<(LevelReservation, Meter)>,
    pub(super) period: CountingPeriod,
}

impl Enforcement {
    /// Whether the rules and the quotas let a request pass that costs something.
    pub(super) async fn allow(
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
            let standing = self.judged(arrival.route, tenant, who, caller, operation).await?;
            // Whoever owns a part of what is used must be allowed to; one of them pays: the caller, where it
            // is among them.
            if payer.is_none() || who.is(tenant).is_some() {
                payer = Some((tenant.clone(), standing));
            }
        }
        let Some((payer, standing)) = payer else { return Err(self.anonymous(arrival)) };
        self.set_aside(arrival, payer, standing, who, caller).await
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
            Stop::Denied(Denied { payer: None, member: false, denials: vec![Denial::PaywallUnavailable] })
        }
    }

    /// The standing of a tenant that the rules let do this.
    async fn judged(
        &self,
        route: &Route,
        tenant: &TenantId,
        who: &Who<'_>,
        caller: Caller,
        operation: Operation,
    ) -> Result<Arc<Standing>, Stop> {
        let met = async { self.begun(tenant, self.meet(tenant, who.is(tenant)).await?).await };
        let Ok(known) = met.await else { return Err(self.unknown_standing()) };
        let Some(mut standing) = known else {
            return Err(denied(tenant, who.belongs_to(tenant, None), vec![Denial::UnknownTenant]));
        };
        let mut denials = self.denials(route, &standing, caller, operation);
        let gauge =
            |it: &Denial| matches!(it, Denial::QuotaExhausted { meter, .. } if meter.kind() == MeterKind::Gauge);
        if !denials.is_empty()
            && denials.iter().all(gauge)
            && let Some(again) = self.measured_again(tenant).await
        {
            denials = self.denials(route, &again, caller, operation);
            standing = again;
        }
        if denials.is_empty() {
            return Ok(standing);
        }
        Err(denied(tenant, who.belongs_to(tenant, Some(&standing)), denials))
    }

    /// What the rules say from the facts and the levels. Counters are the leases' to say.
    fn denials(&self, route: &Route, standing: &Standing, caller: Caller, operation: Operation) -> Vec<Denial> {
        let now = self.state.clock.now();
        let usage = Usage { used: standing.row.gauges.clone(), resets_at: None };
        let plan = standing.plan(now);
        let decision = decide(&standing.row.facts, &plan, &usage, operation, now);
        relevant(&decision, route, caller).denials
    }

    /// A tenant's standing; one that is met for the first time is brought in.
    pub(super) async fn meet(
        &self,
        tenant: &TenantId,
        identity: Option<&Identity<'_>>,
    ) -> Result<Option<Arc<Standing>>, Untellable> {
        if let Some(found) = self.standings.get(tenant).await? {
            return Ok(Some(found));
        }
        let sight = async {
            match identity {
                Some(identity) => self.mirror.meet(identity).await,
                None => self.mirror.bring_in(tenant).await,
            }
        };
        match within_turns(PATIENCE, TURNS, || self.mirror.brought_in(), Box::pin(sight)).await {
            Some(Ok(Sight::Known)) => self.standings.fresh(tenant).await,
            Some(Ok(Sight::Unknown)) => Ok(None),
            Some(Err(error)) => {
                if let MirrorError::Directory(error) = &*error {
                    self.notes.directory_away(error);
                }
                Err(Untellable)
            }
            None => Err(Untellable),
        }
    }

    /// Begins the trial of a tenant that now first does something, where the policy says so.
    async fn begun(
        &self,
        tenant: &TenantId,
        known: Option<Arc<Standing>>,
    ) -> Result<Option<Arc<Standing>>, Untellable> {
        let Some(standing) = known else { return Ok(None) };
        let facts = &standing.row.facts;
        let wanted = self.state.config.trial_start == TrialStart::FirstUse;
        let untried = facts.trial.is_none() && facts.subscription.is_none() && facts.comp.is_none();
        // Whoever gets none must not cost a transaction each time.
        let offered = facts.suspension.is_none() && standing.own_plan().is_some_and(|plan| plan.trial_days > 0);
        if !(wanted && untried && offered) {
            return Ok(Some(standing));
        }
        let first_use = async { self.mirror.first_use(tenant).await.map(drop) };
        let begun = self.begun.try_get_with(tenant.clone(), Box::pin(first_use));
        match within_turns(PATIENCE, TURNS, || self.mirror.brought_in(), begun).await {
            Some(Ok(())) => self.standings.fresh(tenant).await,
            Some(Err(_)) | None => Err(Untellable),
        }
    }

    /// A tenant's standing after its levels were measured anew, since room may have been made; `None` where
    /// that cannot be done now.
    async fn measured_again(&self, tenant: &TenantId) -> Option<Arc<Standing>> {
        if self.standings.is_away() {
            return None;
        }
        match within(PATIENCE, self.mirror.see(tenant)).await {
            Some(Ok(Sight::Known)) => self.standings.fresh(tenant).await.ok().flatten(),
            _ => None,
        }
    }

    /// Sets aside what the request may use.
    async fn set_aside(
        &self,
        arrival: &Arrival<'_>,
        payer: TenantId,
        mut standing: Arc<Standing>,
        who: &Who<'_>,
        caller: Caller,
    ) -> Result<Allowed, Stop> {
        let now = self.state.clock.now();
        let meters: Vec<Meter> = gate::costs(arrival.route, caller).collect();
        let length = length(&arrival.head.headers);
        let mut levels = self.reserve_levels(&payer, &standing, &meters, length).await;
        if levels.is_err()
            && let Some(again) = self.measured_again(&payer).await
        {
            levels = self.reserve_levels(&payer, &again, &meters, length).await;
            standing = again;
        }
        let member = who.belongs_to(&payer, Some(&standing));
        let levels = levels.map_err(|dry| denied(&payer, member, exhausted(dry)))?;

        let (limits, period) = (limits(&standing, now), period(&standing, now));
        let ask = |counter: Counter| {
            let demand = match counter {
                Counter::Tokens => Demand::up_to(ANSWER_TOKENS),
                Counter::Messages | Counter::ApiRequests => Demand::exactly(1),
            };
            Ask { counter, demand, limit: limit_of(&limits, counter.meter()) }
        };
        let asks: Vec<Ask> = meters.iter().filter_map(|meter| Counter::of(*meter)).map(ask).collect();
        let reservation = match self.quota.reserve(&payer, period, &asks).await {
            quota::Admission::Reserved(reservation) => Some(reservation),
            quota::Admission::Exhausted(dry) => return Err(denied(&payer, member, exhausted(dry))),
            quota::Admission::Unavailable(_) => {
                if !self.state.config.fail_open.status(status(&standing.row.facts, now)) {
                    return Err(denied(&payer, member, vec![Denial::PaywallUnavailable]));
                }
                None
            }
        };
        Ok(Allowed { payer, standing, reservation, levels, period })
    }

    /// Sets aside room of all meters that are levels, or of none.
    async fn reserve_levels(
        &self,
        payer: &TenantId,
        standing: &Standing,
        meters: &[Meter],
        length: i64,
    ) -> Result<Vec<(LevelReservation, Meter)>, Vec<Exhausted>> {
        let limits = limits(standing, self.state.clock.now());
        let row = &standing.row;
        // What was measured here may be newer than what was read of the store, and then its values are too.
        let measured = self.mirror.measured(payer).await.filter(|it| row.measured_at.is_none_or(|at| at < it.at));
        let (gauges, measured_at) = match &measured {
            Some(it) => (&*it.gauges, Some(it.at)),
            None => (&row.gauges, row.measured_at),
        };
        let (mut reserved, mut exhausted) = (Vec::new(), Vec::new());
        for meter in meters.iter().copied().filter(|it| it.kind() == MeterKind::Gauge) {
            let level = gauges.get(&meter).zip(measured_at);
            // Whoever was asked to join takes a seat soon.
            let coming = if meter == Meter::Seats { invitations(standing) } else { 0 };
            let level = level.map(|(value, measured_at)| Level { value: value.saturating_add(coming), measured_at });
            let amount = if meter == Meter::StorageBytes { length } else { 1 };
            match self.levels.reserve(payer, meter, amount, limit_of(&limits, meter), level) {
                Ok(room) => reserved.push((room, meter)),
                Err(dry) => exhausted.push(dry),
            }
        }
        if exhausted.is_empty() { Ok(reserved) } else { Err(exhausted) }
    }
}

impl<'a> Who<'a> {
    /// The caller, where it is this tenant itself.
    fn is(&self, tenant: &TenantId) -> Option<&Identity<'a>> {
        match self {
            Self::Known(identity) if identity.tenant == *tenant => Some(identity),
            _ => None,
        }
    }

    /// Whether the caller is the payer or a member of it. Whoever was asked to join and did not answer is none.
    fn belongs_to(&self, payer: &TenantId, standing: Option<&Standing>) -> bool {
        let Self::Known(identity) = self else { return false };
        // A user's id is its tenant's.
        let user = &identity.tenant;
        let is_member = |standing: &Standing| {
            let members = &standing.row.members;
            members.iter().any(|it| it.user_id == user.as_str() && it.role != MemberRole::Invite)
        };
        identity.is_proven() && (user == payer || standing.is_some_and(is_member))
    }
}

fn denied(payer: &TenantId, member: bool, denials: Vec<Denial>) -> Stop {
    Stop::Denied(Denied { payer: Some(payer.clone()), member, denials })
}

fn exhausted(mut dry: Vec<Exhausted>) -> Vec<Denial> {
    dry.sort_by_key(|it| it.meter);
    let denials = dry.into_iter().map(|it| Denial::QuotaExhausted {
        meter: it.meter,
        used: it.used,
        limit: it.limit,
        resets_at: it.resets_at,
    });
    denials.collect()
}

/// Members who were asked to join and did not answer yet.
fn invitations(standing: &Standing) -> i64 {
    standing.row.members.iter().filter(|it| it.role == MemberRole::Invite).count() as i64
}

/// Every meter with its limit in force.
fn limits(standing: &Standing, now: Timestamp) -> Vec<Reading> {
    readings(&standing.row.facts, &standing.plan(now), &standing.row.usage(), now)
}

fn limit_of(limits: &[Reading], meter: Meter) -> Limit {
    limits.iter().find(|it| it.meter == meter).map_or(Limit::Unlimited, |it| it.limit)
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

//! A tenant's story as the paywall server takes it in.

use std::collections::BTreeMap;

use paywall_contract::{
    Adjustment, DailyUsage, Member, MemberRole, Refusal, Snapshot, TenantIntake, TimelineBody, TimelineIntake,
};
use paywall_domain::{
    AccessLevel, Change, DenyCode, Limit, Meter, Operation, Plan, Role as StaffRole, SubscriptionStatus, TenantFacts,
    Timestamp, TrialTarget, Usage, assess, readings, status,
};
use ulid::Ulid;

use crate::books::InvoiceStatus;
use crate::calendar::{DAY, add_months, day_start, month_start, weekend};
use crate::cast::Role;
use crate::draw::{Draw, Purpose};
use crate::ids::Kind;
use crate::names;
use crate::story::{Setting, Story};

const MINUTE_MS: i64 = 60_000;

pub(crate) fn intake(setting: &Setting, plans: &[Plan], story: Story) -> TenantIntake {
    let now = setting.now;
    let mut people = Draw::new(setting.seed, story.index, Purpose::People);
    let mut usage_draw = Draw::new(setting.seed, story.index, Purpose::Usage);
    let plan = plan_in_force(plans, &story.facts, now);
    let members = members(&mut people, &story, plan);
    let gauges = gauges(&mut usage_draw, &story, plan, &members);
    let period = period(setting, &story);
    let idle = idle_ms(&mut usage_draw, &story, now);
    let last_active_at =
        (story.role != Some(Role::UnknownUsage)).then(|| Timestamp((now.0 - idle).max(story.created_at.0)));
    let usage = last_active_at.map(|last| days(&mut usage_draw, &story, plan, last));
    let known = Usage {
        used: gauges.iter().map(|(meter, level)| (*meter, *level)).chain(counted(usage.as_deref(), period)).collect(),
        resets_at: Some(period.1),
    };
    let access = assess(&story.facts, plan, &known, now);
    let last_refusal = last_active_at.and_then(|at| refusal(&access, at));
    let timeline = timeline(setting, plans, &mut people, &story, &known, last_refusal.as_ref());
    TenantIntake {
        id: story.id.clone(),
        stripe_customer: story.customer_id(&setting.ids),
        name: story.name,
        email: story.email,
        created_at: story.created_at,
        deleted_at: story.deleted_at,
        facts: story.facts,
        members,
        gauges: if last_active_at.is_some() { gauges } else { BTreeMap::new() },
        usage,
        period: Some(period),
        measured_at: last_active_at.map(|_| Timestamp(now.0 - 2 * MINUTE_MS)),
        last_active_at,
        last_refusal,
        timeline,
    }
}

fn plan_in_force<'a>(plans: &'a [Plan], facts: &TenantFacts, now: Timestamp) -> &'a Plan {
    let id = facts.plan_in_force(now);
    plans.iter().find(|plan| plan.id == *id).unwrap_or(&plans[0])
}

fn members(draw: &mut Draw, story: &Story, plan: &Plan) -> Vec<Member> {
    let owner = Member {
        user_id: story.id.to_string(),
        name: story.owner.clone(),
        email: story.email.clone(),
        role: MemberRole::Owner,
    };
    let others = match story.role {
        Some(Role::OwnerOnly) => 0,
        Some(Role::ManyMembers) => 299,
        _ => match plan.limit(Meter::Seats) {
            // One seat stays free: a full house would be a second reason beside the one that a part is about.
            Limit::AtMost(most) => draw.between(0, (most - 2).min(9)),
            Limit::Unlimited => draw.between(0, 12),
        },
    };
    let mut members = vec![owner];
    for number in 0..others {
        let (name, local) = names::person(draw);
        members.push(Member {
            user_id: draw.hex(32),
            name,
            email: format!("{local}{}@{}", number + 2, story.domain),
            role: match draw.below(10) {
                0 => MemberRole::Admin,
                1 if story.role != Some(Role::ManyMembers) => MemberRole::Invite,
                _ => MemberRole::Normal,
            },
        });
    }
    members
}

fn gauges(draw: &mut Draw, story: &Story, plan: &Plan, members: &[Member]) -> BTreeMap<Meter, i64> {
    let mut level = |meter: Meter, ample: i64| {
        let most = match plan.limit(meter) {
            Limit::AtMost(most) => most,
            Limit::Unlimited => ample,
        };
        most.saturating_mul(draw.between(2, 90)) / 100
    };
    let mut gauges = BTreeMap::from([
        (Meter::Documents, level(Meter::Documents, 80_000)),
        (Meter::StorageBytes, level(Meter::StorageBytes, 800 << 30)),
        (Meter::Datasets, level(Meter::Datasets, 300)),
        (Meter::Seats, members.iter().filter(|it| it.role != MemberRole::Invite).count() as i64),
    ]);
    let full = match story.role {
        Some(Role::TwoRules) => Some(Meter::Documents),
        Some(Role::QuotaPartial) => Some(Meter::StorageBytes),
        None if draw.chance(30) => Some(*draw.pick(&[Meter::Documents, Meter::StorageBytes])),
        _ => None,
    };
    if let Some((meter, Limit::AtMost(most))) = full.map(|meter| (meter, plan.limit(meter))) {
        gauges.insert(meter, most);
    }
    if story.role == Some(Role::Unlimited) {
        gauges.insert(Meter::StorageBytes, 3 << 40);
    }
    gauges
}

/// The running period of the counters: the subscription's, the trial's, or the calendar month.
fn period(setting: &Setting, story: &Story) -> (Timestamp, Timestamp) {
    let now = setting.seconds();
    let instant = |seconds: i64| Timestamp(seconds * 1000);
    let paying = story.books.subscriptions.last().filter(|sub| {
        matches!(sub.status, SubscriptionStatus::Active | SubscriptionStatus::PastDue | SubscriptionStatus::Trialing)
            && (sub.period.0..sub.period.1).contains(&now)
    });
    if let Some(sub) = paying {
        // Counters restart monthly, for those who pay by the year too.
        let mut months = 0;
        while add_months(sub.period.0, months + 1) <= now {
            months += 1;
        }
        let begin = add_months(sub.period.0, months);
        return (instant(begin), instant(add_months(sub.period.0, months + 1).min(sub.period.1)));
    }
    if let Some(trial) = story.facts.trial.as_ref().filter(|it| it.running(setting.now)) {
        return (trial.started_at, trial.ends_at);
    }
    let begin = month_start(now);
    (instant(begin), instant(add_months(begin, 1)))
}

/// For how long nobody has worked with it.
fn idle_ms(draw: &mut Draw, story: &Story, now: Timestamp) -> i64 {
    match story.role {
        Some(Role::LockedOut) => return 6 * MINUTE_MS,
        Some(Role::TwoRules) => return 50 * MINUTE_MS,
        Some(Role::DeletedAccount) => return 5 * DAY * 1000,
        _ => {}
    }
    let lapsed = status(&story.facts, now) == paywall_domain::Status::Expired;
    let minutes = if lapsed && draw.chance(800) {
        draw.between(2 * 1440, 90 * 1440)
    } else if draw.chance(700) {
        draw.between(1, 600)
    } else {
        draw.between(600, 12 * 1440)
    };
    minutes * MINUTE_MS
}

/// Usage of the last thirty days up to the last active one, oldest first.
fn days(draw: &mut Draw, story: &Story, plan: &Plan, last: Timestamp) -> Vec<DailyUsage> {
    let end = day_start(last.0.div_euclid(1000));
    let share = draw.between(3, 85);
    let daily = |meter: Meter, ample: i64| match plan.limit(meter) {
        Limit::AtMost(most) => most * share / 3000,
        Limit::Unlimited => ample,
    };
    let (messages, requests) = (daily(Meter::Messages, 4_000), daily(Meter::ApiRequests, 9_000));
    let tokens = daily(Meter::Tokens, 11_000_000);
    (0..30)
        .rev()
        .map(|back| end - back * DAY)
        .filter(|day| (*day + DAY) * 1000 > story.created_at.0)
        .filter_map(|day| {
            let lively = if weekend(day) { draw.between(0, 40) } else { draw.between(50, 140) };
            let some = |average: i64| average * lively / 100;
            let amounts: BTreeMap<Meter, i64> = [
                (Meter::Messages, some(messages)),
                (Meter::Tokens, some(tokens)),
                (Meter::ApiRequests, some(requests)),
            ]
            .into_iter()
            .filter(|it| it.1 > 0)
            .collect();
            (!amounts.is_empty() || day == end).then_some(DailyUsage { day: Timestamp(day * 1000), amounts })
        })
        .collect()
}

/// The counters of the running period.
fn counted(usage: Option<&[DailyUsage]>, period: (Timestamp, Timestamp)) -> BTreeMap<Meter, i64> {
    let mut counted = BTreeMap::new();
    for day in usage.unwrap_or_default().iter().filter(|it| it.day >= period.0 && it.day < period.1) {
        for (meter, amount) in &day.amounts {
            *counted.entry(*meter).or_insert(0) += amount;
        }
    }
    counted
}

fn refusal(access: &paywall_domain::Access, at: Timestamp) -> Option<Refusal> {
    let operation = match access.level {
        AccessLevel::Locked => Operation::Generate,
        AccessLevel::Partial => *access.denied.first()?,
        _ => return None,
    };
    let code = access.denials.first()?.code();
    // Whoever was last active before the block was not refused.
    if access.since.is_some_and(|since| since > at) {
        return None;
    }
    let (method, path) = match operation {
        Operation::Generate => ("POST", "/api/v1/chat/completions"),
        Operation::Retrieve => ("POST", "/api/v1/retrieval"),
        Operation::Upload => ("POST", "/api/v1/datasets/documents"),
        Operation::Parse => ("POST", "/api/v1/datasets/chunks"),
        Operation::Create => ("POST", "/api/v1/datasets"),
        Operation::Invite => ("POST", "/v1/tenant/members"),
    };
    let http_status = match code {
        DenyCode::Suspended => 403,
        DenyCode::QuotaExhausted => 429,
        _ => 402,
    };
    Some(Refusal { at, operation, code, method: method.to_owned(), path: path.to_owned(), http_status })
}

fn timeline(
    setting: &Setting,
    plans: &[Plan],
    draw: &mut Draw,
    story: &Story,
    usage: &Usage,
    refusal: Option<&Refusal>,
) -> Vec<TimelineIntake> {
    let now = setting.now;
    let facts = &story.facts;
    let mut entries: Vec<(Timestamp, TimelineBody)> = Vec::new();
    let mut past = TenantFacts {
        plan: plans[0].id.clone(),
        trial: None,
        comp: None,
        suspension: None,
        subscription: None,
        overrides: BTreeMap::new(),
    };
    if let Some(trial) = &facts.trial {
        let first_end = Timestamp(trial.ends_at.0 - trial.extended_ms);
        entries.push((trial.started_at, TimelineBody::TrialStarted { plan: plans[0].id.clone(), ends_at: first_end }));
        past.trial = Some(paywall_domain::Trial { ends_at: first_end, extensions: 0, extended_ms: 0, ..trial.clone() });
        if trial.ends_at <= now && facts.subscription.is_none() {
            entries.push((trial.ends_at, TimelineBody::TrialEnded));
        }
    }
    let mut scripts: Vec<(Timestamp, &str, StaffRole, Change, String)> = Vec::new();
    if let Some(trial) = &facts.trial {
        for number in 0..trial.extensions {
            let end_before = trial.ends_at.0 - trial.extended_ms + i64::from(number) * 7 * DAY * 1000;
            let at = Timestamp((end_before - draw.between(1, 3) * DAY * 1000 / 2).min(now.0 - MINUTE_MS));
            let reason = *draw.pick(&[
                "Was ill for a week",
                "Waiting for their security review",
                "Asked for time to load documents",
            ]);
            scripts.push((
                at,
                "Mia",
                StaffRole::Support,
                Change::ExtendTrial { target: TrialTarget::Days(7) },
                reason.to_owned(),
            ));
        }
    }
    for (meter, it) in &facts.overrides {
        let at = it.expires_at.map_or(now, |end| Timestamp(end.0.min(now.0) - 9 * DAY * 1000));
        let change = Change::OverrideQuota { meter: *meter, limit: it.limit, expires_at: it.expires_at };
        scripts.push((at, "Tom", StaffRole::Owner, change, it.reason.clone()));
    }
    if let Some(comp) = &facts.comp {
        let change = Change::Comp { plan: comp.plan.clone(), until: comp.until };
        scripts.push((comp.since, "Tom", StaffRole::Owner, change, "Design partner".to_owned()));
        if let Some(until) = comp.until.filter(|it| *it <= now) {
            entries.push((until, TimelineBody::CompEnded { plan: comp.plan.clone() }));
        }
    }
    if let Some(suspension) = &facts.suspension {
        let by = if suspension.by == "Mia" { "Mia" } else { "Tom" };
        let role = if by == "Mia" { StaffRole::Support } else { StaffRole::Owner };
        scripts.push((
            suspension.since,
            by,
            role,
            Change::Suspend { message: suspension.message.clone() },
            suspension.reason.clone(),
        ));
    }
    if draw.chance(120) {
        let after = draw.between(0, now.ms_since(story.created_at).max(1));
        let text = *draw.pick(&[
            "Called: happy, wants more seats next quarter",
            "Prefers e-mail to calls",
            "Asked for an invoice by post",
        ]);
        scripts.push((story.created_at.plus_ms(after), "Mia", StaffRole::Support, Change::Note, text.to_owned()));
    }
    scripts.sort_by_key(|it| it.0);
    for (at, actor, role, change, reason) in scripts {
        let Ok(after) =
            paywall_domain::apply(&past, &change, actor, &reason, at, |id| plans.iter().any(|it| it.id == *id))
        else {
            continue;
        };
        let id =
            Ulid::from_parts(at.0.max(0) as u64, (u128::from(draw.word()) << 64) | u128::from(draw.word())).to_string();
        let adjustment = Adjustment {
            id,
            tenant_id: story.id.clone(),
            at,
            actor: actor.to_owned(),
            actor_role: role,
            change,
            reason,
            ticket: draw.chance(300).then(|| format!("https://tickets.paywall.example/{}", draw.between(1000, 9999))),
            before: snapshot(plans, &past, usage, at),
            after: snapshot(plans, &after, usage, at),
            undoes: None,
            undone_by: None,
            request_id: format!("req-{}", draw.hex(12)),
        };
        past = after;
        entries.push((at, TimelineBody::Adjustment { adjustment: Box::new(adjustment) }));
    }
    billing_entries(setting, story, &mut entries);
    if let Some(refusal) = refusal {
        entries.push((refusal.at, TimelineBody::Blocked { code: refusal.code }));
    }
    entries.sort_by_key(|it| it.0);
    entries
        .into_iter()
        .enumerate()
        .map(|(number, (at, body))| {
            let id = match &body {
                TimelineBody::Adjustment { adjustment } => adjustment.id.clone(),
                _ => format!("{}-{number}", story.id),
            };
            TimelineIntake { id, at, body }
        })
        .collect()
}

fn billing_entries(setting: &Setting, story: &Story, entries: &mut Vec<(Timestamp, TimelineBody)>) {
    let instant = |seconds: i64| Timestamp(seconds * 1000);
    for (at, sub) in story.books.subscriptions.iter().enumerate() {
        let id = setting.ids.id(Kind::Subscription, story.index, at as u16);
        let started = !matches!(sub.status, SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired);
        if started {
            let product = sub.items.first().map(|it| setting.prices[usize::from(it.price)].product);
            let plan = paywall_domain::PlanId::from(product.and_then(crate::catalog::Product::plan).unwrap_or("pro"));
            entries.push((instant(sub.created), TimelineBody::SubscriptionStarted { plan, subscription: id.clone() }));
        }
        if let Some(ended) = sub.ended_at.filter(|_| started) {
            entries.push((instant(ended), TimelineBody::SubscriptionEnded { subscription: id }));
        }
    }
    let failed = |invoice: usize| {
        let charges =
            story.books.charges.iter().filter(move |it| usize::from(it.invoice) == invoice && it.failure.is_some());
        charges.map(|it| it.created).max()
    };
    for (at, invoice) in story.books.invoices.iter().enumerate() {
        if let (InvoiceStatus::Open, Some(last)) = (invoice.status, failed(at)) {
            entries.push((
                instant(last),
                TimelineBody::PaymentFailed {
                    invoice: setting.ids.id(Kind::Invoice, story.index, at as u16),
                    amount: invoice.total(),
                    currency: invoice.currency.code().to_owned(),
                    attempts: invoice.attempts,
                },
            ));
        }
    }
    let grace = story.facts.subscription.as_ref().and_then(|it| it.grace_ends_at).filter(|it| *it <= setting.now);
    if let Some(ended) = grace {
        entries.push((ended, TimelineBody::GraceEnded));
    }
}

fn snapshot(plans: &[Plan], facts: &TenantFacts, usage: &Usage, at: Timestamp) -> Snapshot {
    let plan = plan_in_force(plans, facts, at);
    Snapshot {
        facts: facts.clone(),
        status: status(facts, at),
        access: assess(facts, plan, usage, at),
        meters: readings(facts, plan, usage, at),
    }
}

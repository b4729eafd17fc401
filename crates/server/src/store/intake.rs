//! Tenants brought in from elsewhere.

use std::collections::{BTreeMap, HashMap};

use paywall_contract::{DailyUsage, IntakeRecord, TenantIntake, TimelineBody, TimelineIntake};
use paywall_domain::{Meter, MeterKind, Timestamp, status};
use sha2::{Digest, Sha256};
use sqlx::Row;

use super::entries::{aspect_word, kind_word};
use super::time::up_to;
use super::usage::{correct_totals, hold_totals};
use super::{Connection, Dialect, Plans, Store, StoreError, TenantRow, plans, storable, take_seq, tenants};
use crate::clock::Clock;
use crate::transition::Period;

/// Records written in one transaction.
pub(crate) const BATCH: usize = 1_000;

/// The longest id of an entry, in bytes: what the indexes of both databases take.
const ENTRY_ID_MAX: usize = 1_000;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportSummary {
    /// Plans that are new or changed.
    pub plans: usize,
    /// Tenants that were not known.
    pub added: usize,
    /// Tenants that were known, and that the import changed.
    pub changed: usize,
    /// Records that said nothing new.
    pub unchanged: usize,
    /// Records that could not be taken.
    pub refused: Vec<RefusedRecord>,
}

/// A record that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Its number, from 1; in a file, its line.
    pub number: usize,
    /// Why, in English.
    pub reason: String,
}

struct Accepted {
    intake: TenantIntake,
    hash: Vec<u8>,
}

/// What is kept of a tenant that a record is about.
struct Known {
    hash: Option<Vec<u8>>,
    version: i64,
    facts: String,
    /// Whether time did something to it that is not written yet.
    due: bool,
}

impl Store {
    /// Writes a batch of numbered records in one transaction.
    pub(crate) async fn import_batch(
        &self,
        records: Vec<(usize, IntakeRecord)>,
        clock: &dyn Clock,
        summary: &mut ImportSummary,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = clock.now();
        let mut known = plans::all(&mut write).await?;
        let mut accepted: BTreeMap<String, Accepted> = BTreeMap::new();
        for (number, record) in records {
            match record {
                IntakeRecord::Plan(plan) => {
                    if plan.id.as_str().contains('\0') {
                        summary.refused.push(RefusedRecord { number, reason: "a plan's id holds a NUL".to_owned() });
                    } else if plans::put(&mut write, &plan, None).await? {
                        summary.plans += 1;
                        known = plans::all(&mut write).await?;
                    } else {
                        summary.unchanged += 1;
                    }
                }
                IntakeRecord::Tenant(intake) => {
                    if let Some(reason) = fault(&intake, &known) {
                        summary.refused.push(RefusedRecord { number, reason });
                        continue;
                    }
                    let hash = Sha256::digest(serde_json::to_vec(&intake)?).to_vec();
                    let id = intake.id.as_str().to_owned();
                    if accepted.insert(id, Accepted { intake: *intake, hash }).is_some() {
                        summary.unchanged += 1;
                    }
                }
            }
        }
        write_tenants(&mut write, accepted, now, summary).await?;
        write.commit().await?;
        Ok(())
    }
}

/// Why a tenant cannot be taken, if it cannot.
fn fault(intake: &TenantIntake, plans: &Plans) -> Option<String> {
    let facts = &intake.facts;
    let named = std::iter::once(&facts.plan).chain(facts.comp.as_ref().map(|comp| &comp.plan));
    if let Some(plan) = named.into_iter().find(|plan| !plans.contains(plan)) {
        return Some(format!("there is no plan {:?}; bring it in before its tenants", plan.as_str()));
    }
    if let Some(gauge) = intake.gauges.keys().find(|meter| meter.kind() != MeterKind::Gauge) {
        return Some(format!("{} is a counter, not a gauge", gauge.as_str()));
    }
    let counters = intake.usage.iter().flatten().flat_map(|day| day.amounts.iter());
    if let Some((meter, _)) = counters.clone().find(|(meter, _)| meter.kind() != MeterKind::Counter) {
        return Some(format!("{} is a gauge, not a counter", meter.as_str()));
    }
    if counters.chain(&intake.gauges).any(|(_, amount)| *amount < 0) {
        return Some("an amount is below zero".to_owned());
    }
    if intake.timeline.iter().any(|entry| entry_id(intake, entry).len() > ENTRY_ID_MAX) {
        return Some(format!("an entry's id is longer than {ENTRY_ID_MAX} bytes"));
    }
    if intake.period.is_some_and(|(start, end)| start >= end) {
        return Some("the period ends before it begins".to_owned());
    }
    None
}

/// The id under which an entry is kept.
fn entry_id(intake: &TenantIntake, entry: &TimelineIntake) -> String {
    match &entry.body {
        TimelineBody::Adjustment { adjustment } => storable(&adjustment.id),
        _ => format!("{}.{}", intake.id, storable(&entry.id)),
    }
}

/// Writes tenants that are new here.
pub(super) async fn bring_in(
    connection: &mut Connection,
    tenants: Vec<TenantIntake>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut accepted = BTreeMap::new();
    for intake in tenants {
        let hash = Sha256::digest(serde_json::to_vec(&intake)?).to_vec();
        accepted.insert(intake.id.as_str().to_owned(), Accepted { intake, hash });
    }
    write_tenants(connection, accepted, now, &mut ImportSummary::default()).await
}

async fn write_tenants(
    connection: &mut Connection,
    accepted: BTreeMap<String, Accepted>,
    now: Timestamp,
    summary: &mut ImportSummary,
) -> Result<(), StoreError> {
    let ids: Vec<&str> = accepted.keys().map(String::as_str).collect();
    let rows = sqlx::query(Dialect::of(connection).pick(
        "SELECT id, intake_hash, version, facts,
                    CASE WHEN derived_at > $2 OR next_transition_at <= $2 THEN 1 ELSE 0 END AS due
             FROM tenants WHERE id IN (SELECT value FROM json_each($1))",
        "SELECT id, intake_hash, version, facts,
                    CASE WHEN derived_at > $2 OR next_transition_at <= $2 THEN 1 ELSE 0 END AS due
             FROM tenants WHERE id IN (SELECT value FROM json_array_elements_text(CAST($1 AS json)))",
    ))
    .bind(serde_json::to_string(&ids)?)
    .bind(now.0)
    .fetch_all(&mut *connection)
    .await?;
    let mut present = HashMap::with_capacity(rows.len());
    for row in &rows {
        let known = Known {
            hash: row.try_get("intake_hash")?,
            version: row.try_get("version")?,
            facts: row.try_get("facts")?,
            due: row.try_get::<i64, _>("due")? != 0,
        };
        present.insert(row.try_get::<String, _>("id")?, known);
    }

    let is_news = |id: &str, it: &Accepted| present.get(id).is_none_or(|known| known.hash.as_ref() != Some(&it.hash));
    let tells_days = |it: &Accepted| it.intake.usage.as_ref().is_some_and(|days| !days.is_empty());
    if accepted.iter().any(|(id, it)| tells_days(it) && is_news(id, it)) {
        hold_totals(connection).await?;
    }

    // What time did to them happened before what the import brings, and stays in their timelines.
    for (id, Accepted { intake, hash }) in &accepted {
        if present.get(id).is_some_and(|known| known.due && known.hash.as_ref() != Some(hash))
            && let Some(row) = tenants::get(connection, &intake.id).await?
        {
            up_to(connection, row, now).await?;
        }
    }

    // A day once, told last: PostgreSQL takes no row twice in one statement.
    let mut usage = BTreeMap::new();
    let mut entries = Vec::new();
    let mut seq = take_seq(connection, accepted.len()).await?;
    for Accepted { intake, hash } in accepted.values() {
        let version = match present.get(intake.id.as_str()) {
            Some(known) if known.hash.as_ref() == Some(hash) => {
                summary.unchanged += 1;
                continue;
            }
            Some(known) => {
                summary.changed += 1;
                known.version + i64::from(known.facts != serde_json::to_string(&intake.facts)?)
            }
            None => {
                summary.added += 1;
                1
            }
        };
        seq += 1;
        write_tenant(connection, intake, hash, version, seq, now).await?;
        for day in intake.usage.iter().flatten() {
            let amount = |meter| day.amounts.get(&meter).copied().unwrap_or(0);
            let (id, day) = (intake.id.as_str(), day.day.0);
            let amounts = (amount(Meter::Messages), amount(Meter::Tokens), amount(Meter::ApiRequests));
            usage.insert((id, day), (id, day, amounts.0, amounts.1, amounts.2));
        }
        for entry in &intake.timeline {
            let aspect = match &entry.body {
                TimelineBody::Adjustment { adjustment } => Some(aspect_word(adjustment.change.aspect())),
                _ => None,
            };
            let body = serde_json::to_string(&entry.body)?;
            entries.push((
                entry_id(intake, entry),
                intake.id.as_str(),
                entry.at.0,
                kind_word(&entry.body),
                aspect,
                body,
            ));
        }
    }
    let usage: Vec<_> = usage.into_values().collect();
    correct_totals(connection, &usage).await?;
    sqlx::query(Dialect::of(connection).pick(
        "INSERT INTO usage_days (tenant_id, day, messages, tokens, api_requests)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each($1) WHERE true
             ON CONFLICT (tenant_id, day) DO UPDATE SET messages = excluded.messages, tokens = excluded.tokens,
                    api_requests = excluded.api_requests",
        "INSERT INTO usage_days (tenant_id, day, messages, tokens, api_requests)
             SELECT value ->> 0, CAST(value ->> 1 AS bigint), CAST(value ->> 2 AS bigint),
                    CAST(value ->> 3 AS bigint), CAST(value ->> 4 AS bigint)
             FROM json_array_elements(CAST($1 AS json))
             ON CONFLICT (tenant_id, day) DO UPDATE SET messages = excluded.messages, tokens = excluded.tokens,
                    api_requests = excluded.api_requests",
    ))
    .bind(serde_json::to_string(&usage)?)
    .execute(&mut *connection)
    .await?;
    // In the order in which they were made, whatever the order in which they are told.
    entries.sort_by(|(a_id, _, a, ..), (b_id, _, b, ..)| (a, a_id).cmp(&(b, b_id)));
    let base = take_seq(connection, entries.len()).await?;
    // What became of an adjustment here, such as that it was undone, is not taken back.
    sqlx::query(Dialect::of(connection).pick(
        "INSERT INTO entries (id, tenant_id, at, kind, aspect, body, seq, place)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
                    $2 + 1 + key, $2 + 1 + key
             FROM json_each($1) WHERE true
             ON CONFLICT (id) DO NOTHING",
        "INSERT INTO entries (id, tenant_id, at, kind, aspect, body, seq, place)
             SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS bigint), value ->> 3, value ->> 4, value ->> 5,
                    $2 + number, $2 + number
             FROM json_array_elements(CAST($1 AS json)) WITH ORDINALITY AS entry (value, number)
             ON CONFLICT (id) DO NOTHING",
    ))
    .bind(serde_json::to_string(&entries)?)
    .bind(base)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn write_tenant(
    connection: &mut Connection,
    intake: &TenantIntake,
    hash: &[u8],
    version: i64,
    seq: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let period = intake
        .period
        .map(|(start, end)| Period { anchor: start, start, end })
        .or_else(|| intake.usage.as_ref().and_then(|_| Period::month_of(now)))
        .map(|period| period.at(now));
    let counters = intake.usage.as_ref().zip(period).map(|(days, period)| counted(days, period));
    let domain = intake.email.rsplit_once('@').map(|(_, domain)| domain.to_lowercase()).unwrap_or_default();
    let row = TenantRow {
        id: intake.id.clone(),
        seq,
        version,
        name: storable(&intake.name),
        email: storable(&intake.email),
        domain: storable(&domain),
        created_at: intake.created_at,
        deleted_at: intake.deleted_at,
        stripe_customer: intake.stripe_customer.as_deref().map(storable),
        facts: intake.facts.clone(),
        derived_at: now,
        members: intake.members.clone(),
        gauges: intake.gauges.clone(),
        counters,
        period,
        measured_at: intake.measured_at,
        last_active_at: intake.last_active_at,
        // Which of the two it was is not told.
        last_passed_at: intake.last_active_at,
        last_refusal: intake.last_refusal.clone(),
        mailbox: None,
        twin_of: None,
    };
    sqlx::query(
        "INSERT INTO tenants (id, seq, version, name, name_key, email, domain, created_at, deleted_at, stripe_customer,
             facts, plan, comp_plan, trial_ends_at, status, derived_at, next_transition_at, members, gauges, counters,
             period_anchor, period_start, period_end, measured_at, last_active_at, last_passed_at, last_refusal,
             search, intake_hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
             $23, $24, $25, $26, $27, $28, $29)
         ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, version = excluded.version, name = excluded.name,
             name_key = excluded.name_key, email = excluded.email, domain = excluded.domain,
             created_at = excluded.created_at, deleted_at = excluded.deleted_at,
             stripe_customer = excluded.stripe_customer, facts = excluded.facts, plan = excluded.plan,
             comp_plan = excluded.comp_plan, trial_ends_at = excluded.trial_ends_at, status = excluded.status,
             derived_at = excluded.derived_at, next_transition_at = excluded.next_transition_at,
             members = excluded.members, gauges = excluded.gauges, counters = excluded.counters,
             period_anchor = excluded.period_anchor, period_start = excluded.period_start,
             period_end = excluded.period_end, measured_at = excluded.measured_at,
             last_active_at = excluded.last_active_at, last_passed_at = excluded.last_passed_at,
             last_refusal = excluded.last_refusal,
             search = excluded.search, intake_hash = excluded.intake_hash",
    )
    .bind(row.id.as_str())
    .bind(row.seq)
    .bind(row.version)
    .bind(&row.name)
    .bind(row.name.to_lowercase())
    .bind(&row.email)
    .bind(&row.domain)
    .bind(row.created_at.0)
    .bind(row.deleted_at.map(|it| it.0))
    .bind(&row.stripe_customer)
    .bind(serde_json::to_string(&row.facts)?)
    .bind(row.facts.plan.as_str())
    .bind(row.facts.comp.as_ref().map(|comp| comp.plan.as_str()))
    .bind(row.facts.trial.as_ref().map(|trial| trial.ends_at.0))
    .bind(status(&row.facts, now).as_str())
    .bind(now.0)
    .bind(row.next_transition(now).map(|it| it.0))
    .bind(serde_json::to_string(&row.members)?)
    .bind(serde_json::to_string(&row.gauges)?)
    .bind(row.counters.as_ref().map(serde_json::to_string).transpose()?)
    .bind(row.period.map(|it| it.anchor.0))
    .bind(row.period.map(|it| it.start.0))
    .bind(row.period.map(|it| it.end.0))
    .bind(row.measured_at.map(|it| it.0))
    .bind(row.last_active_at.map(|it| it.0))
    .bind(row.last_passed_at.map(|it| it.0))
    .bind(row.last_refusal.as_ref().map(serde_json::to_string).transpose()?)
    .bind(search_text(&row))
    .bind(hash)
    .execute(connection)
    .await?;
    Ok(())
}

fn counted(days: &[DailyUsage], period: Period) -> BTreeMap<Meter, i64> {
    let mut sums: BTreeMap<Meter, i64> =
        Meter::ALL.into_iter().filter(|meter| meter.kind() == MeterKind::Counter).map(|meter| (meter, 0)).collect();
    for day in days.iter().filter(|day| period.start <= day.day && day.day < period.end) {
        for (meter, amount) in &day.amounts {
            let sum = sums.entry(*meter).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }
    sums
}

/// What a search looks at, in lower case, a line each so that nothing matches across two of them.
pub(crate) fn search_text(row: &TenantRow) -> String {
    let subscription = row.facts.subscription.as_ref().map(|it| it.id.as_str());
    let mut lines = vec![row.name.as_str(), &row.email, row.id.as_str()];
    lines.extend(row.stripe_customer.as_deref().into_iter().chain(subscription));
    for member in &row.members {
        lines.extend([member.email.as_str(), member.user_id.as_str()]);
    }
    storable(&lines.join("\n").to_lowercase())
}

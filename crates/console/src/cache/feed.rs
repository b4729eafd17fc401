//! What the server says: plans, tenants, entries, written a page at a time.

use paywall_contract::{Adjustment, ChangeRecord, ChangesPage, Tenant, TimelineBody, TimelineEntry};
use paywall_domain::{
    AccessLevel, Aspect, DenyCode, Limit, Meter, Plan, Reading, Status, SubscriptionStatus, Timestamp,
};
use serde_json::Value;
use sqlx::SqliteConnection;

use super::fold::{fold, tenant_lines};
use super::revenue::tenant_pending;
use super::streams::{self, StreamProgress};
use super::{Cache, CacheError, Result};
use crate::ipc::Source;

/// The feed's name among the server's lists.
pub const FEED: &str = "changes";

/// What a page of the feed did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedApplied {
    /// Plans written.
    pub plans: usize,
    /// Tenants written.
    pub tenants: usize,
    /// Entries written.
    pub entries: usize,
    /// Records left out, since the copy had them as new or newer.
    pub stale: usize,
    /// Whether somebody paid, stopped paying, or could not pay: Stripe has more to say of it.
    pub paid: bool,
}

impl Cache {
    /// Writes a page of the feed together with its cursor. `at` is when it was asked for. With the last
    /// page (`has_more` false) the feed is complete as of `at`.
    ///
    /// [`CacheError::OtherInstance`] where the page comes from another database than the copy: nothing is
    /// written; [`Cache::reset_server_data`] starts over.
    pub async fn apply_feed_page(&self, page: &ChangesPage, at: Timestamp) -> Result<FeedApplied> {
        let mut tx = self.begin().await?;
        let known: Option<(String,)> =
            sqlx::query_as("SELECT value FROM facts WHERE name = 'instance'").fetch_optional(&mut *tx).await?;
        match known {
            Some((known,)) if known != page.instance => {
                return Err(CacheError::OtherInstance { known, found: page.instance.clone() });
            }
            Some(_) => {}
            None => {
                sqlx::query("INSERT INTO facts (name, value) VALUES ('instance', ?1)")
                    .bind(&page.instance)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        let mut applied = FeedApplied::default();
        for change in &page.changes {
            let (count, written) = match change {
                ChangeRecord::Plan(plan) => (&mut applied.plans, put_plan(&mut tx, plan).await?),
                ChangeRecord::Tenant(tenant) => (&mut applied.tenants, put_tenant(&mut tx, tenant).await?),
                ChangeRecord::Entry(entry) => (&mut applied.entries, put_entry(&mut tx, entry).await?),
            };
            if written {
                *count += 1;
            } else {
                applied.stale += 1;
            }
            applied.paid |= written && is_of_payment(change);
        }
        let progress = StreamProgress {
            cursor: Some(Value::String(page.cursor.clone())),
            complete_at: (!page.has_more).then_some(at),
            at,
            unreadable: Vec::new(),
        };
        streams::advance(&mut tx, Source::Server, FEED, &progress, &[]).await?;
        tx.commit().await?;
        Ok(applied)
    }

    /// Writes a tenant that the server has just given, unless the copy has a newer one. Whether it was written.
    pub async fn apply_tenant(&self, tenant: &Tenant) -> Result<bool> {
        let mut tx = self.begin().await?;
        let written = put_tenant(&mut tx, tenant).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// Writes an entry that the server has just given. Whether it was written: an adjustment that the copy
    /// knows as undone stays so.
    pub async fn apply_entry(&self, entry: &TimelineEntry) -> Result<bool> {
        let mut tx = self.begin().await?;
        let written = put_entry(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// Forgets everything that came from the server, its cursor and its database's id. Stripe's part and
    /// changes whose answer is not known stay.
    pub async fn reset_server_data(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM tenant_texts").execute(&mut *tx).await?;
        sqlx::query("DELETE FROM tenant_bodies").execute(&mut *tx).await?;
        sqlx::query("DELETE FROM tenants").execute(&mut *tx).await?;
        super::revenue::trials_gone(&mut tx).await?;
        sqlx::query("DELETE FROM entry_bodies").execute(&mut *tx).await?;
        sqlx::query("DELETE FROM entries").execute(&mut *tx).await?;
        sqlx::query("DELETE FROM plans").execute(&mut *tx).await?;
        super::billing::reset(&mut tx).await?;
        super::usage::forget(&mut tx).await?;
        sqlx::query("DELETE FROM streams WHERE source = 'server'").execute(&mut *tx).await?;
        sqlx::query("DELETE FROM facts WHERE name IN ('instance', 'server_health')").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Whether a record tells of a payment, or of a subscription's beginning or end.
fn is_of_payment(change: &ChangeRecord) -> bool {
    let ChangeRecord::Entry(entry) = change else { return false };
    match entry.body {
        TimelineBody::SubscriptionStarted { .. }
        | TimelineBody::SubscriptionEnded { .. }
        | TimelineBody::PaymentFailed { .. } => true,
        TimelineBody::Adjustment { .. }
        | TimelineBody::TrialStarted { .. }
        | TimelineBody::TrialEnded
        | TimelineBody::CompEnded { .. }
        | TimelineBody::GraceEnded
        | TimelineBody::Blocked { .. } => false,
    }
}

async fn put_plan(tx: &mut SqliteConnection, plan: &Plan) -> Result<bool> {
    sqlx::query(
        "INSERT INTO plans (id, name, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
    )
    .bind(plan.id.as_str())
    .bind(&plan.name)
    .bind(serde_json::to_string(plan)?)
    .execute(tx)
    .await?;
    Ok(true)
}

async fn put_tenant(tx: &mut SqliteConnection, tenant: &Tenant) -> Result<bool> {
    let derived = Derived::of(tenant);
    let trial = tenant.facts.trial.as_ref();
    let span = trial.map(|it| (it.started_at.0, it.ends_at.0));
    tenant_pending(tx, tenant.id.as_str(), tenant.stripe_customer.as_deref(), span).await?;
    let written: Option<(i64,)> = sqlx::query_as(
        "INSERT INTO tenants (
             id, name, name_key, email, email_key, domain, created_at, deleted_at, stripe_customer, plan,
             plan_in_force, status, shelf, level, tags, trial_started_at, trial_ends_at, runs_until, lapse_at,
             extensions, extended_ms, used_percent, used_meter, quota_meters, last_active_at, last_refused_at,
             holds_until, overdue_since, version, as_of, seq, lockout_at
         ) VALUES (
             ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32
         ) ON CONFLICT (id) DO UPDATE SET
             name = excluded.name, name_key = excluded.name_key, email = excluded.email,
             email_key = excluded.email_key, domain = excluded.domain, created_at = excluded.created_at,
             deleted_at = excluded.deleted_at, stripe_customer = excluded.stripe_customer, plan = excluded.plan,
             plan_in_force = excluded.plan_in_force, status = excluded.status, shelf = excluded.shelf,
             level = excluded.level, tags = excluded.tags, trial_started_at = excluded.trial_started_at,
             trial_ends_at = excluded.trial_ends_at, runs_until = excluded.runs_until,
             lapse_at = excluded.lapse_at, extensions = excluded.extensions, extended_ms = excluded.extended_ms,
             used_percent = excluded.used_percent, used_meter = excluded.used_meter,
             quota_meters = excluded.quota_meters, last_active_at = excluded.last_active_at,
             last_refused_at = excluded.last_refused_at, holds_until = excluded.holds_until,
             overdue_since = excluded.overdue_since, version = excluded.version, as_of = excluded.as_of,
             seq = excluded.seq, lockout_at = excluded.lockout_at, derived_at = NULL
         WHERE (excluded.seq, excluded.as_of) >= (tenants.seq, tenants.as_of)
         RETURNING num",
    )
    .bind(tenant.id.as_str())
    .bind(&tenant.name)
    .bind(fold(&tenant.name))
    .bind(&tenant.email)
    .bind(fold(&tenant.email))
    .bind(fold(&tenant.domain))
    .bind(tenant.created_at.0)
    .bind(tenant.deleted_at.map(|it| it.0))
    .bind(&tenant.stripe_customer)
    .bind(tenant.facts.plan.as_str())
    .bind(tenant.plan_in_force.as_str())
    .bind(tenant.status.as_str())
    .bind(shelf(tenant))
    .bind(tenant.access.level.as_str())
    .bind(serde_json::to_string(&tenant.tags)?)
    .bind(trial.map(|it| it.started_at.0))
    .bind(trial.map(|it| it.ends_at.0))
    .bind(derived.runs_until)
    .bind(derived.lapse_at)
    .bind(trial.map_or(0, |it| i64::from(it.extensions)))
    .bind(trial.map_or(0, |it| it.extended_ms))
    .bind(derived.used.map(|(percent, _)| percent))
    .bind(derived.used.map(|(_, meter)| meter.as_str()))
    .bind(derived.quota_meters)
    .bind(tenant.last_active_at.map(|it| it.0))
    .bind(tenant.last_refusal.as_ref().map(|it| it.at.0))
    .bind(tenant.access.holds_until.map(|it| it.0))
    .bind(tenant.facts.subscription.as_ref().and_then(|it| it.overdue_since).map(|it| it.0))
    .bind(tenant.version)
    .bind(tenant.as_of.0)
    .bind(tenant.seq)
    .bind(derived.lockout_at)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((num,)) = written else { return Ok(false) };
    sqlx::query(
        "INSERT INTO tenant_bodies (num, body) VALUES (?1, ?2) ON CONFLICT (num) DO UPDATE SET body = excluded.body",
    )
    .bind(num)
    .bind(serde_json::to_string(tenant)?)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO tenant_texts (num, lines) VALUES (?1, ?2)
         ON CONFLICT (num) DO UPDATE SET lines = excluded.lines WHERE lines <> excluded.lines",
    )
    .bind(num)
    .bind(tenant_lines(tenant))
    .execute(&mut *tx)
    .await?;
    Ok(true)
}

/// Under which status a tenant is listed: those that were deleted are apart.
pub(super) fn shelf(tenant: &Tenant) -> &'static str {
    if tenant.deleted_at.is_some() { "deleted" } else { tenant.status.as_str() }
}

/// What lists need of a tenant beside its own fields.
pub(super) struct Derived {
    pub(super) runs_until: Option<i64>,
    pub(super) lapse_at: Option<i64>,
    pub(super) lockout_at: Option<i64>,
    pub(super) used: Option<(i64, Meter)>,
    pub(super) quota_meters: Option<String>,
}

impl Derived {
    pub(super) fn of(tenant: &Tenant) -> Self {
        let trial_end = tenant.facts.trial.as_ref().map(|it| it.ends_at.0);
        let stripe_runs_it =
            tenant.facts.subscription.as_ref().is_some_and(|it| it.status == SubscriptionStatus::Trialing);
        let codes = || tenant.access.denials.iter().map(paywall_domain::Denial::code);
        let only_quotas = !tenant.access.denials.is_empty() && codes().all(|it| it == DenyCode::QuotaExhausted);
        // Stripe ends a trial that it runs itself; only its own word says when that has happened.
        let ours = trial_end.filter(|_| !stripe_runs_it);
        let runs_until = (tenant.status == Status::Trial).then(|| ours.unwrap_or(i64::MAX));
        let lapse_at = match tenant.status {
            Status::Trial if !stripe_runs_it => trial_end,
            Status::Expired
                if tenant.access.level == AccessLevel::Locked && codes().any(|it| it == DenyCode::TrialEnded) =>
            {
                trial_end
            }
            _ => None,
        };
        // By suspension somebody locked it out on purpose: that needs nobody's attention.
        let shut_out = tenant.access.level == AccessLevel::Locked
            && tenant.status != Status::Suspended
            && codes()
                .any(|it| matches!(it, DenyCode::TrialEnded | DenyCode::SubscriptionEnded | DenyCode::PaymentOverdue));
        let lockout_at = match tenant.status {
            Status::Trial if !stripe_runs_it => trial_end,
            _ if shut_out => Some(tenant.access.since.map_or(0, |it| it.0)),
            _ => None,
        };
        let quota_meters = only_quotas.then(|| {
            let meters = tenant.meters.iter().filter(|it| it.exhausted).map(|it| it.meter.as_str());
            meters.collect::<Vec<_>>().join(",")
        });
        Self { runs_until, lapse_at, lockout_at, used: highest(&tenant.meters), quota_meters }
    }
}

/// The meter with the highest share of its limit, in percent rounded down; the first among equals.
fn highest(meters: &[Reading]) -> Option<(i64, Meter)> {
    let mut best: Option<(i64, Meter)> = None;
    for reading in meters {
        let (Some(used), Limit::AtMost(limit)) = (reading.used, reading.limit) else { continue };
        let percent = if limit <= 0 {
            100
        } else {
            i64::try_from(i128::from(used.max(0)) * 100 / i128::from(limit)).unwrap_or(i64::MAX)
        };
        if best.is_none_or(|(most, _)| percent > most) {
            best = Some((percent, reading.meter));
        }
    }
    best
}

async fn put_entry(tx: &mut SqliteConnection, entry: &TimelineEntry) -> Result<bool> {
    let adjustment = match &entry.body {
        TimelineBody::Adjustment { adjustment } => Some(&**adjustment),
        _ => None,
    };
    let written: Option<(i64,)> = sqlx::query_as(
        "INSERT INTO entries (id, tenant_id, at, actor, aspect, undoes, undone_by, lines)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6,
             coalesce(?7, (SELECT undo.id FROM entries AS undo WHERE undo.tenant_id = ?2 AND undo.undoes = ?1)), ?8)
         ON CONFLICT (id) DO UPDATE SET
             at = excluded.at, actor = excluded.actor, aspect = excluded.aspect, undoes = excluded.undoes,
             undone_by = excluded.undone_by, lines = excluded.lines
         WHERE entries.undone_by IS NULL OR excluded.undone_by IS NOT NULL
         RETURNING num",
    )
    .bind(&entry.id)
    .bind(entry.tenant_id.as_str())
    .bind(entry.at.0)
    .bind(adjustment.map(|it| it.actor.as_str()))
    .bind(adjustment.and_then(|it| aspect_word(it.change.aspect())))
    .bind(adjustment.and_then(|it| it.undoes.as_deref()))
    .bind(adjustment.and_then(|it| it.undone_by.as_deref()))
    .bind(entry_lines(entry, adjustment))
    .fetch_optional(&mut *tx)
    .await?;
    let Some((num,)) = written else { return Ok(false) };
    sqlx::query(
        "INSERT INTO entry_bodies (num, body) VALUES (?1, ?2) ON CONFLICT (num) DO UPDATE SET body = excluded.body",
    )
    .bind(num)
    .bind(serde_json::to_string(entry)?)
    .execute(&mut *tx)
    .await?;
    if let Some(undone) = adjustment.and_then(|it| it.undoes.as_deref()) {
        // The undone one comes again with the feed; until then it must not offer to be undone twice.
        sqlx::query("UPDATE entries SET undone_by = ?2 WHERE id = ?1 AND undone_by IS NULL")
            .bind(undone)
            .bind(&entry.id)
            .execute(&mut *tx)
            .await?;
    }
    Ok(true)
}

/// The word for an aspect in storage; `None` for what touches nothing.
pub(crate) fn aspect_word(aspect: Aspect) -> Option<String> {
    Some(match aspect {
        Aspect::Trial => "trial".to_owned(),
        Aspect::Override(meter) => format!("override:{}", meter.as_str()),
        Aspect::Comp => "comp".to_owned(),
        Aspect::Suspension => "suspension".to_owned(),
        Aspect::Plan => "plan".to_owned(),
        Aspect::Billing => "billing".to_owned(),
        Aspect::Nothing => return None,
    })
}

fn entry_lines(entry: &TimelineEntry, adjustment: Option<&Adjustment>) -> String {
    let mut lines = vec![fold(&entry.tenant_name), entry.tenant_id.as_str().to_owned()];
    if let Some(it) = adjustment {
        lines.push(fold(&it.actor));
        lines.push(fold(&it.reason));
        lines.extend(it.ticket.as_deref().map(fold));
    }
    lines.join("\n")
}

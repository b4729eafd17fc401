//! What time alone changes: a trial, a comp or a grace period that ended since the server last spoke.
//!
//! Lists and counts go by columns that were derived when a row was written. Past the instant until which
//! the server's word holds they are derived again, by the same rules, from the facts that it sent. The
//! server's own word, which the detail of a tenant shows, stays as it is, with its age.

use std::collections::BTreeMap;

use paywall_contract::{Tag, Tenant};
use paywall_domain::{Plan, Timestamp, Usage, assess, readings, status};

use super::feed::{Derived, shelf};
use super::{Cache, Result};

/// How many tenants are derived anew in one transaction.
const AT_ONCE: i64 = 500;

/// From which difference on a clock counts as set back: measuring how far it is off is never exact.
pub(super) const SET_BACK_MS: i64 = 60_000;

impl Cache {
    /// Derives anew, for `now`, what lists say of tenants whose last word no longer holds, and of those that were
    /// derived for a later instant, by a clock that has been set back since. How many.
    pub async fn pass_time(&self, now: Timestamp) -> Result<usize> {
        let mut all = 0;
        loop {
            let due: Vec<(i64, String)> = sqlx::query_as(
                "SELECT b.num, b.body FROM (
                     SELECT num FROM tenants INDEXED BY tenants_holding WHERE holds_until <= ?1
                     UNION SELECT num FROM tenants INDEXED BY tenants_derived WHERE derived_at > ?2 LIMIT ?3
                 ) AS due CROSS JOIN tenant_bodies AS b ON b.num = due.num",
            )
            .bind(now.0)
            .bind(now.0.saturating_add(SET_BACK_MS))
            .bind(AT_ONCE)
            .fetch_all(self.readers())
            .await?;
            if due.is_empty() {
                return Ok(all);
            }
            let plans = self.plans_by_id().await?;
            let mut tx = self.begin().await?;
            for (num, body) in &due {
                let told: Tenant = serde_json::from_str(body)?;
                let tenant = at(told, &plans, now);
                let derived = Derived::of(&tenant);
                // Only where the row still is the one that was read: the server may have spoken meanwhile.
                sqlx::query(
                    "UPDATE tenants SET plan_in_force = ?3, status = ?4, shelf = ?5, level = ?6, tags = ?7,
                         runs_until = ?8, lapse_at = ?9, lockout_at = ?10, used_percent = ?11, used_meter = ?12,
                         quota_meters = ?13, holds_until = ?14, derived_at = ?15
                     WHERE num = ?1 AND seq = ?2",
                )
                .bind(num)
                .bind(tenant.seq)
                .bind(tenant.plan_in_force.as_str())
                .bind(tenant.status.as_str())
                .bind(shelf(&tenant))
                .bind(tenant.access.level.as_str())
                .bind(serde_json::to_string(&tenant.tags)?)
                .bind(derived.runs_until)
                .bind(derived.lapse_at)
                .bind(derived.lockout_at)
                .bind(derived.used.map(|(percent, _)| percent))
                .bind(derived.used.map(|(_, meter)| meter.as_str()))
                .bind(derived.quota_meters)
                // Never again for the same instant, whatever the rules say of it.
                .bind(tenant.access.holds_until.filter(|it| *it > now).map(|it| it.0))
                .bind(now.0)
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
            all += due.len();
        }
    }

    async fn plans_by_id(&self) -> Result<BTreeMap<String, Plan>> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT id, body FROM plans").fetch_all(self.readers()).await?;
        rows.into_iter().map(|(id, body)| Ok((id, serde_json::from_str(&body)?))).collect()
    }
}

/// The tenant as its facts make it at `now`. Counters of a period that ended are unknown: nobody told them since.
fn at(mut tenant: Tenant, plans: &BTreeMap<String, Plan>, now: Timestamp) -> Tenant {
    let mut usage = Usage::default();
    for reading in &tenant.meters {
        match (reading.resets_at, reading.used) {
            (Some(end), _) if end <= now => {}
            (end, Some(used)) => {
                usage.used.insert(reading.meter, used);
                usage.resets_at = usage.resets_at.or(end);
            }
            (_, None) => {}
        }
    }
    let facts = &tenant.facts;
    tenant.plan_in_force = facts.plan_in_force(now).clone();
    tenant.status = status(facts, now);
    let comped = facts.comp.as_ref().is_some_and(|comp| comp.in_force(now));
    let overridden = facts.overrides.values().any(|it| it.in_force(now));
    // Without its plan nothing is known of its limits: what the server said of them stands.
    if let Some(plan) = plans.get(tenant.plan_in_force.as_str()) {
        tenant.access = assess(facts, plan, &usage, now);
        tenant.meters = readings(facts, plan, &usage, now);
    }
    tenant.tags.retain(|tag| match tag {
        Tag::Comped => comped,
        Tag::Overridden => overridden,
        Tag::Extended | Tag::Deleted | Tag::TrialTwin => true,
    });
    tenant
}

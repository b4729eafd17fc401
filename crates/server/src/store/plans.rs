//! Plans.

use std::collections::BTreeMap;

use paywall_domain::{Plan, PlanId, TenantFacts, Timestamp};

use super::{Connection, StoreError, take_seq};

/// Every plan, in the order in which people read them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plans {
    order: Vec<PlanId>,
    by_id: BTreeMap<PlanId, Plan>,
}

impl Plans {
    pub(crate) fn contains(&self, id: &PlanId) -> bool {
        self.by_id.contains_key(id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn into_list(mut self) -> Vec<Plan> {
        self.order.iter().filter_map(|id| self.by_id.remove(id)).collect()
    }

    /// The plan in force at `now`. The database refuses a tenant that names no known plan.
    pub(crate) fn in_force(&self, facts: &TenantFacts, now: Timestamp) -> Plan {
        let id = facts.plan_in_force(now);
        self.by_id.get(id).cloned().unwrap_or_else(|| Plan {
            id: id.clone(),
            name: id.as_str().to_owned(),
            limits: BTreeMap::new(),
            stripe_prices: Vec::new(),
            trial_days: 0,
        })
    }
}

pub(crate) async fn all(connection: &mut Connection) -> Result<Plans, StoreError> {
    let rows: Vec<(String,)> =
        sqlx::query_as("SELECT body FROM plans ORDER BY position, id").fetch_all(connection).await?;
    let mut plans = Plans::default();
    for (body,) in rows {
        let plan: Plan = serde_json::from_str(&body)?;
        plans.order.push(plan.id.clone());
        plans.by_id.insert(plan.id.clone(), plan);
    }
    Ok(plans)
}

/// Writes a plan; answers whether that changed anything. Its tenants come again in the feed, since
/// their limits changed with it.
pub(crate) async fn put(connection: &mut Connection, plan: &Plan, position: Option<usize>) -> Result<bool, StoreError> {
    let body = serde_json::to_string(plan)?;
    let seq = take_seq(connection, 1).await? + 1;
    let done = sqlx::query(
        "INSERT INTO plans (id, position, body, seq)
         VALUES ($1, coalesce($2, (SELECT coalesce(max(position), -1) + 1 FROM plans)), $3, $4)
         ON CONFLICT (id) DO UPDATE SET position = coalesce($2, plans.position), body = excluded.body, seq = excluded.seq
         WHERE plans.body <> excluded.body",
    )
    .bind(plan.id.as_str())
    .bind(position.map(|it| it as i64))
    .bind(body)
    .bind(seq)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM tenants WHERE plan = $1 OR comp_plan = $1")
        .bind(plan.id.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let base = take_seq(connection, count as usize).await?;
    sqlx::query(
        "UPDATE tenants SET seq = $2 + place.number
         FROM (SELECT id, row_number() OVER (ORDER BY seq) AS number
               FROM tenants WHERE plan = $1 OR comp_plan = $1) AS place
         WHERE tenants.id = place.id",
    )
    .bind(plan.id.as_str())
    .bind(base)
    .execute(&mut *connection)
    .await?;
    Ok(true)
}

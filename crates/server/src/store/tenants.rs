//! One tenant as it is kept, and as its callers see it.

use std::collections::BTreeMap;

use paywall_contract::{Member, Refusal, Snapshot, Tag, Tenant};
use paywall_domain::{Meter, TenantFacts, TenantId, Timestamp, Usage, assess, holds_until, readings, status};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Connection, Plans, StoreError, take_seq};
use crate::transition::Period;

/// The columns that [`TenantRow::read`] takes.
macro_rules! columns {
    () => {
        "id, seq, version, name, email, domain, created_at, deleted_at, stripe_customer, facts, derived_at, \
         members, gauges, counters, period_anchor, period_start, period_end, measured_at, last_active_at, \
         last_passed_at, last_refusal, mailbox, twin_of"
    };
}
pub(crate) use columns;

/// A tenant as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct TenantRow {
    pub(crate) id: TenantId,
    pub(crate) seq: i64,
    pub(crate) version: i64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) domain: String,
    pub(crate) created_at: Timestamp,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) stripe_customer: Option<String>,
    pub(crate) facts: TenantFacts,
    pub(crate) derived_at: Timestamp,
    pub(crate) members: Vec<Member>,
    pub(crate) gauges: BTreeMap<Meter, i64>,
    pub(crate) counters: Option<BTreeMap<Meter, i64>>,
    pub(crate) period: Option<Period>,
    pub(crate) measured_at: Option<Timestamp>,
    /// When a request that costs something last came, whether it passed or not.
    pub(crate) last_active_at: Option<Timestamp>,
    /// When one last passed.
    pub(crate) last_passed_at: Option<Timestamp>,
    pub(crate) last_refusal: Option<Refusal>,
    /// The address in the form in which spellings of one are one; `None` = not told by `RAGFlow`.
    pub(crate) mailbox: Option<String>,
    /// Who registered before with an address or a company like this one.
    pub(crate) twin_of: Option<String>,
}

impl TenantRow {
    pub(crate) fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let json = |column: &str| row.try_get::<&str, _>(column);
        let counters: Option<&str> = row.try_get("counters")?;
        let refusal: Option<&str> = row.try_get("last_refusal")?;
        let instant = |column: &str| row.try_get::<Option<i64>, _>(column).map(|it| it.map(Timestamp));
        let period = match (instant("period_anchor")?, instant("period_start")?, instant("period_end")?) {
            (Some(anchor), Some(start), Some(end)) => Some(Period { anchor, start, end }),
            _ => None,
        };
        let id: &str = row.try_get("id")?;
        Ok(Self {
            id: TenantId::parse(id).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            seq: row.try_get("seq")?,
            version: row.try_get("version")?,
            name: row.try_get("name")?,
            email: row.try_get("email")?,
            domain: row.try_get("domain")?,
            created_at: Timestamp(row.try_get("created_at")?),
            deleted_at: instant("deleted_at")?,
            stripe_customer: row.try_get("stripe_customer")?,
            facts: serde_json::from_str(json("facts")?)?,
            derived_at: Timestamp(row.try_get("derived_at")?),
            members: serde_json::from_str(json("members")?)?,
            gauges: serde_json::from_str(json("gauges")?)?,
            counters: counters.map(serde_json::from_str).transpose()?,
            period,
            measured_at: instant("measured_at")?,
            last_active_at: instant("last_active_at")?,
            last_passed_at: instant("last_passed_at")?,
            last_refusal: refusal.map(serde_json::from_str).transpose()?,
            mailbox: row.try_get("mailbox")?,
            twin_of: row.try_get("twin_of")?,
        })
    }

    /// The levels known.
    pub(crate) fn usage(&self) -> Usage {
        let mut used = self.gauges.clone();
        used.extend(self.counters.iter().flatten().map(|(meter, amount)| (*meter, *amount)));
        Usage { used, resets_at: self.counters.as_ref().and(self.period).map(|period| period.end) }
    }

    /// The tenant with these facts on one side of a change.
    pub(crate) fn snapshot(&self, facts: &TenantFacts, plans: &Plans, now: Timestamp) -> Snapshot {
        let (plan, usage) = (plans.in_force(facts, now), self.usage());
        Snapshot {
            status: status(facts, now),
            access: assess(facts, &plan, &usage, now),
            meters: readings(facts, &plan, &usage, now),
            facts: facts.clone(),
        }
    }

    /// The tenant as its callers see it.
    pub(crate) fn into_tenant(self, plans: &Plans, now: Timestamp) -> Tenant {
        let (plan, usage) = (plans.in_force(&self.facts, now), self.usage());
        let tags = self.tags(now);
        Tenant {
            plan_in_force: self.facts.plan_in_force(now).clone(),
            status: status(&self.facts, now),
            tags,
            access: assess(&self.facts, &plan, &usage, now),
            meters: readings(&self.facts, &plan, &usage, now),
            id: self.id,
            name: self.name,
            email: self.email,
            domain: self.domain,
            created_at: self.created_at,
            deleted_at: self.deleted_at,
            stripe_customer: self.stripe_customer,
            facts: self.facts,
            measured_at: self.measured_at,
            members: self.members,
            last_active_at: self.last_active_at,
            last_refusal: self.last_refusal,
            version: self.version,
            seq: self.seq,
            as_of: now,
        }
    }

    fn tags(&self, now: Timestamp) -> Vec<Tag> {
        let facts = &self.facts;
        [
            (Tag::Comped, facts.comp.as_ref().is_some_and(|comp| comp.in_force(now))),
            (Tag::Extended, facts.trial.as_ref().is_some_and(|trial| trial.extensions > 0)),
            (Tag::Overridden, facts.overrides.values().any(|it| it.in_force(now))),
            (Tag::Deleted, self.deleted_at.is_some()),
            (Tag::TrialTwin, self.twin_of.is_some()),
        ]
        .into_iter()
        .filter_map(|(tag, holds)| holds.then_some(tag))
        .collect()
    }

    /// The instant at which time alone changes something of this tenant that is stored.
    pub(crate) fn next_transition(&self, now: Timestamp) -> Option<Timestamp> {
        holds_until(&self.facts, &self.usage(), now)
    }

    /// Whether what is stored of it as derived has to be derived again: its instant passed, or the clock
    /// was put back to before it was derived.
    pub(crate) fn due(&self, now: Timestamp) -> bool {
        self.derived_at > now || self.next_transition(self.derived_at).is_some_and(|instant| instant <= now)
    }
}

/// One tenant.
pub(crate) async fn get(connection: &mut Connection, id: &TenantId) -> Result<Option<TenantRow>, StoreError> {
    sqlx::query(concat!("SELECT ", columns!(), " FROM tenants WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?
        .map(|row| TenantRow::read(&row))
        .transpose()
}

/// Writes what can change of a tenant: facts, counters, period, and what derives from them at `now`.
/// It comes again in the feed: answers the place.
pub(crate) async fn put(connection: &mut Connection, row: &TenantRow, now: Timestamp) -> Result<i64, StoreError> {
    let seq = take_seq(connection, 1).await? + 1;
    sqlx::query(
        "UPDATE tenants SET seq = $2, version = $3, facts = $4, plan = $5, comp_plan = $6, trial_ends_at = $7,
                status = $8, derived_at = $9, next_transition_at = $10, counters = $11,
                period_anchor = $12, period_start = $13, period_end = $14
         WHERE id = $1",
    )
    .bind(row.id.as_str())
    .bind(seq)
    .bind(row.version)
    .bind(serde_json::to_string(&row.facts)?)
    .bind(row.facts.plan.as_str())
    .bind(row.facts.comp.as_ref().map(|comp| comp.plan.as_str()))
    .bind(row.facts.trial.as_ref().map(|trial| trial.ends_at.0))
    .bind(status(&row.facts, now).as_str())
    .bind(now.0)
    .bind(row.next_transition(now).map(|it| it.0))
    .bind(row.counters.as_ref().map(serde_json::to_string).transpose()?)
    .bind(row.period.map(|it| it.anchor.0))
    .bind(row.period.map(|it| it.start.0))
    .bind(row.period.map(|it| it.end.0))
    .execute(connection)
    .await?;
    Ok(seq)
}

/// A tenant's counters by day in `[from, to)`, oldest first.
pub(crate) async fn usage_days(
    connection: &mut Connection,
    id: &TenantId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(i64, i64, i64, i64)>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT day, messages, tokens, api_requests FROM usage_days
         WHERE tenant_id = $1 AND day >= $2 AND day < $3 ORDER BY day LIMIT 401",
    )
    .bind(id.as_str())
    .bind(from.0)
    .bind(to.0)
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// A place among all days: by the number of the tenant's latest change, then by day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DayPlace {
    pub(crate) seq: i64,
    pub(crate) day: i64,
}

/// A day's counters: number and id of the tenant, day, messages, tokens, API requests.
pub(crate) type DayRow = (i64, TenantId, i64, i64, i64, i64);

/// Of tenants that changed after that number, or from that day on of the one that changed then. Usage changes a
/// tenant after it changes its days.
const DAYS_AFTER: &str = "SELECT seq, id, day, messages, tokens, api_requests
     FROM tenants JOIN usage_days ON tenant_id = id
     WHERE seq >= $1 AND (seq > $1 OR day > $2) AND day >= $3 ORDER BY seq, day LIMIT $4";

/// The days from `from` on that lie after a place.
pub(crate) async fn days_after(
    connection: &mut Connection,
    place: DayPlace,
    from: i64,
    limit: usize,
) -> Result<Vec<DayRow>, StoreError> {
    let rows: Vec<(i64, String, i64, i64, i64, i64)> = sqlx::query_as(DAYS_AFTER)
        .bind(place.seq)
        .bind(place.day)
        .bind(from)
        .bind(limit as i64)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|(seq, id, day, messages, tokens, api_requests)| {
            let id = TenantId::parse(&id).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            Ok((seq, id, day, messages, tokens, api_requests))
        })
        .collect()
}

/// The counters of a period: the sums of its days.
pub(crate) async fn counted(
    connection: &mut Connection,
    id: &TenantId,
    period: Period,
) -> Result<BTreeMap<Meter, i64>, StoreError> {
    let (messages, tokens, api_requests): (i64, i64, i64) = sqlx::query_as(
        "SELECT CAST(coalesce(sum(messages), 0) AS BIGINT), CAST(coalesce(sum(tokens), 0) AS BIGINT),
                CAST(coalesce(sum(api_requests), 0) AS BIGINT)
         FROM usage_days WHERE tenant_id = $1 AND day >= $2 AND day < $3",
    )
    .bind(id.as_str())
    .bind(period.start.0)
    .bind(period.end.0)
    .fetch_one(connection)
    .await?;
    Ok(BTreeMap::from([(Meter::Messages, messages), (Meter::Tokens, tokens), (Meter::ApiRequests, api_requests)]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::DAYS_AFTER;
    use crate::store::Store;

    #[tokio::test]
    async fn days_are_read_on_from_their_place_by_indexes_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}", folder.path().join("server.db").display())).await.unwrap();
        let plan = store.plan(DAYS_AFTER).await;
        assert!(plan.contains("SEARCH tenants USING INDEX") && plan.contains("SEARCH usage_days USING"), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

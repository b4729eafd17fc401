//! What was seen of requests: who was active, and who was refused.

use std::collections::{BTreeSet, HashMap};

use paywall_contract::{Refusal, TimelineBody};
use paywall_domain::{DenyCode, TenantId, Timestamp};

use super::{Connection, NewEntry, Store, StoreError, TenantRow, entries, take_seq, tenants};
use crate::clock::Clock;

/// Tenants written in one transaction.
const BATCH: usize = 200;

const NOTE: &str = "UPDATE tenants SET seq = $2, last_active_at = $3, last_passed_at = $4, last_refusal = $5
     WHERE id = $1";

impl Store {
    /// Writes when requests of tenants last passed, and their last refusals; the later of the two is when a tenant
    /// was last active: whoever is shut out and still tries is there. A refusal that begins a lockout stands in
    /// the timeline.
    pub(crate) async fn note_requests(
        &self,
        passed: &HashMap<TenantId, Timestamp>,
        refused: &HashMap<TenantId, Refusal>,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        let all: BTreeSet<&TenantId> = passed.keys().chain(refused.keys()).collect();
        let all: Vec<&TenantId> = all.into_iter().collect();
        for batch in all.chunks(BATCH) {
            let mut write = self.write().await?;
            for tenant in batch {
                note(&mut write, tenant, passed.get(*tenant), refused.get(*tenant), clock.now()).await?;
            }
            write.commit().await?;
        }
        Ok(())
    }
}

async fn note(
    connection: &mut Connection,
    tenant: &TenantId,
    passed: Option<&Timestamp>,
    refused: Option<&Refusal>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(row) = tenants::get(connection, tenant).await? else { return Ok(()) };
    // Another replica may have noted something later.
    let last_passed_at = row.last_passed_at.max(passed.copied());
    let last_active_at = row.last_active_at.max(last_passed_at).max(refused.map(|it| it.at));
    let refused = refused.filter(|it| row.last_refusal.as_ref().is_none_or(|before| before.at < it.at));
    let worked = [row.last_passed_at, passed.copied()];
    if let Some(refusal) = refused.filter(|it| begins_lockout(&row, worked, it, now)) {
        let body = TimelineBody::Blocked { code: refusal.code };
        let id = format!("{tenant}.blocked.{}", refusal.at.0);
        let entry = NewEntry { id, tenant_id: tenant, at: refusal.at, aspect: None, body: &body };
        entries::put(connection, &entry).await?;
    }
    let refusal = refused.or(row.last_refusal.as_ref()).map(serde_json::to_string).transpose()?;
    let seq = take_seq(connection, 1).await? + 1;
    sqlx::query(NOTE)
        .bind(tenant.as_str())
        .bind(seq)
        .bind(last_active_at.map(|it| it.0))
        .bind(last_passed_at.map(|it| it.0))
        .bind(refusal)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether a refusal is the first of its kind since the tenant could last work. `worked`: when it could.
fn begins_lockout(row: &TenantRow, worked: [Option<Timestamp>; 2], refusal: &Refusal, now: Timestamp) -> bool {
    let Some(before) = row.last_refusal.as_ref().filter(|it| it.code == refusal.code) else { return true };
    let worked_since = worked.into_iter().flatten().any(|at| at > before.at && at <= refusal.at);
    // A counter started from zero in between.
    let other_period =
        refusal.code == DenyCode::QuotaExhausted && row.period.is_some_and(|period| before.at < period.at(now).start);
    worked_since || other_period
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use paywall_domain::{Operation, TenantFacts};

    use super::*;
    use crate::clock::TestClock;
    use crate::config::built_in_plans;
    use crate::store::{ImportSummary, plans};

    const MINUTE: i64 = 60_000;

    fn refusal(at: i64) -> Refusal {
        let (method, path) = ("POST".to_owned(), "/api/v1/chat/completions".to_owned());
        let (operation, code) = (Operation::Generate, DenyCode::TrialEnded);
        Refusal { at: Timestamp(at), operation, code, method, path, http_status: 402 }
    }

    #[tokio::test]
    async fn whoever_is_refused_each_minute_is_active_and_shut_out_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}", folder.path().join("server.db").display())).await.unwrap();
        let mut write = store.write().await.unwrap();
        let plan = built_in_plans().remove(0);
        plans::put(&mut write, &plan, Some(0)).await.unwrap();
        write.commit().await.unwrap();
        let id = TenantId::parse(&"a".repeat(32)).unwrap();
        let facts = TenantFacts {
            plan: plan.id,
            trial: None,
            comp: None,
            suspension: None,
            subscription: None,
            overrides: std::collections::BTreeMap::new(),
        };
        let intake = serde_json::json!({
            "id": id, "name": "A", "email": "a@a.example", "created_at": 0, "facts": facts, "members": [],
        });
        let intake = serde_json::from_value(intake).unwrap();
        let (clock, record) = (TestClock::at(Timestamp(0)), paywall_contract::IntakeRecord::Tenant(Box::new(intake)));
        let mut summary = ImportSummary::default();
        store.import_batch(vec![(1, record)], &clock, &mut summary).await.unwrap();
        assert_eq!(summary.refused, []);

        let note = async |passed: Option<i64>, refused: Option<i64>| {
            let passed = passed.map(|at| (id.clone(), Timestamp(at))).into_iter().collect();
            let refused = refused.map(|at| (id.clone(), refusal(at))).into_iter().collect();
            store.note_requests(&passed, &refused, &clock).await.unwrap();
            let mut read = store.read().await.unwrap();
            let row = tenants::get(&mut read, &id).await.unwrap().unwrap();
            let (blocked,): (i64,) = sqlx::query_as("SELECT count(*) FROM entries WHERE kind = 'blocked'")
                .fetch_one(&mut *read)
                .await
                .unwrap();
            (row.last_active_at.map(|it| it.0 / MINUTE), row.last_passed_at.map(|it| it.0 / MINUTE), blocked)
        };
        assert_eq!(note(Some(MINUTE), None).await, (Some(1), Some(1), 0));
        for minute in 2..6 {
            assert_eq!(note(None, Some(minute * MINUTE)).await, (Some(minute), Some(1), 1), "one lockout");
        }
        // Another server tells late of what came before.
        assert_eq!(note(Some(MINUTE), Some(3 * MINUTE)).await, (Some(5), Some(1), 1));
        // It worked in between, so that the next refusal begins another lockout.
        assert_eq!(note(Some(6 * MINUTE), None).await, (Some(6), Some(6), 1));
        assert_eq!(note(None, Some(7 * MINUTE)).await, (Some(7), Some(6), 2));
        store.close().await;
    }
}

//! What was seen of requests: who was active, and who was refused.

use std::collections::{BTreeSet, HashMap};

use paywall_contract::{Refusal, TimelineBody};
use paywall_domain::{DenyCode, TenantId, Timestamp};

use super::{Connection, NewEntry, Store, StoreError, TenantRow, entries, take_seq, tenants};
use crate::clock::Clock;

/// Tenants written in one transaction.
const BATCH: usize = 200;

const NOTE: &str = "UPDATE tenants SET seq = $2, last_active_at = $3, last_refusal = $4 WHERE id = $1";

impl Store {
    /// Writes when tenants were last active, and their last refusals. A refusal that begins a lockout stands in
    /// the timeline.
    pub(crate) async fn note_requests(
        &self,
        active: &HashMap<TenantId, Timestamp>,
        refused: &HashMap<TenantId, Refusal>,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        let all: BTreeSet<&TenantId> = active.keys().chain(refused.keys()).collect();
        let all: Vec<&TenantId> = all.into_iter().collect();
        for batch in all.chunks(BATCH) {
            let mut write = self.write().await?;
            for tenant in batch {
                note(&mut write, tenant, active.get(*tenant), refused.get(*tenant), clock.now()).await?;
            }
            write.commit().await?;
        }
        Ok(())
    }
}

async fn note(
    connection: &mut Connection,
    tenant: &TenantId,
    active: Option<&Timestamp>,
    refused: Option<&Refusal>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(row) = tenants::get(connection, tenant).await? else { return Ok(()) };
    // Another replica may have noted something later.
    let last_active_at = row.last_active_at.max(active.copied());
    let refused = refused.filter(|it| row.last_refusal.as_ref().is_none_or(|before| before.at < it.at));
    let worked = [row.last_active_at, active.copied()];
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

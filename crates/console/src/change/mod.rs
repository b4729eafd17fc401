//! Changes: previewed and made by the server, and settled by their key where the answer was lost.
//!
//! A change is noted in the copy before it is sent and forgotten only when its outcome is known, so
//! neither a broken line nor a killed process leaves a doubt: the next contact settles it. Nothing is
//! ever sent again under another key, and nothing is kept to be sent later.

mod repair;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paywall_contract::{Adjustment, AdjustmentOutcome, AdjustmentRequest, ChangeRecord, ChangesQuery, TimelineBody};
use paywall_contract::{ProblemCode, Settlement, TimelineEntry, UndoRequest};
use paywall_domain::{Change, TenantId, Timestamp};

use crate::admin_client::{AdminClient, AdminError};
use crate::cache::{Cache, FEED};
use crate::console::now;
use crate::ipc::{
    ChangeDone, ChangeOrder, ChangePreview, Failure, FailureCode, PreviewRequest, Settled, SettledChange, Source,
    UndoOrder, UnsettledChange, WriteMode,
};

/// How often a change whose answer was lost is sent again under the same key, and after what pauses.
const RESENDS: [Duration; 3] = [Duration::from_millis(150), Duration::from_millis(400), Duration::from_millis(900)];

/// How far the feed is read to learn who changed a tenant since the copy.
const PAGES_TO_BLAME: usize = 3;

/// Sends again, under the same key, what broke off as `last`, as long as that may help: what it comes to.
async fn sent_again<T, F>(mut last: AdminError, send: impl Fn() -> F) -> Result<T, AdminError>
where
    F: Future<Output = Result<T, AdminError>>,
{
    for pause in RESENDS {
        // What took its full time the first time would take it again: ask what became of it instead.
        // And whoever answers with a word knows the key, or refuses whoever asks.
        let broken = matches!(last.failure.code, FailureCode::Unreachable { .. });
        if !broken && !last.may_have_been_made || matches!(last.failure.code, FailureCode::TimedOut { .. }) {
            break;
        }
        tokio::time::sleep(pause).await;
        match send().await {
            Ok(made) => return Ok(made),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Where changes are made: one profile's server and copy. Clones share what is under way.
#[derive(Debug, Clone)]
pub struct Desk {
    cache: Cache,
    admin: Option<AdminClient>,
    write_mode: WriteMode,
    under_way: Arc<Mutex<HashSet<String>>>,
}

/// What is sent.
enum Order<'a> {
    Change(&'a ChangeOrder),
    Undo(&'a UndoOrder),
}

/// Marks a key as under way; settling leaves it alone meanwhile.
struct UnderWay {
    keys: Arc<Mutex<HashSet<String>>>,
    key: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Desk {
    /// A desk; without a client every change is refused for want of a token.
    pub fn new(cache: Cache, admin: Option<AdminClient>, write_mode: WriteMode) -> Self {
        Self { cache, admin, write_mode, under_way: Arc::default() }
    }

    fn admin(&self) -> Result<&AdminClient, Failure> {
        self.admin.as_ref().ok_or_else(|| Failure::of(FailureCode::TokenMissing, "no token is stored for this profile"))
    }

    fn writable(&self) -> Result<(), Failure> {
        match self.write_mode {
            WriteMode::Review => Ok(()),
            WriteMode::ReadOnly => Err(Failure::of(FailureCode::ReadOnly, "this profile only reads")),
        }
    }

    /// What a change would do, by the server's word of now, and whether the copy knew of all before it.
    pub async fn preview(&self, request: &PreviewRequest) -> Result<ChangePreview, Failure> {
        self.writable()?;
        let admin = self.admin()?;
        let asked = AdjustmentRequest { change: request.change.clone(), reason: String::new(), ticket: None };
        let outcome = admin.preview(&request.tenant_id, &asked).await?;
        let tenant = admin.tenant(&request.tenant_id).await?;
        let copy = self.cache.tenant(&request.tenant_id).await?;
        let changed_since_copy = copy.as_ref().is_none_or(|copy| {
            copy.version != tenant.version || copy.facts != tenant.facts || copy.status != tenant.status
        });
        let changed_by = if changed_since_copy { self.latest_unknown(admin, &request.tenant_id).await } else { None };
        Ok(ChangePreview { outcome, tenant, checked_at: self.now(), changed_since_copy, changed_by })
    }

    /// The latest adjustment of the tenant that came after the copy's place in the feed. Nice to know,
    /// so a failure only means not to know it.
    async fn latest_unknown(&self, admin: &AdminClient, tenant: &TenantId) -> Option<Box<Adjustment>> {
        let state = self.cache.stream_state(Source::Server, FEED).await.ok()?;
        let mut after = Some(state.cursor?.as_str()?.to_owned());
        let mut latest: Option<Box<Adjustment>> = None;
        for _ in 0..PAGES_TO_BLAME {
            let page = admin.changes(&ChangesQuery { after, limit: Some(1000), wait: None }).await.ok()?;
            for record in page.changes {
                let ChangeRecord::Entry(entry) = record else { continue };
                let TimelineBody::Adjustment { adjustment } = entry.body else { continue };
                let later = latest.as_ref().is_none_or(|known| (known.at, &known.id) < (adjustment.at, &adjustment.id));
                if adjustment.tenant_id == *tenant && later && !self.knows(&adjustment.id).await {
                    latest = Some(adjustment);
                }
            }
            if !page.has_more {
                break;
            }
            after = Some(page.cursor);
        }
        latest
    }

    async fn knows(&self, entry: &str) -> bool {
        matches!(self.cache.known_entry(entry).await, Ok(Some(_)))
    }

    /// Makes a change, once, however often this order comes.
    pub async fn apply(&self, order: &ChangeOrder) -> Result<ChangeDone, Failure> {
        self.writable()?;
        let name = self.cache.tenant(&order.tenant_id).await?.map(|tenant| tenant.name).unwrap_or_default();
        self.make(&order.key, &order.tenant_id, name, &order.change, &Order::Change(order)).await
    }

    /// What an undo would do.
    pub async fn preview_undo(&self, adjustment: &str) -> Result<AdjustmentOutcome, Failure> {
        self.writable()?;
        Ok(self.admin()?.preview_undo(adjustment, &UndoRequest { reason: String::new() }).await?)
    }

    /// Undoes an adjustment, once, however often this order comes.
    pub async fn undo(&self, order: &UndoOrder) -> Result<ChangeDone, Failure> {
        self.writable()?;
        let known = self.cache.known_entry(&order.adjustment_id).await?;
        let Some(TimelineEntry { tenant_name, body: TimelineBody::Adjustment { adjustment }, .. }) = known else {
            let detail = format!("the local copy has no adjustment {}", order.adjustment_id);
            return Err(Failure::of(FailureCode::NotFound, detail));
        };
        self.make(&order.key, &adjustment.tenant_id, tenant_name, &adjustment.change, &Order::Undo(order)).await
    }

    async fn make(
        &self,
        key: &str,
        tenant_id: &TenantId,
        tenant_name: String,
        change: &Change,
        order: &Order<'_>,
    ) -> Result<ChangeDone, Failure> {
        let admin = self.admin()?;
        let _under_way = self.mark(key);
        let note = UnsettledChange {
            key: key.to_owned(),
            tenant_id: tenant_id.clone(),
            tenant_name,
            change: change.clone(),
            sent_at: self.now(),
            instance: self.cache.instance().await?,
            undoes: match order {
                Order::Change(_) => None,
                Order::Undo(undo) => Some(undo.adjustment_id.clone()),
            },
        };
        // A change under this key may be in doubt from before: then the first answer is not the whole truth.
        let doubted = self.cache.unsettled_changes().await?.iter().any(|it| it.key == key);
        self.cache.insert_unsettled(&note).await?;

        let mut lost = doubted;
        let mut last = match self.send(admin, order).await {
            Ok(adjustment) => {
                self.forget(key).await;
                return Ok(self.made(adjustment, doubted).await);
            }
            Err(error) => error,
        };
        lost |= last.may_have_been_made;
        if !lost {
            self.forget(key).await;
            return Err(last.into());
        }
        match sent_again(last, || self.send(admin, order)).await {
            Ok(adjustment) => {
                self.forget(key).await;
                return Ok(self.made(adjustment, true).await);
            }
            Err(error) => last = error,
        }
        match self.ask_what_became(admin, key, note.instance.as_deref()).await {
            Ok(Settled::Made { adjustment }) => Ok(ChangeDone { adjustment: *adjustment, settled: true }),
            Ok(Settled::NotMade) => Err(Failure { code: FailureCode::NotMade, ..last.into() }),
            Ok(Settled::OtherDatabase) => Err(Failure { code: FailureCode::ServerChanged, ..last.into() }),
            Err(failure) => {
                let code = FailureCode::Unsettled { key: key.to_owned() };
                Err(Failure { code, ..failure })
            }
        }
    }

    async fn send(&self, admin: &AdminClient, order: &Order<'_>) -> Result<Adjustment, AdminError> {
        let outcome = match order {
            Order::Change(order) => {
                let request = AdjustmentRequest {
                    change: order.change.clone(),
                    reason: order.reason.clone(),
                    ticket: order.ticket.clone(),
                };
                admin.adjust(&order.tenant_id, &request, order.version, &order.key).await?
            }
            Order::Undo(order) => {
                let request = UndoRequest { reason: order.reason.clone() };
                admin.undo(&order.adjustment_id, &request, &order.key).await?
            }
        };
        outcome.adjustment.ok_or_else(|| AdminError {
            failure: Failure::of(FailureCode::NotPaywallServer, "the answer to a change names no adjustment"),
            retry_after: None,
            may_have_been_made: true,
        })
    }

    /// Forgets a change whose outcome is known. Where the copy cannot take that, the change is only settled
    /// once more later: its outcome stays what it is.
    async fn forget(&self, key: &str) {
        if let Err(error) = self.cache.remove_unsettled(key).await {
            tracing::warn!(%error, "a settled change was not taken off the list of those in doubt");
        }
    }

    /// The server's clock as far as it is known; else this machine's.
    fn now(&self) -> Timestamp {
        let skew = self.admin.as_ref().and_then(AdminClient::clock_skew_ms).unwrap_or(0);
        now().plus_ms(-skew)
    }

    async fn made(&self, adjustment: Adjustment, settled: bool) -> ChangeDone {
        // The outcome is known whether or not the copy can take it: the copy catches up by itself.
        if let Err(error) = self.note_made(&adjustment).await {
            tracing::warn!(code = ?error.code, detail = error.detail, "the copy did not take a change at once");
        }
        ChangeDone { adjustment, settled }
    }

    /// Brings a change that was made into the copy, so that screens show it before the next pass.
    async fn note_made(&self, adjustment: &Adjustment) -> Result<(), Failure> {
        let admin = self.admin()?;
        let copied = self.cache.tenant(&adjustment.tenant_id).await?.map(|tenant| tenant.name);
        let fresh = admin.tenant(&adjustment.tenant_id).await;
        let name = fresh.as_ref().ok().map(|tenant| tenant.name.clone()).or(copied).unwrap_or_default();
        if let Ok(tenant) = &fresh {
            self.cache.apply_tenant(tenant).await?;
        }
        let entry = TimelineEntry {
            id: adjustment.id.clone(),
            tenant_id: adjustment.tenant_id.clone(),
            tenant_name: name,
            at: adjustment.at,
            body: TimelineBody::Adjustment { adjustment: Box::new(adjustment.clone()) },
        };
        self.cache.apply_entry(&entry).await?;
        Ok(())
    }

    /// What became of the change under that key. Asking settles it for good.
    pub async fn settle(&self, key: &str) -> Result<Settled, Failure> {
        let admin = self.admin()?;
        if self.is_under_way(key) {
            let code = FailureCode::Unsettled { key: key.to_owned() };
            return Err(Failure::of(code, "the change is still being sent"));
        }
        // Without its note nobody knows which database it was sent to, and another one would say "not made".
        let doubts = self.cache.unsettled_changes().await?;
        let Some(noted) = doubts.into_iter().find(|it| it.key == key) else {
            return Err(Failure::of(FailureCode::NotFound, "no change of that key is in doubt: it has been settled"));
        };
        self.ask_what_became(admin, key, noted.instance.as_deref()).await
    }

    async fn ask_what_became(
        &self,
        admin: &AdminClient,
        key: &str,
        instance: Option<&str>,
    ) -> Result<Settled, Failure> {
        let settled = match admin.settle(key, instance).await {
            Ok(Settlement { adjustment: Some(adjustment), .. }) => {
                Settled::Made { adjustment: Box::new(self.made(adjustment, true).await.adjustment) }
            }
            Ok(Settlement { adjustment: None, .. }) => Settled::NotMade,
            Err(error) if error.problem().is_some_and(|it| it.code == ProblemCode::OtherInstance) => {
                Settled::OtherDatabase
            }
            Err(error) => return Err(error.into()),
        };
        self.forget(key).await;
        Ok(settled)
    }

    /// Settles every change in doubt that is not under way, and answers what became of each. One that cannot be
    /// settled now stays; the failure of the first such comes beside.
    pub async fn settle_pending(&self) -> Result<(Vec<SettledChange>, Option<Failure>), Failure> {
        let (mut all, mut failed) = (Vec::new(), None);
        for change in self.cache.unsettled_changes().await? {
            if self.is_under_way(&change.key) {
                continue;
            }
            match self.ask_what_became(self.admin()?, &change.key, change.instance.as_deref()).await {
                Ok(settled) => all.push(SettledChange { change, settled }),
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        Ok((all, failed))
    }

    fn mark(&self, key: &str) -> UnderWay {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        UnderWay { keys: Arc::clone(&self.under_way), key: key.to_owned() }
    }

    fn is_under_way(&self, key: &str) -> bool {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

impl Cache {
    /// The entry as the server last said; `None` = not in the copy.
    pub(crate) async fn known_entry(&self, id: &str) -> crate::cache::Result<Option<TimelineEntry>> {
        let found: Option<(String,)> =
            sqlx::query_as("SELECT b.body FROM entry_bodies b JOIN entries e ON e.num = b.num WHERE e.id = ?1")
                .bind(id)
                .fetch_optional(self.readers())
                .await?;
        Ok(found.map(|(body,)| serde_json::from_str(&body)).transpose()?)
    }

    /// How many tenants there are, deleted ones left out.
    pub(crate) async fn tenant_total(&self) -> crate::cache::Result<i64> {
        let (count,): (i64,) =
            sqlx::query_as("SELECT count(*) FROM tenants WHERE deleted_at IS NULL").fetch_one(self.readers()).await?;
        Ok(count)
    }
}

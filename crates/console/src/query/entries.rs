//! Timelines and Activity: what happened, newest first.

use paywall_contract::{Adjustment, Refusal, TimelineBody, TimelineEntry};
use paywall_domain::{DenyCode, TenantId, Timestamp, UndoRefusal, check_undo};

use super::cursor::read_entry_place;
use super::needle::needle;
use crate::cache::{Cache, Result, aspect_word};
use crate::ipc::{ActivityView, EntryPage, EntryRow, UndoState};

/// Entries per page.
const PAGE: usize = 50;

/// An entry as stored: its body, and who undid it by what the copy has learned since.
type Stored = (String, Option<String>);

impl Cache {
    /// A page of one tenant's timeline. `me` is the name of this profile's token, where it is known.
    pub async fn timeline_page(&self, tenant: &TenantId, me: Option<&str>, cursor: Option<&str>) -> Result<EntryPage> {
        let (at, id) = read_entry_place(cursor)?;
        let stored: Vec<Stored> = sqlx::query_as(
            "SELECT b.body, e.undone_by FROM entries AS e INDEXED BY entries_by_tenant
             JOIN entry_bodies AS b ON b.num = e.num
             WHERE e.tenant_id = ?1 AND (e.at, e.id) < (?2, ?3) ORDER BY e.at DESC, e.id DESC LIMIT ?4",
        )
        .bind(tenant.as_str())
        .bind(at)
        .bind(id)
        .bind(PAGE as i64 + 1)
        .fetch_all(self.readers())
        .await?;
        self.entry_page(stored, me, Vec::new()).await
    }

    /// A page of Activity. `text` is looked for in the tenant's name and id, the actor, the reason and the
    /// ticket. `me` is the name of this profile's token: without it, [`ActivityView::Mine`] is empty.
    pub async fn activity_page(
        &self,
        view: ActivityView,
        text: &str,
        me: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<EntryPage> {
        let (at, id) = read_entry_place(cursor)?;
        let needle = needle(text);
        let stored: Vec<Stored> = sqlx::query_as(activity(view))
            .bind(me)
            .bind(at)
            .bind(id)
            .bind((!needle.is_empty()).then_some(needle))
            .bind(PAGE as i64 + 1)
            .fetch_all(self.readers())
            .await?;
        let unsettled = if cursor.is_none() { self.unsettled_changes().await? } else { Vec::new() };
        self.entry_page(stored, me, unsettled).await
    }

    /// The latest adjustments, undone ones and undos among them.
    pub(super) async fn recent_adjustments(&self, me: Option<&str>, most: usize) -> Result<Vec<EntryRow>> {
        let stored: Vec<Stored> = sqlx::query_as(activity(ActivityView::Staff))
            .bind(me)
            .bind(i64::MAX)
            .bind("")
            .bind(None::<String>)
            .bind(most as i64)
            .fetch_all(self.readers())
            .await?;
        self.entry_rows(stored, me).await
    }

    async fn entry_page(
        &self,
        mut stored: Vec<Stored>,
        me: Option<&str>,
        unsettled: Vec<crate::ipc::UnsettledChange>,
    ) -> Result<EntryPage> {
        let more = stored.len() > PAGE;
        stored.truncate(PAGE);
        let rows = self.entry_rows(stored, me).await?;
        let next = rows.last().filter(|_| more).map(|row| format!("{}.{}", row.entry.at.0, row.entry.id));
        Ok(EntryPage { rows, next, unsettled })
    }

    async fn entry_rows(&self, stored: Vec<Stored>, me: Option<&str>) -> Result<Vec<EntryRow>> {
        let mut rows = Vec::with_capacity(stored.len());
        for (body, undone_by) in stored {
            let mut entry: TimelineEntry = serde_json::from_str(&body)?;
            let (undo, mine) = match &mut entry.body {
                TimelineBody::Adjustment { adjustment } => {
                    if adjustment.undone_by.is_none() {
                        adjustment.undone_by = undone_by;
                    }
                    let mine = me.is_some_and(|me| adjustment.actor == me);
                    (Some(self.undo_state(adjustment).await?), mine)
                }
                _ => (None, false),
            };
            let refusal = match entry.body {
                TimelineBody::Blocked { code } => self.last_refusal(&entry.tenant_id, code, entry.at).await?,
                _ => None,
            };
            rows.push(EntryRow { entry, undo, mine, refusal });
        }
        Ok(rows)
    }

    /// A tenant's last refused request, where it is the one of this rule and instant.
    async fn last_refusal(&self, tenant: &TenantId, code: DenyCode, at: Timestamp) -> Result<Option<Refusal>> {
        let last = self.tenant(tenant).await?.and_then(|it| it.last_refusal);
        Ok(last.filter(|it| it.code == code && it.at == at))
    }

    /// Whether an adjustment can be undone, as far as the copy knows: a later one that stands on the same
    /// part must be undone first, and what billing or time changed since is not turned back.
    pub async fn undo_state(&self, adjustment: &Adjustment) -> Result<UndoState> {
        let refused = |reason| Ok(UndoState::Refused { reason });
        if adjustment.undoes.is_some() {
            return refused(UndoRefusal::IsUndo);
        }
        if adjustment.undone_by.is_some() {
            return refused(UndoRefusal::AlreadyUndone);
        }
        let aspect = adjustment.change.aspect();
        let Some(word) = aspect_word(aspect) else { return Ok(UndoState::Possible) };
        let later: Option<(String, Option<String>, i64)> = sqlx::query_as(
            "SELECT id, actor, at FROM entries INDEXED BY entries_standing
             WHERE tenant_id = ?1 AND aspect = ?2 AND undoes IS NULL AND undone_by IS NULL AND (at, id) > (?3, ?4)
             ORDER BY at DESC, id DESC LIMIT 1",
        )
        .bind(adjustment.tenant_id.as_str())
        .bind(word)
        .bind(adjustment.at.0)
        .bind(&adjustment.id)
        .fetch_optional(self.readers())
        .await?;
        if let Some((id, by, at)) = later {
            return refused(UndoRefusal::ChangedSince { adjustment: Some(id), by, at: Some(Timestamp(at)) });
        }
        match self.tenant(&adjustment.tenant_id).await? {
            // A copy of before the adjustment cannot tell what came after it.
            Some(tenant)
                if tenant.as_of >= adjustment.at && !check_undo(aspect, &tenant.facts, &adjustment.after.facts) =>
            {
                refused(UndoRefusal::ChangedSince { adjustment: None, by: None, at: None })
            }
            _ => Ok(UndoState::Possible),
        }
    }
}

macro_rules! activity {
    ($index:literal, $rows:literal) => {
        concat!(
            "SELECT b.body, e.undone_by FROM entries AS e INDEXED BY ",
            $index,
            " JOIN entry_bodies AS b ON b.num = e.num WHERE ",
            $rows,
            " AND (e.at, e.id) < (?2, ?3) AND (?4 IS NULL OR instr(e.lines, ?4) > 0)
             ORDER BY e.at DESC, e.id DESC LIMIT ?5"
        )
    };
}

fn activity(view: ActivityView) -> &'static str {
    match view {
        ActivityView::All => activity!("entries_by_time", "(?1 IS NULL OR ?1 IS NOT NULL)"),
        ActivityView::Mine => activity!("entries_by_actor", "e.actor = ?1 AND e.actor IS NOT NULL"),
        ActivityView::Staff => activity!("entries_by_staff", "e.actor IS NOT NULL"),
        ActivityView::System => activity!("entries_by_system", "e.actor IS NULL"),
    }
}

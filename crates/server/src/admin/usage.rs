//! What all tenants used by day, to mirror from.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use paywall_contract::{DailyUsage, TenantDay, UsageDaysPage, UsageDaysQuery};
use paywall_domain::{Meter, Timestamp};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::document::ReadProblems;
use super::problem::Fault;
use super::read::{Params, bad_cursor, cursor, page_size, place};
use crate::server::State;
use crate::store::{DayPlace, changes, runs, tenants};

/// As the feed's: of which database it is, and of which run.
#[derive(Serialize, Deserialize)]
struct Cursor {
    instance: String,
    run: String,
    place: DayPlace,
}

/// The days of every tenant that changed since a cursor, or of all without one. A tenant whose usage changed comes
/// with all its days from `from` on; so whoever reads on regularly asks for the last few.
#[utoipa::path(get, path = "/admin/v1/usage/days", tag = "tenants", security(("token" = [])), params(UsageDaysQuery),
    responses((status = 200, body = UsageDaysPage), ReadProblems))]
pub(crate) async fn days(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Params(query): Params<UsageDaysQuery>,
) -> Result<Json<UsageDaysPage>, Fault> {
    let limit = page_size(query.limit, 1_000, 5_000)?;
    let after = query.after.as_deref().map(place::<Cursor>).transpose()?;
    let instance = state.store.instance().to_owned();
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let start = match after {
        None => DayPlace::default(),
        Some(it) if it.instance == instance && runs::passed_through(&mut read, &it.run, it.place.seq).await? => {
            it.place
        }
        Some(_) => return Err(bad_cursor()),
    };
    // Of this one view: what changes after it has a higher number.
    let last = changes::last(&mut read).await?;
    let from = query.from.map_or(i64::MIN, |it| it.0);
    let mut rows = tenants::days_after(&mut read, start, from, limit + 1).await?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let end = match rows.last() {
        Some(row) if has_more => DayPlace { seq: row.0, day: row.2 },
        _ => DayPlace { seq: last.max(start.seq), day: i64::MAX },
    };
    let run = runs::of(&mut read, end.seq).await?;
    let days = rows
        .into_iter()
        .map(|(_, tenant_id, day, messages, tokens, api_requests)| {
            let amounts = BTreeMap::from([
                (Meter::Messages, messages),
                (Meter::Tokens, tokens),
                (Meter::ApiRequests, api_requests),
            ]);
            TenantDay { tenant_id, usage: DailyUsage { day: Timestamp(day), amounts } }
        })
        .collect();
    let cursor = cursor(&Cursor { instance: instance.clone(), run, place: end })?;
    Ok(Json(UsageDaysPage { days, cursor, has_more, now, instance }))
}

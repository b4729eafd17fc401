//! Tenants: lists, one of them, its timeline and its usage by day.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::header;
use axum::response::IntoResponse;
use paywall_contract::{DailyUsage, Page, Tenant, TenantUsage, TenantsQuery, TimelineEntry, TimelineQuery, UsageQuery};
use paywall_domain::{Meter, Timestamp};

use super::auth::Caller;
use super::document::ReadProblems;
use super::problem::Fault;
use super::read::{Params, bad_cursor, cursor, page_size, place, tenant_id};
use crate::server::State;
use crate::store::time::rolled;
use crate::store::{EntryKey, Filter, TenantKey, entries, list as lists, plans, tenants};

/// The most days in one answer.
const DAYS_MAX: usize = 400;

/// A page of tenants.
#[utoipa::path(get, path = "/admin/v1/tenants", tag = "tenants", security(("token" = [])), params(TenantsQuery),
    responses((status = 200, body = Page<Tenant>), ReadProblems))]
pub(crate) async fn list(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Params(query): Params<TenantsQuery>,
) -> Result<Json<Page<Tenant>>, Fault> {
    let limit = page_size(query.limit, 50, 500)?;
    let after = query.cursor.as_deref().map(place::<TenantKey>).transpose()?;
    if after.as_ref().is_some_and(|key| key.sort != query.sort) {
        return Err(bad_cursor());
    }
    let text = query.text.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
    let filter = Filter { status: query.status, plan: query.plan, text };
    let now = state.catch_up().await;
    let mut read = state.store.read().await?;
    let plans = plans::all(&mut read).await?;
    let (rows, next) = lists::page(&mut read, &filter, query.sort, after.as_ref(), limit, now).await?;
    let next = next.map(|key| cursor(&key)).transpose()?;
    Ok(Json(Page { items: rows.into_iter().map(|row| row.into_tenant(&plans, now)).collect(), next }))
}

/// One tenant, with its decision, its usage per meter and its members.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}", tag = "tenants", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses((status = 200, body = Tenant, headers(("ETag" = String, description = "For If-Match"))), ReadProblems))]
pub(crate) async fn get(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Fault> {
    let id = tenant_id(&id)?;
    let now = state.catch_up_with(&id).await;
    let mut read = state.store.read().await?;
    let plans = plans::all(&mut read).await?;
    let row = tenants::get(&mut read, &id).await?.ok_or_else(|| Fault::not_found("tenant"))?;
    let tenant = rolled(&mut read, row, now).await?.into_tenant(&plans, now);
    Ok(([(header::ETAG, tenant.etag())], Json(tenant)))
}

/// A page of a tenant's timeline, newest first.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/timeline", tag = "tenants", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id"), TimelineQuery),
    responses((status = 200, body = Page<TimelineEntry>), ReadProblems))]
pub(crate) async fn timeline(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Path(id): Path<String>,
    Params(query): Params<TimelineQuery>,
) -> Result<Json<Page<TimelineEntry>>, Fault> {
    let id = tenant_id(&id)?;
    let limit = page_size(query.limit, 50, 500)?;
    let after = query.cursor.as_deref().map(place::<EntryKey>).transpose()?;
    state.catch_up_with(&id).await;
    let mut read = state.store.read().await?;
    tenants::get(&mut read, &id).await?.ok_or_else(|| Fault::not_found("tenant"))?;
    let mut items = entries::timeline(&mut read, &id, after.as_ref(), limit + 1).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let key = |entry: &TimelineEntry| cursor(&EntryKey { at: entry.at.0, id: entry.id.clone() });
    let next = items.last().filter(|_| more).map(key).transpose()?;
    Ok(Json(Page { items, next }))
}

/// A tenant's counters by day.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/usage", tag = "tenants", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id"), UsageQuery),
    responses((status = 200, body = TenantUsage), ReadProblems))]
pub(crate) async fn usage(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Path(id): Path<String>,
    Params(query): Params<UsageQuery>,
) -> Result<Json<TenantUsage>, Fault> {
    let id = tenant_id(&id)?;
    let to = query.to.unwrap_or_else(|| state.clock.now());
    let from = query.from.unwrap_or_else(|| to.plus_ms(-90 * paywall_domain::DAY_MS));
    let mut read = state.store.read().await?;
    tenants::get(&mut read, &id).await?.ok_or_else(|| Fault::not_found("tenant"))?;
    let rows = tenants::usage_days(&mut read, &id, from, to).await?;
    if rows.len() > DAYS_MAX {
        return Err(Fault::field("from", format!("at most {DAYS_MAX} days in one answer; ask for fewer")));
    }
    let day = |(day, messages, tokens, api_requests)| DailyUsage {
        day: Timestamp(day),
        amounts: BTreeMap::from([
            (Meter::Messages, messages),
            (Meter::Tokens, tokens),
            (Meter::ApiRequests, api_requests),
        ]),
    };
    Ok(Json(TenantUsage { tenant_id: id, days: rows.into_iter().map(day).collect() }))
}

//! Lists of tenants.

use paywall_domain::Timestamp;

use super::cursor::{Key, Place};
use super::needle::{indexed, match_expression, needle};
use super::row::Found;
use super::statements::{self, Part, TextMode};
use crate::cache::{Cache, Result};
use crate::ipc::{TenantColumn, TenantPage, TenantQuery};

/// Up to so many rows found by a text are sorted; beyond, walking in order finds a page sooner.
const SORTED_MAX: i64 = 5_000;

impl Cache {
    /// A page of tenants. The first page of a query also counts, unless a text is found too often for that.
    pub async fn tenants_page(&self, query: &TenantQuery, now: Timestamp) -> Result<TenantPage> {
        let limit = i64::from(query.limit.clamp(1, 500));
        let (sort, descending) = (query.sort, query.descending);
        let needle = needle(&query.text);
        let (mode, hits) = self.text_mode(&needle).await?;
        let text = match mode {
            TextMode::Walk => (!needle.is_empty()).then(|| needle.clone()),
            TextMode::Match => Some(match_expression(&needle)),
        };
        let mut place = match &query.cursor {
            Some(cursor) => Place::read(cursor, sort, descending)?,
            None => Place::start(sort, descending),
        };
        let mut found: Vec<Found> = Vec::new();
        if place.key.is_some() {
            found = self.fetch(query, &place, mode, text.as_deref(), now, limit + 1).await?;
            if found.len() as i64 <= limit && nullable(sort) {
                place = Place::unknown(descending);
            }
        }
        if place.key.is_none() {
            let rest = limit + 1 - found.len() as i64;
            found.extend(self.fetch(query, &place, mode, text.as_deref(), now, rest).await?);
        }
        let beyond = found.len() as i64 > limit;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| beyond).map(|last| place_of(last, sort).write(sort, descending));
        let total = match (&query.cursor, &text) {
            (Some(_), _) => None,
            (None, _) if mode == TextMode::Match => Some(self.count_matched(query, text.as_deref(), now).await?),
            (None, Some(_)) if hits.is_some() || next.is_some() => None,
            (None, Some(_)) => Some(found.len() as i64),
            (None, None) => Some(self.count_listed(query, now).await?),
        };
        Ok(TenantPage { rows: self.with_revenue(found).await?, next, total })
    }

    /// How to look for a text, and in how many rows the index has it where that was asked.
    async fn text_mode(&self, needle: &str) -> Result<(TextMode, Option<i64>)> {
        if !indexed(needle) {
            return Ok((TextMode::Walk, None));
        }
        let (hits,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM (SELECT rowid FROM tenant_search WHERE tenant_search MATCH ?1 LIMIT ?2)",
        )
        .bind(match_expression(needle))
        .bind(SORTED_MAX + 1)
        .fetch_one(self.readers())
        .await?;
        Ok((if hits > SORTED_MAX { TextMode::Walk } else { TextMode::Match }, Some(hits)))
    }

    async fn fetch(
        &self,
        query: &TenantQuery,
        place: &Place,
        mode: TextMode,
        text: Option<&str>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Found>> {
        let part = if place.key.is_some() { Part::Known } else { Part::Unknown };
        let statement = statements::page(query.view, query.sort, query.descending, part, mode);
        let bound = sqlx::query_as::<_, Found>(statement).bind(now.0);
        let bound = match place.key.clone() {
            Some(key) => key.bind(bound),
            None => bound.bind(None::<i64>),
        };
        Ok(bound.bind(place.num).bind(query.plan.as_deref()).bind(text).bind(limit).fetch_all(self.readers()).await?)
    }

    async fn count_listed(&self, query: &TenantQuery, now: Timestamp) -> Result<i64> {
        let (count,): (i64,) = match &query.plan {
            None => sqlx::query_as(statements::count(query.view)).bind(now.0).fetch_one(self.readers()).await?,
            Some(plan) => {
                sqlx::query_as(statements::count_of_plan(query.view))
                    .bind(now.0)
                    .bind(plan)
                    .fetch_one(self.readers())
                    .await?
            }
        };
        Ok(count)
    }

    async fn count_matched(&self, query: &TenantQuery, text: Option<&str>, now: Timestamp) -> Result<i64> {
        let (count,): (i64,) = sqlx::query_as(statements::count_of_match(query.view))
            .bind(now.0)
            .bind(query.plan.as_deref())
            .bind(text)
            .fetch_one(self.readers())
            .await?;
        Ok(count)
    }
}

/// Whether the column may be unknown.
pub(super) fn nullable(sort: TenantColumn) -> bool {
    !matches!(sort, TenantColumn::Name | TenantColumn::CreatedAt)
}

fn place_of(found: &Found, sort: TenantColumn) -> Place {
    let key = match sort {
        TenantColumn::Name => Some(Key::Text(found.name_key.clone())),
        TenantColumn::TrialEndsAt => found.row.trial_ends_at.map(|it| Key::Number(it.0)),
        TenantColumn::Used => found.row.used_percent.map(Key::Number),
        TenantColumn::LastActiveAt => found.row.last_active_at.map(|it| Key::Number(it.0)),
        TenantColumn::CreatedAt => Some(Key::Number(found.created_at)),
    };
    Place { key, num: found.num }
}

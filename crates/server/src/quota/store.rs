//! Leases and usage in the server's database.
//!
//! One transaction counts a batch's events and answers its claims. It locks the allotments that it touches,
//! in one order, and only then reads their leases, so that [`Books::answer`] decides on what is so.

mod statements;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use paywall_domain::{DAY_MS, Meter, TenantId, Timestamp};
use sqlx::Row;

use self::statements as sql;
use super::{AllotmentKey, Batch, Books, Counter, CountingPeriod, Grant, HolderId, Lease, LeaseStore, LeaseStoreError};
use crate::clock::Clock;
use crate::metering::{Amounts, TokenSource, UsageEvent};
use crate::store::time::up_to;
use crate::store::{Connection, Dialect, Store, StoreError, storable, tenants};
use crate::transition::Period;

/// How long a holder counts as alive after it said something. What it holds ahead of its need is waited for
/// so long, in vain if it is gone.
const LIFE_MS: i64 = 10_000;

/// How long after its last word what a holder had covered is written off as used. Much longer than any pause
/// that it may come back from: coming back later, it counts its last answers a second time.
const GONE_MS: i64 = 3_600_000;

/// The source of events that say what was written off.
const WRITTEN_OFF: &str = "lease";

impl From<StoreError> for LeaseStoreError {
    fn from(error: StoreError) -> Self {
        Self::Database(Box::new(error))
    }
}

impl From<sqlx::Error> for LeaseStoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Box::new(error))
    }
}

/// A row's name of an allotment.
type RowKey = (String, String, i64);

fn row_key(key: &AllotmentKey) -> RowKey {
    (key.tenant.as_str().to_owned(), key.counter.meter().as_str().to_owned(), key.period.start.0)
}

/// Leases and usage in the server's database.
pub struct SqlLeaseStore {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for SqlLeaseStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlLeaseStore").finish_non_exhaustive()
    }
}

impl SqlLeaseStore {
    /// Over a database that is open.
    pub(crate) fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Opens a database for itself alone.
    pub async fn open(url: &str, clock: Arc<dyn Clock>) -> Result<Self, LeaseStoreError> {
        Ok(Self::new(Arc::new(Store::open(url).await?), clock))
    }

    /// The clock that says who is alive: one for all replicas. The process's own with `SQLite`, where all
    /// replicas share a machine.
    async fn now(&self, connection: &mut Connection) -> Result<Timestamp, LeaseStoreError> {
        match Dialect::of(connection) {
            Dialect::Sqlite => Ok(self.clock.now()),
            Dialect::Postgres => Ok(Timestamp(sqlx::query_scalar(sql::NOW).fetch_one(connection).await?)),
        }
    }

    async fn try_commit(&self, holder: &HolderId, batch: &Batch) -> Result<Vec<Grant>, LeaseStoreError> {
        let mut write = self.store.write_beside().await?;
        let new = insert_events(&mut write, &batch.events).await?;
        let sums = &new.sums;
        // All that is touched, at once: who locked some and then others would wait for one who does likewise.
        let keys: BTreeSet<&AllotmentKey> = sums.keys().chain(batch.claims.iter().map(|(key, _)| key)).collect();
        let mut books = lock(&mut write, &keys).await?;
        let now = self.now(&mut write).await?;
        read_leases(&mut write, batch, &mut books, now).await?;
        for (key, units) in sums {
            if let Some(books) = books.get_mut(&row_key(key)) {
                books.counted = books.counted.saturating_add(*units);
            }
        }
        count(&mut write, &new).await?;

        let mut grants = Vec::with_capacity(batch.claims.len());
        let (mut leases, mut wanted) = (Vec::with_capacity(batch.claims.len()), Vec::new());
        for (key, claim) in &batch.claims {
            let (tenant, meter, start) = row_key(key);
            let books = books.entry((tenant.clone(), meter.clone(), start)).or_default();
            let grant = books.answer(holder, claim);
            if let Some(lease) = books.leases.get(holder).filter(|lease| lease.revision == claim.revision) {
                leases.push((tenant.clone(), meter.clone(), start, lease.revision, lease.covered, lease.spare));
            }
            if grant.held > 0 {
                wanted.push((tenant, meter, start));
            }
            grants.push(grant);
        }
        let dialect = Dialect::of(&write);
        for (rows, statement) in [(json(&leases)?, sql::PUT_LEASES), (json(&wanted)?, sql::SET_WANTED)] {
            if rows != "[]" {
                sqlx::query(statement.of(dialect)).bind(rows).bind(&holder.0).execute(&mut *write).await?;
            }
        }
        sqlx::query(sql::SEE_HOLDER).bind(&holder.0).bind(now.0).execute(&mut *write).await?;
        write.commit().await?;
        Ok(grants)
    }

    async fn write_off_one(&self) -> Result<Option<usize>, LeaseStoreError> {
        let mut write = self.store.write_beside().await?;
        let now = self.now(&mut write).await?;
        let before = now.0 - GONE_MS;
        let gone: Option<String> = sqlx::query_scalar(sql::GONE).bind(before).fetch_optional(&mut *write).await?;
        let Some(holder) = gone else { return Ok(None) };
        let held = sqlx::query(sql::LEASES_OF).bind(&holder).fetch_all(&mut *write).await?;
        let held: Vec<AllotmentKey> = held.iter().map(read_key).collect::<Result<_, _>>()?;
        lock(&mut write, &held.iter().collect()).await?;
        let rows = sqlx::query(sql::DELETE_LEASES).bind(&holder).bind(before).fetch_all(&mut *write).await?;
        let mut events = Vec::new();
        for row in &rows {
            let found: RowKey = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let covered: i64 = row.try_get(3)?;
            let Some(key) = held.iter().find(|key| row_key(key) == found && covered > 0) else { continue };
            events.push(UsageEvent {
                source: WRITTEN_OFF.into(),
                id: format!("{holder}/{}/{}/{}", found.0, found.1, found.2),
                tenant: key.tenant.clone(),
                period: key.period,
                at: now.min(Timestamp(key.period.end.0 - 1)),
                amounts: Amounts::NONE.with(key.counter, covered),
                tokens_from: None,
            });
        }
        let new = insert_events(&mut write, &events).await?;
        count(&mut write, &new).await?;
        sqlx::query(sql::DELETE_HOLDER).bind(&holder).bind(before).execute(&mut *write).await?;
        write.commit().await?;
        Ok(Some(events.len()))
    }

    /// Puts counters that grew into the feed, of at most `most` tenants; answers how many. Apart from the
    /// counting itself, since the feed has one order for all, and a hot tenant need not come in it a hundred
    /// times a second.
    pub async fn publish(&self, most: usize) -> Result<usize, LeaseStoreError> {
        let mut beside = self.store.read().await?;
        let grown: Vec<String> = sqlx::query_scalar(sql::UNPUBLISHED).bind(most as i64).fetch_all(&mut *beside).await?;
        drop(beside);
        if grown.is_empty() {
            return Ok(0);
        }
        let mut write = self.store.write().await?;
        let now = self.clock.now();
        for id in &grown {
            // First, so that what is counted from here on comes again.
            sqlx::query(sql::PUBLISHED).bind(id).execute(&mut *write).await?;
            let Ok(id) = TenantId::parse(id) else { continue };
            let Some(row) = tenants::get(&mut write, &id).await? else { continue };
            let mut row = up_to(&mut write, row, now).await?;
            let Some(period) = row.period.or_else(|| Period::month_of(now)) else { continue };
            let counters = Some(tenants::counted(&mut write, &id, period).await?);
            if row.counters != counters {
                (row.counters, row.period) = (counters, Some(period));
                tenants::put(&mut write, &row, now).await?;
            }
        }
        write.commit().await?;
        Ok(grown.len())
    }

    /// Units counted of a counter in a period, those that leases cover left out.
    pub async fn counted(&self, key: &AllotmentKey) -> Result<i64, LeaseStoreError> {
        let mut write = self.store.write_beside().await?;
        let books = lock(&mut write, &BTreeSet::from([key])).await?;
        Ok(books.values().map(|books| books.counted).sum())
    }

    /// How many events there are.
    pub async fn events(&self) -> Result<i64, LeaseStoreError> {
        let mut read = self.store.read().await?;
        Ok(sqlx::query_scalar("SELECT count(*) FROM usage_events").fetch_one(&mut *read).await?)
    }
}

impl LeaseStore for SqlLeaseStore {
    async fn commit(&self, holder: &HolderId, batch: &Batch) -> Result<Vec<Grant>, LeaseStoreError> {
        self.try_commit(holder, batch).await
    }

    async fn wanted(&self, holder: &HolderId) -> Result<Vec<AllotmentKey>, LeaseStoreError> {
        let mut read = self.store.read().await?;
        let rows = sqlx::query(sql::WANTED).bind(&holder.0).fetch_all(&mut *read).await?;
        rows.iter().map(read_key).collect()
    }

    async fn write_off(&self) -> Result<usize, LeaseStoreError> {
        let mut count = 0;
        while let Some(leases) = self.write_off_one().await? {
            count += leases;
        }
        Ok(count)
    }
}

/// What events add that were not there.
#[derive(Default)]
struct New<'a> {
    sums: BTreeMap<AllotmentKey, i64>,
    days: BTreeMap<(&'a str, i64), [i64; 3]>,
}

/// Inserts the events that are not there.
async fn insert_events<'a>(connection: &mut Connection, events: &'a [UsageEvent]) -> Result<New<'a>, LeaseStoreError> {
    let mut added = New::default();
    if events.is_empty() {
        return Ok(added);
    }
    let rows: Vec<_> = events
        .iter()
        .map(|it| {
            let [messages, tokens, api_requests] = Counter::ALL.map(|counter| it.amounts.get(counter));
            let (start, from) = (it.period.start.0, it.tokens_from.map(TokenSource::as_str));
            let (source, id) = (storable(&it.source), storable(&it.id));
            (source, id, it.tenant.as_str(), start, it.at.0, messages, tokens, api_requests, from)
        })
        .collect();
    let statement = sql::INSERT_EVENTS.of(Dialect::of(connection));
    let new: Vec<(String, String)> = sqlx::query_as(statement).bind(json(&rows)?).fetch_all(connection).await?;
    let mut new: HashSet<(String, String)> = new.into_iter().collect();
    for (event, row) in events.iter().zip(rows) {
        // Only the first of two in one batch is new.
        if !new.remove(&(row.0, row.1)) {
            continue;
        }
        let day = added.days.entry((event.tenant.as_str(), day_of(event))).or_default();
        for counter in Counter::ALL {
            let units = event.amounts.get(counter);
            if units > 0 {
                let key = AllotmentKey { tenant: event.tenant.clone(), counter, period: event.period };
                let sum: &mut i64 = added.sums.entry(key).or_default();
                *sum = sum.saturating_add(units);
                day[counter.index()] = day[counter.index()].saturating_add(units);
            }
        }
    }
    Ok(added)
}

/// Adds what is new to the sums, whose rows are there and locked.
async fn count(connection: &mut Connection, new: &New<'_>) -> Result<(), LeaseStoreError> {
    let dialect = Dialect::of(connection);
    let sums: Vec<_> = new
        .sums
        .iter()
        .map(|(key, units)| {
            let (tenant, meter, start) = row_key(key);
            (tenant, meter, start, key.period.end.0, *units)
        })
        .collect();
    let days: Vec<_> = new.days.iter().map(|((tenant, day), [m, t, a])| (tenant, day, m, t, a)).collect();
    for (rows, statement) in [(json(&sums)?, sql::ADD_TOTALS), (json(&days)?, sql::ADD_DAYS)] {
        if rows != "[]" {
            sqlx::query(statement.of(dialect)).bind(rows).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// The first instant of the UTC day on which an event counts. One that ended after its period counts on the
/// period's last day: the days of a period add up to its counter.
fn day_of(event: &UsageEvent) -> i64 {
    let last = event.period.end.0.saturating_sub(1).max(event.period.start.0);
    let at = event.at.0.clamp(event.period.start.0, last);
    // A period may begin in the middle of a day, which then is told by the period's first instant.
    (at - at.rem_euclid(DAY_MS)).max(event.period.start.0)
}

/// Locks allotments, and makes those that are not there.
async fn lock(
    connection: &mut Connection,
    keys: &BTreeSet<&AllotmentKey>,
) -> Result<BTreeMap<RowKey, Books>, LeaseStoreError> {
    let mut books = BTreeMap::new();
    if keys.is_empty() {
        return Ok(books);
    }
    let dialect = Dialect::of(connection);
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            let (tenant, meter, start) = row_key(key);
            (tenant, meter, start, key.period.end.0)
        })
        .collect();
    let rows = json(&rows)?;
    for last in [false, true] {
        let found = sqlx::query(sql::LOCK_TOTALS.of(dialect)).bind(&rows).fetch_all(&mut *connection).await?;
        if found.len() < keys.len() && !last {
            sqlx::query(sql::INSERT_TOTALS.of(dialect)).bind(&rows).execute(&mut *connection).await?;
            continue;
        }
        for row in &found {
            let key = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            books.insert(key, Books { counted: row.try_get(3)?, leases: BTreeMap::new() });
        }
        break;
    }
    Ok(books)
}

async fn read_leases(
    connection: &mut Connection,
    batch: &Batch,
    books: &mut BTreeMap<RowKey, Books>,
    now: Timestamp,
) -> Result<(), LeaseStoreError> {
    if batch.claims.is_empty() {
        return Ok(());
    }
    let keys: Vec<RowKey> = batch.claims.iter().map(|(key, _)| row_key(key)).collect();
    let statement = sql::LEASES.of(Dialect::of(connection));
    for row in sqlx::query(statement).bind(json(&keys)?).fetch_all(connection).await? {
        let key: RowKey = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (wanted, seen_at): (i64, i64) = (row.try_get(7)?, row.try_get(8)?);
        let lease = Lease {
            revision: row.try_get(4)?,
            covered: row.try_get(5)?,
            spare: row.try_get(6)?,
            wanted: wanted == 1,
            alive: seen_at > now.0 - LIFE_MS,
        };
        if let Some(books) = books.get_mut(&key) {
            books.leases.insert(HolderId(row.try_get(3)?), lease);
        }
    }
    Ok(())
}

fn read_key(row: &sqlx::any::AnyRow) -> Result<AllotmentKey, LeaseStoreError> {
    let unreadable = |what: String| LeaseStoreError::Database(format!("a stored value: {what}").into());
    let (tenant, meter): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    Ok(AllotmentKey {
        tenant: TenantId::parse(&tenant).map_err(|_| unreadable(tenant))?,
        counter: Meter::parse(&meter).and_then(Counter::of).ok_or_else(|| unreadable(meter))?,
        period: CountingPeriod { start: Timestamp(row.try_get(2)?), end: Timestamp(row.try_get(3)?) },
    })
}

fn json<T: serde::Serialize>(rows: &[T]) -> Result<String, LeaseStoreError> {
    Ok(serde_json::to_string(rows).map_err(StoreError::from)?)
}

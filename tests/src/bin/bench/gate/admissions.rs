//! One hot tenant: units from leases, against one durable update per request.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use paywall_databases::Postgres;
use paywall_domain::{DAY_MS, Limit, TenantId, Timestamp};
use paywall_server::SystemClock;
use paywall_server::metering::{Amounts, UsageEvent};
use paywall_server::quota::{
    Admission, Ask, Counter, CountingPeriod, Demand, Quota, Settings, SqlLeaseStore, Unavailable,
};
use sqlx::postgres::PgPoolOptions;

use crate::figures::{Pair, grouped, table};

/// Requests that are under way at a time.
const CONCURRENT: u32 = 64;

/// How long each side works in a round.
const TIME: Duration = Duration::from_secs(4);

/// A limit that is used up within a round.
const SMALL: i64 = 20_000;

pub(crate) async fn measure(rounds: u32) -> anyhow::Result<String> {
    let postgres = Postgres::durable()?;
    let mut pair = Pair::default();
    for round in 0..=rounds {
        let ours = leases(&postgres.database()?, i64::from(i32::MAX), Some(TIME)).await?;
        let peer = updates(&postgres.database()?).await?;
        // The first warms up.
        if round > 0 {
            pair.round(ours.per_second, peer);
        }
    }
    let small = leases(&postgres.database()?, SMALL, None).await?;
    if small.admitted != SMALL {
        bail!("{} were admitted of a limit of {SMALL}", small.admitted);
    }
    let rows = [
        vec!["leases, every event durable".to_owned(), pair.ours.spread("/s"), pair.ratio()],
        vec![
            "one durable `UPDATE … WHERE used < limit` per request".to_owned(),
            pair.peer.spread("/s"),
            "1x".to_owned(),
        ],
    ];
    let table = table(&["one tenant, one counter, PostgreSQL with fsync", "admissions", "ratio"], &rows);
    let text = format!(
        "{table}\n{CONCURRENT} requests at a time on either side. Ours counts until the last event is committed. Of a limit of \
         {}, {} were admitted, none above.\n",
        grouped(SMALL),
        grouped(small.admitted)
    );
    Ok(text)
}

struct Admitted {
    admitted: i64,
    per_second: f64,
}

/// Admits and counts for a while, or until nothing is left.
async fn leases(url: &str, limit: i64, time: Option<Duration>) -> anyhow::Result<Admitted> {
    let store = SqlLeaseStore::open(url, Arc::new(SystemClock)).await?;
    let (quota, task) = Quota::start(store, Settings::default());
    let now = Timestamp(chrono::Utc::now().timestamp_millis());
    let period = CountingPeriod { start: now.plus_ms(-DAY_MS), end: now.plus_ms(29 * DAY_MS) };
    let tenant = TenantId::parse(&format!("{:032x}", 1))?;
    let admitted = Arc::new(AtomicI64::new(0));
    let began = Instant::now();
    let mut workers = Vec::new();
    for worker in 0..CONCURRENT {
        let (quota, tenant, admitted) = (quota.clone(), tenant.clone(), Arc::clone(&admitted));
        workers.push(tokio::spawn(async move {
            let ask = Ask { counter: Counter::Messages, demand: Demand::exactly(1), limit: Limit::AtMost(limit) };
            let mut number = 0_u64;
            while time.is_none_or(|time| began.elapsed() < time) {
                let reservation = match quota.reserve(&tenant, period, &[ask]).await {
                    Admission::Reserved(reservation) => reservation,
                    Admission::Exhausted(_) => break,
                    // Events are written more slowly than they come: as the gate's callers, it comes again.
                    Admission::Unavailable(Unavailable::SpoolFull) => {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        continue;
                    }
                    Admission::Unavailable(why) => bail!("{why}"),
                };
                number += 1;
                admitted.fetch_add(1, Ordering::Relaxed);
                let _ = reservation.settle(UsageEvent {
                    source: "gate".into(),
                    id: format!("{worker:08x}{number:024x}"),
                    tenant: tenant.clone(),
                    period,
                    at: now,
                    amounts: Amounts::NONE.with(Counter::Messages, 1),
                    tokens_from: None,
                });
                // As a request does that waits for RAGFlow.
                tokio::task::yield_now().await;
            }
            Ok(())
        }));
    }
    for worker in workers {
        worker.await??;
    }
    quota.close();
    task.await.context("the task that writes")?;
    let admitted = admitted.load(Ordering::Relaxed);
    let per_second = admitted as f64 / began.elapsed().as_secs_f64();
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await?;
    let (counted,): (i64,) = sqlx::query_as("SELECT count(*) FROM usage_events").fetch_one(&pool).await?;
    if counted != admitted {
        bail!("{counted} events of {admitted} admissions");
    }
    pool.close().await;
    Ok(Admitted { admitted, per_second })
}

/// The simplest exact quota: the database says yes or no, each time.
async fn updates(url: &str) -> anyhow::Result<f64> {
    let pool = PgPoolOptions::new().min_connections(CONCURRENT).max_connections(CONCURRENT).connect(url).await?;
    sqlx::query("CREATE TABLE quota (tenant text PRIMARY KEY, used bigint NOT NULL, most bigint NOT NULL)")
        .execute(&pool)
        .await?;
    sqlx::query("INSERT INTO quota VALUES ('hot', 0, 1000000000)").execute(&pool).await?;
    let began = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..CONCURRENT {
        let pool = pool.clone();
        workers.push(tokio::spawn(async move {
            let mut connection = pool.acquire().await?;
            let mut made = 0_u64;
            while began.elapsed() < TIME {
                let statement = "UPDATE quota SET used = used + 1 WHERE tenant = 'hot' AND used < most";
                made += sqlx::query(statement).execute(&mut *connection).await?.rows_affected();
            }
            Ok::<_, sqlx::Error>(made)
        }));
    }
    let mut made = 0;
    for worker in workers {
        made += worker.await??;
    }
    let per_second = made as f64 / began.elapsed().as_secs_f64();
    pool.close().await;
    Ok(per_second)
}

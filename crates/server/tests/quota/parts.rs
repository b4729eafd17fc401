//! What several tests need.

use std::sync::atomic::{AtomicU64, Ordering};

use paywall_domain::{DAY_MS, Limit, TenantId, Timestamp};
use paywall_server::metering::{Amounts, UsageEvent};
use paywall_server::quota::{Admission, Ask, Counter, CountingPeriod, Demand, Quota, Reservation};

/// 2026-06-15T12:00:00Z
pub(crate) const NOW: Timestamp = Timestamp(1_781_524_800_000);

/// The 30 days from 2026-06-01.
pub(crate) const JUNE: CountingPeriod =
    CountingPeriod { start: Timestamp(1_780_272_000_000), end: Timestamp(1_780_272_000_000 + 30 * DAY_MS) };

pub(crate) fn tenant(number: u32) -> TenantId {
    TenantId::parse(&format!("{number:032x}")).unwrap()
}

pub(crate) fn messages(units: i64, limit: i64) -> Ask {
    Ask { counter: Counter::Messages, demand: Demand::exactly(units), limit: Limit::AtMost(limit) }
}

pub(crate) fn event(number: u32, counter: Counter, units: i64) -> UsageEvent {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = format!("{:032x}{:016x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    named(id, number, counter, units)
}

pub(crate) fn named(id: String, number: u32, counter: Counter, units: i64) -> UsageEvent {
    UsageEvent {
        source: "gate".into(),
        id,
        tenant: tenant(number),
        period: JUNE,
        at: NOW,
        amounts: Amounts::NONE.with(counter, units),
        tokens_from: None,
    }
}

pub(crate) async fn reserve(quota: &Quota, number: u32, ask: Ask) -> Admission {
    quota.reserve(&tenant(number), JUNE, &[ask]).await
}

pub(crate) async fn reserved(quota: &Quota, number: u32, ask: Ask) -> Reservation {
    match reserve(quota, number, ask).await {
        Admission::Reserved(it) => it,
        other => panic!("{other:?}"),
    }
}

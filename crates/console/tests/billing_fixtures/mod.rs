//! How billing is, as a server says it.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use paywall_contract::{InboxEvent, InboxState, KnownDrift, StuckAt, StuckConversion};
use paywall_domain::billing::{Drift, DriftBody, DriftKind, Money, Repair, StatusWord};
use paywall_domain::{SubscriptionStatus, TenantId, Timestamp};
use serde_json::{Value, json};

pub fn tenant_id(n: u32) -> TenantId {
    TenantId::parse(&format!("{n:032x}")).unwrap()
}

/// Paid and locked out, since `since`.
pub fn drift(n: u32, since: i64) -> KnownDrift {
    KnownDrift {
        id: format!("drift_{n}"),
        tenant_name: Some(format!("Tenant {n}")),
        drift: Drift {
            tenant: Some(tenant_id(n)),
            customer: Some(format!("cus_{n}")),
            subscription: Some(format!("sub_{n}")),
            endpoint: None,
            body: DriftBody::PaidButBlocked { paywall: None, stripe: StatusWord::Known(SubscriptionStatus::Active) },
            at_stake: Some(Money::new(12_000, "jpy")),
            repair: Repair::ApplyStripe,
        },
        dashboard_url: None,
        first_seen_at: Timestamp(since),
        last_seen_at: Timestamp(since + 5),
    }
}

/// The account's: events that Stripe could not deliver.
pub fn undelivered(since: i64) -> KnownDrift {
    let mut it = drift(0, since);
    it.id = "drift_undelivered".into();
    it.tenant_name = None;
    it.drift.body = DriftBody::UndeliveredEvents { count: 7 };
    it.drift.repair = Repair::ProcessEvents;
    (it.drift.tenant, it.drift.customer, it.drift.subscription) = (None, None, None);
    it
}

pub fn event(n: u32, state: InboxState, at: i64) -> InboxEvent {
    serde_json::from_value(json!({
        "id": format!("evt_{n}"), "type": "invoice.paid", "object_id": format!("in_{n}"), "customer": "cus_1",
        "tenant_id": null, "tenant_name": null, "created_at": at - 3, "received_at": at, "source": "webhook",
        "state": state, "attempts": 3, "next_attempt_at": null, "error": "unknown_customer", "done_at": null,
    }))
    .unwrap()
}

pub fn stuck(n: u32, at: StuckAt, since: i64, drift: Option<&str>) -> StuckConversion {
    StuckConversion {
        tenant_id: tenant_id(n),
        tenant_name: format!("Tenant {n}"),
        at,
        since: Timestamp(since),
        session: format!("cs_{n}"),
        subscription: None,
        plan: "pro".into(),
        price: "price_pro".into(),
        drift: drift.map(str::to_owned),
    }
}

/// How billing is, counted from its lists.
pub fn health(drifts: &[KnownDrift], events: &[InboxEvent], stuck: &[StuckConversion]) -> Value {
    let mut kinds: Vec<Value> = Vec::new();
    for kind in DriftKind::ALL {
        let of: Vec<&KnownDrift> = drifts.iter().filter(|it| it.drift.kind() == kind).collect();
        if let Some(oldest) = of.iter().map(|it| it.first_seen_at).min() {
            kinds.push(json!({"kind": kind, "count": of.len(), "oldest_since": oldest, "at_stake": []}));
        }
    }
    let events_in = |state: InboxState| events.iter().filter(|it| it.state == state).count();
    let stuck_at = |at: StuckAt| stuck.iter().filter(|it| it.at == at).count();
    json!({
        "stripe": {"state": "configured", "mode": "test", "key_kind": "restricted", "reachable": true, "error": null},
        "webhook": {"secret_configured": true, "endpoint": null, "last_received_at": 5, "last_event_created_at": 4,
            "lag_ms": 1000, "refused_signatures": 0},
        "deliveries": [],
        "inbox": {"pending": 0, "parked": events_in(InboxState::Parked), "failed": events_in(InboxState::Failed),
            "oldest_pending_at": null},
        "undelivered": 0,
        "drifts": kinds,
        "stuck": {"checkout_open": stuck_at(StuckAt::CheckoutOpen),
            "paid_not_unblocked": stuck_at(StuckAt::PaidNotUnblocked)},
        "polled_at": 5, "reconciled_at": 4, "as_of": 6,
        // What a newer server says beside is left aside.
        "weather": "fine",
    })
}

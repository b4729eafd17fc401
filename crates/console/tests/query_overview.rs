//! The Overview's figures, and timelines with what can be undone.
#![allow(clippy::unwrap_used)]

mod cache_fixtures;

use cache_fixtures::{
    NOW, adjustment, ago, extend, facts, feed, filled, home, id, put, refused, seconds, tenant, tenant_at,
};
use paywall_console::cache::Cache;
use paywall_console::ipc::{ActivityView, AttentionKind, Money, TenantQuery, TenantView, UndoState};
use paywall_contract::{ChangeRecord, Tenant, TimelineBody, TimelineEntry};
use paywall_domain::{Change, DenyCode, Meter, Subscription, SubscriptionStatus, Timestamp, UndoRefusal};
use paywall_stripe::Stream;
use serde_json::{Value, json};

fn subscription(n: u32, status: &str, currency: &str, amount: i64, began: i64, ended: Option<i64>) -> Value {
    json!({
        "id": format!("sub_{n}"), "object": "subscription", "customer": format!("cus_{n}"), "status": status,
        "currency": currency, "created": seconds(began), "start_date": seconds(began),
        "ended_at": ended.map(seconds), "canceled_at": ended.map(seconds), "cancel_at_period_end": false,
        "discounts": [],
        "items": {"object": "list", "has_more": false, "data": [{
            "id": format!("si_{n}"), "quantity": 1, "discounts": [], "current_period_end": seconds(-10),
            "price": {"id": format!("price_{n}"), "currency": currency, "unit_amount": amount,
                "unit_amount_decimal": amount.to_string(), "billing_scheme": "per_unit", "tax_behavior": "exclusive",
                "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}},
        }]},
    })
}

fn invoice(n: u32, paid: i64) -> Value {
    json!({"id": format!("in_{n}"), "customer": format!("cus_{n}"), "status": "paid", "currency": "usd",
        "total": paid, "amount_paid": paid, "amount_remaining": 0, "created": seconds(40)})
}

fn usd(amount: i64) -> Money {
    Money { amount, currency: "usd".into() }
}

#[tokio::test]
async fn without_stripe_money_is_unknown_and_not_zero() {
    let home = home();
    let cache = filled(&home, &[tenant(1, "Acme", facts(Some(ago(-2))), None)]).await;
    let overview = cache.overview(None, NOW).await.unwrap();
    assert_eq!((overview.mrr, overview.conversion, overview.past_due.at_risk), (None, None, None));
    assert_eq!((overview.trials.running, overview.trials.ending, overview.tenants), (1, 1, 1));
    assert_eq!(overview.next_trial_end.unwrap().at, ago(-2));
    cache.close().await;
}

#[tokio::test]
async fn revenue_adds_up_and_currencies_stay_apart() {
    let home = home();
    let mut acme = tenant(1, "Acme", facts(None), None);
    acme.stripe_customer = Some("cus_1".into());
    let never_paid = tenant(7, "Never paid", facts(None), None);
    let cache = filled(&home, &[acme, never_paid]).await;
    let mut tiered = subscription(8, "active", "usd", 0, 50, None);
    tiered["items"]["data"][0]["price"]["billing_scheme"] = json!("tiered");
    let subscriptions = [
        tiered,
        subscription(1, "active", "usd", 9900, 200, None),
        subscription(2, "active", "usd", 2000, 10, None),
        subscription(3, "past_due", "jpy", 5000, 300, None),
        subscription(4, "canceled", "usd", 700, 400, Some(5)),
        subscription(5, "canceled", "usd", 900, 400, Some(60)),
        subscription(6, "trialing", "usd", 9999, 2, None),
    ];
    put(&cache, Stream::Subscriptions, &subscriptions).await;
    // Twice, in another order: the same.
    put(&cache, Stream::Subscriptions, &subscriptions.iter().rev().cloned().collect::<Vec<_>>()).await;
    let tile = cache.overview(None, NOW).await.unwrap().mrr.unwrap();
    assert_eq!(tile.now, [usd(11900), Money { amount: 5000, currency: "jpy".into() }]);
    assert_eq!((tile.new_30d, tile.churned_30d), (vec![usd(2000)], vec![usd(700)]));
    assert_eq!((tile.subscriptions, tile.including_tax), (3, 0));
    // One lacks its tiers; two belong to customers who are no tenant here.
    assert_eq!((tile.untold, tile.elsewhere), (1, 2));
    let paying = TenantQuery { view: TenantView::Paying, limit: 5, ..TenantQuery::default() };
    let paying = cache.tenants_page(&paying, NOW).await.unwrap();
    assert_eq!(
        (paying.rows.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), paying.total),
        (vec!["Acme"], Some(1))
    );
    let page = cache.tenants_page(&TenantQuery { limit: 5, ..TenantQuery::default() }, NOW).await.unwrap();
    assert_eq!(page.rows[0].mrr, Some(vec![usd(9900)]));
    cache.close().await;
}

#[tokio::test]
async fn what_is_at_risk_has_its_currencies_in_the_order_of_the_revenue() {
    let home = home();
    let overdue: Vec<Tenant> = (1..=3)
        .map(|n| {
            let mut facts = facts(None);
            facts.subscription = Some(Subscription {
                id: format!("sub_{n}"),
                status: SubscriptionStatus::PastDue,
                current_period_end: None,
                overdue_since: Some(ago(2)),
                grace_ends_at: None,
                ended_at: None,
                cancel_at_period_end: false,
            });
            Tenant { stripe_customer: Some(format!("cus_{n}")), ..tenant(n, "Overdue", facts, None) }
        })
        .collect();
    let cache = filled(&home, &overdue).await;
    let mut subscriptions: Vec<Value> = [(1, "aed"), (2, "usd"), (3, "eur")]
        .map(|(n, currency)| subscription(n, "past_due", currency, 1000, 100, None))
        .into();
    // Most pay in dollars, then in euros.
    subscriptions.extend((11..14).map(|n| subscription(n, "active", "usd", 1000, 100, None)));
    subscriptions.push(subscription(14, "active", "eur", 1000, 100, None));
    put(&cache, Stream::Subscriptions, &subscriptions).await;
    let overview = cache.overview(None, NOW).await.unwrap();
    let order = |of: &[Money]| of.iter().map(|it| it.currency.clone()).collect::<Vec<_>>();
    assert_eq!(overview.past_due.tenants, 3);
    assert_eq!(order(&overview.past_due.at_risk.unwrap()), ["usd", "eur", "aed"]);
    assert_eq!(order(&overview.mrr.unwrap().now), ["usd", "eur", "aed"]);
    cache.close().await;
}

#[tokio::test]
async fn tiers_that_arrive_after_their_subscription_count_from_then_on() {
    let home = home();
    let cache = filled(&home, &[]).await;
    let mut tiered = subscription(1, "active", "usd", 0, 100, None);
    tiered["items"]["data"][0]["price"]["billing_scheme"] = json!("tiered");
    tiered["items"]["data"][0]["price"]["tiers_mode"] = json!("volume");
    tiered["items"]["data"][0]["price"]["unit_amount"] = Value::Null;
    tiered["items"]["data"][0]["price"]["unit_amount_decimal"] = Value::Null;
    put(&cache, Stream::Subscriptions, &[tiered.clone()]).await;
    assert_eq!(cache.overview(None, NOW).await.unwrap().mrr.unwrap().now, []);
    let mut price = tiered["items"]["data"][0]["price"].clone();
    price["tiers"] = json!([{"up_to": null, "unit_amount": 1500, "unit_amount_decimal": "1500",
        "flat_amount": null, "flat_amount_decimal": null}]);
    put(&cache, Stream::Prices, &[price]).await;
    assert_eq!(cache.overview(None, NOW).await.unwrap().mrr.unwrap().now, [usd(1500)]);
    cache.close().await;
}

#[tokio::test]
async fn conversion_looks_at_closed_cohorts_only() {
    let home = home();
    // Began 14 days before its end: 60, 50, 45, 40 and 10 days ago.
    let mut tenants: Vec<Tenant> =
        [46, 36, 31, -5, -4].into_iter().zip(1..).map(|(end, n)| tenant(n, "T", facts(Some(ago(end))), None)).collect();
    tenants[3].facts.trial.as_mut().unwrap().started_at = ago(40);
    for (n, it) in (1..).zip(&mut tenants) {
        it.stripe_customer = Some(format!("cus_{n}"));
    }
    let cache = filled(&home, &tenants).await;
    put(&cache, Stream::Invoices, &[invoice(1, 9900), invoice(2, 0), invoice(5, 9900)]).await;
    let tile = cache.overview(None, NOW).await.unwrap().conversion.unwrap();
    assert_eq!((tile.started, tile.decided, tile.converted), (4, 3, 1));
    assert_eq!((tile.from, tile.to), (ago(120), ago(30)));
    cache.close().await;
}

#[tokio::test]
async fn what_needs_somebody_is_listed_and_the_view_behind_it_agrees() {
    let home = home();
    let mut locked = tenant(1, "Locked", facts(Some(ago(2))), None);
    locked.last_active_at = Some(ago(1));
    locked.last_refusal = Some(refused(ago(1)));
    // The copy is three days old: it still calls this trial running.
    let mut stale = tenant_at(2, "Stale", facts(Some(ago(1))), None, ago(3));
    stale.last_active_at = Some(ago(2));
    let full = tenant(3, "Full", facts(Some(ago(-9))), Some(100));
    let cache = filled(&home, &[locked, stale, full]).await;
    let overview = cache.overview(None, NOW).await.unwrap();
    let items: Vec<_> = overview.attention.iter().map(|it| (it.kind, it.count)).collect();
    assert_eq!(items, [(AttentionKind::LockedOutActive, 2), (AttentionKind::QuotaBlocked, 1)]);
    assert_eq!(overview.attention[1].meters, [Meter::Messages]);
    assert_eq!(overview.trials.running, 1, "a trial whose end has passed does not run, whatever the copy says");
    for item in overview.attention {
        let query = TenantQuery { view: item.view.unwrap(), limit: 9, ..TenantQuery::default() };
        assert_eq!(cache.tenants_page(&query, NOW).await.unwrap().total, Some(item.count));
    }
    let query = TenantQuery { view: TenantView::QuotaBlocked, limit: 9, ..TenantQuery::default() };
    let row = cache.tenants_page(&query, NOW).await.unwrap().rows.remove(0);
    assert_eq!((row.used_percent, row.used_meter), (Some(100), Some(Meter::Messages)));
    cache.close().await;
}

fn entries(entries: Vec<TimelineEntry>) -> Vec<ChangeRecord> {
    entries.into_iter().map(|it| ChangeRecord::Entry(Box::new(it))).collect()
}

fn undo_of(name: &str, of: &str, days: i64) -> TimelineEntry {
    let mut entry = adjustment(name, 1, ago(days), "Mia", extend(), facts(Some(ago(2))));
    if let TimelineBody::Adjustment { adjustment } = &mut entry.body {
        adjustment.undoes = Some(of.into());
    }
    entry
}

async fn states(cache: &Cache) -> Vec<(String, Option<UndoState>)> {
    let page = cache.timeline_page(&id(1), Some("Mia"), None).await.unwrap();
    page.rows.into_iter().map(|it| (it.entry.id, it.undo)).collect()
}

#[tokio::test]
async fn undo_is_offered_for_what_still_stands() {
    let home = home();
    let cache = filled(&home, &[tenant(1, "Acme", facts(Some(ago(-4))), None)]).await;
    let a = adjustment("a", 1, ago(5), "Mia", extend(), facts(Some(ago(2))));
    let b = adjustment("b", 1, ago(4), "Tom", extend(), facts(Some(ago(-4))));
    let note = adjustment("n", 1, ago(3), "Tom", Change::Note, facts(Some(ago(-4))));
    cache.apply_feed_page(&feed(entries(vec![a.clone(), b, note])), NOW).await.unwrap();
    let refused = |reason| Some(UndoState::Refused { reason });
    let by_b = UndoRefusal::ChangedSince { adjustment: Some("b".into()), by: Some("Tom".into()), at: Some(ago(4)) };
    assert_eq!(
        states(&cache).await,
        [("n".into(), Some(UndoState::Possible)), ("b".into(), Some(UndoState::Possible)), ("a".into(), refused(by_b)),]
    );
    // Undoing b, by its own entry alone: b is undone, a stands again, the undo itself is final.
    cache.apply_entry(&undo_of("u", "b", 2)).await.unwrap();
    let mut back = tenant(1, "Acme", facts(Some(ago(2))), None);
    back.version = 2;
    cache.apply_tenant(&back).await.unwrap();
    let after = states(&cache).await;
    assert_eq!(after[0], ("u".into(), refused(UndoRefusal::IsUndo)));
    assert_eq!(after[2], ("b".into(), refused(UndoRefusal::AlreadyUndone)));
    assert_eq!(after[3], ("a".into(), Some(UndoState::Possible)));
    // Billing moved the trial since: nothing of ours to put back.
    let mut moved = tenant(1, "Acme", facts(Some(ago(-9))), None);
    moved.version = 3;
    cache.apply_tenant(&moved).await.unwrap();
    let since = UndoRefusal::ChangedSince { adjustment: None, by: None, at: None };
    assert_eq!(states(&cache).await[3], ("a".into(), refused(since)));
    cache.close().await;
}

#[tokio::test]
async fn activity_is_cut_into_pages_and_filtered() {
    let home = home();
    let cache = filled(&home, &[tenant(1, "Acme", facts(None), None)]).await;
    let mut all = Vec::new();
    for n in 0..130 {
        // Several at one instant: the id decides.
        let name = format!("e{n:03}");
        let actor = if n % 3 == 0 { "Mia" } else { "Tom" };
        let mut entry = adjustment(&name, 1, ago(n / 4), actor, extend(), facts(None));
        if n % 5 == 0 {
            entry.body = TimelineBody::TrialEnded;
        }
        all.push(entry);
    }
    cache.apply_feed_page(&feed(entries(all.clone())), NOW).await.unwrap();
    all.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    let actor = |it: &TimelineEntry| match &it.body {
        TimelineBody::Adjustment { adjustment } => Some(adjustment.actor.clone()),
        _ => None,
    };
    for (view, text) in [
        (ActivityView::All, ""),
        (ActivityView::Mine, ""),
        (ActivityView::Staff, ""),
        (ActivityView::System, ""),
        (ActivityView::All, "MIA"),
        (ActivityView::Staff, "customer ask"),
        (ActivityView::Staff, "%"),
    ] {
        let wanted: Vec<&str> = all
            .iter()
            .filter(|it| match view {
                ActivityView::All => true,
                ActivityView::Mine => actor(it).as_deref() == Some("Mia"),
                ActivityView::Staff => actor(it).is_some(),
                ActivityView::System => actor(it).is_none(),
            })
            .filter(|it| match text {
                "MIA" => actor(it).as_deref() == Some("Mia"),
                "%" => false,
                _ => true,
            })
            .map(|it| it.id.as_str())
            .collect();
        let (mut ids, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = cache.activity_page(view, text, Some("Mia"), cursor.as_deref()).await.unwrap();
            for row in page.rows {
                assert_eq!(row.mine, actor(&row.entry).as_deref() == Some("Mia"));
                ids.push(row.entry.id);
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(ids, wanted, "{view:?} {text:?}");
    }
    assert!(cache.activity_page(ActivityView::Mine, "", None, None).await.unwrap().rows.is_empty());
    assert_eq!(cache.overview(Some("Mia"), NOW).await.unwrap().recent.len(), 5);
    cache.close().await;
}

#[tokio::test]
async fn a_first_refusal_tells_the_request_while_it_is_the_last_one() {
    let home = home();
    let mut acme = tenant(1, "Acme", facts(Some(ago(2))), None);
    acme.last_refusal = Some(refused(ago(1)));
    let cache = filled(&home, &[acme.clone()]).await;
    // As the server names them: with dots in the id, which a cursor has too.
    let blocked = |at: Timestamp, code: DenyCode| TimelineEntry {
        id: format!("{}.blocked.{}", id(1), at.0),
        tenant_id: id(1),
        tenant_name: "Acme".into(),
        at,
        body: TimelineBody::Blocked { code },
    };
    let mut all = vec![blocked(ago(1), DenyCode::TrialEnded), blocked(ago(2), DenyCode::QuotaExhausted)];
    all.extend((0..60).map(|n| blocked(ago(100 + n), DenyCode::QuotaExhausted)));
    cache.apply_feed_page(&feed(entries(all)), NOW).await.unwrap();
    let first = cache.timeline_page(&id(1), None, None).await.unwrap();
    let told: Vec<bool> = first.rows.iter().map(|it| it.refusal.is_some()).collect();
    assert_eq!((told[0], told[1..].contains(&true)), (true, false));
    assert_eq!(first.rows[0].refusal, Some(refused(ago(1))));
    let second = cache.timeline_page(&id(1), None, first.next.as_deref()).await.unwrap();
    assert_eq!((first.rows.len(), second.rows.len(), second.next), (50, 12, None));
    let activity = cache.activity_page(ActivityView::System, "", None, None).await.unwrap();
    assert_eq!(activity.rows[0].refusal, Some(refused(ago(1))));

    // A later refusal took its place: of the first one only the rule is known.
    acme.last_refusal = Some(refused(ago(0)));
    acme.seq += 1;
    cache.apply_tenant(&acme).await.unwrap();
    let page = cache.timeline_page(&id(1), None, None).await.unwrap();
    assert!(page.rows.iter().all(|it| it.refusal.is_none()));
    cache.close().await;
}

#[tokio::test]
async fn disputes_that_wait_for_an_answer_come_first_with_the_nearest_due() {
    let home = home();
    let mut acme = tenant(1, "Acme", facts(None), None);
    acme.stripe_customer = Some("cus_1".into());
    let cache = filled(&home, &[acme]).await;
    assert_eq!(cache.overview(None, NOW).await.unwrap().attention, []);
    let charge = |n: u32| json!({"id": format!("ch_{n}"), "customer": format!("cus_{n}"), "created": seconds(9)});
    put(&cache, Stream::Charges, &[charge(1), charge(2)]).await;
    let dispute = |n: u32, charge: u32, status: &str, due: i64| {
        json!({"id": format!("dp_{n}"), "charge": format!("ch_{charge}"), "status": status, "created": seconds(3),
            "livemode": true, "evidence_details": {"due_by": seconds(-due)}})
    };
    let disputes = [
        dispute(1, 2, "needs_response", 9),
        dispute(2, 1, "needs_response", 4),
        dispute(3, 2, "won", 1),
        dispute(4, 2, "under_review", 1),
    ];
    put(&cache, Stream::Disputes, &disputes).await;
    let found = cache.overview(None, NOW).await.unwrap().attention.remove(0);
    assert_eq!((found.kind, found.count, found.view), (AttentionKind::DisputeOpen, 2, None));
    assert_eq!(found.due_at, Some(Timestamp(seconds(-4) * 1000)));
    assert_eq!((found.tenant_id, found.dispute.as_deref(), found.livemode), (Some(id(1)), Some("dp_2"), true));
    cache.close().await;
}

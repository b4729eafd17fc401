//! A tenant's billing from Stripe's objects in the copy.
#![allow(clippy::unwrap_used)]

mod cache_fixtures;

use cache_fixtures::{NOW, facts, feed, filled, home, id, plan, put, seconds, tenant};
use paywall_console::cache::Cache;
use paywall_console::ipc::{Billing, Money, PriceRow};
use paywall_contract::ChangeRecord;
use paywall_domain::billing::{Interval, UpcomingChange};
use paywall_domain::{DAY_MS, Plan, Timestamp};
use paywall_stripe::Stream;
use serde_json::{Value, json};

fn yen(amount: i64) -> Money {
    Money { amount, currency: "jpy".into() }
}

async fn billing(cache: &Cache) -> Billing {
    cache.tenant_detail(&id(1), NOW).await.unwrap().billing.unwrap()
}

async fn with_customer(home: &cache_fixtures::Home) -> Cache {
    let mut acme = tenant(1, "Acme", facts(None), None);
    acme.stripe_customer = Some("cus_1".into());
    let cache = filled(home, &[acme]).await;
    put(&cache, Stream::Customers, &[json!({"id": "cus_1", "created": 1, "livemode": false})]).await;
    cache
}

fn subscription(status: &str, more: &Value) -> Value {
    let mut it = json!({"id": "sub_1", "created": seconds(40), "customer": "cus_1", "status": status, "currency": "jpy",
        "livemode": false, "metadata": {"tenant_id": id(1).as_str()},
        "cancel_at_period_end": false, "items": {"data": [{"id": "si_1", "quantity": 1,
            "current_period_end": seconds(-10), "price": {"id": "p", "currency": "jpy", "unit_amount": 12000,
                "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}}]}});
    for (name, value) in more.as_object().unwrap() {
        it[name] = value.clone();
    }
    it
}

#[tokio::test]
async fn payments_refunds_and_disputes_are_told_with_their_reasons() {
    let home = home();
    let cache = with_customer(&home).await;
    // A list that is not here is not an empty one.
    let none = billing(&cache).await;
    assert_eq!((none.payments, none.refunds, none.disputes, none.credit_notes), (None, None, None, None));
    assert!(!none.livemode);

    let card = json!({"card": {"brand": "visa", "last4": "4242"}});
    put(
        &cache,
        Stream::Charges,
        &[
            json!({"id": "ch_1", "created": seconds(30), "customer": "cus_1", "status": "succeeded", "currency": "jpy",
                "amount": 12000, "amount_refunded": 2000, "paid": true, "payment_method_details": card}),
            json!({"id": "ch_2", "created": seconds(1), "customer": "cus_1", "status": "failed", "currency": "kwd",
                "amount": 45250, "amount_refunded": 0, "failure_code": "card_declined",
                "outcome": {"reason": "insufficient_funds"}}),
            json!({"id": "ch_9", "created": seconds(1), "customer": "cus_2", "status": "succeeded", "currency": "usd",
                "amount": 1, "amount_refunded": 1}),
        ],
    )
    .await;
    let refund = |id: &str, charge: &str, amount: i64| {
        json!({"id": id, "created": seconds(20), "charge": charge, "status": "succeeded", "currency": "jpy",
            "amount": amount, "reason": "requested_by_customer"})
    };
    put(&cache, Stream::Refunds, &[refund("re_1", "ch_1", 2000), refund("re_9", "ch_9", 1)]).await;
    put(
        &cache,
        Stream::Disputes,
        &[json!({"id": "dp_1", "created": seconds(2), "charge": "ch_1", "status": "needs_response",
            "reason": "fraudulent", "currency": "jpy", "amount": 12000, "evidence_details": {"due_by": seconds(-5)}})],
    )
    .await;

    let note = json!({"id": "cn_1", "created": seconds(9), "customer": "cus_1", "invoice": "in_1", "status": "issued",
        "currency": "jpy", "total": 3000});
    put(&cache, Stream::CreditNotes, &[note]).await;

    let it = billing(&cache).await;
    let notes = it.credit_notes.unwrap();
    assert_eq!((notes.len(), notes[0].invoice.as_deref()), (1, Some("in_1")));
    assert_eq!(notes[0].total, Some(yen(3000)));
    let payments = it.payments.unwrap();
    assert_eq!(payments.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["ch_2", "ch_1"]);
    assert_eq!(payments[0].amount, Some(Money { amount: 45250, currency: "kwd".into() }));
    assert_eq!((payments[0].failure.as_deref(), payments[1].failure.as_deref()), (Some("insufficient_funds"), None));
    assert_eq!((payments[1].card.as_deref(), payments[1].last4.as_deref()), (Some("visa"), Some("4242")));
    assert_eq!(payments[1].refunded, Some(yen(2000)));
    let refunds = it.refunds.unwrap();
    assert_eq!((refunds.len(), refunds[0].reason.as_deref()), (1, Some("requested_by_customer")));
    let disputes = it.disputes.unwrap();
    assert_eq!((disputes.len(), disputes[0].charge.as_str()), (1, "ch_1"));
    assert_eq!(disputes[0].evidence_due_at, Some(Timestamp(seconds(-5) * 1000)));
    cache.close().await;
}

#[tokio::test]
async fn what_happens_next_is_told_by_the_subscription_that_counts() {
    let home = home();
    let cache = with_customer(&home).await;
    assert_eq!(billing(&cache).await.upcoming, [], "nothing is known of subscriptions");
    let at = |days: i64| Timestamp(seconds(-days) * 1000);
    let trial = json!({"trial_end": seconds(-3)});
    let paused = json!({"pause_collection": {"behavior": "void", "resumes_at": seconds(-6)}});
    for (status, more, expected) in [
        ("active", json!({}), vec![UpcomingChange::Renews { at: at(10) }]),
        ("active", json!({"cancel_at_period_end": true}), vec![UpcomingChange::Ends { at: at(10) }]),
        ("active", json!({"cancel_at": seconds(-4)}), vec![UpcomingChange::Ends { at: at(4) }]),
        ("trialing", trial, vec![UpcomingChange::TrialEnds { at: at(3) }, UpcomingChange::Renews { at: at(10) }]),
        // Nothing is taken while its invoices are not collected: it does not renew.
        ("active", paused, vec![UpcomingChange::Resumes { at: at(6) }]),
        ("canceled", json!({"ended_at": seconds(1)}), vec![]),
    ] {
        put(&cache, Stream::Subscriptions, &[subscription(status, &more)]).await;
        assert_eq!(billing(&cache).await.upcoming, expected, "{status} {more}");
    }

    put(&cache, Stream::Subscriptions, &[subscription("past_due", &json!({}))]).await;
    let invoice = |status: &str| {
        json!({"id": "in_1", "created": seconds(3), "customer": "cus_1", "status": status, "currency": "jpy",
            "parent": {"subscription_details": {"subscription": "sub_1"}},
            "total": 12000, "amount_remaining": 12000, "next_payment_attempt": seconds(-2)})
    };
    put(&cache, Stream::Invoices, &[invoice("open")]).await;
    let retried = UpcomingChange::PaymentRetried { at: at(2) };
    assert_eq!(billing(&cache).await.upcoming, [retried, UpcomingChange::Renews { at: at(10) }]);

    // A week later, with the same copy: what is over by then is not announced.
    let later = Timestamp(NOW.0 + 7 * DAY_MS);
    let upcoming = cache.tenant_detail(&id(1), later).await.unwrap().billing.unwrap().upcoming;
    assert_eq!(upcoming, [UpcomingChange::Renews { at: at(10) }]);

    // A newer one that the customer has for something else in the same account says nothing of this tenant.
    let other = subscription("active", &json!({"id": "sub_2", "created": seconds(1), "metadata": {}}));
    put(&cache, Stream::Subscriptions, &[subscription("active", &json!({"cancel_at": seconds(-4)})), other]).await;
    put(&cache, Stream::Invoices, &[invoice("paid")]).await;
    assert_eq!(billing(&cache).await.upcoming, [UpcomingChange::Ends { at: at(4) }]);
    cache.close().await;
}

#[tokio::test]
async fn a_subscription_says_what_it_costs_and_no_revenue_that_is_not_known() {
    let home = home();
    let cache = with_customer(&home).await;
    let rows = || async { billing(&cache).await.subscriptions.unwrap() };

    put(&cache, Stream::Subscriptions, &[subscription("active", &json!({}))]).await;
    let paying = rows().await.remove(0);
    assert_eq!((paying.mrr, paying.monthly), (Some(yen(12000)), Some(yen(12000))));
    assert_eq!((paying.items[0].price.as_str(), paying.items[0].quantity), ("p", Some(1)));

    // A trial brings nothing yet, and costs something after.
    put(&cache, Stream::Subscriptions, &[subscription("trialing", &json!({"trial_end": seconds(-3)}))]).await;
    let trying = rows().await.remove(0);
    assert_eq!((trying.mrr, trying.monthly), (Some(yen(0)), Some(yen(12000))));

    let unknown = json!({"items": {"data": [{"id": "si_1", "quantity": 1, "price": "price_that_is_not_here"}]}});
    put(&cache, Stream::Subscriptions, &[subscription("active", &unknown)]).await;
    let untold = rows().await.remove(0);
    assert_eq!((untold.mrr, untold.monthly), (None, None), "not known is not nothing");
    cache.close().await;
}

#[tokio::test]
async fn a_payment_names_its_invoice_and_not_each_was_a_charge() {
    let home = home();
    let cache = with_customer(&home).await;
    let charge = |id: &str, days: i64, more: Value| {
        let mut it = json!({"id": id, "created": seconds(days), "customer": "cus_1", "status": "succeeded",
            "currency": "jpy", "amount": 100, "amount_refunded": 0});
        it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        it
    };
    let charges = [
        charge("ch_1", 30, json!({})),
        charge("ch_2", 20, json!({"payment_intent": "pi_2"})),
        charge("ch_3", 10, json!({"amount": null})),
    ];
    put(&cache, Stream::Charges, &charges).await;
    let invoice = json!({"id": "in_4", "created": seconds(5), "customer": "cus_1", "status": "paid", "currency": "jpy",
        "total": 700, "amount_remaining": 0});
    put(&cache, Stream::Invoices, &[invoice]).await;
    let paid = |n: u32, invoice: &str, by: Value| {
        json!({"id": format!("inpay_{n}"), "created": seconds(4), "invoice": invoice, "status": "paid",
            "currency": "jpy", "amount_paid": 700, "payment": by})
    };
    put(
        &cache,
        Stream::InvoicePayments,
        &[
            paid(1, "in_1", json!({"type": "charge", "charge": "ch_1"})),
            paid(2, "in_2", json!({"type": "payment_intent", "payment_intent": "pi_2"})),
            paid(4, "in_4", json!({"type": "payment_record", "payment_record": "pr_4"})),
        ],
    )
    .await;
    let payments = billing(&cache).await.payments.unwrap();
    let said: Vec<_> = payments.iter().map(|it| (it.id.as_str(), it.invoice.as_deref(), it.amount.clone())).collect();
    assert_eq!(
        said,
        [
            ("inpay_4", Some("in_4"), Some(yen(700))),
            ("ch_3", None, None),
            ("ch_2", Some("in_2"), Some(yen(100))),
            ("ch_1", Some("in_1"), Some(yen(100))),
        ],
        "an amount that is not known is not nothing"
    );

    // A refund that failed gave nothing back, and is what somebody asks about.
    let failed = json!({"id": "re_1", "created": seconds(3), "charge": "ch_1", "status": "failed", "currency": "jpy",
        "amount": 100});
    put(&cache, Stream::Refunds, &[failed]).await;
    let refunds = billing(&cache).await.refunds.unwrap();
    assert_eq!((refunds.len(), refunds[0].status.as_str()), (1, "failed"));

    // One more than a screen shows, which tells that there are more.
    let many: Vec<Value> = (0..40).map(|n| charge(&format!("ch_many{n:02}"), 2, json!({}))).collect();
    put(&cache, Stream::Charges, &many).await;
    assert_eq!(billing(&cache).await.payments.unwrap().len(), 13);
    cache.close().await;
}

#[tokio::test]
async fn the_prices_of_plans_are_told_as_stripe_has_them() {
    let home = home();
    let cache = with_customer(&home).await;
    let plan = Plan { stripe_prices: vec!["price_y".into(), "price_gone".into()], ..plan() };
    cache.apply_feed_page(&feed(vec![ChangeRecord::Plan(plan)]), NOW).await.unwrap();
    assert_eq!(cache.plan_prices().await.unwrap(), []);
    let price = |id: &str| {
        json!({"id": id, "created": 1, "currency": "kwd", "unit_amount": 45250,
            "recurring": {"interval": "year", "interval_count": 2, "usage_type": "licensed"}})
    };
    put(&cache, Stream::Prices, &[price("price_y"), price("price_other")]).await;
    let told = cache.plan_prices().await.unwrap();
    assert_eq!(
        told,
        [PriceRow {
            id: "price_y".into(),
            currency: "kwd".into(),
            unit_amount: Some(45250),
            interval: Some(Interval::Year),
            interval_count: Some(2)
        }]
    );
    cache.close().await;
}

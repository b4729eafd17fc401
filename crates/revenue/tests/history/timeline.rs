//! The level of one subscription over time.

use paywall_revenue::{
    CouponDuration, DiscountRule, InvoiceFacts, InvoiceStatus, LineDiscount, MeteredRule, MetricPolicy, Preset,
    RevenueError, Snapshot, TaxRule, levels,
};
use serde_json::{Value, json};

use crate::facts::{billed, day, ended, invoice, ms, seen, subscription, units, with};

/// The levels as (date from, amount, estimated).
fn steps(snapshots: &[Snapshot], invoices: &[InvoiceFacts], policy: &MetricPolicy) -> Vec<(String, i64, bool)> {
    let invoices: Vec<&InvoiceFacts> = invoices.iter().collect();
    let date = |at: i64| chrono::DateTime::from_timestamp_millis(at).unwrap().format("%F").to_string();
    let levels = levels(snapshots, &invoices, policy).unwrap();
    levels.into_iter().map(|level| (date(level.from), level.amount_10k, level.estimated)).collect()
}

fn step(date: &str, amount: i64, estimated: bool) -> (String, i64, bool) {
    (date.to_owned(), amount, estimated)
}

#[test]
fn a_snapshot_holds_until_the_next_and_the_first_reaches_back() {
    let first = subscription("sub_1", "2026-01-10", 1000, "month");
    let dearer = subscription("sub_1", "2026-01-10", 2000, "month");
    let mut snapshots = vec![seen("2026-02-01", &first), seen("2026-03-05", &dearer), seen("2026-02-20", &first)];
    let expected = [
        step("2026-01-10", units(10), true),
        step("2026-02-01", units(10), false),
        step("2026-03-05", units(20), false),
    ];
    let policy = MetricPolicy::default();
    assert_eq!(steps(&snapshots, &[], &policy), expected);
    snapshots.extend(snapshots.clone());
    snapshots.reverse();
    assert_eq!(steps(&snapshots, &[], &policy), expected, "twice and in another order");
}

#[test]
fn what_the_next_snapshot_dates_counts_from_its_date() {
    let trial = json!({"status": "trialing", "trial_start": day("2026-01-10"), "trial_end": day("2026-01-24")});
    let start = with(subscription("sub_1", "2026-01-10", 1000, "month"), &trial);
    let paid = with(start.clone(), &json!({"status": "active"}));
    let policy = MetricPolicy::default();
    let over = ended(paid.clone(), "2026-03-03");
    let snapshots = [seen("2026-01-10", &start), seen("2026-02-02", &paid), seen("2026-04-01", &over)];
    assert_eq!(
        steps(&snapshots, &[], &policy),
        [step("2026-01-24", units(10), false), step("2026-03-03", 0, false)],
        "the trial's end and the subscription's, not when they were seen"
    );
    assert_eq!(steps(&snapshots[..1], &[], &policy), [], "what becomes of a trial nobody knows before it is seen");
    let called = with(
        paid.clone(),
        &json!({"cancel_at_period_end": true, "canceled_at": day("2026-03-02"),
        "cancel_at": day("2026-03-24")}),
    );
    let snapshots = [seen("2026-02-02", &paid), seen("2026-03-10", &called)];
    let at_call = steps(&snapshots, &[], &Preset::Stripe.policy());
    assert_eq!(at_call.last(), Some(&step("2026-03-02", 0, false)));
    assert_eq!(steps(&snapshots, &[], &policy).last(), Some(&step("2026-03-24", 0, false)));
}

#[test]
fn discounts_pauses_and_overdue_payments_change_the_level_in_time() {
    let coupon = json!({"id": "co", "percent_off": 50, "duration": "repeating", "duration_in_months": 2});
    let value = with(
        subscription("sub_1", "2026-01-31", 1000, "month"),
        &json!({"discounts": [{"start": day("2026-01-31"), "source": {"coupon": coupon}}]}),
    );
    let policy = MetricPolicy::default();
    let expected = [step("2026-01-31", units(5), false), step("2026-03-31", units(10), false)];
    assert_eq!(steps(&[seen("2026-01-31", &value)], &[], &policy), expected);
    let paused = with(
        subscription("sub_1", "2026-01-01", 1000, "month"),
        &json!({"pause_collection": {"behavior": "void", "resumes_at": day("2026-02-01")}}),
    );
    let out = MetricPolicy { paused_collection_counts: false, ..MetricPolicy::default() };
    assert_eq!(steps(&[seen("2026-01-01", &paused)], &[], &out), [step("2026-02-01", units(10), false)]);
    let overdue = with(subscription("sub_1", "2026-01-01", 1000, "month"), &json!({"status": "past_due"}));
    let open = with(
        invoice("in_1", "2026-02-01", "2026-03-01", 1000),
        &json!({"status": "open", "amount_paid": 0, "status_transitions": {"finalized_at": day("2026-02-01")}}),
    );
    let week = MetricPolicy { past_due_days: Some(7), ..MetricPolicy::default() };
    let found = steps(
        &[seen("2026-01-01", &subscription("sub_1", "2026-01-01", 1000, "month")), seen("2026-02-02", &overdue)],
        &[billed(&open)],
        &week,
    );
    assert_eq!(
        found,
        [step("2026-01-01", units(10), false), step("2026-02-08", 0, false)],
        "the open invoice dates it"
    );
}

#[test]
fn before_the_first_snapshot_the_invoices_lines_decide_where_they_cover() {
    let now = subscription("sub_1", "2026-01-01", 3000, "month");
    let invoices = [
        billed(&invoice("in_1", "2026-01-01", "2026-02-01", 1000)),
        billed(&invoice("in_2", "2026-02-01", "2026-03-01", 1200)),
    ];
    let policy = MetricPolicy::default();
    let expected = [
        step("2026-01-01", units(10), true),
        step("2026-02-01", units(12), true),
        step("2026-03-01", units(30), true),
        step("2026-03-20", units(30), false),
    ];
    assert_eq!(steps(&[seen("2026-03-20", &now)], &invoices, &policy), expected);
    let mut void = invoices.to_vec();
    void[1].status = InvoiceStatus::Void;
    assert_eq!(steps(&[seen("2026-03-20", &now)], &void, &policy)[1], step("2026-02-01", units(30), true));
    let gone = ended(now, "2026-02-10");
    let expected = [
        step("2026-01-01", units(10), true),
        step("2026-02-01", units(12), true),
        step("2026-02-10", 0, true),
        step("2026-03-20", 0, false),
    ];
    assert_eq!(steps(&[seen("2026-03-20", &gone)], &invoices, &policy), expected, "its end cuts a paid period short");
}

#[test]
fn an_item_billed_anew_before_its_period_is_over_is_not_counted_twice() {
    let now = subscription("sub_1", "2026-01-01", 12_000, "year");
    let mut invoices = [
        invoice("in_1", "2026-01-01", "2026-02-01", 2000),
        invoice("in_2", "2026-01-15", "2027-01-15", 12_000),
        invoice("in_3", "2026-01-15", "2027-01-15", 1200),
    ];
    for (value, item) in invoices.iter_mut().zip(["si_1", "si_1", "si_1"]) {
        value["lines"]["data"][0]["parent"]["subscription_item_details"]["subscription_item"] = json!(item);
    }
    let policy = MetricPolicy::default();
    let found = |invoices: &[Value]| {
        let invoices: Vec<_> = invoices.iter().map(billed).collect();
        steps(&[seen("2026-03-20", &now)], &invoices, &policy)[1].clone()
    };
    assert_eq!(found(&invoices), step("2026-01-15", units(11), true), "from a month to a year, in two lines of tiers");
    invoices[0]["lines"]["data"][0]["parent"]["subscription_item_details"]["subscription_item"] = json!("si_2");
    assert_eq!(found(&invoices), step("2026-01-15", units(31), true), "another item goes on");
}

#[test]
fn a_subscription_found_unpaid_counted_while_its_invoices_were_paid() {
    let now = with(subscription("sub_1", "2026-01-01", 1000, "month"), &json!({"status": "unpaid"}));
    let unpaid = json!({"status": "open", "amount_paid": 0, "status_transitions": {"finalized_at": day("2026-02-01")}});
    let invoices = [
        billed(&invoice("in_1", "2026-01-01", "2026-02-01", 1000)),
        billed(&with(invoice("in_2", "2026-02-01", "2026-03-01", 1000), &unpaid)),
    ];
    let found = steps(&[seen("2026-03-20", &now)], &invoices, &MetricPolicy::default());
    let expected = [step("2026-01-01", units(10), true), step("2026-02-01", 0, true), step("2026-03-20", 0, false)];
    assert_eq!(found, expected);
}

#[test]
fn a_line_is_brought_to_a_month_by_its_price_or_its_period() {
    let now = subscription("sub_1", "2024-01-01", 12_000, "year");
    let level = |value: &Value| steps(&[seen("2026-11-01", &now)], &[billed(value)], &MetricPolicy::default())[0].1;
    let first = |from: &str, to: &str, minor| level(&invoice("in_1", from, to, minor));
    assert_eq!(first("2024-01-01", "2025-01-01", 12_000), units(10));
    assert_eq!(first("2024-01-01", "2024-04-01", 3000), units(10));
    assert_eq!(first("2024-01-31", "2024-02-29", 1000), units(10), "to the month's last day");
    assert_eq!(first("2024-02-29", "2024-03-31", 1000), units(10), "and from it");
    assert_eq!(first("2024-01-01", "2024-01-08", 1200), 52_142_857, "per day x 365/12");
    let mut known = invoice("in_1", "2024-01-01", "2024-01-08", 1200);
    known["lines"]["data"][0]["price"] = json!({"id": "p", "recurring": {"interval": "week", "interval_count": 1}});
    assert_eq!(level(&known), 52_000_000, "a week is 52/12 of a month");
    known["lines"]["data"][0].as_object_mut().unwrap().remove("price");
    known["lines"]["data"][0]["pricing"]["price_details"]["price"] = json!("price_12000_year");
    assert_eq!(level(&known), units(1), "the subscription knows its price's interval");
}

#[test]
fn a_lines_discounts_and_tax_come_off_by_the_policys_rules() {
    let mut value = invoice("in_1", "2026-01-01", "2026-02-01", 1000);
    value["discounts"] = json!([{"id": "di_1", "source": {"coupon": {"id": "A", "duration": "forever"}}}]);
    value["lines"]["data"][0]["discount_amounts"] = json!([
        {"amount": 100, "discount": "di_1"}, {"amount": 200, "discount": "di_2"},
        {"amount": 100, "discount": {"id": "di_3", "coupon": {"id": "B", "duration": "once"}}}]);
    let line = billed(&value).lines[0].clone();
    let known = |off, duration| LineDiscount { off, duration };
    let expected =
        [known(100, Some(CouponDuration::Forever)), known(200, None), known(100, Some(CouponDuration::Once))];
    assert_eq!(*line.discounts, expected);
    let now = subscription("sub_1", "2026-01-01", 1000, "month");
    let level =
        |value: &Value, policy: MetricPolicy| steps(&[seen("2026-03-20", &now)], &[billed(value)], &policy)[0].1;
    let rule = |discounts| MetricPolicy { discounts, ..MetricPolicy::default() };
    for (discounts, expected) in [
        (DiscountRule::None, 1000),
        (DiscountRule::Forever, 900),
        (DiscountRule::Recurring, 700),
        (DiscountRule::All, 600),
    ] {
        assert_eq!(level(&value, rule(discounts)), expected * 10_000, "{discounts:?}");
    }
    value["lines"]["data"][0]["taxes"] =
        json!([{"amount": 100, "tax_behavior": "inclusive"}, {"amount": 9, "tax_behavior": "exclusive"}]);
    assert_eq!(level(&value, rule(DiscountRule::All)), 500 * 10_000);
    let taxed = MetricPolicy { tax: TaxRule::Included, ..rule(DiscountRule::All) };
    assert_eq!(level(&value, taxed), 600 * 10_000);
}

#[test]
fn metered_usage_counts_by_its_last_invoice_under_the_policies_that_count_it() {
    let mut now = subscription("sub_1", "2026-01-01", 1000, "month");
    let mut metered = now["items"]["data"][0].clone();
    metered["price"]["id"] = json!("price_usage");
    metered["price"]["recurring"]["usage_type"] = json!("metered");
    metered["quantity"] = Value::Null;
    now["items"]["data"].as_array_mut().unwrap().push(metered);
    let usage = |id, from, to, minor| {
        let mut value = invoice(id, from, to, minor);
        value["lines"]["data"][0]["pricing"]["price_details"]["price"] = json!("price_usage");
        billed(&value)
    };
    let invoices = [usage("in_1", "2026-01-01", "2026-02-01", 500), usage("in_2", "2026-02-01", "2026-03-01", 700)];
    let snapshots = [seen("2026-01-01", &now)];
    let counted = MetricPolicy { metered: MeteredRule::LastInvoiced, ..MetricPolicy::default() };
    let expected = [
        step("2026-01-01", units(10), false),
        step("2026-02-01", units(15), false),
        step("2026-03-01", units(17), false),
        step("2026-03-29", units(10), false),
    ];
    assert_eq!(steps(&snapshots, &invoices, &counted), expected);
    assert_eq!(steps(&snapshots, &invoices, &MetricPolicy::default()), [step("2026-01-01", units(10), false)]);
}

#[test]
fn an_invoice_from_before_basil_reads_the_same() {
    let mut old = invoice("in_1", "2026-01-01", "2026-02-01", 1000);
    let new = billed(&old);
    old.as_object_mut().unwrap().remove("parent");
    old["subscription"] = json!("sub_1");
    let line = &mut old["lines"]["data"][0];
    for field in ["parent", "pricing", "taxes"] {
        line.as_object_mut().unwrap().remove(field);
    }
    line["type"] = json!("subscription");
    line["subscription"] = json!("sub_1");
    line["proration"] = json!(false);
    line["price"] = json!({"id": "price_unknown"});
    assert_eq!(billed(&old), new);
    line_is_left_out(&old, "proration", &json!(true));
    line_is_left_out(&old, "type", &json!("invoiceitem"));
    old["lines"]["has_more"] = json!(true);
    assert_eq!(InvoiceFacts::from_stripe(&old), Err(RevenueError::LinesIncomplete));
}

fn line_is_left_out(invoice: &Value, field: &str, value: &Value) {
    let mut invoice = invoice.clone();
    invoice["lines"]["data"][0][field] = value.clone();
    assert!(billed(&invoice).lines.is_empty(), "{field}");
}

#[test]
fn an_invoice_waits_for_its_payment_until_it_is_paid() {
    let mut facts = billed(&invoice("in_1", "2026-01-01", "2026-02-01", 1000));
    facts.paid_at = Some(ms("2026-01-05"));
    assert_eq!(facts.overdue_since(ms("2026-01-04")), Some(ms("2026-01-01")));
    assert_eq!(facts.overdue_since(ms("2026-01-05")), None);
    facts.due_at = Some(ms("2026-01-03"));
    assert_eq!(facts.overdue_since(ms("2026-01-02")), None, "not due yet");
}

//! The `figures` example as somebody uses it from a shell.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn figures(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "-q", "-p", "paywall-revenue", "--example", "figures", "--"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not like its arguments closes its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

fn objects() -> String {
    let subscription = |id: &str, customer: &str, price: &Value, more: Value| {
        let mut value = json!({"object": "subscription", "id": id, "customer": customer, "currency": price["currency"],
            "status": "active", "created": 1_767_225_600, "discounts": [],
            "items": {"has_more": false, "data": [{"id": "si", "quantity": 3, "price": price}]}});
        value.as_object_mut().unwrap().append(more.clone().as_object_mut().unwrap());
        value
    };
    let monthly = json!({"object": "price", "id": "price_1", "currency": "usd", "unit_amount_decimal": "1000",
        "recurring": {"interval": "month", "interval_count": 1}});
    let tiered = json!({"object": "price", "id": "price_2", "currency": "eur", "billing_scheme": "tiered",
        "tiers_mode": "volume", "tiers": [{"up_to": null, "unit_amount": 500}],
        "recurring": {"interval": "month", "interval_count": 1}});
    let mut named = tiered.clone();
    named.as_object_mut().unwrap().remove("tiers");
    let ended = json!({"status": "canceled", "ended_at": 1_769_904_000, "canceled_at": 1_769_000_000});
    let event = json!({"object": "event", "id": "evt_1", "type": "customer.subscription.created",
        "created": 1_767_225_600, "data": {"object": subscription("sub_1", "cus_1", &monthly, json!({}))}});
    [
        subscription("sub_2", "cus_2", &named, json!({"start_date": 1_767_312_000})),
        tiered,
        event,
        subscription("sub_1", "cus_1", &monthly, ended),
        json!({"object": "customer", "id": "cus_2", "discount": {"start": 1_767_225_600, "coupon":
            {"id": "co", "percent_off": 50, "duration": "forever"}}}),
        json!({"object": "charge", "id": "ch_1"}),
    ]
    .iter()
    .map(line)
    .collect()
}

#[test]
fn objects_in_any_order_become_figures() {
    let arguments = ["--policy", "paywall", "--at", "2026-02-15T12:00:00Z", "--from", "2026-01-02"];
    let output = figures(&arguments, &objects());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        found["mrr"],
        json!({"eur": {"amount_10k": 7_500_000, "including_tax": false},
        "usd": {"amount_10k": 0, "including_tax": false}})
    );
    let moved = |customer, currency, day, kind, amount: i64, estimated| json!({"customer": customer, "currency": currency, "day": day, "kind": kind, "amount_10k": amount, "estimated": estimated});
    assert_eq!(
        found["movements"],
        json!([
            moved("cus_1", "usd", "2026-02-01", "churn", -30_000_000, false),
            moved("cus_2", "eur", "2026-01-02", "new", 7_500_000, true)
        ])
    );
    assert_eq!(found["subscriptions"][1]["mrr_10k"], 7_500_000);
    let usd = &found["figures"][1];
    assert_eq!((&usd["start_10k"], &usd["end_10k"]), (&json!(30_000_000), &json!(0)));
    assert_eq!(usd["customer_churn"], json!({"too_few": {"counted": 1, "of": 1}}));
    assert_eq!(usd["ltv"], json!("not_enough_data"));
    assert_eq!(found["headline"]["eur"]["movements_10k"], 7_500_000);
    assert_eq!((&found["trials"]["started"]["started"], &found["payments"]), (&json!(0), &json!([])));
    assert_eq!((&found["skipped"], &found["unreadable"], &found["faults"]), (&json!(1), &json!([]), &json!([])));
    let stripe = figures(&["--policy", "stripe", "--at", "1771156800"], &objects());
    let found: Value = serde_json::from_slice(&stripe.stdout).unwrap();
    assert_eq!(found["movements"][1]["day"], "2026-01-21", "Stripe counts the call to cancel");
}

#[test]
fn what_cannot_be_read_is_told_by_its_line_and_the_rest_is_counted() {
    let mut input = objects();
    input.push_str("{\n");
    input.push_str(&line(&json!({"object": "subscription", "id": "sub_9", "customer": "cus_9"})));
    let output = figures(&["--at", "2026-02-15"], &input);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("line 7: EOF") && errors.contains("line 8: \"sub_9\": items is missing"), "{errors}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["mrr"]["eur"]["amount_10k"], 7_500_000);
    assert_eq!(found["unreadable"][1]["line"], 8);
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    for (arguments, problem) in [
        (["--at", "yesterday"], "yesterday is no instant"),
        (["--at=0", "--policy=mine"], "mine is no policy: paywall, stripe"),
        (["--at=0", "--zone=Moon"], "Moon is no IANA time zone"),
    ] {
        let output = figures(&arguments, "");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(problem), "{problem}");
    }
}

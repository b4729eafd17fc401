//! The API of the scripted account: what it takes, refuses and shows.

use axum::http::Method;
use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{ScriptedStripe, Settings, Trouble};
use serde_json::{Value, json};

use crate::support::{DAY, HOUR, Shop, types};

#[tokio::test]
async fn payments_of_an_invoice_are_found_by_expanding() {
    let shop = Shop::open().await;
    let subscription = shop.subscribed(&[]);
    let path = format!("/v1/subscriptions/{subscription}?expand[]=latest_invoice.payments.data.payment.payment_intent");
    assert_eq!(shop.stripe.get(&path).unwrap_err().status, 400, "five levels");
    let invoice = shop.subscription(&subscription)["latest_invoice"].as_str().unwrap().to_owned();
    let path = format!("/v1/invoices/{invoice}?expand[]=payments.data.payment.payment_intent");
    let payment = &shop.stripe.get(&path).unwrap()["payments"]["data"][0];
    assert_eq!((payment["status"].as_str(), payment["amount_paid"].as_i64()), (Some("paid"), Some(7900)));
    let charge = payment["payment"]["payment_intent"]["latest_charge"].as_str().unwrap();
    assert_eq!(shop.stripe.object(Kind::Charge, charge).unwrap()["status"], "succeeded");
    let listed = shop.stripe.get(&format!("/v1/invoice_payments?invoice={invoice}")).unwrap();
    assert_eq!(listed["data"][0]["id"], payment["id"]);
}

#[tokio::test]
async fn checkout_refuses_what_stripe_refuses() {
    let shop = Shop::open().await;
    let in_hours = |hours: i64| (shop.now() + hours * 3_600).to_string();
    let (soon, ahead, late) = (in_hours(47), in_hours(49), in_hours(25));
    let euro = shop.stripe.add_price("Pro", "eur", 7500, "month").unwrap();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("subscription_data[trial_end]", &soon)], "subscription_data[trial_end]"),
        (
            &[("subscription_data[trial_settings][end_behavior][missing_payment_method]", "cancel")],
            "subscription_data[trial_settings]",
        ),
        (&[("success_url", "return")], "success_url"),
        (&[("customer", "cus_nobody")], "customer"),
        (&[("customer_email", "a@shop.example")], "customer"),
        (&[("mode", "payment")], "mode"),
        (&[("expires_at", &late)], "expires_at"),
        (&[("shoe_size", "44")], "shoe_size"),
        (&[("line_items[0][price]", "price_none")], "line_items[0][price]"),
        (&[("automatic_tax[enabled]", "true")], "automatic_tax"),
        (&[("subscription_data[shoe]", "44")], "subscription_data[shoe]"),
        (&[("client_reference_id", &"x".repeat(201))], "client_reference_id"),
    ];
    for (fields, param) in cases {
        let refused = shop.try_checkout(fields).unwrap_err();
        assert_eq!(
            (refused.status, refused.body["error"]["param"].as_str()),
            (400, Some(*param)),
            "{fields:?} {refused}"
        );
    }
    let short = shop.try_checkout(&[("subscription_data[trial_end]", &soon)]).unwrap_err();
    assert!(short.to_string().contains("has to be at least 2 days in the future"));
    shop.try_checkout(&[("subscription_data[trial_end]", &ahead)]).unwrap();
    shop.try_checkout(&[("automatic_tax[enabled]", "true"), ("customer_update[address]", "auto")]).unwrap();
    let mixed = shop.try_checkout(&[("line_items[0][price]", &euro)]).unwrap_err();
    assert!(mixed.to_string().contains("cannot combine currencies on a single customer"), "{mixed}");
}

#[tokio::test]
async fn an_idempotency_key_gives_one_answer_whatever_happens_to_it() {
    let shop = Shop::open().await;
    let send = async |key: &str, email: &str| {
        let request = shop.http.post(format!("{}/v1/customers", shop.stripe.url())).bearer_auth(shop.stripe.key());
        let answer = request.header("Idempotency-Key", key).form(&[("email", email)]).send().await?;
        let replayed = answer.headers().contains_key("Idempotent-Replayed");
        Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.text().await?, replayed))
    };
    let create = async |key: &str, email: &str| send(key, email).await.unwrap();
    let customers = || shop.stripe.state(Kind::Customer).len();
    let before = customers();
    let (status, first, replayed) = create("a", "a@shop.example").await;
    assert_eq!((status, replayed), (200, false));
    let (status, second, replayed) = create("a", "a@shop.example").await;
    assert_eq!((status, second, replayed), (200, first, true));
    let (status, other, _) = create("a", "b@shop.example").await;
    let other: Value = serde_json::from_str(&other).unwrap();
    assert_eq!((status, other["error"]["type"].as_str()), (400, Some("idempotency_error")));
    assert_eq!(customers(), before + 1);
    // A failure is an answer too.
    shop.stripe.trouble(&Method::POST, "/v1/customers", Trouble::Fails);
    assert_eq!(create("b", "b@shop.example").await.0, 500);
    let (status, _, replayed) = create("b", "b@shop.example").await;
    assert_eq!((status, replayed, customers()), (500, true, before + 1));
    // What was never begun is not.
    for (trouble, status) in [(Trouble::Conflict, 409), (Trouble::TooMany, 429)] {
        shop.stripe.trouble(&Method::POST, "/v1/customers", trouble);
        assert_eq!(create("c", "c@shop.example").await.0, status);
    }
    assert_eq!(create("d", "no address").await.0, 400);
    assert_eq!(create("d", "d@shop.example").await.0, 200, "a refused parameter may be corrected under its key");
    // Done, but nobody heard of it.
    shop.stripe.trouble(&Method::POST, "/v1/customers", Trouble::AnswerLost);
    assert!(send("e", "e@shop.example").await.is_err());
    assert_eq!(customers(), before + 3);
    let (status, _, replayed) = create("e", "e@shop.example").await;
    assert_eq!((status, replayed, customers()), (200, true, before + 3));
    // Keys are forgotten after a day.
    shop.stripe.advance(DAY + HOUR);
    assert!(!create("e", "e@shop.example").await.2);
    let event = shop.stripe.events().pop().unwrap();
    assert_eq!(event["request"]["idempotency_key"], "e");
}

#[tokio::test]
async fn money_goes_back_by_refund_dispute_and_credit_note() {
    let shop = Shop::open().await;
    let subscription = shop.subscribed(&[]);
    let invoice = shop.invoices(&subscription).pop().unwrap()["id"].as_str().unwrap().to_owned();
    let charge = shop.stripe.state(Kind::Charge).pop().unwrap()["id"].as_str().unwrap().to_owned();
    let part = shop.stripe.post("/v1/refunds", &[("charge", &charge), ("amount", "900")]).unwrap();
    assert_eq!(part["status"], "succeeded");
    let note = [("invoice", invoice.as_str()), ("amount", "2000"), ("refund_amount", "2000")];
    let note = shop.stripe.post("/v1/credit_notes", &note).unwrap();
    assert_eq!(
        (note["type"].as_str(), note["refunds"][0]["amount_refunded"].as_i64()),
        (Some("post_payment"), Some(2000))
    );
    assert_eq!(shop.stripe.get(&format!("/v1/credit_notes?invoice={invoice}")).unwrap()["data"][0]["id"], note["id"]);
    shop.stripe.post("/v1/refunds", &[("charge", &charge)]).unwrap();
    let whole = shop.stripe.object(Kind::Charge, &charge).unwrap();
    assert_eq!((whole["amount_refunded"].as_i64(), whole["refunded"].as_bool()), (Some(7900), Some(true)));
    let again = shop.stripe.post("/v1/refunds", &[("charge", &charge)]).unwrap_err();
    assert_eq!(again.body["error"]["code"], "charge_already_refunded");

    shop.stripe.advance(32 * DAY);
    let charge = shop.stripe.state(Kind::Charge).pop().unwrap()["id"].as_str().unwrap().to_owned();
    let dispute = shop.stripe.dispute(&charge).unwrap();
    assert!(shop.stripe.dispute(&charge).is_none());
    let refused = shop.stripe.post("/v1/refunds", &[("charge", &charge)]).unwrap_err();
    assert_eq!(refused.body["error"]["code"], "charge_disputed");
    assert!(shop.stripe.decide(&dispute, true) && !shop.stripe.decide(&dispute, false));
    assert_eq!(shop.stripe.object(Kind::Dispute, &dispute).unwrap()["status"], "won");
    let happened = types(&shop.stripe);
    for event in
        ["charge.refunded", "refund.created", "charge.dispute.created", "charge.dispute.closed", "credit_note.created"]
    {
        assert!(happened.iter().any(|it| it == event), "{event}");
    }
    assert_eq!(shop.subscription(&subscription)["status"], "active", "neither ends a subscription");
}

#[tokio::test]
async fn customers_change_and_go_and_their_subscriptions_with_them() {
    let shop = Shop::open().await;
    let subscription = shop.subscribed(&[]);
    let path = format!("/v1/customers/{}", shop.customer);
    let fields = [("name", "Acme"), ("metadata[a]", "1"), ("metadata[b]", "2")];
    shop.stripe.post(&path, &fields).unwrap();
    let changed = shop.stripe.post(&path, &[("metadata[a]", ""), ("name", "")]).unwrap();
    assert_eq!(
        (&changed["metadata"]["b"], &changed["metadata"]["a"], &changed["name"]),
        (&json!("2"), &Value::Null, &Value::Null)
    );
    let gone = shop.stripe.delete(&path).unwrap();
    assert_eq!(gone, json!({"id": shop.customer, "object": "customer", "deleted": true}));
    assert_eq!(shop.stripe.get(&path).unwrap(), gone);
    assert_eq!(shop.subscription(&subscription)["status"], "canceled");
    let listed = shop.stripe.get("/v1/subscriptions").unwrap();
    assert_eq!(listed["data"], json!([]), "canceled ones are listed only when asked for");
    let all = shop.stripe.get(&format!("/v1/subscriptions?status=all&customer={}", shop.customer)).unwrap();
    assert_eq!(all["data"][0]["id"], subscription.as_str());
    assert_eq!(shop.stripe.delete(&format!("/v1/subscriptions/{subscription}")).unwrap_err().status, 404);
    assert_eq!(shop.stripe.get("/v1/customers").unwrap()["data"], json!([]));
}

#[tokio::test]
async fn keys_are_asked_for_their_permission_to_write() {
    let shop = Shop::open().await;
    let keys = shop.stripe.keys();
    let post = async |path: &str, key: &str| {
        let answer = shop.http.post(format!("{}{path}", shop.stripe.url())).bearer_auth(key).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (path, permission) in [
        ("/v1/customers", "rak_customer_write"),
        ("/v1/checkout/sessions", "rak_checkout_session_write"),
        ("/v1/billing_portal/sessions", "rak_customer_portal_write"),
        ("/v1/webhook_endpoints", "rak_webhook_write"),
        ("/v1/prices", "rak_plan_write"),
    ] {
        let (status, body) = post(path, &keys.restricted).await;
        assert_eq!(status, 403);
        assert!(body.contains(permission), "{body}");
    }
    assert_eq!(post("/v1/customers", &keys.secret).await.0, 200);
    assert_eq!(post("/v1/customers", &keys.live).await.0, 401);
    assert_eq!(post("/v1/shoes", &keys.secret).await.0, 404);
    let path = format!("{}/_script/advance", shop.stripe.url());
    let advance = |key: &str| shop.http.post(&path).bearer_auth(key).form(&[("seconds", "60")]).send();
    let before = shop.now();
    assert_eq!(advance(&keys.writing).await.unwrap().status(), 401);
    assert_eq!(advance(&keys.secret).await.unwrap().status(), 200);
    assert_eq!(shop.now(), before + 60);
    // Stripe's own way.
    let clock = shop.stripe.get("/v1/test_helpers/test_clocks").unwrap()["data"][0]["id"].as_str().unwrap().to_owned();
    let until = (shop.now() + 60).to_string();
    shop.stripe.post(&format!("/v1/test_helpers/test_clocks/{clock}/advance"), &[("frozen_time", &until)]).unwrap();
    assert_eq!(shop.now(), before + 120);
}

#[tokio::test]
async fn two_accounts_of_one_seed_do_the_same() {
    let play = async || {
        let stripe = ScriptedStripe::start(Settings::default()).await.unwrap();
        let steps = stripe.history(3, 200);
        let events: Vec<(String, String)> =
            stripe.events().iter().map(|it| (it["id"].to_string(), it["type"].to_string())).collect();
        (steps, events)
    };
    assert_eq!(play().await, play().await);
}

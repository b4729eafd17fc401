//! From trial to paid and everything after: how subscriptions live in the scripted account.

use std::time::Duration;

use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{AfterRetries, Card, PortalAct, Settings};
use paywall_stripe::{Limits, ListParams, Stream, StripeKey};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{DAY, HOUR, Shop, types};

#[tokio::test]
async fn a_trial_is_bought_on_the_page_and_paid_an_hour_after_it_ends() {
    let shop = Shop::open().await;
    let end = (shop.now() + 10 * 86_400).to_string();
    let session = shop.checkout(&[
        ("client_reference_id", "tenant-1"),
        ("metadata[tenant_id]", "tenant-1"),
        ("subscription_data[metadata][tenant_id]", "tenant-1"),
        ("subscription_data[trial_end]", &end),
    ]);
    let url = session["url"].as_str().unwrap();
    let page = shop.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("79.00 USD") && page.contains("0.00 USD") && page.contains("id=\"pay\""), "{page}");
    let number = [("number", Card::Good.number()), ("do", "pay")];
    let paid = shop.http.post(url).form(&number).send().await.unwrap();
    assert_eq!(paid.status(), StatusCode::SEE_OTHER);
    let id = session["id"].as_str().unwrap();
    assert_eq!(paid.headers()["location"], format!("https://paywall.example/return?s={id}"));

    let done =
        shop.stripe.get(&format!("/v1/checkout/sessions/{id}?expand[]=subscription&expand[]=line_items")).unwrap();
    assert_eq!(
        (done["status"].as_str(), done["payment_status"].as_str()),
        (Some("complete"), Some("no_payment_required"))
    );
    assert_eq!(
        (&done["subscription"]["status"], &done["subscription"]["metadata"]),
        (&json!("trialing"), &json!({"tenant_id": "tenant-1"}))
    );
    assert_eq!(done["line_items"]["data"][0]["price"]["id"], shop.pro.as_str());
    let subscription = done["subscription"]["id"].as_str().unwrap().to_owned();
    assert!(done["subscription"].get("current_period_end").is_none());
    assert_eq!(done["subscription"]["items"]["data"][0]["current_period_end"], end.parse::<i64>().unwrap());
    let first = &shop.invoices(&subscription)[0];
    assert_eq!((first["amount_due"].as_i64(), first["status"].as_str()), (Some(0), Some("paid")));
    assert!(shop.stripe.state(Kind::Charge).is_empty(), "nothing is charged for a trial");

    shop.stripe.advance(8 * DAY);
    assert_eq!(types(&shop.stripe).iter().filter(|it| *it == "customer.subscription.trial_will_end").count(), 1);
    shop.stripe.advance(2 * DAY);
    let running = shop.subscription(&subscription);
    assert_eq!(
        (running["status"].as_str(), shop.invoices(&subscription)[1]["status"].as_str()),
        (Some("active"), Some("draft"))
    );
    assert_eq!(running["latest_invoice"], shop.invoices(&subscription)[1]["id"]);
    shop.stripe.advance(HOUR);
    let second = &shop.invoices(&subscription)[1];
    assert_eq!((second["status"].as_str(), second["amount_paid"].as_i64()), (Some("paid"), Some(7900)));
    assert_eq!(second["parent"]["subscription_details"]["subscription"], subscription.as_str());

    // Our own client reads all of it.
    let client =
        paywall_stripe::Client::new(shop.stripe.url(), StripeKey::new(shop.stripe.key()), Limits::NONE).unwrap();
    for stream in Stream::ALL {
        let page = client.list(stream, &ListParams::default()).await.unwrap();
        assert!(page.unreadable.is_empty(), "{:?}", page.unreadable);
        assert_eq!(
            page.objects.is_empty(),
            matches!(stream, Stream::Refunds | Stream::CreditNotes | Stream::Disputes),
            "{stream}"
        );
    }
    let read = client.get(Stream::Subscriptions, &subscription).await.unwrap();
    assert_eq!(read.raw["status"], "active");
}

#[tokio::test]
async fn a_renewal_that_fails_is_past_due_is_retried_and_ends_as_the_owner_wants() {
    for (after, end) in [
        (AfterRetries::Cancel, "canceled"),
        (AfterRetries::MarkUnpaid, "unpaid"),
        (AfterRetries::LeavePastDue, "past_due"),
    ] {
        let shop = Shop::with(Settings { after_retries: after, ..Settings::default() }).await;
        let subscription = shop.subscribed(&[]);
        assert!(shop.stripe.fail_payment(&shop.customer, Card::InsufficientFunds));
        shop.stripe.advance(31 * DAY);
        let invoice = shop.invoices(&subscription).pop().unwrap();
        assert_eq!(
            (shop.subscription(&subscription)["status"].as_str(), invoice["attempt_count"].as_i64()),
            (Some("past_due"), Some(1))
        );
        assert_eq!((invoice["status"].as_str(), invoice["amount_remaining"].as_i64()), (Some("open"), Some(7900)));
        assert_eq!(shop.stripe.object(Kind::Customer, &shop.customer).unwrap()["delinquent"], true);
        let failed = shop.stripe.state(Kind::Charge).pop().unwrap();
        assert_eq!(
            (failed["failure_code"].as_str(), failed["outcome"]["reason"].as_str()),
            (Some("card_declined"), Some("insufficient_funds"))
        );
        shop.stripe.advance(16 * DAY);
        let invoice = shop.stripe.object(Kind::Invoice, invoice["id"].as_str().unwrap()).unwrap();
        assert_eq!((invoice["attempt_count"].as_i64(), &invoice["next_payment_attempt"]), (Some(4), &Value::Null));
        assert_eq!(shop.subscription(&subscription)["status"], end);
        assert_eq!(types(&shop.stripe).iter().filter(|it| *it == "invoice.payment_failed").count(), 4);
        if end != "canceled" {
            shop.stripe.advance(20 * DAY);
            let later = shop.invoices(&subscription).pop().unwrap();
            let status = if end == "unpaid" { "draft" } else { "open" };
            assert_eq!(
                (later["status"].as_str(), later["auto_advance"].as_bool()),
                (Some(status), Some(end != "unpaid"))
            );
        }
    }
}

#[tokio::test]
async fn a_past_due_subscription_recovers_by_a_retry_or_by_the_customer() {
    let shop = Shop::open().await;
    let subscription = shop.subscribed(&[]);
    for by_retry in [true, false] {
        shop.stripe.fail_payment(&shop.customer, Card::FailsLater);
        while shop.subscription(&subscription)["status"] != "past_due" {
            shop.stripe.advance(DAY);
        }
        if by_retry {
            shop.stripe.mend_payment(&shop.customer);
            shop.stripe.advance(4 * DAY);
        } else {
            let invoice = shop.subscription(&subscription)["latest_invoice"].as_str().unwrap().to_owned();
            let pay = || shop.stripe.post(&format!("/v1/invoices/{invoice}/pay"), &[]);
            let refused = pay().unwrap_err();
            assert_eq!(
                (refused.status, refused.body["error"]["decline_code"].as_str()),
                (402, Some("generic_decline"))
            );
            let attempts = shop.stripe.object(Kind::Invoice, &invoice).unwrap()["attempt_count"].clone();
            assert_eq!(attempts, 1, "attempts by hand do not count after the first");
            shop.stripe.act_in_portal(&shop.customer, &PortalAct::UpdateCard(Card::Good)).unwrap();
            shop.stripe.act_in_portal(&shop.customer, &PortalAct::Pay { invoice: invoice.clone() }).unwrap();
            assert_eq!(pay().unwrap_err().body["error"]["message"], "Invoice is already paid");
        }
        assert_eq!(shop.subscription(&subscription)["status"], "active");
        assert_eq!(shop.stripe.object(Kind::Customer, &shop.customer).unwrap()["delinquent"], false);
    }
}

#[tokio::test]
async fn a_hard_decline_is_not_tried_again_without_another_card() {
    let shop = Shop::open().await;
    let subscription = shop.subscribed(&[]);
    shop.stripe.fail_payment(&shop.customer, Card::NeedsAuthentication);
    shop.stripe.advance(31 * DAY);
    let charges = shop.stripe.state(Kind::Charge).len();
    let happened = types(&shop.stripe);
    assert!(happened.iter().any(|it| it == "invoice.payment_action_required"), "{happened:?}");
    let intent = shop.stripe.state(Kind::PaymentIntent).pop().unwrap();
    assert_eq!(
        (intent["status"].as_str(), intent["last_payment_error"]["code"].as_str()),
        (Some("requires_action"), Some("authentication_required"))
    );
    shop.stripe.advance(4 * DAY);
    assert_eq!(shop.stripe.state(Kind::Charge).len(), charges, "no charge");
    assert_eq!(shop.invoices(&subscription).pop().unwrap()["attempt_count"], 2, "though the schedule goes on");
    shop.stripe.act_in_portal(&shop.customer, &PortalAct::UpdateCard(Card::Good)).unwrap();
    shop.stripe.advance(5 * DAY);
    assert_eq!(shop.subscription(&subscription)["status"], "active");
}

#[tokio::test]
async fn a_refused_card_leaves_checkout_open_and_an_abandoned_one_lapses() {
    let shop = Shop::open().await;
    for paid_in_the_end in [true, false] {
        let session = shop.checkout(&[]);
        let id = session["id"].as_str().unwrap();
        let page = shop.http.post(session["url"].as_str().unwrap()).form(&[("do", "decline")]).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.text().await.unwrap().contains("Your card was declined."));
        let subscription = shop.stripe.state(Kind::Subscription).pop().unwrap();
        let (subscription, status) = (subscription["id"].as_str().unwrap(), subscription["status"].clone());
        assert_eq!(
            (status, &shop.stripe.object(Kind::CheckoutSession, id).unwrap()["status"]),
            (json!("incomplete"), &json!("open"))
        );
        let refused =
            shop.stripe.post(&format!("/v1/subscriptions/{subscription}"), &[("cancel_at_period_end", "true")]);
        assert_eq!(refused.unwrap_err().status, 400);
        if paid_in_the_end {
            shop.stripe.complete_checkout(id, Card::NeedsAuthentication).unwrap();
            assert_eq!(shop.subscription(subscription)["status"], "active");
            assert_eq!(shop.stripe.state(Kind::CheckoutSession)[0]["payment_status"], "paid");
            shop.stripe.delete(&format!("/v1/subscriptions/{subscription}")).unwrap();
        } else {
            shop.stripe.advance(DAY);
            assert_eq!(shop.subscription(subscription)["status"], "incomplete_expired");
            assert_eq!(shop.invoices(subscription)[0]["status"], "void");
            let session = shop.stripe.object(Kind::CheckoutSession, id).unwrap();
            assert_eq!((&session["status"], &session["url"]), (&json!("expired"), &Value::Null));
            let again = shop.stripe.post(&format!("/v1/checkout/sessions/{id}/expire"), &[]).unwrap_err();
            assert!(again.to_string().contains("status of `expired`"), "{again}");
            assert!(shop.stripe.complete_checkout(id, Card::Good).is_err());
        }
    }
}

#[tokio::test]
async fn a_debit_is_active_at_once_and_settles_or_bounces_later() {
    for (card, event, invoice_status) in [
        (Card::Debit, "checkout.session.async_payment_succeeded", "paid"),
        (Card::DebitThatBounces, "checkout.session.async_payment_failed", "void"),
    ] {
        let shop = Shop::open().await;
        let session = shop.checkout(&[]);
        let id = session["id"].as_str().unwrap();
        shop.stripe.complete_checkout(id, card).unwrap();
        let done = shop.stripe.object(Kind::CheckoutSession, id).unwrap();
        let subscription = done["subscription"].as_str().unwrap();
        assert_eq!(
            (done["payment_status"].as_str(), shop.subscription(subscription)["status"].as_str()),
            (Some("unpaid"), Some("active"))
        );
        assert_eq!(shop.invoices(subscription)[0]["status"], "open");
        shop.stripe.advance(4 * DAY);
        assert!(types(&shop.stripe).iter().any(|it| it == event));
        assert_eq!(shop.invoices(subscription)[0]["status"], invoice_status);
        assert_eq!(shop.subscription(subscription)["status"], "active", "as Stripe documents it");
    }
}

#[tokio::test]
async fn a_trial_without_a_card_ends_as_it_was_agreed() {
    for (behavior, status) in [("cancel", "canceled"), ("pause", "paused"), ("create_invoice", "past_due")] {
        let shop = Shop::open().await;
        let end = (shop.now() + 3 * 86_400).to_string();
        let session = shop.checkout(&[
            ("payment_method_collection", "if_required"),
            ("subscription_data[trial_end]", &end),
            ("subscription_data[trial_settings][end_behavior][missing_payment_method]", behavior),
        ]);
        shop.stripe.fill_checkout(session["id"].as_str().unwrap(), None, None).unwrap();
        let subscription = shop.stripe.state(Kind::Subscription).pop().unwrap()["id"].as_str().unwrap().to_owned();
        shop.stripe.advance(3 * DAY + 2 * HOUR);
        assert_eq!(shop.subscription(&subscription)["status"], status, "{behavior}");
        if status == "paused" {
            let paused = &shop.subscription(&subscription)["status_details"]["paused"]["subscription"]["type"];
            assert_eq!(paused, "trial_end_without_payment_method");
            let invoices = shop.invoices(&subscription).len();
            shop.stripe.advance(40 * DAY);
            assert_eq!(shop.invoices(&subscription).len(), invoices, "a paused subscription bills nothing");
            shop.stripe.act_in_portal(&shop.customer, &PortalAct::UpdateCard(Card::Good)).unwrap();
            let path = format!("/v1/subscriptions/{subscription}/resume");
            shop.stripe.post(&path, &[("payment_behavior", "resume_on_payment_success")]).unwrap();
            assert_eq!(shop.subscription(&subscription)["status"], "active");
            assert!(types(&shop.stripe).iter().any(|it| it == "customer.subscription.resumed"));
        }
    }
}

#[tokio::test]
async fn a_trial_is_moved_and_ended_by_an_update() {
    let shop = Shop::open().await;
    let end = (shop.now() + 10 * 86_400).to_string();
    let subscription = shop.subscribed(&[("subscription_data[trial_end]", &end)]);
    let path = format!("/v1/subscriptions/{subscription}");
    let later = (shop.now() + 20 * 86_400).to_string();
    let moved = shop.stripe.post(&path, &[("trial_end", &later)]).unwrap();
    assert_eq!(
        (moved["trial_end"].to_string(), moved["items"]["data"][0]["current_period_end"].to_string()),
        (later.clone(), later)
    );
    assert_eq!(shop.invoices(&subscription).len(), 1);
    for (bad, what) in [(shop.now() - 5, "past"), (shop.now() + 800 * 86_400, "too far")] {
        assert_eq!(shop.stripe.post(&path, &[("trial_end", &bad.to_string())]).unwrap_err().status, 400, "{what}");
    }
    let ended = shop.stripe.post(&path, &[("trial_end", "now"), ("expand[]", "latest_invoice")]).unwrap();
    assert_eq!((ended["status"].as_str(), ended["latest_invoice"]["status"].as_str()), (Some("active"), Some("paid")));
    let event =
        shop.stripe.events().into_iter().rev().find(|it| it["type"] == "customer.subscription.updated").unwrap();
    assert!(event["data"]["previous_attributes"].is_object());
    assert_eq!(types(&shop.stripe).iter().filter(|it| *it == "customer.subscription.trial_will_end").count(), 1);
}

#[tokio::test]
async fn another_price_is_prorated_now_or_with_the_next_invoice() {
    let shop = Shop::open().await;
    let subscription = shop.subscribed(&[]);
    let item = shop.subscription(&subscription)["items"]["data"][0]["id"].as_str().unwrap().to_owned();
    let (start, end) = {
        let it = &shop.subscription(&subscription)["items"]["data"][0];
        (it["current_period_start"].as_i64().unwrap(), it["current_period_end"].as_i64().unwrap())
    };
    shop.stripe.advance(Duration::from_secs(((end - start) / 2) as u64));
    let path = format!("/v1/subscriptions/{subscription}");
    let to = |price: &str, behavior: &str| {
        shop.stripe
            .post(&path, &[("items[0][id]", &item), ("items[0][price]", price), ("proration_behavior", behavior)])
            .unwrap()
    };
    to(&shop.team, "always_invoice");
    let invoice = shop.invoices(&subscription).pop().unwrap();
    let amounts: Vec<i64> =
        invoice["lines"]["data"].as_array().unwrap().iter().map(|it| it["amount"].as_i64().unwrap()).collect();
    assert_eq!(
        (amounts, invoice["total"].as_i64(), invoice["status"].as_str()),
        (vec![-3950, 9950], Some(6000), Some("paid"))
    );
    // Down again, on the next invoice.
    to(&shop.pro, "create_prorations");
    assert_eq!(shop.invoices(&subscription).len(), 2);
    shop.stripe.advance(Duration::from_secs((end - start) as u64 / 2 + 7_200));
    let next = shop.invoices(&subscription).pop().unwrap();
    assert_eq!((next["total"].as_i64(), next["status"].as_str()), (Some(7900 - 6000), Some("paid")));
    // A downgrade that is invoiced at once becomes credit, which the next invoice takes first.
    shop.stripe.advance(DAY);
    to(&shop.starter, "always_invoice");
    let balance = shop.stripe.object(Kind::Customer, &shop.customer).unwrap()["balance"].as_i64().unwrap();
    assert!(balance < 0);
    // A year begins a period of its own at once.
    let yearly = to(&shop.yearly, "create_prorations");
    assert_eq!(yearly["items"]["data"][0]["current_period_start"], shop.now());
    let invoice = shop.invoices(&subscription).pop().unwrap();
    assert_eq!(invoice["amount_due"].as_i64().unwrap(), invoice["total"].as_i64().unwrap() + balance);
}

#[tokio::test]
async fn the_portals_buttons_act() {
    let shop = Shop::open().await;
    let subscription = shop.subscribed(&[]);
    let refused = shop.stripe.post("/v1/billing_portal/sessions", &[("customer", "cus_nobody")]).unwrap_err();
    assert_eq!(refused.status, 400);
    let fields = [("customer", shop.customer.as_str()), ("return_url", "https://paywall.example/billing")];
    let session = shop.stripe.post("/v1/billing_portal/sessions", &fields).unwrap();
    let url = session["url"].as_str().unwrap();
    let page = shop.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("data-act=\"cancel\"") && page.contains("https://paywall.example/billing"), "{page}");
    let act = async |fields: &[(&str, &str)]| {
        let answer = shop.http.post(url).form(fields).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{fields:?}");
        shop.subscription(&subscription)
    };
    let id = ("subscription", subscription.as_str());
    let canceling = act(&[("do", "cancel"), id]).await;
    assert_eq!(
        (&canceling["cancel_at_period_end"], &canceling["cancel_at"]),
        (&json!(true), &canceling["items"]["data"][0]["current_period_end"])
    );
    assert_eq!(act(&[("do", "keep"), id]).await["cancel_at"], Value::Null);
    let switched = act(&[("do", "switch"), id, ("price", &shop.team)]).await;
    assert_eq!(switched["items"]["data"][0]["price"]["id"], shop.team.as_str());
    let carded = act(&[("do", "card"), ("number", "4000 0000 0000 0341")]).await;
    assert_ne!(carded["default_payment_method"], switched["default_payment_method"]);
    assert_eq!(act(&[("do", "cancel_now"), id]).await["status"], "canceled");
    let wrong = shop.http.post(url).form(&[("do", "card"), ("number", "1")]).send().await.unwrap();
    assert!(wrong.text().await.unwrap().contains("card number is invalid"));
    // Whoever waits for the end of the period is served until then.
    let other = shop.subscribed(&[]);
    shop.stripe.act_in_portal(&shop.customer, &PortalAct::CancelAtPeriodEnd { subscription: other.clone() }).unwrap();
    assert_eq!(shop.subscription(&other)["status"], "active");
    shop.stripe.advance(32 * DAY);
    assert_eq!(shop.subscription(&other)["status"], "canceled");
    let unsaved = Shop::with(Settings { portal_saved: false, ..Settings::default() }).await;
    let refused = unsaved.stripe.post("/v1/billing_portal/sessions", &[("customer", &unsaved.customer)]).unwrap_err();
    assert!(refused.to_string().contains("portal settings"));
}

#[tokio::test]
async fn collection_is_paused_and_a_promotion_code_counts() {
    let shop = Shop::open().await;
    shop.stripe.add_coupon("SPRING50", 50, Some(1));
    let session = shop.checkout(&[("allow_promotion_codes", "true")]);
    let id = session["id"].as_str().unwrap();
    assert_eq!(shop.stripe.fill_checkout(id, Some(Card::Good), Some("NONE")).unwrap_err(), "This code is invalid.");
    shop.stripe.fill_checkout(id, Some(Card::Good), Some("SPRING50")).unwrap();
    let subscription = shop.stripe.state(Kind::Subscription).pop().unwrap()["id"].as_str().unwrap().to_owned();
    let shown = shop.stripe.get(&format!("/v1/subscriptions/{subscription}?expand[]=discounts.source.coupon")).unwrap();
    assert_eq!(shown["discounts"][0]["source"]["coupon"]["percent_off"], 50);
    assert_eq!(shop.invoices(&subscription)[0]["amount_paid"], 3950);
    let path = format!("/v1/subscriptions/{subscription}");
    for (behavior, status) in [("void", "void"), ("mark_uncollectible", "uncollectible"), ("keep_as_draft", "draft")] {
        let paused = shop.stripe.post(&path, &[("pause_collection[behavior]", behavior)]).unwrap();
        assert_eq!(paused["status"], "active");
        shop.stripe.advance(32 * DAY);
        let invoice = shop.invoices(&subscription).pop().unwrap();
        assert_eq!(
            (invoice["status"].as_str(), invoice["total"].as_i64()),
            (Some(status), Some(7900)),
            "the coupon is over"
        );
        assert_eq!(shop.subscription(&subscription)["status"], "active");
    }
    shop.stripe.post(&path, &[("pause_collection", "")]).unwrap();
    shop.stripe.advance(32 * DAY);
    assert_eq!(shop.invoices(&subscription).pop().unwrap()["status"], "paid");
}

//! From a link to Checkout to a tenant that can work.

use paywall_contract::{CheckoutState, PortalLink, Problem, ProblemCode, TenantBilling, TenantIntake};
use paywall_domain::{DAY_MS, Role, Status};
use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{Card, PortalAct, Trouble};
use paywall_server::{CheckoutSettings, StripeSettings};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::{Database, NOW, extend, id, trying};
use crate::shop::{Shop, ask};
use crate::world::becomes;

on_each_database! {
    whoever_pays_by_a_link_can_work_and_is_sold_nothing_more,
    a_session_is_given_again_at_the_same_terms_and_closed_at_others,
    what_is_left_of_a_trial_is_kept,
    a_trial_is_rounded_up_once_and_has_to_be_paid_for_soon,
    what_staff_extend_while_checkout_is_open_reaches_stripe,
    what_is_open_is_closed_where_nothing_may_be_bought_any_more,
    a_debit_that_is_on_its_way_is_no_payment_yet,
    what_ended_before_it_was_seen_is_stuck_nowhere,
    a_plan_without_a_price_keeps_nobody_from_buying_another,
    many_that_ask_at_once_get_one_session,
    answers_that_are_lost_make_nothing_twice,
    what_was_paid_and_not_told_is_found_by_asking_again,
    a_customer_that_was_deleted_in_stripe_is_made_anew,
    what_checkout_asks_for_is_set,
    what_cannot_be_bought_says_why,
}

async fn problem(answer: Response, status: StatusCode) -> Problem {
    let (found, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn whoever_pays_by_a_link_can_work_and_is_sold_nothing_more(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", -1)).await;
    assert_eq!(shop.app.tenant(1).await.status, Status::Expired);
    let (link, session) = shop.link(1, "pro", None).await;
    assert_eq!(link.expires_at, NOW.plus_days(1));
    // The customer is known before anything is sold.
    let customers = shop.stripe.state(Kind::Customer);
    assert_eq!(customers.len(), 1);
    let customer = customers[0]["id"].as_str().unwrap();
    assert_eq!(shop.app.tenant(1).await.stripe_customer.as_deref(), Some(customer));
    assert_eq!((&customers[0]["name"], &customers[0]["email"]), (&json!("One"), &json!("owner1@example1.com")));
    let opened = shop.session(&session);
    let tenant = json!({"tenant_id": id(1)});
    assert_eq!((&customers[0]["metadata"], &opened["metadata"]), (&tenant, &tenant));
    assert_eq!((&opened["customer"], &opened["client_reference_id"]), (&json!(customer), &json!(id(1))));
    assert_eq!(opened["success_url"], "https://paywall.example/paywall/return?session_id={CHECKOUT_SESSION_ID}");
    assert_eq!(opened["cancel_url"], "https://paywall.example/paywall/");

    shop.stripe.complete_checkout(&session, Card::Good).unwrap();
    shop.delivered().await;
    let tenant = becomes(&shop.app, 1, |it| it.status == Status::Active).await;
    assert_eq!(tenant.facts.plan, "pro".into());
    let bought = shop.stripe.state(Kind::Subscription).remove(0);
    assert_eq!((&bought["metadata"]["tenant_id"], &bought["customer"]), (&json!(id(1)), &json!(customer)));
    assert_eq!(shop.drifts().await, []);
    let billing = shop.app.get(&format!("/admin/v1/tenants/{}/billing", id(1))).await;
    let billing: TenantBilling = serde_json::from_value(billing).unwrap();
    assert!(billing.sessions[0].completed_at.is_some() && billing.sessions[0].unblocked_at.is_some(), "{billing:?}");

    // No second one beside it; what is to be changed of the first is changed in the portal.
    let refused = problem(shop.ask(1, "pro", Some(&shop.yearly)).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(refused.detail.contains("portal"), "{refused:?}");
    assert_eq!(shop.open_sessions(), Vec::<Value>::new());
    let path = format!("/admin/v1/tenants/{}/portal", id(1));
    let portal = shop.app.request(Role::Support, Method::POST, &path).send().await.unwrap();
    let portal: PortalLink = portal.json().await.unwrap();
    assert!(portal.url.starts_with(shop.stripe.url()), "{portal:?}");
    let page = reqwest::get(&portal.url).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    shop.app.stop().await;
}

async fn a_session_is_given_again_at_the_same_terms_and_closed_at_others(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", -1)).await;
    let (first, session) = shop.link(1, "pro", None).await;
    assert_eq!(shop.link(1, "pro", Some(&shop.pro)).await.0, first);
    for (plan, price) in [("pro", Some(shop.yearly.as_str())), ("starter", None), ("pro", None)] {
        let (link, other) = shop.link(1, plan, price).await;
        assert_ne!(link, first);
        let open: Vec<Value> = shop.open_sessions().into_iter().map(|it| it["id"].clone()).collect();
        assert_eq!(open, [json!(other)], "one can be paid");
    }
    assert!(shop.stripe.complete_checkout(&session, Card::Good).is_err());
    // One that closes in a moment leaves no time to pay.
    let (old, _) = shop.link(1, "pro", None).await;
    shop.app.clock.advance_ms(DAY_MS - 5 * 60_000);
    shop.stripe.advance(std::time::Duration::from_secs(86_400 - 5 * 60));
    assert_ne!(shop.link(1, "pro", None).await.0, old);
    // One that Stripe closed by itself is no obstacle.
    shop.app.clock.advance_ms(2 * DAY_MS);
    shop.stripe.advance(std::time::Duration::from_secs(2 * 86_400));
    shop.link(1, "pro", None).await;
    assert_eq!(shop.open_sessions().len(), 1);
    assert_eq!(shop.stripe.state(Kind::Customer).len(), 1);
    shop.app.stop().await;
}

async fn what_is_left_of_a_trial_is_kept(on: Database) {
    let shop = Shop::open(on).await;
    let mut soon = trying(2, "Two", 1);
    soon.facts.trial.as_mut().unwrap().ends_at = NOW.plus_ms(30 * 3_600_000);
    shop.bring_in(trying(1, "One", 10)).await;
    shop.bring_in(soon).await;
    for (number, ends_at) in [(1, NOW.plus_days(10)), (2, NOW.plus_days(2))] {
        let (_, session) = shop.link(number, "pro", None).await;
        shop.stripe.complete_checkout(&session, Card::Good).unwrap();
        shop.delivered().await;
        let bought = shop.subscription(shop.session(&session)["subscription"].as_str().unwrap());
        assert_eq!((&bought["status"], &bought["trial_end"]), (&json!("trialing"), &json!(ends_at.0 / 1000)));
        let tenant = becomes(&shop.app, number, |it| it.facts.subscription.is_some()).await;
        assert_eq!(tenant.facts.trial.unwrap().ends_at, ends_at, "the same on both sides");
    }
    assert_eq!(shop.drifts().await, []);
    shop.app.stop().await;
}

async fn a_trial_is_rounded_up_once_and_has_to_be_paid_for_soon(on: Database) {
    let shop = Shop::open(on).await;
    let mut soon = trying(1, "One", 2);
    soon.facts.trial.as_mut().unwrap().ends_at = NOW.plus_ms(2 * DAY_MS + 30 * 60_000);
    shop.bring_in(soon).await;
    let (link, session) = shop.link(1, "pro", None).await;
    assert!(link.expires_at <= NOW.plus_ms(3_600_000), "its days count from payment: {link:?}");
    shop.stripe.complete_checkout(&session, Card::Good).unwrap();
    shop.delivered().await;
    becomes(&shop.app, 1, |it| it.facts.trial.as_ref().unwrap().ends_at == NOW.plus_days(3)).await;
    // Ended at once, and bought again a day later, when there would again be so much left.
    let session = shop.session(&session);
    let act = PortalAct::CancelNow { subscription: session["subscription"].as_str().unwrap().to_owned() };
    shop.stripe.act_in_portal(session["customer"].as_str().unwrap(), &act).unwrap();
    shop.delivered().await;
    becomes(&shop.app, 1, |it| it.facts.subscription.as_ref().is_some_and(|it| it.ended_at.is_some())).await;
    shop.app.clock.advance_ms(DAY_MS);
    shop.stripe.advance(std::time::Duration::from_secs(86_400));
    let (_, session) = shop.link(1, "pro", None).await;
    shop.stripe.complete_checkout(&session, Card::Good).unwrap();
    let bought = shop.subscription(shop.session(&session)["subscription"].as_str().unwrap());
    assert_eq!(bought["status"], "active", "it is paid for");
    shop.delivered().await;
    assert_eq!(shop.drifts().await, []);
    shop.app.stop().await;
}

async fn what_staff_extend_while_checkout_is_open_reaches_stripe(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", 10)).await;
    let (_, session) = shop.link(1, "pro", None).await;
    assert_eq!(shop.app.change(1, "extend", extend(7)).await.status(), StatusCode::OK);
    shop.stripe.complete_checkout(&session, Card::Good).unwrap();
    shop.delivered().await;
    let bought = shop.session(&session)["subscription"].as_str().unwrap().to_owned();
    let end = NOW.plus_days(17);
    let begun = std::time::Instant::now();
    while shop.subscription(&bought)["trial_end"] != json!(end.0 / 1000) {
        assert!(begun.elapsed().as_secs() < 20, "it would be charged a week early");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    shop.delivered().await;
    assert_eq!(shop.app.tenant(1).await.facts.trial.unwrap().ends_at, end);
    assert_eq!(shop.drifts().await, []);
    shop.app.stop().await;
}

async fn what_is_open_is_closed_where_nothing_may_be_bought_any_more(on: Database) {
    let shop = Shop::open(on).await;
    for number in 1..=4 {
        shop.bring_in(trying(number, "Buyer", -1)).await;
        shop.link(number, "pro", None).await;
    }
    assert_eq!(shop.app.change(1, "s", json!({"kind": "suspend", "message": null})).await.status(), StatusCode::OK);
    let customer = shop.app.tenant(2).await.stripe_customer;
    let deleted = TenantIntake { deleted_at: Some(NOW), stripe_customer: customer, ..trying(2, "Buyer", -1) };
    shop.app.bring_in(vec![deleted]).await;
    // Made by hand in Stripe.
    let customer = shop.app.tenant(3).await.stripe_customer.unwrap();
    let fields = [
        ("customer", customer.as_str()),
        ("items[0][price]", shop.pro.as_str()),
        ("trial_period_days", "7"),
        ("metadata[tenant_id]", id(3).as_str()),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    shop.stripe.post("/v1/subscriptions", &fields).unwrap();
    shop.delivered().await;
    let begun = std::time::Instant::now();
    while shop.open_sessions().len() > 1 {
        assert!(begun.elapsed().as_secs() < 20, "they could still be paid: {:?}", shop.open_sessions());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    shop.until("SELECT count(*) FROM checkout_sessions WHERE state = 'open'", 1).await;
    assert_eq!(shop.open_sessions()[0]["client_reference_id"], json!(id(4)), "who may buy still may");
    shop.app.stop().await;
}

/// Tenant 1 at what it has bought.
async fn billing_of(shop: &Shop) -> TenantBilling {
    serde_json::from_value(shop.app.get(&format!("/admin/v1/tenants/{}/billing", id(1))).await).unwrap()
}

/// Where conversions are stuck, an hour later.
async fn stuck(shop: &Shop) -> Value {
    shop.app.clock.advance_ms(3_600_000);
    shop.app.get("/admin/v1/billing/conversions").await["items"].clone()
}

async fn a_debit_that_is_on_its_way_is_no_payment_yet(on: Database) {
    for (card, pays) in [(Card::Debit, true), (Card::DebitThatBounces, false)] {
        let shop = Shop::open(on).await;
        shop.bring_in(trying(1, "One", -1)).await;
        let (_, session) = shop.link(1, "pro", None).await;
        shop.stripe.complete_checkout(&session, card).unwrap();
        shop.delivered().await;
        let begun = billing_of(&shop).await.sessions.remove(0);
        assert_eq!((begun.state, begun.completed_at), (CheckoutState::Complete, None), "nothing was paid");
        shop.app.clock.advance_ms(14 * DAY_MS);
        shop.stripe.advance(std::time::Duration::from_secs(14 * 86_400));
        shop.delivered().await;
        let ended = billing_of(&shop).await.sessions.remove(0);
        assert_eq!((ended.completed_at.is_some(), ended.unblocked_at.is_some()), (pays, pays), "{ended:?}");
        assert_eq!(stuck(&shop).await, json!([]));
        shop.app.stop().await;
    }
}

async fn what_ended_before_it_was_seen_is_stuck_nowhere(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", -1)).await;
    let (_, session) = shop.link(1, "pro", None).await;
    shop.stripe.complete_checkout(&session, Card::Good).unwrap();
    let paid = shop.session(&session);
    let act = PortalAct::CancelNow { subscription: paid["subscription"].as_str().unwrap().to_owned() };
    shop.stripe.act_in_portal(paid["customer"].as_str().unwrap(), &act).unwrap();
    shop.delivered().await;
    becomes(&shop.app, 1, |it| it.facts.subscription.as_ref().is_some_and(|it| it.ended_at.is_some())).await;
    let session = billing_of(&shop).await.sessions.remove(0);
    assert!(session.completed_at.is_some() && session.unblocked_at.is_none(), "{session:?}");
    assert_eq!(stuck(&shop).await, json!([]));
    shop.app.stop().await;
}

async fn a_plan_without_a_price_keeps_nobody_from_buying_another(on: Database) {
    let shop = Shop::open(on).await;
    let mut given = trying(1, "One", -1);
    given.facts.plan = "enterprise".into();
    shop.bring_in(given).await;
    assert_eq!(billing_of(&shop).await.checkout_refusal, None);
    shop.link(1, "pro", None).await;
    shop.app.stop().await;
}

async fn many_that_ask_at_once_get_one_session(on: Database) {
    let shop = Shop::open(on).await;
    let other = shop.app.replica().await;
    shop.bring_in(trying(1, "One", -1)).await;
    let asked = (0..12).map(|n| {
        let app = if n % 2 == 0 { &shop.app } else { &other };
        let plan = if n % 3 == 0 { "starter" } else { "pro" };
        async move { ask(app, 1, plan, None).await.status() }
    });
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().any(StatusCode::is_success), "{answers:?}");
    // Those that lost to others every time may come again.
    assert!(answers.iter().all(|it| it.is_success() || *it == StatusCode::SERVICE_UNAVAILABLE), "{answers:?}");
    assert_eq!(shop.open_sessions().len(), 1, "one can be paid");
    assert_eq!(shop.stripe.state(Kind::Customer).len(), 1);
    other.stop().await;
    shop.app.stop().await;
}

async fn answers_that_are_lost_make_nothing_twice(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", -1)).await;
    for path in ["/v1/customers", "/v1/checkout/sessions"] {
        shop.stripe.trouble(&Method::POST, path, Trouble::AnswerLost);
    }
    let (link, session) = shop.link(1, "pro", None).await;
    // A server that was killed before it could keep what Stripe answered, in either place.
    let mut connection = shop.app.intruder().await;
    for forget in
        ["UPDATE checkout_sessions SET session = NULL, url = NULL", "UPDATE tenants SET stripe_customer = NULL"]
    {
        sqlx::query(forget).execute(&mut connection).await.unwrap();
        assert_eq!(shop.link(1, "pro", None).await, (link.clone(), session.clone()));
    }
    assert_eq!(shop.stripe.state(Kind::Customer).len(), 1);
    assert_eq!(shop.stripe.state(Kind::CheckoutSession).len(), 1);
    // And other terms close it, though nobody had heard of it.
    sqlx::query("UPDATE checkout_sessions SET session = NULL, url = NULL").execute(&mut connection).await.unwrap();
    shop.link(1, "starter", None).await;
    assert_eq!((shop.open_sessions().len(), &shop.session(&session)["status"]), (1, &json!("expired")));
    shop.app.stop().await;
}

async fn what_was_paid_and_not_told_is_found_by_asking_again(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", -1)).await;
    let (_, session) = shop.link(1, "pro", None).await;
    shop.stripe.complete_checkout(&session, Card::Good).unwrap();
    let refused = problem(shop.ask(1, "pro", None).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(refused.detail.contains("just paid"), "{refused:?}");
    becomes(&shop.app, 1, |it| it.status == Status::Active).await;
    assert_eq!(shop.open_sessions(), Vec::<Value>::new());
    shop.app.stop().await;
}

async fn a_customer_that_was_deleted_in_stripe_is_made_anew(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", -1)).await;
    shop.link(1, "pro", None).await;
    let before = shop.app.tenant(1).await.stripe_customer.unwrap();
    shop.stripe.delete(&format!("/v1/customers/{before}")).unwrap();
    let (_, session) = shop.link(1, "pro", None).await;
    let after = shop.app.tenant(1).await.stripe_customer.unwrap();
    assert_ne!(after, before);
    assert_eq!(shop.session(&session)["customer"], json!(after));
    shop.app.stop().await;
}

async fn what_checkout_asks_for_is_set(on: Database) {
    let plain = Shop::open(on).await;
    let all = CheckoutSettings { automatic_tax: true, promotion_codes: true, tax_ids: true, billing_address: true };
    let full = Shop::with(on, all).await;
    for (shop, on) in [(plain, false), (full, true)] {
        shop.bring_in(trying(1, "One", -1)).await;
        let session = shop.session(&shop.link(1, "pro", None).await.1);
        assert_eq!(session["automatic_tax"]["enabled"], json!(on));
        assert_eq!(session["allow_promotion_codes"].as_bool().unwrap_or(false), on);
        assert_eq!(session["tax_id_collection"]["enabled"].as_bool().unwrap_or(false), on);
        assert_eq!(session["billing_address_collection"] == json!("required"), on);
        shop.app.stop().await;
    }
}

async fn what_cannot_be_bought_says_why(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", -1)).await;
    let path = format!("/admin/v1/tenants/{}/checkout", id(1));
    let viewer =
        shop.app.request(Role::Viewer, Method::POST, &path).json(&json!({"plan": "pro"})).send().await.unwrap();
    assert_eq!(viewer.status(), StatusCode::FORBIDDEN);
    let no_plan = problem(shop.ask(1, "gold", None).await, StatusCode::BAD_REQUEST).await;
    assert_eq!(no_plan.fields[0].field, "plan");
    assert_eq!(problem(shop.ask(9, "pro", None).await, StatusCode::NOT_FOUND).await.code, ProblemCode::NotFound);
    for (plan, price, why) in [("enterprise", None, "no price"), ("pro", Some(shop.starter.as_str()), "does not sell")]
    {
        let refused = problem(shop.ask(1, plan, price).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert!(refused.detail.contains(why), "{refused:?}");
    }
    // Whoever was refused has no customer in Stripe by that, and no portal.
    assert_eq!(shop.stripe.state(Kind::Customer), Vec::<Value>::new());
    let path = format!("/admin/v1/tenants/{}/portal", id(1));
    let portal = async || shop.app.request(Role::Support, Method::POST, &path).send().await.unwrap();
    problem(portal().await, StatusCode::UNPROCESSABLE_ENTITY).await;
    shop.link(1, "pro", None).await;
    assert_eq!(portal().await.status(), StatusCode::OK);
    // Stripe does not sell it any more.
    shop.stripe.post(&format!("/v1/prices/{}", shop.yearly), &[("active", "false")]).unwrap();
    let refused = problem(shop.ask(1, "pro", Some(&shop.yearly)).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(refused.detail.contains("Stripe"), "{refused:?}");
    shop.link(1, "pro", None).await;
    // A suspension closes what was open.
    assert_eq!(shop.app.change(1, "s", json!({"kind": "suspend", "message": null})).await.status(), StatusCode::OK);
    problem(shop.ask(1, "pro", None).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(shop.open_sessions(), Vec::<Value>::new());
    shop.app.stop().await;

    let silent = on.start_with(std::sync::Arc::new(|_| {})).await;
    silent.bring_in(vec![trying(1, "One", -1)]).await;
    assert_eq!(ask(&silent, 1, "pro", None).await.status(), StatusCode::NOT_FOUND);
    silent.stop().await;
    let nowhere = on
        .start_with(std::sync::Arc::new(|config| {
            config.stripe = Some(StripeSettings::new("http://127.0.0.1:9", "rk_test_of_nobody", "").unwrap());
        }))
        .await;
    nowhere.bring_in(vec![trying(1, "One", -1)]).await;
    let refused = problem(ask(&nowhere, 1, "pro", None).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(refused.detail.contains("public_url"), "{refused:?}");
    nowhere.stop().await;
}

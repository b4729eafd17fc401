//! What billing reads and writes.

use crate::scripted::{Asked, Script, client, list, on, serve};
use axum::http::Method;
use paywall_stripe::parameters::{
    Cancellation, EventsQuery, NewCheckoutSession, NewCustomer, SubscriptionChange, SubscriptionsQuery, TrialEnd,
};
use paywall_stripe::shapes::Expandable;
use paywall_stripe::{ErrorKind, IdempotencyKey};
use serde_json::{Value, json};

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

fn session(status: &str) -> Value {
    json!({"id": "cs_1", "object": "checkout.session", "created": 5, "expires_at": 9, "status": status,
        "url": "https://checkout.example/cs_1", "customer": "cus_1", "subscription": null, "metadata": {}})
}

fn error(fields: &Value) -> Value {
    json!({ "error": fields })
}

fn asked_of(script: &Script, method: &Method) -> Vec<(String, String)> {
    let script = script.lock().unwrap();
    let key = |it: &Asked| it.headers.get("idempotency-key").map(|it| it.to_str().unwrap().to_owned());
    let its = script.asked.iter().filter(|it| it.method == method);
    its.map(|it| (it.body.clone(), key(it).unwrap_or_default())).collect()
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_sent_again_as_it_was_under_its_key() {
    let (script, address) = serve().await;
    let busy = error(&json!({"type": "idempotency_error", "message": "in progress"}));
    on(
        &script,
        "/v1/checkout/sessions",
        vec![
            (500, vec![], error(&json!({"message": "oops"}))),
            (409, vec![], busy.clone()),
            (429, vec![("retry-after", "0".into())], busy),
            (200, vec![], session("open")),
        ],
    );
    let new = NewCheckoutSession {
        customer: "cus_1".into(),
        client_reference_id: "ten_1".into(),
        price: "price_1".into(),
        quantity: Some(1),
        success_url: "https://rag.example/paywall/return?a=1&b={CHECKOUT_SESSION_ID}".into(),
        cancel_url: "https://rag.example/paywall/".into(),
        ..NewCheckoutSession::default()
    };
    let opened = client(&address).create_checkout_session(&new, &key("ten_1:checkout:4")).await.unwrap();
    assert_eq!((opened.id.as_str(), opened.status.as_deref()), ("cs_1", Some("open")));
    let sent = asked_of(&script, &Method::POST);
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|it| *it == sent[0] && it.1 == "ten_1:checkout:4"), "{sent:?}");
}

#[tokio::test]
async fn a_write_that_is_refused_says_why_and_is_sent_once() {
    let (script, address) = serve().await;
    let reused =
        error(&json!({"type": "idempotency_error", "message": "Keys for idempotent requests can only be used …"}));
    on(&script, "/v1/customers", vec![(400, vec![("request-id", "req_1".into())], reused)]);
    let no_longer = error(&json!({"type": "invalid_request_error", "message": "Only open sessions can be expired"}));
    on(&script, "/v1/checkout/sessions/cs_1/expire", vec![(400, vec![], no_longer)]);
    let declined =
        error(&json!({"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor", "message": "x"}));
    on(&script, "/v1/subscriptions/sub_1", vec![(402, vec![], declined)]);
    let gone = error(&json!({"code": "resource_missing", "param": "id", "message": "No such subscription: 'sub_2'"}));
    on(&script, "/v1/subscriptions/sub_2", vec![(404, vec![], gone)]);
    let client = client(&address);

    let refused = client.create_customer(&NewCustomer::default(), &key("k")).await.unwrap_err();
    assert_eq!(refused.request_id.as_deref(), Some("req_1"));
    assert!(matches!(&refused.kind, ErrorKind::Refused { code: Some(it), .. } if it == "idempotency_error"));
    let refused = client.expire_checkout_session("cs_1", &key("k")).await.unwrap_err();
    assert!(matches!(&refused.kind, ErrorKind::Refused { code: None, message, .. } if message.contains("Only open")));
    let now = SubscriptionChange { trial_end: Some(TrialEnd::Now), ..SubscriptionChange::default() };
    let refused = client.update_subscription("sub_1", &now, &key("k")).await.unwrap_err();
    assert!(matches!(&refused.kind, ErrorKind::Refused { code: Some(it), .. } if it == "card_declined"));
    let gone = client.cancel_subscription("sub_2", &Cancellation::default()).await.unwrap_err();
    assert!(matches!(gone.kind, ErrorKind::NotFound { .. }), "{gone:?}");
    assert_eq!(client.requests(), 4);
}

fn customer() -> Value {
    json!({"id": "cus_1", "object": "customer", "created": 5, "email": "mia@acme.example",
            "metadata": {"tenant_id": "ten_1"}, "invoice_settings": {"default_payment_method":
                {"id": "pm_1", "type": "card", "card": {"brand": "visa", "last4": "4242", "exp_month": 8, "exp_year": 2026}}}})
}

fn open_invoice(subscription: &str) -> Value {
    json!({"id": "in_1", "object": "invoice", "created": 1_790_000_000, "status": "open",
            "amount_remaining": 5700, "attempt_count": 2, "attempted": true, "next_payment_attempt": 1_790_300_000,
            "due_date": null, "hosted_invoice_url": "https://invoice.example/in_1",
            "status_transitions": {"finalized_at": 1_790_003_600, "paid_at": null, "voided_at": null, "marked_uncollectible_at": null},
            "parent": {"type": "subscription_details", "subscription_details": {"subscription": subscription, "metadata": {}}},
            "last_finalization_error": null,
            "payments": {"object": "list", "has_more": false, "data": [
                {"id": "inpay_0", "created": 4, "is_default": false, "status": "canceled", "payment": {"type": "payment_intent", "payment_intent": "pi_0"}},
                {"id": "inpay_1", "created": 3, "is_default": true, "status": "open", "payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]}})
}

/// A subscription as endive gives it, with what is asked for expanded.
fn subscription(id: &str) -> Value {
    json!({
        "id": id, "object": "subscription", "created": 1_790_000_000, "livemode": true, "status": "past_due",
        "currency": "eur", "collection_method": "charge_automatically", "cancel_at": 1_800_000_000,
        "cancel_at_period_end": false, "canceled_at": null, "ended_at": null, "trial_end": 1_789_000_000,
        "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
        "pause_collection": {"behavior": "void", "resumes_at": 1_791_000_000},
        "status_details": {"paused": {"type": "subscription", "transitioned_at": 7,
            "subscription": {"type": "trial_end_without_payment_method"}}},
        "metadata": {"tenant_id": "ten_1"},
        "customer": customer(),
        "default_payment_method": null,
        "discounts": [{"id": "di_1", "start": 5, "end": null, "source": {"type": "coupon", "coupon": {"id": "HALF", "percent_off": 50}}}],
        "items": {"object": "list", "has_more": false, "data": [{"id": "si_1", "quantity": 3, "discounts": ["di_2"],
            "current_period_start": 1_790_000_000, "current_period_end": 1_792_592_000,
            "price": {"id": "price_1", "currency": "eur", "unit_amount": 1900, "product": "prod_1",
                "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}}]},
        "latest_invoice": open_invoice(id),
    })
}

#[tokio::test]
async fn a_subscription_comes_with_all_that_its_standing_depends_on() {
    let (script, address) = serve().await;
    let mut cut = subscription("sub_1");
    cut["items"]["has_more"] = json!(true);
    on(&script, "/v1/subscriptions/sub_1", vec![(200, vec![], cut)]);
    let items = [json!({"id": "si_1", "quantity": 3}), json!({"id": "si_2", "quantity": 1})];
    on(&script, "/v1/subscription_items", vec![(200, vec![], list(&items, false))]);

    let it = client(&address).retrieve_subscription("sub_1").await.unwrap();

    let items: Vec<&str> = it.items.as_ref().unwrap().data.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(items, ["si_1", "si_2"], "items past the first page are billed too");
    assert_eq!((it.status.as_deref(), it.livemode, it.cancel_at), (Some("past_due"), Some(true), Some(1_800_000_000)));
    assert_eq!(it.metadata.as_ref().unwrap()["tenant_id"], "ten_1");
    let pause = it.pause_collection.as_ref().unwrap();
    assert_eq!((pause.behavior.as_deref(), pause.resumes_at), (Some("void"), Some(1_791_000_000)));
    let paused = it.status_details.as_ref().unwrap().paused.as_ref().unwrap();
    assert_eq!(paused.subscription.as_ref().unwrap().r#type.as_deref(), Some("trial_end_without_payment_method"));
    let end = it.trial_settings.as_ref().unwrap().end_behavior.as_ref().unwrap();
    assert_eq!(end.missing_payment_method.as_deref(), Some("pause"));

    let customer = it.customer.as_ref().unwrap();
    assert_eq!((customer.id(), customer.object().unwrap().deleted), ("cus_1", None));
    let settings = customer.object().unwrap().invoice_settings.as_ref().unwrap();
    let card = settings.default_payment_method.as_ref().unwrap().object().unwrap().card.as_ref().unwrap();
    assert_eq!((card.exp_month, card.exp_year), (Some(8), Some(2026)));
    let discount = it.discounts.as_ref().unwrap()[0].object().unwrap();
    assert_eq!(discount.source.as_ref().unwrap().coupon.as_ref().unwrap().id(), "HALF");

    let invoice = it.latest_invoice.as_ref().unwrap().object().unwrap();
    assert_eq!((invoice.subscription(), invoice.next_payment_attempt), (Some("sub_1"), Some(1_790_300_000)));
    assert_eq!(invoice.status_transitions.as_ref().unwrap().finalized_at, Some(1_790_003_600));
    let payment = invoice.payment().unwrap();
    assert_eq!(payment.id, "inpay_1", "the default payment, though another was made later");
    let intent = payment.payment.as_ref().unwrap().payment_intent.as_ref().unwrap();
    assert_eq!(*intent, Expandable::Id("pi_1".into()));
}

#[tokio::test]
async fn why_an_invoice_is_not_paid_is_reached_through_its_payment() {
    let (script, address) = serve().await;
    let invoice = json!({"id": "in_1", "created": 5, "payments": {"has_more": false, "data": [{"id": "inpay_1", "created": 5,
        "payment": {"type": "payment_intent", "payment_intent": {"id": "pi_1", "status": "requires_action",
            "latest_charge": "ch_1", "next_action": {"type": "use_stripe_sdk"},
            "last_payment_error": {"type": "card_error", "code": "authentication_required", "message": "x"}}}}]}});
    on(&script, "/v1/invoices/in_1", vec![(200, vec![], invoice)]);
    let charge = json!({"id": "ch_1", "created": 5, "refunded": true, "disputed": true, "amount": 1900,
        "amount_refunded": 1900, "payment_intent": "pi_1",
        "refunds": {"has_more": false, "data": [{"id": "re_1", "created": 9, "amount": 1900, "status": "succeeded"}]}});
    on(&script, "/v1/charges/ch_1", vec![(200, vec![], charge)]);
    let client = client(&address);

    let invoice = client.retrieve_invoice("in_1").await.unwrap();
    let by = invoice.payment().unwrap().payment.as_ref().unwrap();
    let intent = by.payment_intent.as_ref().unwrap().object().unwrap();
    assert_eq!(intent.status.as_deref(), Some("requires_action"));
    assert_eq!(intent.last_payment_error.as_ref().unwrap().code.as_deref(), Some("authentication_required"));
    let charge = client.retrieve_charge(intent.latest_charge.as_ref().unwrap().id()).await.unwrap();
    assert_eq!((charge.refunded, charge.disputed), (Some(true), Some(true)));
    assert_eq!(charge.refunds.unwrap().data[0].created, Some(9), "since when");
}

#[tokio::test]
async fn a_customers_subscriptions_are_read_to_the_last_page_and_the_unreadable_ones_named() {
    let (script, address) = serve().await;
    let mut bad = subscription("sub_2");
    bad["latest_invoice"]["payments"]["data"][1]["created"] = json!("yesterday");
    let mut of_a_deleted_customer = subscription("sub_3");
    of_a_deleted_customer["customer"] = json!({"id": "cus_1", "object": "customer", "deleted": true});
    on(
        &script,
        "/v1/subscriptions",
        vec![
            (200, vec![], list(&[subscription("sub_1"), bad], true)),
            (200, vec![], list(&[of_a_deleted_customer], false)),
        ],
    );
    let all = client(&address).customer_subscriptions("cus_1").await.unwrap();
    assert_eq!(all.items.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["sub_1", "sub_3"]);
    let customer = all.items[1].customer.as_ref().unwrap();
    assert_eq!((customer.id(), customer.object().unwrap().deleted), ("cus_1", Some(true)));
    let lost: Vec<(&str, &str)> = all.unreadable.iter().map(|it| (it.id.as_str(), it.path.as_str())).collect();
    assert_eq!(lost, [("sub_2", "latest_invoice.payments.data[1].created")]);
    let lines: Vec<String> = script.lock().unwrap().asked.iter().map(|it| it.line.clone()).collect();
    assert!(lines.iter().all(|it| it.contains("customer=cus_1") && it.contains("status=all")), "{lines:?}");
    assert!(lines[1].contains("starting_after=sub_2"), "after the last one, readable or not: {lines:?}");
}

#[tokio::test]
async fn a_list_that_goes_round_in_circles_ends() {
    let (script, address) = serve().await;
    on(&script, "/v1/webhook_endpoints", vec![(200, vec![], list(&[json!({"id": "we_1"})], true))]);
    let error = client(&address).list_webhook_endpoints().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unreadable { .. }), "{error:?}");
    on(&script, "/v1/webhook_endpoints", vec![(200, vec![], list(&[], true))]);
    assert!(client(&address).list_webhook_endpoints().await.is_err(), "more, but none to go on from");
}

#[tokio::test]
async fn webhook_endpoints_are_read_with_what_they_hear() {
    let (script, address) = serve().await;
    let endpoints = [
        json!({"id": "we_1", "url": "https://rag.example/stripe/webhook", "status": "disabled", "livemode": false,
            "enabled_events": ["invoice.paid"], "api_version": null}),
        json!({"id": "we_2", "enabled_events": ["*"]}),
    ];
    on(&script, "/v1/webhook_endpoints", vec![(200, vec![], list(&endpoints, false))]);
    let read = client(&address).list_webhook_endpoints().await.unwrap().items;
    assert_eq!(read[0].status.as_deref(), Some("disabled"));
    let hears: Vec<Vec<String>> = read.into_iter().filter_map(|it| it.enabled_events).collect();
    assert_eq!(hears, [["invoice.paid"], ["*"]]);
}

#[tokio::test]
async fn events_that_could_not_be_delivered_are_asked_for_by_type_and_instant() {
    let (script, address) = serve().await;
    let undelivered = json!({"id": "evt_1", "created": 7, "type": "invoice.paid", "pending_webhooks": 1,
        "data": {"object": {"id": "in_1", "object": "invoice", "customer": "cus_1"}}});
    on(&script, "/v1/events", vec![(200, vec![], list(&[undelivered], true))]);
    let query = EventsQuery {
        types: vec!["invoice.paid".into(), "charge.refunded".into()],
        delivery_success: Some(false),
        created_gte: Some(5),
        ..EventsQuery::default()
    };
    let page = client(&address).list_events(&query).await.unwrap();
    assert_eq!((page.has_more, page.last_id.as_deref()), (true, Some("evt_1")));
    assert_eq!(page.items[0].object().unwrap().customer_id(), Some("cus_1"));
    let line = script.lock().unwrap().asked[0].line.clone();
    for part in
        ["types%5B%5D=invoice.paid", "types%5B%5D=charge.refunded", "delivery_success=false", "created%5Bgte%5D=5"]
    {
        assert!(line.contains(part), "{line}");
    }
    // What answers there has no such list.
    let error = client(&address).list_subscriptions(&SubscriptionsQuery::default()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unreadable { .. }), "{error:?}");
    on(&script, "/v1/subscriptions", vec![(404, vec![], error_body())]);
    let error = client(&address).list_subscriptions(&SubscriptionsQuery::default()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NotOffered { .. }), "{error:?}");
}

fn error_body() -> Value {
    error(&json!({"type": "invalid_request_error", "message": "Unrecognized request URL"}))
}

#[tokio::test]
async fn an_answer_that_is_only_repeated_is_not_waited_for() {
    let (script, address) = serve().await;
    let oops = error(&json!({"type": "api_error", "message": "oops"}));
    let replayed = vec![("idempotent-replayed", "true".to_owned()), ("stripe-should-retry", "true".to_owned())];
    on(&script, "/v1/customers", vec![(500, vec![], oops.clone()), (500, replayed, oops)]);
    let failed = client(&address).create_customer(&NewCustomer::default(), &key("k")).await.unwrap_err();
    assert!(failed.replayed && !failed.passing(), "{failed:?}");
    assert_eq!((&failed.kind, failed.operation), (&ErrorKind::Server(500), Some("create_customer")));
    // Under this key it stays so; whoever asks under another need not have waited.
    assert_eq!(asked_of(&script, &Method::POST).len(), 2);
}

#[tokio::test]
async fn one_whose_items_cannot_be_read_costs_only_itself() {
    let (script, address) = serve().await;
    let items = |more: bool| json!({"object": "list", "data": [], "has_more": more});
    let one = |id: &str, more: bool| json!({"id": id, "object": "subscription", "items": items(more)});
    let page = list(&[one("sub_1", false), one("sub_2", true), one("sub_3", false)], false);
    on(&script, "/v1/subscriptions", vec![(200, vec![], page)]);
    let gone = error(&json!({"code": "resource_missing", "message": "No such subscription: 'sub_2'"}));
    on(&script, "/v1/subscription_items", vec![(404, vec![], gone)]);
    let page = client(&address).list_subscriptions(&SubscriptionsQuery::default()).await.unwrap();
    let read: Vec<&str> = page.items.iter().map(|it| it.id.as_str()).collect();
    assert_eq!((read, page.last_id.as_deref()), (vec!["sub_1", "sub_3"], Some("sub_3")));
    assert_eq!(page.unreadable.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["sub_2"]);
    // A Stripe that is away is away for all of them.
    on(&script, "/v1/subscription_items", vec![(503, vec![], error_body())]);
    let away = client(&address).list_subscriptions(&SubscriptionsQuery::default()).await.unwrap_err();
    assert_eq!(away.kind, ErrorKind::Server(503));
}

#[tokio::test]
async fn what_the_key_is_not_allowed_is_remembered_until_it_is() {
    let (script, address) = serve().await;
    let refusal = error(&json!({"message": "Having the 'rak_charge_read' permission would allow this request."}));
    let charge = json!({"id": "ch_1", "object": "charge"});
    on(&script, "/v1/charges/ch_1", vec![(403, vec![], refusal), (200, vec![], charge)]);
    on(&script, "/v1/invoices/in_1", vec![(200, vec![], json!({"id": "in_1", "object": "invoice"}))]);
    let client = client(&address);
    let error = client.retrieve_charge("ch_1").await.unwrap_err();
    assert_eq!(error.operation, Some("retrieve_charge"));
    client.retrieve_invoice("in_1").await.unwrap();
    assert!(client.is_forbidden("retrieve_charge") && !client.is_forbidden("retrieve_invoice"));
    client.retrieve_charge("ch_1").await.unwrap();
    assert!(!client.is_forbidden("retrieve_charge"));
}

//! What is sent to Stripe is what the table of operations says, and `docs/stripe.md` says the same.
#![allow(clippy::unwrap_used, missing_docs)]

mod document;
mod recorder;

use std::collections::{BTreeMap, BTreeSet};

use paywall_stripe::operations::{self, Method, Operation, SentBy};
use paywall_stripe::parameters::{
    Cancellation, CheckoutTrial, Collection, EndpointChange, EventsQuery, InvoicesQuery, NewCheckoutSession,
    NewCustomer, NewPortalSession, PausedInvoices, SubscriptionChange, SubscriptionsQuery, TrialEnd,
};
use paywall_stripe::shapes::Metadata;
use paywall_stripe::{API_VERSION, Client, ClientOptions, IdempotencyKey, ListParams, Stream, StripeKey};

use recorder::{Recorder, Sent};

fn key() -> IdempotencyKey {
    IdempotencyKey::new("ten_1-7").unwrap()
}

/// Sends every request that the client can, with every parameter that it can, some with several values.
async fn send_everything(client: &Client) {
    let params = ListParams {
        limit: Some(50),
        starting_after: Some("first_1".into()),
        ending_before: Some("last_1".into()),
        created_gte: Some(1_790_000_000),
        created_lt: Some(1_790_086_400),
    };
    for stream in Stream::ALL {
        client.list(stream, &params).await.unwrap();
        // The recorder sends the beginning of each embedded list only, so that the rest is asked for too.
        client.get(stream, &format!("{}_1", stream.object())).await.unwrap();
    }

    let tenant = Metadata::from([("tenant_id".to_owned(), "ten_1".to_owned())]);
    let customer =
        NewCustomer { email: Some("mia@acme.example".into()), name: Some("Acme".into()), metadata: tenant.clone() };
    client.create_customer(&customer, &key()).await.unwrap();
    client.retrieve_customer("cus_1").await.unwrap();

    let full = NewCheckoutSession {
        customer: "cus_1".into(),
        client_reference_id: "ten_1".into(),
        price: "price_pro".into(),
        quantity: Some(3),
        success_url: "https://rag.example/paywall/return?session={CHECKOUT_SESSION_ID}".into(),
        cancel_url: "https://rag.example/paywall/".into(),
        expires_at: Some(1_790_050_000),
        locale: Some("es".into()),
        trial: Some(CheckoutTrial::Until(1_790_500_000)),
        allow_promotion_codes: true,
        automatic_tax: true,
        tax_id_collection: true,
        billing_address: true,
        metadata: tenant.clone(),
    };
    client.create_checkout_session(&full, &key()).await.unwrap();
    let days = NewCheckoutSession { trial: Some(CheckoutTrial::Days(2)), ..full };
    client.create_checkout_session(&days, &key()).await.unwrap();
    let plain = NewCheckoutSession {
        customer: "cus_1".into(),
        client_reference_id: "ten_1".into(),
        price: "price_metered".into(),
        success_url: "https://rag.example/paywall/return".into(),
        cancel_url: "https://rag.example/paywall/".into(),
        ..NewCheckoutSession::default()
    };
    client.create_checkout_session(&plain, &key()).await.unwrap();
    client.retrieve_checkout_session("cs_1").await.unwrap();
    client.expire_checkout_session("cs_1", &key()).await.unwrap();

    client.retrieve_price("price_pro").await.unwrap();
    let portal = NewPortalSession {
        customer: "cus_1".into(),
        return_url: Some("https://rag.example/paywall/".into()),
        configuration: Some("bpc_1".into()),
        locale: Some("zh".into()),
    };
    client.create_portal_session(&portal, &key()).await.unwrap();

    client.retrieve_subscription("sub_1").await.unwrap();
    let query =
        SubscriptionsQuery { customer: Some("cus_1".into()), limit: Some(20), starting_after: Some("sub_9".into()) };
    client.list_subscriptions(&query).await.unwrap();
    client.customer_subscriptions("cus_1").await.unwrap();
    let paused = Collection::Paused { invoices: PausedInvoices::Void, resumes_at: Some(1_791_000_000) };
    for change in [
        SubscriptionChange {
            trial_end: Some(TrialEnd::At(1_790_900_000)),
            cancel_at_period_end: Some(false),
            collection: Some(paused),
            metadata: tenant,
        },
        SubscriptionChange {
            trial_end: Some(TrialEnd::Now),
            collection: Some(Collection::Resumed),
            ..SubscriptionChange::default()
        },
    ] {
        client.update_subscription("sub_1", &change, &key()).await.unwrap();
    }
    let how = Cancellation { comment: Some("a second subscription".into()) };
    client.cancel_subscription("sub_1", &how).await.unwrap();

    client.retrieve_invoice("in_1").await.unwrap();
    let query = InvoicesQuery {
        subscription: Some("sub_1".into()),
        customer: Some("cus_1".into()),
        status: Some("paid".into()),
        limit: Some(1),
        starting_after: Some("in_9".into()),
    };
    client.list_invoices(&query).await.unwrap();
    client.invoice_payments("pi_1").await.unwrap();
    client.retrieve_charge("ch_1").await.unwrap();
    client.retrieve_dispute("dp_1").await.unwrap();
    client.charge_disputes("ch_1").await.unwrap();
    let query = EventsQuery {
        types: vec!["invoice.paid".into(), "customer.subscription.updated".into()],
        delivery_success: Some(false),
        created_gte: Some(1_790_000_000),
        limit: Some(30),
        starting_after: Some("evt_9".into()),
    };
    client.list_events(&query).await.unwrap();
    client.list_webhook_endpoints().await.unwrap();
    let change = EndpointChange {
        enabled: Some(true),
        enabled_events: Some(vec!["invoice.paid".into(), "invoice.payment_failed".into()]),
    };
    client.update_webhook_endpoint("we_1", &change, &key()).await.unwrap();
}

async fn everything_sent() -> Vec<Sent> {
    let recorder = Recorder::start().await;
    let options = ClientOptions {
        limits: paywall_stripe::Limits::NONE,
        user_agent: "paywall-test/7".into(),
        ..Default::default()
    };
    let client = Client::new(&recorder.address, StripeKey::new("rk_test_key"), options).unwrap();
    send_everything(&client).await;
    recorder.sent()
}

/// The operations that a request may be: same method, same path, and nothing that they do not list.
fn operations_of(sent: &Sent) -> Vec<&'static Operation> {
    let all = operations::ALL.iter().copied();
    all.filter(|it| it.method.as_str() == sent.method && path_fits(it.path, &sent.path))
        .filter(|it| {
            let mut left: Vec<(&str, &str)> = sent.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            for fixed in it.fixed {
                let Some(at) = left.iter().position(|pair| pair == fixed) else { return false };
                left.remove(at);
            }
            left.iter().all(|(name, _)| it.declares(name))
        })
        .collect()
}

fn path_fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(wanted, there)| wanted.starts_with('{') || *wanted == there)
}

#[tokio::test]
async fn every_request_that_is_sent_stands_in_the_table_and_nothing_else_does() {
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for sent in everything_sent().await {
        let found = operations_of(&sent);
        assert!(!found.is_empty(), "not in the table: {sent:#?}");
        assert_eq!(sent.header("authorization"), Some("Bearer rk_test_key"));
        assert_eq!(sent.header("stripe-version"), Some(API_VERSION));
        assert_eq!(sent.header("user-agent"), Some("paywall-test/7"));
        let posts = sent.method == "POST";
        assert_eq!(sent.header("idempotency-key"), posts.then_some("ten_1-7"), "{sent:#?}");
        let form = sent.header("content-type") == Some("application/x-www-form-urlencoded");
        assert_eq!(form, posts, "{sent:#?}");
        assert!(if posts { sent.query.is_empty() } else { sent.body.is_empty() }, "{sent:#?}");
        for operation in found {
            let names = used.entry(operation.name).or_default();
            for declared in operation.parameters {
                let prefix = declared.strip_suffix("[*]");
                let named = |name: &str| {
                    prefix.map_or(name == *declared, |prefix| {
                        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('['))
                    })
                };
                if sent.parameters.iter().any(|(name, _)| named(name)) {
                    names.insert((*declared).to_owned());
                }
            }
        }
    }
    for operation in operations::ALL {
        let declared: BTreeSet<String> = operation.parameters.iter().map(|it| (*it).to_owned()).collect();
        let sent = used.get(operation.name).unwrap_or_else(|| panic!("{} is never sent", operation.name));
        assert_eq!(*sent, declared, "what {} lists and what was sent", operation.name);
    }
}

#[test]
fn the_table_is_of_one_piece() {
    let mut names = BTreeSet::new();
    for operation in operations::ALL {
        assert!(names.insert(operation.name), "{} stands twice", operation.name);
        assert!(operation.path.starts_with("/v1/"), "{}", operation.name);
        assert!(!operation.purpose.is_empty() && !operation.permissions.is_empty(), "{}", operation.name);
        let writes = operation.permissions.iter().any(|it| it.ends_with("_write"));
        assert_eq!(writes, operation.method != Method::Get, "{}: a read needs no right to write", operation.name);
        if operation.sent_by != SentBy::Server {
            assert_eq!(operation.method, Method::Get, "{}: the console only reads", operation.name);
        }
        // Stripe expands four levels at most.
        for (name, value) in operation.fixed {
            assert!(*name != "expand[]" || value.split('.').count() <= 4, "{value}");
        }
    }
    for stream in Stream::ALL {
        assert!(names.contains(stream.list_operation().name) && names.contains(stream.get_operation().name));
    }
}

//! Lists and objects, retries, pacing, and what does not answer.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::scripted::{client, list, on, serve, with_limits};
use paywall_stripe::{API_VERSION, Client, ErrorKind, Limits, ListParams, Stream, StripeKey, transport};
use serde_json::json;

#[tokio::test]
async fn one_object_that_cannot_be_read_never_costs_its_page() {
    let (script, address) = serve().await;
    let good = json!({"id": "sub_1", "object": "subscription", "created": 5, "status": "a_word_from_the_future",
        "items": {"data": [{"id": "si_1", "price": {"id": "price_1", "unit_amount_decimal": "12.5"}}], "has_more": false}});
    let bad = json!({"id": "sub_2", "created": 4, "items": {"data": [{"id": "si_2", "price": {"id": "p", "unit_amount": "ten"}}]}});
    let nameless = json!({"created": 3});
    let undated = json!({"id": "sub_3"});
    on(&script, "/v1/subscriptions", vec![(200, vec![], list(&[good.clone(), bad, nameless, undated], false))]);

    let page = client(&address).list(Stream::Subscriptions, &ListParams::default()).await.unwrap();

    assert_eq!(page.objects.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["sub_1"]);
    assert_eq!(page.objects[0].raw, good);
    let lost: Vec<(&str, &str)> = page.unreadable.iter().map(|it| (it.id.as_str(), it.path.as_str())).collect();
    assert_eq!(lost, [("sub_2", "items.data[0].price.unit_amount"), ("?", "id"), ("sub_3", "created")]);
    assert_eq!(page.last_id.as_deref(), Some("sub_3"), "the next page starts after the last one, readable or not");
    let asked = script.lock().unwrap().asked[0].clone();
    let (line, headers) = (&asked.line, &asked.headers);
    assert!(line.contains("status=all") && line.contains("limit=100"), "{line}");
    assert_eq!(headers["stripe-version"], API_VERSION);
    assert_eq!(headers["authorization"], "Bearer rk_test_key");
    assert_eq!(headers["user-agent"], "paywall-test/7", "Stripe's log says which program asked");
}

#[tokio::test]
async fn embedded_lists_are_completed_even_when_the_cursor_is_deleted_meanwhile() {
    let (script, address) = serve().await;
    let invoice = json!({"id": "in_1", "created": 1,
        "lines": {"data": [{"id": "il_1"}, {"id": "il_2"}], "has_more": true}});
    on(&script, "/v1/invoices", vec![(200, vec![], list(&[invoice], false))]);
    let gone =
        json!({"error": {"type": "invalid_request_error", "param": "starting_after", "message": "No such line"}});
    on(
        &script,
        "/v1/invoices/in_1/lines",
        vec![
            (200, vec![], list(&[json!({"id": "il_1"}), json!({"id": "il_2"})], true)),
            (400, vec![], gone),
            (200, vec![], list(&[json!({"id": "il_1"}), json!({"id": "il_3"})], true)),
            (200, vec![], list(&[json!({"id": "il_4"})], false)),
        ],
    );
    let page = client(&address).list(Stream::Invoices, &ListParams::default()).await.unwrap();
    let lines = &page.objects[0].raw["lines"];
    let ids: Vec<&str> = lines["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["il_1", "il_3", "il_4"]);
    assert_eq!(lines["has_more"], false);
}

#[tokio::test]
async fn an_items_coupon_is_read_where_the_list_only_names_it() {
    let (script, address) = serve().await;
    let discount = |coupon: serde_json::Value| json!({"id": "di_1", "source": {"type": "coupon", "coupon": coupon}});
    let item = |coupon: serde_json::Value| json!({"id": "si_1", "discounts": [discount(coupon)]});
    let of = |id: &str, items: serde_json::Value| json!({"id": id, "created": 1, "items": {"data": items, "has_more": false}});
    let plain = of("sub_2", json!([{"id": "si_2", "discounts": []}]));
    on(
        &script,
        "/v1/subscriptions",
        vec![(200, vec![], list(&[of("sub_1", json!([item(json!("half"))])), plain], false))],
    );
    let whole = item(json!({"id": "half", "percent_off": 50}));
    on(&script, "/v1/subscription_items", vec![(200, vec![], list(std::slice::from_ref(&whole), false))]);
    let page = client(&address).list(Stream::Subscriptions, &ListParams::default()).await.unwrap();
    assert_eq!(page.objects[0].raw["items"]["data"], json!([whole]));
    let asked: Vec<String> = script.lock().unwrap().asked.iter().map(|it| it.line.clone()).collect();
    assert_eq!(asked.len(), 2, "only where it lacks something: {asked:?}");
    assert!(asked[1].contains("subscription=sub_1") && asked[1].contains("data.discounts.source.coupon"), "{asked:?}");
}

#[tokio::test]
async fn an_object_that_goes_or_cannot_be_completed_never_costs_its_page() {
    let (script, address) = serve().await;
    let invoice = |id: &str| json!({"id": id, "created": 1, "lines": {"data": [{"id": "il_1"}], "has_more": true}});
    let all = [invoice("in_1"), invoice("in_2"), invoice("in_3")];
    on(&script, "/v1/invoices", vec![(200, vec![], list(&all, false))]);
    // A draft that was deleted after the list was made; lines that say nothing readable; lines as they should be.
    on(&script, "/v1/invoices/in_1/lines", vec![(404, vec![], json!({"error": {"message": "No such invoice"}}))]);
    on(
        &script,
        "/v1/invoices/in_2/lines",
        vec![(200, vec![], json!({"object": "list", "data": "?", "has_more": false}))],
    );
    on(
        &script,
        "/v1/invoices/in_3/lines",
        vec![(200, vec![], list(&[json!({"id": "il_1"}), json!({"id": "il_2"})], false))],
    );
    let page = client(&address).list(Stream::Invoices, &ListParams::default()).await.unwrap();
    assert_eq!(page.objects.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["in_3"]);
    assert_eq!(page.objects[0].raw["lines"]["data"].as_array().unwrap().len(), 2);
    let lost: Vec<(&str, &str)> = page.unreadable.iter().map(|it| (it.id.as_str(), it.path.as_str())).collect();
    assert_eq!(lost, [("in_2", "data")]);
    assert_eq!(page.last_id.as_deref(), Some("in_3"));
}

#[tokio::test]
async fn what_cannot_be_expanded_there_is_asked_for_as_it_is() {
    let (script, address) = serve().await;
    let refused = json!({"error": {"type": "invalid_request_error", "param": "expand[0]",
        "message": "This property cannot be expanded (discounts)."}});
    let good = json!({"id": "in_1", "created": 1});
    on(&script, "/v1/invoices", vec![(400, vec![], refused), (200, vec![], list(&[good], false))]);
    let client = client(&address);
    for _ in 0..2 {
        let page = client.list(Stream::Invoices, &ListParams::default()).await.unwrap();
        assert_eq!(page.objects.len(), 1);
    }
    let asked: Vec<bool> = script.lock().unwrap().asked.iter().map(|it| it.line.contains("expand")).collect();
    assert_eq!(asked, [true, false, false], "it is remembered");
}

#[tokio::test]
async fn an_answer_in_another_version_is_noticed() {
    let (script, address) = serve().await;
    let client = client(&address);
    let answer = |version: &str| {
        let headers = vec![("stripe-version", version.to_owned()), ("request-id", "req_7".to_owned())];
        (200, headers, list(&[], false))
    };
    on(&script, "/v1/charges", vec![answer(API_VERSION), answer("2024-06-20")]);
    client.list(Stream::Charges, &ListParams::default()).await.unwrap();
    assert_eq!(client.other_version(), None);
    client.list(Stream::Charges, &ListParams::default()).await.unwrap();
    assert_eq!(client.other_version(), Some(("2024-06-20".to_owned(), "req_7".to_owned())));
}

#[tokio::test]
async fn refusals_are_told_apart_and_keep_the_requests_name() {
    let (script, address) = serve().await;
    let message = "The provided key 'rk_test_****' does not have the required permissions for this endpoint on account \
                   'acct_1'. Having the 'rak_charge_read' permission would allow this request to continue.";
    let request_id = || vec![("request-id", "req_7".to_owned())];
    on(&script, "/v1/charges", vec![(403, request_id(), json!({"error": {"message": message}}))]);
    on(&script, "/v1/disputes", vec![(404, request_id(), json!({"error": {"message": "Unrecognized request URL"}}))]);
    on(&script, "/v1/refunds", vec![(401, request_id(), json!({"error": {"message": "Invalid API Key"}}))]);
    on(&script, "/v1/prices", vec![(200, request_id(), json!({"hello": "world"}))]);
    on(&script, "/v1/customers/cus_x", vec![(404, request_id(), json!({"error": {"message": "No such customer"}}))]);
    let client = client(&address);
    let error = |stream| {
        let client = client.clone();
        async move { client.list(stream, &ListParams::default()).await.unwrap_err() }
    };

    let charges = error(Stream::Charges).await;
    assert_eq!(charges.request_id.as_deref(), Some("req_7"));
    assert!(
        matches!(&charges.kind, ErrorKind::PermissionMissing { permission: Some(name), .. } if name == "rak_charge_read")
    );
    assert!(matches!(error(Stream::Disputes).await.kind, ErrorKind::NotOffered { .. }));
    assert!(matches!(error(Stream::Refunds).await.kind, ErrorKind::Unauthorized { .. }));
    assert!(matches!(error(Stream::Prices).await.kind, ErrorKind::Unreadable { .. }));
    assert!(matches!(client.get(Stream::Customers, "cus_x").await.unwrap_err().kind, ErrorKind::NotFound { .. }));
    assert!(matches!(client.get(Stream::Customers, "..").await.unwrap_err().kind, ErrorKind::NotFound { .. }));
    assert_eq!(client.requests(), 5, "none of these is worth a second try, and `..` none at all");
}

#[tokio::test]
async fn passing_faults_are_tried_again_and_stripes_own_word_counts_first() {
    let (script, address) = serve().await;
    let error = json!({"error": {"message": "x"}});
    on(
        &script,
        "/v1/customers",
        vec![(500, vec![], error.clone()), (409, vec![], error.clone()), (200, vec![], list(&[], false))],
    );
    client(&address).list(Stream::Customers, &ListParams::default()).await.unwrap();
    assert_eq!(script.lock().unwrap().asked.len(), 3);

    on(&script, "/v1/products", vec![(500, vec![("stripe-should-retry", "false".into())], error.clone())]);
    let refused = client(&address).list(Stream::Products, &ListParams::default()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Server(500));
    assert_eq!(script.lock().unwrap().asked.len(), 4, "Stripe said not to try again");

    on(
        &script,
        "/v1/prices",
        vec![(400, vec![("stripe-should-retry", "true".into())], error.clone()), (200, vec![], list(&[], false))],
    );
    client(&address).list(Stream::Prices, &ListParams::default()).await.unwrap();

    on(&script, "/v1/invoices", vec![(429, vec![], error)]);
    let refused = client(&address).list(Stream::Invoices, &ListParams::default()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::RateLimited, "four times is enough");
}

#[tokio::test]
async fn retry_after_holds_every_request_back() {
    let (script, address) = serve().await;
    let busy = (429, vec![("retry-after", "1".to_owned())], json!({"error": {"message": "slow down"}}));
    on(&script, "/v1/customers", vec![busy, (200, vec![], list(&[], false))]);
    on(&script, "/v1/products", vec![(200, vec![], list(&[], false))]);
    let client = client(&address);
    let other = {
        let client = client.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            client.list(Stream::Products, &ListParams::default()).await.unwrap();
        })
    };
    client.list(Stream::Customers, &ListParams::default()).await.unwrap();
    other.await.unwrap();
    let asked = script.lock().unwrap().asked.iter().map(|it| it.at).collect::<Vec<_>>();
    assert_eq!(asked.len(), 3);
    assert!(asked[1..].iter().all(|at| *at - asked[0] >= Duration::from_millis(990)), "{asked:?}");
}

#[tokio::test]
async fn requests_are_paced_on_this_side() {
    let (script, address) = serve().await;
    for path in ["/v1/customers", "/v1/products"] {
        on(&script, path, vec![(200, vec![], list(&[], false))]);
    }
    let limits = Limits { per_endpoint: NonZeroU32::new(20), overall: NonZeroU32::new(100) };
    let client = with_limits(&address, limits);
    let begun = Instant::now();
    let each = |stream| {
        let client = client.clone();
        async move {
            for _ in 0..12 {
                client.list(stream, &ListParams::default()).await.unwrap();
            }
        }
    };
    tokio::join!(each(Stream::Customers), each(Stream::Products));
    let took = begun.elapsed();
    // 12 at 20 per second with a burst of 2, the two endpoints side by side.
    assert!(took >= Duration::from_millis(480), "too fast: {took:?}");
    assert!(took <= Duration::from_millis(1_500), "the endpoints waited for each other: {took:?}");
}

#[tokio::test]
async fn what_does_not_answer_is_told_apart() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let error = client(&nobody).list(Stream::Customers, &ListParams::default()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Transport(transport::Fault::Unreachable(_))), "{error:?}");

    let (_, address) = serve().await;
    let tls = address.replace("http://", "https://");
    let error = client(&tls).list(Stream::Customers, &ListParams::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transport(transport::Fault::Tls), "plain http where TLS was asked for");

    let error =
        client("http://no-such-host.invalid").list(Stream::Customers, &ListParams::default()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Transport(transport::Fault::UnknownHost { .. })), "{error:?}");

    let error = Client::new("ftp://example.com", StripeKey::new("rk_test_key"), Limits::STRIPE).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Address(_)));
}

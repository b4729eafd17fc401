//! Passes over both sources, on good days and bad ones.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::fakes::{Copy, Served, by_hand, pass, quick, source, until};
use paywall_console::ipc::{FailureCode, Source, SourceState};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_and_both_sources_are_current() {
    let (server, stripe) = (Served::start().await, Served::start().await);
    server.with(|fake| fake.plans(35));
    stripe.with(|fake| fake.fill(47));
    let copy = Copy::new().await;
    let options = paywall_console::sync::SyncOptions { windows: 1, ..by_hand() };
    let engine = copy.engine(Some(&server), Some(&stripe), options).await;

    until(&engine, "both sources", |engine| engine.freshness().as_of.is_some()).await;

    assert_eq!(copy.column("SELECT id FROM plans ORDER BY id").await.len(), 35);
    let charges = copy.column("SELECT id FROM stripe_charges ORDER BY id").await;
    assert_eq!(charges, (0..47).map(|n| format!("ch_{n:05}")).collect::<Vec<_>>());
    let freshness = engine.freshness();
    assert!(freshness.sources.iter().all(|it| it.state == SourceState::Current && it.missing.is_empty()));
    assert!(freshness.clock_skew_ms.is_some_and(|skew| (6_500..9_000).contains(&skew)), "{freshness:?}");
    assert!(!freshness.offline);
    assert_eq!(engine.caller().unwrap().0.name, "Mia");
    until(&engine, "word of the data", |_| copy.counter.data.load(Ordering::SeqCst) > 0).await;
    assert_eq!(stripe.count("/v1/customers?"), 5, "47 objects at 10 per page, each page once");

    let begun = Instant::now();
    engine.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_arrives_by_events_without_another_full_pass() {
    let stripe = Served::start().await;
    stripe.with(|fake| fake.fill(60));
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "Stripe", |engine| engine.freshness().as_of.is_some()).await;

    stripe.forget();
    stripe.with(|fake| {
        // All in one second, in no order that `created` could tell.
        fake.touch("invoices", "in_00003", &json!({"status": "void"}), "invoice.voided");
        fake.touch("subscriptions", "sub_00001", &json!({"status": "canceled"}), "customer.subscription.deleted");
        fake.touch("customers", "cus_00002", &json!({"deleted": true}), "customer.deleted");
        fake.lists.get_mut("products").unwrap().retain(|it| it["id"] != "prod_00007");
        fake.event("product.deleted", &json!({"id": "prod_00007", "object": "product"}));
        let new = json!({"id": "re_99999", "object": "refund", "charge": "ch_00004", "status": "succeeded",
            "created": chrono::Utc::now().timestamp()});
        fake.lists.get_mut("refunds").unwrap().insert(0, new.clone());
        fake.event("refund.created", &new);
    });
    pass(&engine, Source::Stripe).await;

    assert_eq!(copy.column("SELECT status FROM stripe_invoices WHERE id = 'in_00003'").await, ["void"]);
    assert_eq!(copy.column("SELECT status FROM stripe_subscriptions WHERE id = 'sub_00001'").await, ["canceled"]);
    assert_eq!(copy.column("SELECT id FROM stripe_customers WHERE deleted = 1").await, ["cus_00002"]);
    assert_eq!(copy.column("SELECT id FROM stripe_products WHERE id = 'prod_00007'").await, Vec::<String>::new());
    assert_eq!(copy.column("SELECT id FROM stripe_refunds WHERE id = 're_99999'").await, ["re_99999"]);
    assert_eq!(stripe.count("/v1/charges/ch_00004"), 1, "a refund changes its charge");
    let requests = stripe.count("/v1/");
    assert!(requests <= 17, "{requests} requests for five changes is as good as a full pass");

    // A later event of the very second that the copy already knows.
    stripe.forget();
    stripe.with(|fake| fake.touch("invoices", "in_00009", &json!({"status": "open"}), "invoice.finalized"));
    pass(&engine, Source::Stripe).await;
    assert_eq!(copy.column("SELECT status FROM stripe_invoices WHERE id = 'in_00009'").await, ["open"]);
    assert_eq!(stripe.count("/v1/invoices/"), 1, "what was fetched for the first event is not fetched again");
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_the_lists_are_read_is_not_lost() {
    let stripe = Served::start().await;
    stripe.with(|fake| fake.fill(20));
    stripe.with(|fake| fake.spoilt.insert("/v1/disputes".into(), (500, json!({}))));
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), quick()).await;
    until(&engine, "the broken list", |engine| source(engine, Source::Stripe).failure.is_some()).await;
    assert_eq!(source(&engine, Source::Stripe).as_of, None, "a list is lacking: nothing is complete");
    assert_eq!(copy.column("SELECT id FROM stripe_invoices").await.len(), 20, "the other lists go on");

    stripe.with(|fake| {
        fake.touch("invoices", "in_00001", &json!({"status": "void"}), "invoice.voided");
        fake.spoilt.clear();
    });
    until(&engine, "the repaired list", |engine| source(engine, Source::Stripe).state == SourceState::Current).await;
    assert_eq!(copy.column("SELECT status FROM stripe_invoices WHERE id = 'in_00001'").await, ["void"]);
    assert_eq!(copy.column("SELECT id FROM stripe_disputes").await.len(), 20);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lacking_permission_is_named_and_the_other_lists_are_whole() {
    let stripe = Served::start().await;
    let message = "Having the 'rak_charge_read' permission would allow this request to continue.";
    stripe.with(|fake| {
        fake.fill(12);
        fake.spoilt.insert("/v1/charges".into(), (403, json!({"error": {"message": message}})));
        fake.lists.remove("disputes");
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the rest", |engine| engine.freshness().as_of.is_some()).await;

    let seen = source(&engine, Source::Stripe);
    let missing: Vec<(&str, &FailureCode)> =
        seen.missing.iter().map(|it| (it.stream.as_str(), &it.failure.code)).collect();
    let permission =
        FailureCode::StripePermission { permission: Some("rak_charge_read".into()), stream: "charges".into() };
    let absent = FailureCode::StripeMissing { stream: "disputes".into() };
    assert_eq!(missing, [("charges", &permission), ("disputes", &absent)]);
    assert_eq!(seen.state, SourceState::Current);
    assert_eq!(copy.column("SELECT id FROM stripe_invoices").await.len(), 12);

    // Given the permission, the list comes when somebody asks.
    stripe.with(|fake| fake.spoilt.clear());
    pass(&engine, Source::Stripe).await;
    assert_eq!(copy.column("SELECT id FROM stripe_charges").await.len(), 12);
    assert_eq!(source(&engine, Source::Stripe).missing.len(), 1);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_events_the_lists_are_read_again() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        fake.fill(12);
        fake.lists.remove("events");
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
    stripe.with(|fake| fake.lists.get_mut("invoices").unwrap()[11]["status"] = json!("void"));
    pass(&engine, Source::Stripe).await;
    assert_eq!(copy.column("SELECT id FROM stripe_invoices WHERE status = 'void'").await, ["in_00000"]);
    assert_eq!(source(&engine, Source::Stripe).missing[0].stream, "events");
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_starts_over_again_and_again_ends_with_a_failure() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        fake.fill(30);
        fake.ignores_cursor = true;
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the failure", |engine| source(engine, Source::Stripe).failure.is_some()).await;
    let seen = source(&engine, Source::Stripe);
    assert_eq!(seen.failure.unwrap().code, FailureCode::StripeFault);
    assert_eq!(seen.as_of, None, "never fresh");
    assert!(stripe.count("/v1/customers?") <= 40);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_offline_after_five_seconds_and_comes_back_by_itself() {
    let server = Served::start().await;
    server.with(|fake| fake.plans(25));
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, quick()).await;
    until(&engine, "the feed", |engine| engine.freshness().as_of.is_some()).await;
    server.stop();
    until(&engine, "the failure", |engine| source(engine, Source::Server).failure.is_some()).await;
    let failing = source(&engine, Source::Server);
    assert_eq!(failing.failure.unwrap().code, FailureCode::Unreachable { source: Source::Server });
    assert!(!engine.freshness().offline, "not before five seconds");
    let as_of = failing.as_of.unwrap();
    until(&engine, "being offline", |engine| engine.freshness().offline).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(copy.counter.was_offline.load(Ordering::SeqCst), "the observer is told, though nothing else happened");
    assert_eq!(source(&engine, Source::Server).as_of, Some(as_of), "what failed keeps its age");

    server.with(|fake| fake.plans(10));
    let _server = server.restart().await;
    until(&engine, "the recovery", |engine| source(engine, Source::Server).state == SourceState::Current).await;
    assert!(!engine.freshness().offline);
    assert_eq!(copy.column("SELECT id FROM plans").await.len(), 35);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_behind_the_server_starts_its_part_over() {
    let server = Served::start().await;
    server.with(|fake| fake.plans(25));
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, by_hand()).await;
    until(&engine, "the feed", |engine| engine.freshness().as_of.is_some()).await;
    server.with(|fake| {
        fake.instance = "two".into();
        fake.changes.drain(..20);
        fake.plans(20);
    });
    pass(&engine, Source::Server).await;
    let mut expected: Vec<String> = (20..25).chain(5..25).map(|n| format!("plan_{n:05}")).collect();
    expected.sort();
    expected.dedup();
    assert_eq!(copy.column("SELECT id FROM plans ORDER BY id").await, expected);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_engine_reads_on_where_it_was() {
    let (server, stripe) = (Served::start().await, Served::start().await);
    server.with(|fake| fake.plans(300));
    stripe.with(|fake| fake.fill(300));
    let copy = Copy::new().await;
    for round in 0.. {
        let engine = copy.engine(Some(&server), Some(&stripe), by_hand()).await;
        // Ever longer: a busy machine may need a while for the first page.
        tokio::time::sleep(Duration::from_millis(40 + round * 5)).await;
        let done = engine.freshness().as_of.is_some();
        engine.stop().await;
        if done {
            break;
        }
        assert!(round < 100, "it never gets to the end");
    }
    assert_eq!(copy.column("SELECT id FROM plans").await.len(), 300);
    for table in ["SELECT id FROM stripe_customers", "SELECT id FROM stripe_disputes"] {
        assert_eq!(copy.column(table).await.len(), 300);
    }
    copy.cache.verify().await.unwrap();
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_pass_keeps_what_arrived_and_is_no_failure() {
    let stripe = Served::start().await;
    stripe.with(|fake| fake.fill(800));
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "progress", |engine| source(engine, Source::Stripe).progress.is_some()).await;
    engine.cancel();
    until(&engine, "the end", |engine| source(engine, Source::Stripe).next_try_at.is_some()).await;
    let seen = source(&engine, Source::Stripe);
    assert_eq!((seen.state, seen.failure, seen.as_of), (SourceState::Never, None, None));
    let all = "SELECT id FROM stripe_customers UNION ALL SELECT id FROM stripe_products
        UNION ALL SELECT id FROM stripe_prices UNION ALL SELECT id FROM stripe_subscriptions";
    let arrived = copy.column(all).await.len();
    assert!(arrived > 0 && arrived < 3_200, "{arrived}");
    pass(&engine, Source::Stripe).await;
    assert_eq!(copy.column("SELECT id FROM stripe_customers").await.len(), 800);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_is_told_apart() {
    use paywall_console::admin_client::AdminClient;
    let server = Served::start().await;
    let client = AdminClient::new(&server.address, "pw_token".to_owned().into()).unwrap();
    let code = |status: u16, body: serde_json::Value| {
        server.with(|fake| fake.spoilt.insert("/admin/v1/me".into(), (status, body)));
        let client = client.clone();
        async move { client.me().await.unwrap_err().failure.code }
    };
    let problem = |status: u16, code: &str| {
        json!({"type": "urn:paywall:problem:x", "title": "x", "status": status, "code": code, "detail": "x",
            "request_id": "r1", "required_role": "owner"})
    };
    assert_eq!(code(200, json!({"hello": 1})).await, FailureCode::NotPaywallServer);
    assert_eq!(code(404, json!("nothing")).await, FailureCode::NotPaywallServer);
    assert_eq!(code(302, json!("elsewhere")).await, FailureCode::NotPaywallServer);
    assert_eq!(code(502, json!("bad gateway")).await, FailureCode::Unreachable { source: Source::Server });
    assert_eq!(code(401, problem(401, "unauthenticated")).await, FailureCode::TokenRefused);
    assert_eq!(code(401, problem(401, "token_expired")).await, FailureCode::TokenExpired);
    assert_eq!(
        code(403, problem(403, "role_too_low")).await,
        FailureCode::RoleTooLow { required: paywall_domain::Role::Owner }
    );
    assert_eq!(code(500, problem(500, "internal")).await, FailureCode::ServerFault);
    assert!(matches!(code(429, problem(429, "rate_limited")).await, FailureCode::Refused { .. }));
    let me = |product: &str, api: &str| {
        json!({"product": product, "version": "9", "api_version": api, "instance": "i", "now": 0, "token_id": "t",
            "name": "n", "role": "owner", "expires_at": null})
    };
    assert_eq!(code(200, me("something-else", "1.0")).await, FailureCode::NotPaywallServer);
    assert_eq!(
        code(200, me("paywall-server", "2.0")).await,
        FailureCode::ServerVersion { server: "2.0".into(), console: "1.0".into() }
    );
    server.with(|fake| fake.spoilt.insert("/admin/v1/me".into(), (200, me("paywall-server", "1.7"))));
    client.me().await.unwrap();

    let gone = AdminClient::new("http://no-such-host.invalid", "t".to_owned().into()).unwrap();
    let host = "no-such-host.invalid".to_owned();
    assert_eq!(gone.me().await.unwrap_err().failure.code, FailureCode::AddressUnknown { host });
    let tls = AdminClient::new(&server.address.replace("http:", "https:"), "t".to_owned().into()).unwrap();
    assert_eq!(tls.me().await.unwrap_err().failure.code, FailureCode::TlsFailed);
    assert_eq!(
        AdminClient::new("not an address", "t".to_owned().into()).unwrap_err().failure.code,
        FailureCode::AddressInvalid
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_events_only_reading_everything_makes_the_copy_fresh() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        fake.fill(30);
        fake.lists.remove("events");
    });
    let copy = Copy::new().await;
    let options = paywall_console::sync::SyncOptions { full_interval: Duration::from_mins(60), ..quick() };
    let engine = copy.engine(None, Some(&stripe), options).await;
    until(&engine, "the first reading", |engine| source(engine, Source::Stripe).as_of.is_some()).await;
    let read_at = source(&engine, Source::Stripe).as_of;
    stripe.with(|fake| {
        let rows = fake.lists.get_mut("invoices").unwrap();
        rows.iter_mut().find(|it| it["id"] == "in_00003").unwrap()["status"] = json!("void");
    });
    let later = engine.freshness().now;
    until(&engine, "more passes", |engine| {
        source(engine, Source::Stripe).next_try_at.is_some_and(|at| at.ms_since(later) > 500)
    })
    .await;
    assert_eq!(source(&engine, Source::Stripe).as_of, read_at, "nobody said what changed since");
    pass(&engine, Source::Stripe).await;
    assert_eq!(copy.column("SELECT status FROM stripe_invoices WHERE id = 'in_00003'").await, ["void"]);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_makes_nothing_older_or_newer() {
    let server = Served::start().await;
    server.with(|fake| {
        fake.fill(3);
        fake.clock_off_ms = 86_400_000;
    });
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, by_hand()).await;
    until(&engine, "the feed", |engine| engine.freshness().as_of.is_some()).await;
    let seen = engine.freshness();
    let local = paywall_domain::Timestamp(chrono::Utc::now().timestamp_millis());
    let off = |at: paywall_domain::Timestamp| (at.ms_since(local) - 86_400_000).abs() < 60_000;
    assert!(off(seen.now) && off(seen.as_of.unwrap()), "ages go by the server's clock: {seen:#?}");
    engine.stop().await;

    // Offline, the next start still knows.
    let engine = copy.engine(None, None, by_hand()).await;
    assert!(off(engine.now()));
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_token_is_said_and_what_is_here_only_gets_older() {
    let (server, stripe) = (Served::start().await, Served::start().await);
    server.with(|fake| fake.fill(3));
    stripe.with(|fake| fake.fill(3));
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), Some(&stripe), by_hand()).await;
    until(&engine, "both", |engine| engine.freshness().as_of.is_some()).await;
    engine.stop().await;
    let known = source(&engine, Source::Server).as_of.unwrap();

    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    engine.without_token();
    pass(&engine, Source::Stripe).await;
    let seen = engine.freshness();
    assert_eq!(seen.as_of, Some(known), "the older source decides");
    assert_eq!(seen.sources[0].failure.as_ref().unwrap().code, FailureCode::TokenMissing);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_not_given_for_a_while_is_read_from_its_beginning() {
    let stripe = Served::start().await;
    stripe.with(|fake| fake.fill(12));
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the first pass", |engine| engine.freshness().as_of.is_some()).await;
    let refused = (403, json!({"error": {"message": "Having the 'rak_charge_read' permission would allow it."}}));
    stripe.with(|fake| {
        fake.spoilt.insert("/v1/charges".into(), refused.clone());
        fake.spoilt.insert("/v1/charges/ch_00004".into(), refused);
        fake.touch("charges", "ch_00004", &json!({"status": "refunded"}), "charge.refunded");
    });
    pass(&engine, Source::Stripe).await;
    assert_eq!(source(&engine, Source::Stripe).missing[0].stream, "charges");
    stripe.with(|fake| fake.spoilt.clear());
    pass(&engine, Source::Stripe).await;
    assert_eq!(copy.column("SELECT status FROM stripe_charges WHERE id = 'ch_00004'").await, ["refunded"]);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_refused_make_nothing_fresh() {
    let stripe = Served::start().await;
    stripe.with(|fake| fake.fill(12));
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the first pass", |engine| engine.freshness().as_of.is_some()).await;
    let known = source(&engine, Source::Stripe).as_of;
    let message = "Having the 'rak_event_read' permission would allow this request to continue.";
    stripe.with(|fake| fake.spoilt.insert("/v1/events".into(), (403, json!({"error": {"message": message}}))));
    engine.sync_now();
    until(&engine, "the refusal", |engine| !source(engine, Source::Stripe).missing.is_empty()).await;
    until(&engine, "the pass's end", |engine| source(engine, Source::Stripe).progress.is_none()).await;
    assert_eq!(source(&engine, Source::Stripe).as_of, known, "nobody said what changed");
    // Asked again, everything is read, as nothing else tells.
    pass(&engine, Source::Stripe).await;
    engine.stop().await;
    copy.cache.close().await;
}

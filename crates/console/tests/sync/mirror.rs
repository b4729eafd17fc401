//! The copy of Stripe's lists: whole however it is read, and in agreement with what Stripe says now.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fakes::{Copy, Created, Fake, Served, by_hand, pass, source, until};
use paywall_console::ipc::{FailureCode, Source, SourceState, VersionSeenIn};
use paywall_console::sync::SyncOptions;
use paywall_stripe::Stream;
use serde_json::{Value, json};

/// Everything of Stripe's in a copy, by list and id.
async fn everything(copy: &Copy) -> BTreeMap<&'static str, BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for (stream, statement) in [
        (Stream::Customers, "SELECT id FROM stripe_customers WHERE deleted = 0"),
        (Stream::Products, "SELECT id FROM stripe_products"),
        (Stream::Prices, "SELECT id FROM stripe_prices"),
        (Stream::Subscriptions, "SELECT id FROM stripe_subscriptions"),
        (Stream::Invoices, "SELECT id FROM stripe_invoices"),
        (Stream::InvoicePayments, "SELECT id FROM stripe_invoice_payments"),
        (Stream::Charges, "SELECT id FROM stripe_charges"),
        (Stream::Refunds, "SELECT id FROM stripe_refunds"),
        (Stream::CreditNotes, "SELECT id FROM stripe_credit_notes"),
        (Stream::Disputes, "SELECT id FROM stripe_disputes"),
    ] {
        let ids = copy.column(statement).await;
        let objects = copy.cache.stripe_raw(stream, &ids).await.unwrap();
        assert_eq!(objects.len(), ids.len(), "{}", stream.name());
        all.insert(stream.name(), objects.into_iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it)).collect());
    }
    all
}

/// What Stripe has, as [`everything`] gives it.
fn account(stripe: &Served) -> BTreeMap<String, BTreeMap<String, Value>> {
    stripe.with(|fake| {
        let lists = fake.lists.iter().filter(|(list, _)| list.as_str() != "events");
        lists
            .map(|(list, all)| {
                let objects = all.iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it.clone()));
                (list.clone(), objects.collect())
            })
            .collect()
    })
}

fn same(copy: BTreeMap<&'static str, BTreeMap<String, Value>>, account: &BTreeMap<String, BTreeMap<String, Value>>) {
    let copy: BTreeMap<String, _> = copy.into_iter().map(|(list, all)| (list.to_owned(), all)).collect();
    for (list, all) in account {
        let ours: Vec<&String> = copy[list].keys().collect();
        assert_eq!(ours, all.keys().collect::<Vec<_>>(), "{list}");
    }
    assert!(copy == *account, "some object differs");
}

/// Objects spread over two years, some seconds with many, beside those of [`Fake::fill`].
fn spread(fake: &mut Fake, count: i64) {
    fake.fill(30);
    let now = chrono::Utc::now().timestamp();
    for (list, prefix) in [("invoices", "in"), ("charges", "ch"), ("customers", "cus")] {
        let older = (0..count).map(|n| {
            // Some in one second, some far apart, more of them lately.
            let ago = 200_000 + (n / 7) * (n / 7) * 600;
            json!({"id": format!("{prefix}_old{n:05}"), "object": &list[..list.len() - 1], "currency": "usd",
                "created": now - ago, "status": "paid", "livemode": false})
        });
        fake.lists.get_mut(list).unwrap().extend(older);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_windows_the_same_arrives_as_in_one_piece() {
    let stripe = Served::start().await;
    stripe.with(|fake| spread(fake, 1_500));
    let account = account(&stripe);
    for windows in [1, 2, 8] {
        stripe.forget();
        let copy = Copy::new().await;
        let engine = copy.engine(None, Some(&stripe), SyncOptions { windows, ..by_hand() }).await;
        until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
        same(everything(&copy).await, &account);
        let pages = stripe.count("/v1/invoices?");
        assert!(
            (153..153 + 40).contains(&pages),
            "{pages} pages in {windows} windows for 1,530 objects at 10 per page"
        );
        assert_eq!(copy.column("SELECT stream FROM stripe_windows").await, Vec::<String>::new());
        // Nothing is read twice once it is here.
        stripe.forget();
        pass(&engine, Source::Stripe).await;
        assert!(stripe.count("/v1/invoices?") <= 2);
        engine.stop().await;
        copy.cache.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_at_any_moment_each_window_reads_on_where_it_was() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        spread(fake, 600);
        fake.delay = Duration::from_millis(4);
    });
    let copy = Copy::new().await;
    let mut engines = 0;
    loop {
        let engine = copy.engine(None, Some(&stripe), by_hand()).await;
        engines += 1;
        assert!(engines < 150, "it never gets to the end");
        // Ever longer: a busy machine may need a while for the first page.
        tokio::time::sleep(Duration::from_millis(20 + engines * 7)).await;
        let done = engine.freshness().as_of.is_some();
        engine.stop().await;
        if done {
            break;
        }
    }
    assert!(engines > 3, "it was not cut off");
    same(everything(&copy).await, &account(&stripe));
    // Requests that were under way are asked again, and no more than those.
    let pages = stripe.count("/v1/invoices?");
    let lost = 33 * engines as usize;
    assert!(pages <= 63 + 40 + lost, "{pages} pages for 63, cut off {engines} times");
    copy.cache.verify().await.unwrap();
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_deleted_while_it_is_the_cursor_costs_nothing_else() {
    for windows in [1, 4] {
        let stripe = Served::start().await;
        stripe.with(|fake| {
            spread(fake, 200);
            fake.loses_cursor_of = Some("charges".into());
        });
        let copy = Copy::new().await;
        let engine = copy.engine(None, Some(&stripe), SyncOptions { windows, ..by_hand() }).await;
        until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
        assert!(stripe.with(|fake| fake.loses_cursor_of.is_none()));
        let here = copy.column("SELECT id FROM stripe_charges").await;
        assert_eq!(here.len(), 230, "it was given before it was deleted; an event tells of that");
        assert_eq!(stripe.with(|fake| fake.lists["charges"].len()), 229);
        engine.stop().await;
        copy.cache.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_narrowed_by_time_is_read_in_one_piece() {
    for created in [Created::Refused, Created::Ignored] {
        for oldest_first in [false, true] {
            let stripe = Served::start().await;
            stripe.with(|fake| {
                spread(fake, 120);
                fake.created = created;
                if oldest_first {
                    fake.lists.values_mut().for_each(|all| all.reverse());
                }
            });
            let copy = Copy::new().await;
            let engine = copy.engine(None, Some(&stripe), by_hand()).await;
            until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
            same(everything(&copy).await, &account(&stripe));
            engine.stop().await;
            copy.cache.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_windows_are_read_is_not_lost() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        spread(fake, 600);
        fake.delay = Duration::from_millis(5);
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    for n in 0..20 {
        until(&engine, "progress", |_| stripe.count("/v1/") > 12 + n * 6).await;
        stripe.with(|fake| {
            let now = chrono::Utc::now().timestamp();
            // One that was read already or is read later, and one that was never there.
            fake.touch("invoices", &format!("in_old{:05}", n * 29), &json!({"status": "void"}), "invoice.voided");
            let new = json!({"id": format!("re_new{n}"), "object": "refund", "created": now, "charge": null});
            fake.lists.get_mut("refunds").unwrap().insert(0, new.clone());
            fake.event("refund.created", &new);
        });
    }
    until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
    same(everything(&copy).await, &account(&stripe));
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_for_haste_delay_the_reading_and_lose_nothing() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        spread(fake, 300);
        fake.refuses_every = 5;
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the lists", |engine| {
        if source(engine, Source::Stripe).failure.is_some() {
            // Somebody else uses up the account's limit for long; the next pass goes on.
            engine.sync_now();
        }
        engine.freshness().as_of.is_some()
    })
    .await;
    same(everything(&copy).await, &account(&stripe));
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_reading_does_not_give_is_gone() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        fake.fill(40);
        // Nothing but reading the lists again tells what changed.
        fake.lists.remove("events");
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
    stripe.with(|fake| {
        for (list, id) in [("invoices", "in_00007"), ("products", "prod_00011"), ("customers", "cus_00003")] {
            fake.lists.get_mut(list).unwrap().retain(|it| it["id"] != id);
        }
    });
    pass(&engine, Source::Stripe).await;
    same(everything(&copy).await, &account(&stripe));
    assert_eq!(copy.column("SELECT id FROM stripe_customers WHERE deleted = 1").await, ["cus_00003"]);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_test_clocks_do_not_count() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        fake.fill(12);
        // Not hidden, as Stripe hides them in lists, and without a mark of their own where Stripe has none.
        for list in ["charges", "credit_notes"] {
            fake.lists.get_mut(list).unwrap()[3]["customer"] = json!("cus_00002");
        }
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
    assert_eq!(copy.column("SELECT id FROM stripe_charges").await.len(), 12);

    stripe.with(|fake| {
        let clock = json!({"test_clock": "clock_1"});
        fake.touch("customers", "cus_00002", &clock, "customer.updated");
        let change = json!({"test_clock": "clock_1", "customer": "cus_00005", "status": "active"});
        fake.touch("subscriptions", "sub_00004", &change, "customer.subscription.updated");
        fake.touch("invoices", "in_00006", &json!({"customer": "cus_00005"}), "invoice.paid");
    });
    pass(&engine, Source::Stripe).await;
    let here = everything(&copy).await;
    for (list, id) in [
        ("customers", "cus_00002"),
        ("customers", "cus_00005"),
        ("subscriptions", "sub_00004"),
        ("invoices", "in_00006"),
        ("charges", "ch_00008"),
        ("credit_notes", "cn_00008"),
    ] {
        assert_eq!(here[list].len(), if list == "customers" { 10 } else { 11 }, "{list}");
        assert!(!here[list].contains_key(id), "{id}");
    }
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_api_is_told_with_an_example_and_stops_nothing() {
    let stripe = Served::start().await;
    stripe.with(|fake| fake.fill(12));
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
    assert_eq!(source(&engine, Source::Stripe).versions, []);

    stripe.with(|fake| {
        fake.touch("invoices", "in_00003", &json!({"status": "void"}), "invoice.voided");
        fake.lists.get_mut("events").unwrap()[0]["api_version"] = json!("2019-12-03");
        fake.answers_in = Some("2027-01-01.fantasy".into());
    });
    pass(&engine, Source::Stripe).await;
    let seen = source(&engine, Source::Stripe);
    assert_eq!((seen.state, seen.failure), (SourceState::Current, None));
    let mut told: Vec<(&str, VersionSeenIn)> =
        seen.versions.iter().map(|it| (it.version.as_str(), it.seen_in)).collect();
    told.sort_unstable_by_key(|it| it.0);
    assert_eq!(told, [("2019-12-03", VersionSeenIn::Events), ("2027-01-01.fantasy", VersionSeenIn::Answers)]);
    assert_eq!(seen.versions.iter().find(|it| it.seen_in == VersionSeenIn::Events).unwrap().example, "evt_00000");
    assert_eq!(copy.column("SELECT status FROM stripe_invoices WHERE id = 'in_00003'").await, ["void"]);
    engine.stop().await;

    let engine = copy.engine(None, None, by_hand()).await;
    assert_eq!(source(&engine, Source::Stripe).versions.len(), 2, "offline, the copy still tells");
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_object_is_named_until_it_can_be_read() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        fake.fill(25);
        fake.lists.get_mut("invoices").unwrap()[13]["total"] = json!("a lot");
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
    let seen = source(&engine, Source::Stripe);
    assert_eq!((seen.state, seen.unreadable), (SourceState::Current, vec!["in_00011".to_owned()]));
    assert_eq!(copy.column("SELECT id FROM stripe_invoices").await.len(), 24);

    // No event tells of it: whoever asks has it tried again.
    stripe.with(|fake| fake.lists.get_mut("invoices").unwrap()[13]["total"] = json!(100));
    pass(&engine, Source::Stripe).await;
    assert_eq!(source(&engine, Source::Stripe).unreadable, Vec::<String>::new());
    assert_eq!(copy.column("SELECT id FROM stripe_invoices").await.len(), 25);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoices_payments_come_with_its_changes() {
    let stripe = Served::start().await;
    stripe.with(|fake| fake.fill(12));
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
    // A payment of a voided invoice is canceled, of which no event tells.
    stripe.with(|fake| {
        let payment = json!({"id": "inpay_00005", "object": "invoice_payment", "created": 5, "status": "canceled",
            "invoice": "in_00005", "payment": {"type": "payment_intent", "payment_intent": {"id": "pi_1"}}});
        let payments = json!({"object": "list", "has_more": false, "data": [payment]});
        fake.touch("invoices", "in_00005", &json!({"status": "void", "payments": payments}), "invoice.voided");
    });
    pass(&engine, Source::Stripe).await;
    let about = "SELECT status || ' ' || payment_intent FROM stripe_invoice_payments WHERE invoice = 'in_00005'";
    assert_eq!(copy.column(about).await, ["canceled pi_1"]);
    let raw = copy.cache.stripe_raw(Stream::Invoices, &["in_00005".into()]).await.unwrap();
    assert!(raw[0].get("payments").is_none(), "they are kept once");
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_past_the_first_page_discounts_and_tiers_make_up_the_revenue() {
    let stripe = Served::start().await;
    let price = |id: &str, amount: i64| {
        json!({"id": id, "object": "price", "currency": "usd", "unit_amount": amount, "billing_scheme": "per_unit",
            "created": 1_600_000_000, "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}})
    };
    let discount = |coupon: Value| json!({"id": "di_1", "object": "discount", "start": 1, "end": null, "source": {"type": "coupon", "coupon": coupon}});
    let half = json!({"id": "half", "object": "coupon", "percent_off": 50, "duration": "forever"});
    stripe.with(|fake| {
        fake.fill(3);
        let item = |n: i64| {
            json!({"id": format!("si_{n}"), "object": "subscription_item", "subscription": "sub_00000", "quantity": 1,
                "created": 1_600_000_000, "price": price("price_a", 1_000), "discounts": []})
        };
        let items: Vec<Value> = (0..13).map(item).collect();
        fake.lists.insert("subscription_items".into(), items.clone());
        let subscription = |id: &str, items: Value| {
            json!({"id": id, "object": "subscription", "status": "active", "currency": "usd", "customer": "cus_00000",
                "created": 1_600_000_000, "start_date": 1_600_000_000, "discounts": [], "items": items})
        };
        // Thirteen items, of which the list shows ten.
        let many = subscription("sub_00000", json!({"has_more": true, "data": items[..10]}));
        // An item's own discount, whose coupon the list only names.
        let mut named = item(20);
        named["subscription"] = json!("sub_00001");
        named["discounts"] = json!([discount(json!("half"))]);
        let discounted = subscription("sub_00001", json!({"has_more": false, "data": [named.clone()]}));
        named["discounts"] = json!([discount(half.clone())]);
        fake.lists.get_mut("subscription_items").unwrap().push(named);
        // Tiers, which the subscription does not carry but the list of prices does.
        let mut tiered = price("price_00002", 0);
        tiered["unit_amount"] = Value::Null;
        tiered["billing_scheme"] = json!("tiered");
        tiered["tiers_mode"] = json!("graduated");
        let mut carried = tiered.clone();
        tiered["tiers"] = json!([
            {"up_to": 5, "unit_amount": 100, "unit_amount_decimal": "100", "flat_amount": null, "flat_amount_decimal": null},
            {"up_to": null, "unit_amount": 10, "unit_amount_decimal": "10", "flat_amount": null, "flat_amount_decimal": null},
        ]);
        carried.as_object_mut().unwrap().remove("tiers");
        let by_tiers = json!({"id": "si_30", "object": "subscription_item", "subscription": "sub_00002", "quantity": 8,
            "created": 1_600_000_000, "price": carried, "discounts": []});
        let tiers = subscription("sub_00002", json!({"has_more": false, "data": [by_tiers]}));
        fake.lists.insert("subscriptions".into(), vec![tiers, discounted, many]);
        fake.lists.insert("prices".into(), vec![tiered]);
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the lists", |engine| engine.freshness().as_of.is_some()).await;
    let mrr = "SELECT id || ' ' || mrr || ' ' || coalesce(mrr_fault, '') FROM stripe_subscriptions ORDER BY id";
    // In 1/10,000 of a cent: 13 * $10; $5; 5 * $1 + 3 * $0.10.
    assert_eq!(copy.column(mrr).await, ["sub_00000 130000000 ", "sub_00001 5000000 ", "sub_00002 5300000 "]);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_not_offered_are_named_and_the_others_are_whole() {
    let stripe = Served::start().await;
    stripe.with(|fake| {
        fake.fill(12);
        fake.lists.remove("invoice_payments");
        fake.lists.remove("credit_notes");
    });
    let copy = Copy::new().await;
    let engine = copy.engine(None, Some(&stripe), by_hand()).await;
    until(&engine, "the rest", |engine| engine.freshness().as_of.is_some()).await;
    let missing = source(&engine, Source::Stripe).missing;
    let codes: Vec<&FailureCode> = missing.iter().map(|it| &it.failure.code).collect();
    let absent = |list: &str| FailureCode::StripeMissing { stream: list.into() };
    assert_eq!(codes, [&absent("credit_notes"), &absent("invoice_payments")]);
    assert_eq!(copy.column("SELECT id FROM stripe_invoices").await.len(), 12);
    engine.stop().await;
    copy.cache.close().await;
}

//! Trials that live in Stripe: whichever side is changed first, both are equal after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_contract::{Adjustment, AdjustmentOutcome, IntakeRecord, Problem, TenantIntake};
use paywall_domain::{Role, Status, Timestamp, UndoRefusal};
use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{Card, Clock, Delivering, ScriptedStripe, Settings, Trouble};
use paywall_server::{Clock as _, Config, Server, SystemClock};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::app::{Database, NOW, Place, extend, id, trying};
use crate::process::Running;
use crate::shop::Shop;
use crate::world::{LONG, becomes};

on_each_database! {
    what_staff_change_of_a_trial_is_shown_first_and_then_changed_in_stripe,
    ending_it_charges_and_is_not_undone,
    a_gift_is_not_charged_for,
    a_gift_that_outlasts_the_trial_is_taken_back,
    a_gift_that_outlasts_the_trial_is_prolonged,
    what_was_changed_in_stripe_first_comes_here_and_does_not_go_back,
    a_suspension_and_a_trial_of_the_paywalls_own_touch_nothing,
    answers_that_are_lost_and_outages_change_it_once,
    a_server_that_is_killed_tells_stripe_once,
}

/// Tenant 1 has bought, and tries on for 10 days: the trial is Stripe's.
async fn trialing(on: Database) -> (Shop, String) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", 10)).await;
    let bought = shop.sold().await;
    becomes(&shop.app, 1, |it| it.facts.subscription.is_some()).await;
    assert_eq!(shop.subscription(&bought)["status"], "trialing");
    (shop, bought)
}

impl Shop {
    /// What a change would do.
    async fn dry(&self, change: &Value) -> AdjustmentOutcome {
        let path = format!("/admin/v1/tenants/{}/adjustments?dry_run=true", id(1));
        let asked = self.app.request(Role::Owner, Method::POST, &path);
        asked.json(&json!({"change": change, "reason": ""})).send().await.unwrap().json().await.unwrap()
    }

    async fn change(&self, key: &str, change: Value) -> Adjustment {
        let shown = self.dry(&change).await;
        assert_eq!(shown.adjustment, None);
        let answer = self.app.change(1, key, change).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let made: AdjustmentOutcome = answer.json().await.unwrap();
        assert_eq!(made.stripe_writes, shown.stripe_writes, "what is shown is what is done");
        self.delivered().await;
        made.adjustment.unwrap()
    }

    async fn undo(&self, made: &Adjustment, key: &str) -> AdjustmentOutcome {
        let answer = self.app.undo(&made.id, key).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let undone = answer.json().await.unwrap();
        self.delivered().await;
        undone
    }

    async fn ends_at(&self) -> Timestamp {
        self.app.tenant(1).await.facts.trial.unwrap().ends_at
    }

    /// Days go by, here and in Stripe.
    async fn pass(&self, days: i64) {
        self.app.clock.advance_ms(days * 86_400_000);
        self.stripe.advance(Duration::from_secs(days.unsigned_abs() * 86_400));
        self.delivered().await;
    }

    /// Invoices that cost something and were paid.
    fn paid(&self) -> usize {
        self.stripe.state(Kind::Invoice).iter().filter(|it| it["amount_paid"].as_i64() > Some(0)).count()
    }

    /// How often a subscription was changed.
    fn changes(&self) -> usize {
        self.stripe.events().iter().filter(|it| it["type"] == "customer.subscription.updated").count()
    }
}

fn parameters(outcome: &AdjustmentOutcome) -> Vec<(String, String)> {
    outcome.stripe_writes.iter().flat_map(|it| &it.parameters).map(|it| (it.name.clone(), it.value.clone())).collect()
}

async fn what_staff_change_of_a_trial_is_shown_first_and_then_changed_in_stripe(on: Database) {
    let (shop, bought) = trialing(on).await;
    let shown = shop.dry(&extend(7)).await;
    let end = NOW.plus_days(17).0 / 1000;
    assert_eq!(parameters(&shown), [("trial_end".to_owned(), end.to_string())]);
    assert_eq!(
        (shown.stripe_writes[0].operation.as_str(), &shown.stripe_writes[0].object),
        ("update_subscription", &bought)
    );
    assert_eq!(shop.changes(), 0, "only shown");
    let made = shop.change("extend", extend(7)).await;
    assert_eq!(shop.subscription(&bought)["trial_end"], json!(end));
    assert_eq!(shop.ends_at().await, NOW.plus_days(17));
    assert_eq!(shop.changes(), 1);
    // The same request again is the same change.
    let again = shop.app.change_at(1, "extend", made_version(&shop).await, extend(7)).await;
    assert_eq!(again.status(), StatusCode::OK);
    shop.delivered().await;
    assert_eq!(shop.changes(), 1);
    shop.undo(&made, "undo").await;
    assert_eq!(shop.subscription(&bought)["trial_end"], json!(NOW.plus_days(10).0 / 1000));
    assert_eq!((shop.ends_at().await, shop.changes()), (NOW.plus_days(10), 2));
    assert_eq!(shop.drifts().await, []);
    shop.app.stop().await;
}

async fn made_version(shop: &Shop) -> i64 {
    shop.app.tenant(1).await.version
}

async fn ending_it_charges_and_is_not_undone(on: Database) {
    let (shop, bought) = trialing(on).await;
    assert_eq!(
        parameters(&shop.dry(&json!({"kind": "end_trial"})).await),
        [("trial_end".to_owned(), "now".to_owned())]
    );
    let made = shop.change("end", json!({"kind": "end_trial"})).await;
    assert_eq!(shop.subscription(&bought)["status"], "active");
    let paid: Vec<Value> =
        shop.stripe.state(Kind::Invoice).into_iter().filter(|it| it["amount_paid"] == json!(4900)).collect();
    assert_eq!(paid.len(), 1, "charged once");
    let tenant = becomes(&shop.app, 1, |it| it.status == Status::Active).await;
    assert_eq!(tenant.facts.trial.unwrap().ends_at, NOW);
    let refused = shop.app.undo(&made.id, "undo").await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let refused: Problem = refused.json().await.unwrap();
    assert_eq!(refused.undo, Some(UndoRefusal::InStripe));
    assert_eq!(shop.drifts().await, []);
    shop.app.stop().await;
}

async fn a_gift_is_not_charged_for(on: Database) {
    let (shop, bought) = trialing(on).await;
    let until = NOW.plus_days(60);
    let comp = |until: Option<Timestamp>| json!({"kind": "comp", "plan": "enterprise", "until": until});
    let pause = |shop: &Shop| shop.subscription(&bought)["pause_collection"].clone();
    let made = shop.change("comp", comp(Some(until))).await;
    assert_eq!(pause(&shop), json!({"behavior": "void", "resumes_at": until.0 / 1000}));
    shop.undo(&made, "undo").await;
    assert_eq!(pause(&shop), Value::Null);
    // A pause that somebody made in Stripe is theirs.
    let path = format!("/v1/subscriptions/{bought}");
    shop.stripe.post(&path, &[("pause_collection[behavior]", "keep_as_draft")]).unwrap();
    shop.delivered().await;
    let made = shop.change("again", comp(None)).await;
    shop.undo(&made, "undo again").await;
    assert_eq!(pause(&shop)["behavior"], "keep_as_draft");
    shop.stripe.post(&path, &[("pause_collection", "")]).unwrap();
    shop.delivered().await;
    // Its end comes and goes, and nothing was charged; when the gift ends, Stripe charges again.
    shop.change("for a while", comp(Some(until))).await;
    shop.pass(50).await;
    assert_eq!((shop.subscription(&bought)["status"].clone(), shop.paid()), (json!("active"), 0));
    assert_eq!(shop.app.tenant(1).await.status, Status::Active);
    shop.pass(30).await;
    assert!(pause(&shop).is_null() && shop.paid() >= 1);
    assert_eq!(shop.drifts().await, []);
    shop.app.stop().await;
}

fn gift(until: Option<Timestamp>) -> Value {
    json!({"kind": "comp", "plan": "enterprise", "until": until})
}

async fn a_gift_that_outlasts_the_trial_is_taken_back(on: Database) {
    let (shop, bought) = trialing(on).await;
    let made = shop.change("comp", gift(None)).await;
    shop.pass(20).await;
    assert_eq!((shop.subscription(&bought)["status"].clone(), shop.paid()), (json!("active"), 0));
    shop.undo(&made, "undo").await;
    assert_eq!(shop.subscription(&bought)["pause_collection"], Value::Null, "else nothing is ever charged again");
    shop.pass(40).await;
    assert!(shop.paid() >= 1);
    // Whoever pays and is given more goes on paying for what was bought.
    let before = shop.changes();
    let made = shop.change("more", gift(Some(NOW.plus_days(90)))).await;
    shop.undo(&made, "no more").await;
    assert_eq!((shop.changes(), shop.drifts().await), (before, Vec::new()));
    shop.app.stop().await;
}

async fn a_gift_that_outlasts_the_trial_is_prolonged(on: Database) {
    let (shop, bought) = trialing(on).await;
    shop.change("comp", gift(Some(NOW.plus_days(60)))).await;
    shop.pass(50).await;
    shop.change("longer", gift(Some(NOW.plus_days(120)))).await;
    let resumes_at = NOW.plus_days(120).0 / 1000;
    assert_eq!(shop.subscription(&bought)["pause_collection"], json!({"behavior": "void", "resumes_at": resumes_at}));
    shop.pass(50).await;
    assert_eq!(shop.paid(), 0, "the gift lasts");
    assert_eq!(shop.drifts().await, []);
    shop.app.stop().await;
}

async fn what_was_changed_in_stripe_first_comes_here_and_does_not_go_back(on: Database) {
    let (shop, bought) = trialing(on).await;
    let path = format!("/v1/subscriptions/{bought}");
    let set = |days: u32| {
        let end = (NOW.plus_days(days).0 / 1000).to_string();
        shop.stripe.post(&path, &[("trial_end", &end), ("proration_behavior", "none")]).unwrap();
    };
    for days in [20, 5] {
        set(days);
        let before = shop.changes();
        shop.delivered().await;
        becomes(&shop.app, 1, |it| it.facts.trial.as_ref().unwrap().ends_at == NOW.plus_days(days)).await;
        assert_eq!(shop.changes(), before, "nothing goes back");
    }
    // Both, and nobody has told of Stripe's: the later end holds.
    set(30);
    shop.change("extend", extend(7)).await;
    becomes(&shop.app, 1, |it| it.facts.trial.as_ref().unwrap().ends_at == NOW.plus_days(30)).await;
    assert_eq!(shop.subscription(&bought)["trial_end"], json!(NOW.plus_days(30).0 / 1000));
    set(31);
    shop.change("further", extend(10)).await;
    becomes(&shop.app, 1, |it| it.facts.trial.as_ref().unwrap().ends_at == NOW.plus_days(40)).await;
    assert_eq!(shop.subscription(&bought)["trial_end"], json!(NOW.plus_days(40).0 / 1000));
    assert_eq!(shop.drifts().await, []);
    shop.app.stop().await;
}

async fn a_suspension_and_a_trial_of_the_paywalls_own_touch_nothing(on: Database) {
    let (shop, _) = trialing(on).await;
    let made = shop.change("suspend", json!({"kind": "suspend", "message": null})).await;
    shop.undo(&made, "reinstate").await;
    shop.change("note", json!({"kind": "note"})).await;
    shop.bring_in(trying(2, "Two", 5)).await;
    assert_eq!(shop.app.change(2, "own", extend(3)).await.status(), StatusCode::OK);
    shop.delivered().await;
    assert_eq!(shop.changes(), 0);
    assert_eq!(shop.number("SELECT count(*) FROM stripe_outbox").await, 0);
    // Once the trial is over in Stripe, a trial here is the paywall's own again.
    shop.change("end", json!({"kind": "end_trial"})).await;
    let before = shop.changes();
    let shown = shop.dry(&extend(3)).await;
    assert_eq!(shown.stripe_writes, []);
    shop.change("more", extend(3)).await;
    assert_eq!(shop.changes(), before);
    shop.app.stop().await;
}

async fn answers_that_are_lost_and_outages_change_it_once(on: Database) {
    let (shop, bought) = trialing(on).await;
    let path = format!("/v1/subscriptions/{bought}");
    shop.stripe.trouble(&Method::POST, &path, Trouble::AnswerLost);
    shop.change("extend", extend(1)).await;
    assert_eq!((shop.changes(), shop.ends_at().await), (1, NOW.plus_days(11)));
    // It was sent, and nobody knows: whoever comes next finds that nothing is left to do.
    let mut connection = shop.app.intruder().await;
    sqlx::query("UPDATE stripe_outbox SET state = 'pending', next_attempt_at = 0")
        .execute(&mut connection)
        .await
        .unwrap();
    shop.delivered().await;
    assert_eq!(shop.changes(), 1);
    // Extended and taken back while nothing could be sent: there is nothing to send.
    sqlx::query("UPDATE stripe_outbox SET state = 'pending', next_attempt_at = 9000000000000")
        .execute(&mut connection)
        .await
        .unwrap();
    let answer = shop.app.change(1, "further", extend(5)).await;
    let made: AdjustmentOutcome = answer.json().await.unwrap();
    assert_eq!(shop.app.undo(&made.adjustment.unwrap().id, "back").await.status(), StatusCode::OK);
    sqlx::query("UPDATE stripe_outbox SET next_attempt_at = 0").execute(&mut connection).await.unwrap();
    shop.delivered().await;
    assert_eq!((shop.changes(), shop.ends_at().await), (1, NOW.plus_days(11)));
    shop.app.stop().await;
}

async fn a_server_that_is_killed_tells_stripe_once(on: Database) {
    let kills = if std::env::var("PAYWALL_SOAK").is_ok_and(|it| it == "1") { 200 } else { 10 };
    let seed: u64 = std::env::var("PAYWALL_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("PAYWALL_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (place, begun) = (Place::new(on), SystemClock.now());
    let rules = paywall_sandbox::Rules { latency: Duration::from_millis(15), ..Settings::default().rules };
    let settings =
        Settings { now: begun, clock: Clock::Running, delivering: Delivering::ByHand, rules, ..Settings::default() };
    let stripe = ScriptedStripe::start(settings).await.unwrap();
    let price = stripe.add_price("Pro", "eur", 4900, "month").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("paywall.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\ntoken_key = \"a key of this test, long enough\"\npublic_url = \"https://paywall.example\"
         stripe_url = \"{}\"\nstripe_key = \"{}\"
         [[plan]]\nid = \"starter\"\nname = \"Starter\"\n[[plan]]\nid = \"pro\"\nname = \"Pro\"\nstripe_prices = [\"{price}\"]\n",
        stripe.url(),
        stripe.key(),
    );
    std::fs::write(&file, text).unwrap();
    let key = SecretString::from("a key of this test, long enough");
    let config = Config { database_url: place.url(), token_key: key, ..Config::default() };
    let server = Server::open(config, Arc::new(SystemClock)).await.unwrap();
    let token = server.create_token("test", Role::Owner, None).await.unwrap();
    let mut tenant = trying(1, "Killed", 0);
    tenant.facts.trial.as_mut().unwrap().ends_at = begun.plus_days(10);
    let tenant = TenantIntake { stripe_customer: None, ..tenant };
    server.import([IntakeRecord::Tenant(Box::new(tenant))]).await.unwrap();
    drop(server);

    let client = reqwest::Client::new();
    let ask = async |running: &Running, method: Method, path: &str, body: Option<Value>, key: &str| {
        let url = format!("{}/admin/v1/tenants/{}{path}", running.address, id(1));
        let version = async |running: &Running| {
            let url = format!("{}/admin/v1/tenants/{}", running.address, id(1));
            let tenant: Value = client.get(url).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
            tenant["version"].to_string()
        };
        // Another version by then: Stripe's word was taken over in between.
        for _ in 0..20 {
            let request = client.request(method.clone(), &url).bearer_auth(&token).header("Idempotency-Key", key);
            let request = request.header("If-Match", format!("\"{}\"", version(running).await));
            let request = if let Some(body) = &body { request.json(body) } else { request };
            let answer = request.send().await.unwrap();
            if answer.status() != StatusCode::PRECONDITION_FAILED {
                return answer;
            }
        }
        panic!("it changes all the time");
    };
    let first = Running::start(&place, &file);
    let link: Value =
        ask(&first, Method::POST, "/checkout", Some(json!({"plan": "pro"})), "-").await.json().await.unwrap();
    let session = link["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    stripe.complete_checkout(&session, Card::Good).unwrap();
    let session = stripe.object(Kind::CheckoutSession, &session).unwrap();
    let bought = session["subscription"].as_str().unwrap().to_owned();
    // Asked again it finds that it was paid, and takes it over.
    ask(&first, Method::POST, "/checkout", Some(json!({"plan": "pro"})), "-").await;
    let mut connection = place.connection().await;
    let waits = Instant::now();
    while sqlx::query("SELECT 1 FROM billed_subscriptions").fetch_optional(&mut connection).await.unwrap().is_none() {
        assert!(waits.elapsed() < LONG, "what was bought is not taken over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(first);
    for number in 0..kills {
        let running = Running::start(&place, &file);
        let body = json!({"change": extend(1), "reason": "customer asked"});
        let answer = ask(&running, Method::POST, "/adjustments", Some(body), &format!("key-{number}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "PAYWALL_SEED={seed}");
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..120))).await;
        drop(running);
        // Whoever is killed has its work taken up when its time is over; nobody waits for that here.
        sqlx::query("UPDATE stripe_outbox SET next_attempt_at = 0 WHERE state = 'pending'")
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let last = Running::start(&place, &file);
    let waits = Instant::now();
    loop {
        let (left,): (i64,) = sqlx::query_as("SELECT count(*) FROM stripe_outbox WHERE state <> 'done'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if left == 0 {
            break;
        }
        assert!(waits.elapsed() < LONG, "PAYWALL_SEED={seed}: {left} are not sent");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let end = begun.plus_days(10 + kills).0;
    let is = stripe.object(Kind::Subscription, &bought).unwrap()["trial_end"].as_i64().unwrap();
    assert_eq!(is, (end + 999) / 1000, "PAYWALL_SEED={seed}");
    let (facts,): (String,) = sqlx::query_as("SELECT facts FROM tenants").fetch_one(&mut connection).await.unwrap();
    let facts: Value = serde_json::from_str(&facts).unwrap();
    assert!((facts["trial"]["ends_at"].as_i64().unwrap() - end).abs() < 1000, "PAYWALL_SEED={seed}: {facts}");
    // Each end that it had was set once, one after the other.
    let events = stripe.events();
    let ends: Vec<i64> = events
        .iter()
        .filter(|it| it["type"] == "customer.subscription.updated")
        .filter_map(|it| it["data"]["object"]["trial_end"].as_i64())
        .collect();
    assert!(!ends.is_empty() && ends.len() <= kills as usize, "PAYWALL_SEED={seed}: {ends:?}");
    assert!(ends.is_sorted_by(|a, b| a < b), "PAYWALL_SEED={seed}: {ends:?}");
    drop(last);
}

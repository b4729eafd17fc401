//! While a database is away: who is known goes on, nobody waits long, and nothing that was used is forgotten.

use std::time::Duration;

use paywall_domain::Meter;
use paywall_server::FailOpen;
use reqwest::Method;
use secrecy::SecretString;
use tokio::time::sleep;

use crate::on_each_pair;
use crate::ragflow::key;
use crate::relay::Relay;
use crate::world::{On, World, comp, end_trial, eventually};

/// The longest that a request may take while a database is away.
const PATIENCE: Duration = Duration::from_millis(1_500);

async fn without_ragflows_database_who_is_known_goes_on(world: World) {
    world.users(2);
    let paywall = world.serve().await;
    let open = world
        .serve_before(paywall.upstream.clone(), |config| config.fail_open = FailOpen::parse("trial,unknown").unwrap());
    let open = if world.on == On::Postgres { Some(open.await) } else { None };
    assert!(paywall.ask(&key(1), "d1").await.passed());
    paywall.tenant(2).await;
    world.ragflow.stop();
    for round in 0..10 {
        let answer = paywall.ask(&key(1), "d1").await;
        assert!(answer.passed() && answer.took < PATIENCE, "{round}: {answer:?}");
        let answer = paywall.ask(&key(2), "d2").await;
        assert_eq!((answer.status, answer.code()), (503, Some("paywall_unavailable")), "{answer:?}");
        assert!(answer.header("retry-after").is_some() && answer.took < PATIENCE, "{round}: {answer:?}");
        // What costs nothing waits for nobody.
        let answer = paywall.send(paywall.with(Method::GET, "/api/v1/datasets", &key(2))).await;
        assert!(answer.passed() && answer.took < PATIENCE, "{answer:?}");
        if let Some(open) = &open {
            let answer = open.ask(&key(2), "d2").await;
            assert!(answer.passed() && answer.took < PATIENCE, "{answer:?}");
        }
        sleep(Duration::from_millis(300)).await;
    }
    let page = paywall.send(paywall.with(Method::GET, "/paywall/status", &key(2))).await;
    assert_eq!((page.status, page.json()["code"].as_str()), (503, Some("paywall_unavailable")));

    world.ragflow.restart();
    eventually(async || paywall.ask(&key(2), "d2").await.passed()).await;
    eventually(async || paywall.used(1, Meter::Messages).await == 11).await;
    if let Some(open) = open {
        open.stop().await;
    }
    paywall.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_the_paywalls_own_database_customers_go_on_and_are_counted_later() {
    let world = World::start(On::Postgres);
    world.users(4);
    let paywall = world.serve().await;
    paywall.adjust(2, end_trial()).await;
    paywall.adjust(3, comp()).await;
    for (number, passes) in [(1, true), (2, false), (3, true)] {
        eventually(async || paywall.ask(&key(number), &format!("d{number}")).await.passed() == passes).await;
    }
    let mut answered = [1, 0, 1];
    // What was counted is told to everybody, and so each is read anew at the next request.
    eventually(async || paywall.used(1, Meter::Messages).await == 1 && paywall.used(3, Meter::Messages).await == 1)
        .await;
    sleep(Duration::from_millis(1_200)).await;

    world.place.server().0.kill();
    let mut longest = Duration::ZERO;
    for round in 0..12 {
        for number in [1_u32, 2, 3] {
            let answer = paywall.ask(&key(number), &format!("d{number}")).await;
            longest = longest.max(answer.took);
            if number == 2 {
                assert_eq!((answer.status, answer.code()), (402, Some("trial_ended")), "{round}: {answer:?}");
            } else {
                assert!(answer.passed(), "{round}: {answer:?}");
                answered[number as usize - 1] += 1;
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    // Known to RAGFlow, and nobody asked for it before.
    let answer = paywall.ask(&key(4), "d4").await;
    assert_eq!((answer.status, answer.code()), (503, Some("paywall_unavailable")));
    longest = longest.max(answer.took);
    eprintln!("the longest took {longest:?}");
    assert!(longest < PATIENCE, "{longest:?}");

    world.place.server().0.restart().unwrap();
    for (index, answered) in answered.into_iter().enumerate() {
        let number = index as u32 + 1;
        eventually(async || paywall.used(number, Meter::Messages).await.max(0) == answered).await;
        assert_eq!(world.events(number).await.iter().map(|it| it.0).sum::<i64>(), answered);
    }
    assert!(paywall.ask(&key(4), "d4").await.passed());
    paywall.stop().await;
}

/// Nothing is refused and nothing comes back, as where the network swallows what is sent.
async fn a_database_of_ragflow_that_hangs_holds_nobody_long(world: World) {
    world.users(3);
    let relay = Relay::to(&world.ragflow.url).await;
    let url = SecretString::from(relay.url(&world.ragflow.url));
    let paywall = world.serve_with(|config| config.ragflow_database_url = Some(url)).await;
    assert!(paywall.ask(&key(1), "d1").await.passed());
    for number in 2..=3 {
        paywall.tenant(number).await;
    }
    relay.swallow();
    let (mut known, mut unknown) = (Duration::ZERO, Duration::ZERO);
    for round in 0..8 {
        // Remembered for a minute; and a thing of its own that nobody asked for yet.
        let answer = paywall.ask(&key(1), "d1").await;
        assert!(answer.passed() && answer.took < PATIENCE, "{round}: {answer:?}");
        known = known.max(answer.took);
        for number in 2..=3 {
            let answer = paywall.ask(&key(number), &format!("d{number}")).await;
            assert_eq!((answer.status, answer.code()), (503, Some("paywall_unavailable")), "{answer:?}");
            unknown = unknown.max(answer.took);
        }
        sleep(Duration::from_millis(300)).await;
    }
    eprintln!("known callers took {known:?} at most, unknown ones {unknown:?}");
    assert!(unknown < Duration::from_secs(3), "{unknown:?}");
    relay.let_through();
    for number in 1..=3 {
        eventually(async || paywall.ask(&key(number), &format!("d{number}")).await.passed()).await;
    }
    paywall.stop().await;
}

/// Everybody comes in the moment in which the server starts, and nobody is known to it yet.
async fn a_rush_at_a_cold_start_is_answered(world: World) {
    const CALLERS: u32 = 80;
    world.users(CALLERS);
    let paywall = std::sync::Arc::new(world.serve().await);
    let begin = std::sync::Arc::new(tokio::sync::Barrier::new(CALLERS as usize));
    let all: Vec<_> = (1..=CALLERS)
        .map(|number| {
            let (paywall, begin) = (std::sync::Arc::clone(&paywall), std::sync::Arc::clone(&begin));
            tokio::spawn(async move {
                begin.wait().await;
                paywall.ask(&key(number), &format!("d{number}")).await
            })
        })
        .collect();
    let mut longest = Duration::ZERO;
    for one in all {
        let answer = one.await.unwrap();
        assert!(answer.passed(), "{answer:?}");
        longest = longest.max(answer.took);
    }
    eprintln!("{CALLERS} callers that nobody knew were answered, the last after {longest:?}");
    std::sync::Arc::into_inner(paywall).unwrap().stop().await;
}

on_each_pair!(
    without_ragflows_database_who_is_known_goes_on,
    a_database_of_ragflow_that_hangs_holds_nobody_long,
    a_rush_at_a_cold_start_is_answered,
);

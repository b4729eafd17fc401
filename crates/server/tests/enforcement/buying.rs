//! From the page of a blocked customer to Checkout and back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_domain::Meter;
use paywall_sandbox::scripted::{Card, Clock, Delivering, ScriptedStripe, Settings, Trouble};
use paywall_sandbox::{Kind, Rules};
use paywall_server::{Clock as _, StripeSettings, SystemClock};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::on_each_pair;
use crate::ragflow::{beta, cookie, id, key, session};
use crate::world::{Answer, Paywall, World, end_trial, eventually, limit};

/// A Stripe, and a server that sells `pro` through it.
async fn shop(world: &World) -> (Arc<ScriptedStripe>, Paywall, String) {
    shop_of(world, Duration::ZERO).await
}

/// The same where each answer of Stripe's takes a while.
async fn shop_of(world: &World, latency: Duration) -> (Arc<ScriptedStripe>, Paywall, String) {
    let settings = Settings {
        now: SystemClock.now(),
        clock: Clock::Running,
        delivering: Delivering::ByHand,
        rules: Rules { latency, ..Rules::default() },
        ..Settings::default()
    };
    let stripe = Arc::new(ScriptedStripe::start(settings).await.unwrap());
    let price = stripe.add_price("Pro", "kwd", 4900, "month").unwrap();
    let (url, secret) = (stripe.url().to_owned(), stripe.key().to_owned());
    let paywall = world.serve_with(|config| {
        limit(config, Meter::Messages, 1);
        config.plans.as_mut().unwrap()[1].stripe_prices = vec![price.clone()];
        config.public_url = Some("https://paywall.example".to_owned());
        config.stripe = Some(StripeSettings::new(&url, &secret, "").unwrap());
    });
    (Arc::clone(&stripe), paywall.await, price)
}

/// What stands in the page's form for a field.
fn field(page: &str, name: &str) -> Option<String> {
    let at = page.split_once(&format!("name=\"{name}\" value=\""))?.1;
    Some(at.split_once('"')?.0.to_owned())
}

fn form(paywall: &Paywall, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = paywall.bare(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    request.header("sec-fetch-site", "same-origin").body(body)
}

/// Where a page leads by itself.
fn leads_to(page: &Answer) -> String {
    let at = page.body.split_once("http-equiv=\"refresh\" content=\"").unwrap_or_else(|| panic!("{page:?}")).1;
    let (_, to) = at.split_once('"').unwrap().0.split_once(";url=").unwrap();
    to.replace("&#38;", "&")
}

async fn whoever_is_at_its_quota_pays_from_the_page_and_goes_on(world: World) {
    world.users(1);
    let (stripe, paywall, price) = shop(&world).await;
    assert!(paywall.ask(&session(1), "d1").await.passed());
    eventually(async || paywall.ask(&session(1), "d1").await.code() == Some("quota_exhausted")).await;
    paywall.adjust(1, end_trial()).await;
    let page = paywall.send(paywall.with(Method::GET, "/paywall/", &session(1))).await;
    assert!(page.body.contains("KWD\u{a0}4.900 per month"), "{}", page.body);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self'"), "{policy}");
    let ticket = field(&page.body, "ticket").unwrap();

    // The form itself carries no credential: as a browser sends it, without a script.
    let fields = [("ticket", ticket.as_str()), ("plan", "pro"), ("price", &price), ("lang", "es")];
    let left = paywall.send(form(&paywall, "/paywall/checkout", &fields)).await;
    assert_eq!(left.status, 200, "{left:?}");
    let checkout = leads_to(&left);
    assert!(checkout.starts_with(stripe.url()) && left.body.contains(&checkout), "{checkout}");
    let opened = stripe.state(Kind::CheckoutSession).remove(0);
    assert_eq!((&opened["locale"], &opened["client_reference_id"]), (&json!("es"), &json!(id(1))));
    // Again, and as a program: the same.
    let again = form(&paywall, "/paywall/checkout", &fields[..3]).header("accept", "application/json");
    assert_eq!(paywall.send(again).await.json(), json!({"url": checkout}));

    // Whoever comes back without having paid is back on the page.
    let quiet = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let back = format!("{}/paywall/return?session_id={}", paywall.url, opened["id"].as_str().unwrap());
    let returned = quiet.get(&back).send().await.unwrap();
    assert_eq!((returned.status().as_u16(), &returned.headers()["location"]), (303, &"/paywall/".parse().unwrap()));
    // Stripe's own page is a person's.
    let paid = stripe.complete_checkout(opened["id"].as_str().unwrap(), Card::Good).unwrap();
    assert!(paid.starts_with("https://paywall.example/paywall/return?session_id=cs_"), "{paid}");
    let path = paid.trim_start_matches("https://paywall.example");
    eventually(async || {
        let page = paywall.send(paywall.bare(Method::GET, path)).await;
        assert_eq!(page.status, 200, "{page:?}");
        let paid = page.body.contains("Your subscription is in place");
        assert!(paid || page.body.contains("being confirmed") && leads_to(&page).contains("look=1"), "{page:?}");
        assert!(!page.body.contains("User 1"), "nobody's name is told to whoever has the address");
        paid
    })
    .await;
    eventually(async || paywall.ask(&session(1), "d1").await.passed()).await;
    // From now on it is the portal's.
    let page = paywall.send(paywall.with(Method::GET, "/paywall/", &session(1))).await;
    assert!(page.body.contains("/paywall/portal") && !page.body.contains("/paywall/checkout"), "{}", page.body);
    let left = paywall.send(form(&paywall, "/paywall/checkout", &fields)).await;
    assert!(leads_to(&left).contains("/p/session/"), "no second subscription: {left:?}");
    let ticket = field(&page.body, "ticket").unwrap();
    let left = paywall.send(form(&paywall, "/paywall/portal", &[("ticket", &ticket)])).await;
    assert_eq!(Client::new().get(leads_to(&left)).send().await.unwrap().status().as_u16(), 200);
    // What is changed there is in force when its page leads back.
    let customer = opened["customer"].as_str().unwrap();
    let bought = stripe.state(Kind::Subscription).remove(0)["id"].as_str().unwrap().to_owned();
    let act = paywall_sandbox::scripted::PortalAct::CancelNow { subscription: bought };
    stripe.act_in_portal(customer, &act).unwrap();
    let configured = portal_return(&left, &stripe).await;
    let back = quiet.get(configured.replace("https://paywall.example", &paywall.url)).send().await.unwrap();
    assert_eq!(back.status().as_u16(), 303);
    let canceled = paywall.tenant(1).await.facts.subscription.unwrap();
    assert_eq!(canceled.status.as_str(), "canceled");
    paywall.stop().await;
}

/// Where the portal's page leads back to.
async fn portal_return(left: &Answer, stripe: &ScriptedStripe) -> String {
    let page = Client::new().get(leads_to(left)).send().await.unwrap().text().await.unwrap();
    let at =
        page.find("https://paywall.example/paywall/return?of=").unwrap_or_else(|| panic!("{} {page}", stripe.url()));
    page[at..].split(['"', '<']).next().unwrap().to_owned()
}

async fn a_stripe_that_is_slow_is_waited_for_by_a_page_that_is_left(world: World) {
    world.users(1);
    let (stripe, paywall, price) = shop_of(&world, Duration::from_millis(900)).await;
    eventually(async || paywall.find(1).await.is_some()).await;
    let fields = [("plan", "pro"), ("price", price.as_str())];
    let left = paywall.send(form(&paywall, "/paywall/checkout", &fields).bearer_auth(session(1))).await;
    assert_eq!(left.status, 200, "{left:?}");
    let opened = stripe.state(Kind::CheckoutSession).remove(0)["id"].as_str().unwrap().to_owned();
    stripe.complete_checkout(&opened, Card::Good).unwrap();
    // Reading takes longer than the page waits, and whoever waits goes away sooner than that; once is enough.
    let impatient = Client::builder().timeout(Duration::from_millis(700)).build().unwrap();
    let back = format!("{}/paywall/return?session_id={opened}", paywall.url);
    assert!(impatient.get(&back).send().await.unwrap_err().is_timeout());
    eventually(async || paywall.tenant(1).await.facts.subscription.is_some()).await;
    let asked = Instant::now();
    let page = paywall.send(paywall.bare(Method::GET, &format!("/paywall/return?session_id={opened}"))).await;
    assert!(page.body.contains("Your subscription is in place"), "{page:?}");
    assert!(asked.elapsed() < Duration::from_millis(900), "Stripe is not asked about whoever can work");
    paywall.stop().await;
}

async fn only_the_owner_buys_and_only_from_the_page(world: World) {
    world.users(2);
    let (stripe, paywall, price) = shop(&world).await;
    eventually(async || paywall.find(1).await.is_some() && paywall.find(2).await.is_some()).await;
    let page = paywall.send(paywall.with(Method::GET, "/paywall/", &session(1))).await;
    let ticket = field(&page.body, "ticket").unwrap();
    let fields = [("plan", "pro"), ("price", price.as_str())];
    let with_ticket = [fields[0], fields[1], ("ticket", ticket.as_str())];
    let refused = async |request: RequestBuilder, status: u16| {
        let answer = paywall.send(request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!answer.body.contains(stripe.url()), "{answer:?}");
    };
    // Nobody, a program, a visitor of an embedded chat, and whoever writes a user's id into a cookie.
    refused(form(&paywall, "/paywall/checkout", &fields), 401).await;
    for credential in [key(1), beta(1), "ragflow-nobodys".to_owned()] {
        let asked = form(&paywall, "/paywall/checkout", &fields).bearer_auth(&credential);
        refused(asked, 401).await;
        let page = paywall.send(paywall.with(Method::GET, "/paywall/", &credential)).await;
        assert!(field(&page.body, "ticket").is_none(), "{}", page.body);
    }
    refused(form(&paywall, "/paywall/checkout", &fields).headers(cookie(1)), 401).await;
    // Forms of other sites, with whatever a browser brings along.
    for site in ["cross-site", "same-site", "none"] {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(with_ticket).finish();
        let asked = paywall.bare(Method::POST, "/paywall/checkout").header("sec-fetch-site", site);
        let asked = asked.header("content-type", "application/x-www-form-urlencoded").body(body.clone());
        refused(asked.bearer_auth(session(1)), 403).await;
        let asked = paywall.bare(Method::POST, "/paywall/portal").header("origin", "https://evil.example");
        refused(asked.header("content-type", "application/x-www-form-urlencoded").body(body), 403).await;
    }
    // A ticket of somebody else's, or bent.
    let bent = ticket.replacen(id(1).as_str(), id(2).as_str(), 1);
    refused(form(&paywall, "/paywall/checkout", &[fields[0], fields[1], ("ticket", &bent)]), 401).await;
    assert_eq!(stripe.state(Kind::CheckoutSession), Vec::<Value>::new());
    assert_eq!(stripe.state(Kind::Customer), Vec::<Value>::new());
    // Whoever is signed in needs no ticket, and buys for the own tenant.
    let bought = form(&paywall, "/paywall/checkout", &fields).bearer_auth(session(2));
    assert_eq!(paywall.send(bought).await.status, 200);
    assert_eq!(stripe.state(Kind::CheckoutSession)[0]["client_reference_id"], json!(id(2)));
    // What cannot be bought, and a Stripe that is away, say so.
    refused(form(&paywall, "/paywall/checkout", &[("plan", "starter"), with_ticket[2]]), 409).await;
    refused(form(&paywall, "/paywall/portal", &[("ticket", &bent)]), 401).await;
    refused(form(&paywall, "/paywall/portal", &[with_ticket[2]]), 409).await;
    for _ in 0..8 {
        stripe.trouble(&Method::POST, "/v1/customers", Trouble::TooMany);
    }
    let away = form(&paywall, "/paywall/checkout", &with_ticket).header("accept", "application/json");
    let away = paywall.send(away).await;
    assert_eq!((away.status, away.json()), (503, json!({"code": "payment_unavailable"})));
    // An address that nobody left for leads to the page, whatever it says.
    let quiet = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for query in ["", "?session_id=cs_test_made_up", "?of=made.up.0", "?session_id=%00"] {
        let back = quiet.get(format!("{}/paywall/return{query}", paywall.url)).send().await.unwrap();
        assert_eq!((back.status().as_u16(), &back.headers()["location"]), (303, &"/paywall/".parse().unwrap()));
    }
    paywall.stop().await;
}

on_each_pair!(
    a_stripe_that_is_slow_is_waited_for_by_a_page_that_is_left,
    whoever_is_at_its_quota_pays_from_the_page_and_goes_on,
    only_the_owner_buys_and_only_from_the_page,
);

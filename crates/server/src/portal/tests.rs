#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use paywall_domain::billing::{CheckoutTrial, Interval, Money};
use paywall_domain::{Limit, Meter, Plan, TenantFacts, Trial, Usage, assess, readings, status};

use super::notice::Notice;
use super::*;
use crate::billing::prices::Offer;

const NOW: Timestamp = Timestamp(1_795_600_000_000);
const DAY: i64 = 86_400_000;

fn plan(id: &str, messages: Limit) -> Plan {
    Plan {
        id: id.into(),
        name: format!("The {id} plan"),
        limits: BTreeMap::from([
            (Meter::Messages, messages),
            (Meter::StorageBytes, Limit::AtMost(3 << 29)),
            (Meter::Seats, Limit::AtMost(12_500)),
        ]),
        stripe_prices: Vec::new(),
        trial_days: 14,
    }
}

/// A tenant whose trial ends so many days and an hour from now, with so many messages of 1,000 used.
fn customer(name: &str, ends_in: i64, messages: i64) -> Customer {
    let plan = plan("trial", Limit::AtMost(1000));
    let trial = Trial {
        started_at: NOW.plus_ms((ends_in - 14) * DAY),
        ends_at: NOW.plus_ms(ends_in * DAY + DAY / 24),
        extensions: 0,
        extended_ms: 0,
    };
    let facts = TenantFacts {
        plan: plan.id.clone(),
        trial: Some(trial),
        comp: None,
        suspension: None,
        subscription: None,
        overrides: BTreeMap::new(),
    };
    let usage = Usage {
        used: BTreeMap::from([(Meter::Messages, messages), (Meter::StorageBytes, 1_234_567_890)]),
        resets_at: Some(Timestamp(NOW.0 + 9 * DAY)),
    };
    let snapshot = Snapshot {
        status: status(&facts, NOW),
        access: assess(&facts, &plan, &usage, NOW),
        meters: readings(&facts, &plan, &usage, NOW),
        facts,
    };
    Customer { name: name.into(), plan, snapshot, purchase: None }
}

fn shown(visit: &Visit, language: Language) -> String {
    let mut plans = [plan("trial", Limit::AtMost(1000)), plan("pro", Limit::Unlimited)];
    plans[1].stripe_prices = vec!["price_month".into(), "price_year".into(), "price_metered".into()];
    let page = html(visit, &plans, Some("mailto:help@example.com"), language, NOW).unwrap();
    if let Some(folder) = std::env::var_os("PAYWALL_PAGES") {
        let name = format!("{}-{language:?}.html", page.len());
        std::fs::write(std::path::Path::new(&folder).join(name), &page).unwrap();
    }
    page
}

#[test]
fn a_customer_reads_why_in_its_language_with_the_figures() {
    let visit = Visit::Customer(Box::new(customer("Acme", -2, 1000)));
    let pages = [Language::En, Language::Es, Language::Zh].map(|language| shown(&visit, language));
    for (page, texts) in pages.iter().zip([
        ["lang=\"en\"", "The free trial ended on", "The limit of 1000 messages", "1,000 of 1,000", "12,500", "1.5 GiB"],
        ["lang=\"es\"", "La prueba gratuita terminó", "límite de 1000 mensajes", "1000 de 1000", "12.500", "1,5 GiB"],
        ["lang=\"zh-Hans\"", "免费试用已于", "消息数已达上限", "1,000 / 1,000", "12,500", "1.5 GiB"],
    ]) {
        for text in texts {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert!(page.contains("mailto:help@example.com") && page.contains("The pro plan"));
        assert!(!page.contains("style="), "the page's policy allows no inline style");
    }
}

#[test]
fn names_of_others_are_text_and_never_markup() {
    let name = "<script>alert(1)</script> & \"שלום\"";
    let page = shown(&Visit::Customer(Box::new(customer(name, 5, 1))), Language::En);
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"), "{page}");
}

#[test]
fn a_trial_tells_the_days_that_are_left_and_turns_urgent_near_its_end() {
    for (days, text, tone) in [(0, "ends today", "soon"), (1, "one more day", "soon"), (9, "9 more days", "well")] {
        let page = shown(&Visit::Customer(Box::new(customer("Acme", days, 1))), Language::En);
        assert!(page.contains(text) && page.contains(&format!("<h1 class=\"{tone}\"")), "{days}: {page}");
    }
}

#[test]
fn what_is_unknown_is_not_shown_as_zero() {
    let page = shown(&Visit::Customer(Box::new(customer("Acme", 5, 1))), Language::En);
    assert!(page.contains("not measured yet"), "{page}");
    assert!(!page.contains("0 of"), "{page}");
}

#[test]
fn who_is_not_known_is_asked_to_sign_in_and_told_nothing_else() {
    let page = shown(&Visit::Unknown, Language::En);
    assert!(page.contains("Sign in to the application") && page.contains("/paywall/page.js"));
    assert!(!page.contains("plan</h3>") && !page.contains("<dl"), "{page}");
    assert!(!shown(&Visit::Unavailable, Language::En).contains("page.js"));
}

#[test]
fn a_program_reads_the_same_as_json() {
    let body = status_body(&customer("Acme", -2, 1000), "https://rag.example/paywall/", Language::En, NOW);
    let json = serde_json::to_value(&body).unwrap();
    assert_eq!(json["status"], "expired");
    assert_eq!(json["level"], "locked");
    assert_eq!(json["deny_codes"], serde_json::json!(["trial_ended", "quota_exhausted"]));
    assert_eq!(
        json["meters"][0],
        serde_json::json!({"meter": "messages", "used": 1000, "limit": 1000,
        "resets_at": NOW.0 + 9 * DAY})
    );
    assert_eq!(json["meters"][1]["used"], serde_json::Value::Null);
}

fn offer(price: &str, amount: Option<Money>, every: (u32, Interval)) -> Offer {
    Offer { price: price.into(), metered: amount.is_none(), amount, every: Some(every), active: true }
}

/// What can be bought while a trial runs or not.
fn purchase(trial: CheckoutTrial) -> Purchase {
    let offers = [
        offer("price_month", Some(Money::new(4900, "eur")), (1, Interval::Month)),
        offer("price_year", Some(Money::new(1_234_550, "usd")), (1, Interval::Year)),
        offer("price_metered", None, (3, Interval::Month)),
    ];
    let offers = offers.into_iter().map(|it| (it.price.clone(), it)).collect();
    Purchase { ticket: "a.1.b\"<".into(), offers, trial: Some(trial), portal: false }
}

#[test]
fn each_price_has_a_button_that_works_without_a_script() {
    let buying = Customer { purchase: Some(purchase(CheckoutTrial::None)), ..customer("Acme", -2, 1000) };
    let visit = Visit::Customer(Box::new(buying));
    for (language, texts) in [
        (Language::En, ["<b>Subscribe</b> <span>€49 per month", "$12,345.50 per year", "before you pay"]),
        (Language::Es, ["<b>Suscribirse</b> <span>49\u{a0}€ al mes", "12.345,50\u{a0}US$ al año", "antes de pagar"]),
        (Language::Zh, ["<b>订阅</b> <span>€49 每月", "US$12,345.50 每年", "付款前会显示价格"]),
    ] {
        let page = shown(&visit, language);
        for text in texts {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert!(page.contains("<a class=\"button\" href=\"#plans\">"), "{page}");
        assert!(page.contains("<form method=\"post\" action=\"/paywall/checkout\">"));
        assert!(page.contains("name=\"plan\" value=\"pro\"") && page.contains("name=\"price\" value=\"price_year\""));
        assert!(!page.contains("value=\"a.1.b\"<\"") && !page.contains("style="), "{page}");
        // The plan without a price has none, and nothing is in the portal.
        assert!(!page.contains("value=\"trial\"") && !page.contains("/paywall/portal"), "{page}");
    }
}

#[test]
fn the_page_says_when_it_is_first_paid_and_leads_to_the_portal() {
    let end = Timestamp(NOW.0 + 9 * DAY);
    for (trial, text) in [
        (CheckoutTrial::Until { trial_end: end }, Some("still runs until 2026-12-04")),
        (CheckoutTrial::Days { days: 1 }, Some("one day later")),
        (CheckoutTrial::Days { days: 2 }, Some("2 days later")),
        (CheckoutTrial::None, None),
    ] {
        let buying = Customer { purchase: Some(purchase(trial)), ..customer("Acme", 9, 1) };
        let page = shown(&Visit::Customer(Box::new(buying)), Language::En);
        assert_eq!(page.contains("first payment is taken"), text.is_some());
        assert!(text.is_none_or(|it| page.contains(it)), "{page}");
    }
    let subscribed = Purchase { offers: BTreeMap::new(), portal: true, ..purchase(CheckoutTrial::None) };
    let subscribed = Customer { purchase: Some(subscribed), ..customer("Acme", -2, 1) };
    let page = shown(&Visit::Customer(Box::new(subscribed)), Language::En);
    assert!(page.contains("action=\"/paywall/portal\"") && page.contains("Manage subscription"), "{page}");
    assert!(!page.contains("/paywall/checkout"));
    // Nobody whose page it is not.
    let page = shown(&Visit::Customer(Box::new(customer("Acme", -2, 1))), Language::En);
    assert!(!page.contains("<form") && !page.contains("ticket"), "{page}");
}

#[test]
fn amounts_have_the_decimals_of_their_currency() {
    for (minor, currency, texts) in [
        (4900, "eur", ["€49", "49\u{a0}€", "€49"]),
        (4950, "eur", ["€49.50", "49,50\u{a0}€", "€49.50"]),
        (5, "eur", ["€0.05", "0,05\u{a0}€", "€0.05"]),
        (0, "eur", ["€0", "0\u{a0}€", "€0"]),
        (-1999, "gbp", ["-£19.99", "-19,99\u{a0}£", "-£19.99"]),
        (1_234_567, "jpy", ["¥1,234,567", "1.234.567\u{a0}JPY", "JP¥1,234,567"]),
        (4900, "kwd", ["KWD\u{a0}4.900", "4,900\u{a0}KWD", "KWD\u{a0}4.900"]),
        (4000, "kwd", ["KWD\u{a0}4", "4\u{a0}KWD", "KWD\u{a0}4"]),
        (990, "cny", ["CN¥9.90", "9,90\u{a0}CNY", "¥9.90"]),
        (1000, "krw", ["KRW\u{a0}1,000", "1000\u{a0}KRW", "KRW\u{a0}1,000"]),
        (123_400, "isk", ["ISK\u{a0}1,234", "1234\u{a0}ISK", "ISK\u{a0}1,234"]),
    ] {
        let money = Money::new(minor, currency);
        let written = [Language::En, Language::Es, Language::Zh].map(|language| figures::money(&money, language));
        assert_eq!(written, texts, "{minor} {currency}");
    }
}

#[test]
fn notices_lead_on_by_themselves_and_by_a_link() {
    let drawn = |what, leads_to| notice::html(what, leads_to, Some("mailto:help@example.com"), Language::En).unwrap();
    let url = "https://checkout.example/c?a=1&b=\"2\"#x";
    let leaving = drawn(Notice::Leaving, Some((0, url)));
    assert!(
        leaving.contains("http-equiv=\"refresh\" content=\"0;url=https://checkout.example/c?a=1&#38;b=&#34;2&#34;#x\"")
    );
    assert!(leaving.contains("Continue to Stripe") && !leaving.contains("mailto"), "{leaving}");
    let confirming = drawn(Notice::Confirming, Some((3, "/paywall/return?session_id=cs_1&look=1")));
    assert!(
        confirming.contains("content=\"3;url=/paywall/return") && confirming.contains("mailto:help"),
        "{confirming}"
    );
    let still = drawn(Notice::StillConfirming, Some((0, "/paywall/return?session_id=cs_1")));
    assert!(!still.contains("http-equiv=\"refresh\"") && still.contains("Look again"), "{still}");
    for (what, tone) in
        [(Notice::Paid, "well"), (Notice::Refused, "bad"), (Notice::Away, "bad"), (Notice::Stale, "bad")]
    {
        let page = drawn(what, None);
        assert!(page.contains(&format!("<h1 class=\"{tone}\"")) && !page.contains("refresh"), "{page}");
        if let Some(folder) = std::env::var_os("PAYWALL_PAGES") {
            std::fs::write(std::path::Path::new(&folder).join(format!("notice-{}.html", what.code())), &page).unwrap();
        }
    }
}

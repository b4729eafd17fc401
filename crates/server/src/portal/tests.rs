#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use paywall_domain::{Limit, Meter, Plan, TenantFacts, Trial, Usage, assess, readings, status};

use super::*;

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
    Customer { name: name.into(), plan, snapshot }
}

fn shown(visit: &Visit, language: Language) -> String {
    let plans = [plan("trial", Limit::AtMost(1000)), plan("pro", Limit::Unlimited)];
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

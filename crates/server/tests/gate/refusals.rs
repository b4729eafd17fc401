//! How each refusal looks to each caller.

use std::fmt::Write;

use axum::response::Response;
use paywall_domain::{Decision, Denial, Meter, Timestamp};
use paywall_server::gate::{Answer, Blocked, Caller, Language, Refusal, Via, refuse};

/// 2026-06-01T00:00:00Z
const THEN: Timestamp = Timestamp(1_780_272_000_000);
const URL: &str = "https://paywall.example/paywall/";
const SECRET_REASON: &str = "chargeback, see ticket 4711";

const CALLERS: [Caller; 4] = [Caller::Browser, Caller::Key, Caller::Visitor, Caller::Nobody];
const ANSWERS: [Answer; 5] = [Answer::Json, Answer::Chat, Answer::Agent, Answer::OpenAi, Answer::Dify];

fn suspended(message: Option<&str>) -> Denial {
    Denial::Suspended {
        since: THEN,
        by: "Mia".into(),
        reason: SECRET_REASON.into(),
        message: message.map(ToOwned::to_owned),
    }
}

fn quota(meter: Meter, used: i64, limit: i64, resets_at: Option<Timestamp>) -> Denial {
    Denial::QuotaExhausted { meter, used, limit, resets_at }
}

/// One of each code; of quotas one that resets and one that does not.
fn denials() -> Vec<Denial> {
    vec![
        Denial::TrialEnded { ended_at: Some(THEN) },
        Denial::SubscriptionEnded { ended_at: None },
        Denial::PaymentOverdue { since: Some(THEN), grace_ended_at: None },
        suspended(None),
        quota(Meter::Messages, 100, 100, Some(THEN)),
        quota(Meter::StorageBytes, 1_610_612_736, 1_073_741_824, None),
        Denial::UnknownTenant,
        Denial::PaywallUnavailable,
    ]
}

fn blocked(decision: &Decision, answer: Answer, caller: Caller) -> Blocked<'_> {
    Blocked {
        answer,
        caller,
        member: true,
        via: Via::Proxy,
        decision,
        retry_after: Some(3600),
        upgrade_url: URL,
        language: Language::En,
    }
}

fn refused(denial: &Denial, answer: Answer, caller: Caller) -> Refusal {
    let decision = Decision { denials: vec![denial.clone()] };
    refuse(&blocked(&decision, answer, caller)).unwrap()
}

fn header<'a>(refusal: &'a Refusal, name: &str) -> &'a str {
    refusal.headers.get(name).map_or("", |it| it.to_str().unwrap())
}

fn body(refusal: &Refusal) -> &str {
    std::str::from_utf8(&refusal.body).unwrap()
}

/// Status, what differs among the headers, and the body.
fn render(refusal: &Refusal) -> String {
    let mut line = format!("{} {}", refusal.status.as_u16(), header(refusal, "x-paywall-code"));
    for name in ["x-paywall-meter", "retry-after"] {
        if !header(refusal, name).is_empty() {
            write!(line, " {name}={}", header(refusal, name)).unwrap();
        }
    }
    write!(line, " {}\n{}", header(refusal, "content-type"), body(refusal).trim_end()).unwrap();
    line
}

#[test]
fn every_caller_sees_what_it_can_show() {
    for caller in CALLERS {
        let mut text = String::new();
        for answer in ANSWERS {
            for denial in denials() {
                writeln!(text, "── {answer:?}: {}\n", render(&refused(&denial, answer, caller))).unwrap();
            }
        }
        insta::assert_snapshot!(format!("{caller:?}").to_lowercase(), text);
    }
}

#[test]
fn each_language_says_the_same() {
    let mut text = String::new();
    let spoken = denials().into_iter().chain([
        Denial::TrialEnded { ended_at: None },
        Denial::SubscriptionEnded { ended_at: Some(THEN) },
        Denial::PaymentOverdue { since: None, grace_ended_at: None },
        quota(Meter::Tokens, 5, 5, None),
        quota(Meter::Seats, 3, 3, None),
        quota(Meter::StorageBytes, 900, 512, Some(THEN)),
    ]);
    for denial in spoken {
        let decision = Decision { denials: vec![denial] };
        for language in [Language::En, Language::Es, Language::Zh] {
            for (caller, member) in [(Caller::Browser, true), (Caller::Browser, false), (Caller::Visitor, true)] {
                let blocked = Blocked { language, member, ..blocked(&decision, Answer::Chat, caller) };
                let chat = refuse(&blocked).unwrap();
                let first = body(&chat).lines().next().unwrap().trim_start_matches("data:");
                let frame: serde_json::Value = serde_json::from_str(first).unwrap();
                let whose = if member { "" } else { ", another's" };
                writeln!(text, "{language:?} {caller:?}{whose}: {}", frame["data"]["answer"].as_str().unwrap())
                    .unwrap();
            }
        }
    }
    insta::assert_snapshot!("languages", text);
}

#[test]
fn another_server_that_asks_gets_a_403() {
    for caller in CALLERS {
        for answer in ANSWERS {
            for denial in denials() {
                let decision = Decision { denials: vec![denial] };
                let refusal = refuse(&Blocked { via: Via::Authz, ..blocked(&decision, answer, caller) }).unwrap();
                assert_eq!(refusal.status, 403);
                assert_eq!(header(&refusal, "content-type"), "application/json");
                assert!(!header(&refusal, "x-paywall-code").is_empty());
                assert!(refusal.headers.get("access-control-allow-origin").is_none());
            }
        }
    }
}

#[test]
fn no_refusal_logs_anybody_out_or_tells_what_is_not_theirs() {
    for caller in CALLERS {
        for answer in ANSWERS {
            for denial in denials() {
                let refusal = refused(&denial, answer, caller);
                assert_ne!(refusal.status, 401);
                assert!(!body(&refusal).contains("\"code\":401") && !body(&refusal).contains("\"code\":100,"));
                assert!(!body(&refusal).contains(SECRET_REASON));
                assert_eq!(header(&refusal, "cache-control"), "no-store");
                assert_eq!(header(&refusal, "access-control-allow-origin"), "*");
                if matches!(caller, Caller::Visitor | Caller::Nobody) {
                    let told = [URL, "The free trial", "payment", "limit", "1073741824", "upgrade_url"];
                    // The stable code may name the rule; the text, the figures and the link may not.
                    let text = body(&refusal).replace("payment_overdue", "");
                    assert!(told.iter().all(|it| !text.contains(it)), "{text}");
                }
            }
        }
    }
}

#[test]
fn whoever_is_no_member_learns_the_code_and_nothing_else() {
    let mut text = String::new();
    for caller in [Caller::Browser, Caller::Key] {
        for via in [Via::Proxy, Via::Authz] {
            for answer in ANSWERS {
                for denial in denials() {
                    let decision = Decision { denials: vec![denial.clone(), quota(Meter::Seats, 7, 6, None)] };
                    let refusal =
                        refuse(&Blocked { member: false, via, ..blocked(&decision, answer, caller) }).unwrap();
                    let known = refused(&denial, answer, caller);
                    assert_eq!(header(&refusal, "x-paywall-code"), header(&known, "x-paywall-code"));
                    assert!(via == Via::Authz || refusal.status == known.status);
                    let told = format!("{:?} {}", refusal.headers, body(&refusal));
                    for secret in [URL, "Choose", "ended on", "limit", "1073741824", "x-paywall-meter", "seats"] {
                        assert!(!told.contains(secret), "{secret} {told}");
                    }
                    let waits = matches!(denial, Denial::PaywallUnavailable | Denial::UnknownTenant);
                    assert_eq!(refusal.headers.contains_key("retry-after"), waits, "{told}");
                    if via == Via::Proxy && answer == Answer::Json && caller == Caller::Key {
                        writeln!(text, "{}\n", render(&refusal)).unwrap();
                    }
                }
            }
        }
    }
    insta::assert_snapshot!("stranger", text);
}

#[test]
fn the_first_rule_speaks_and_a_program_learns_all() {
    let decision = Decision {
        denials: vec![
            suspended(Some("  Please call us.\n\"Now\" ")),
            Denial::TrialEnded { ended_at: None },
            quota(Meter::Messages, 1, 1, None),
        ],
    };
    let refusal = refuse(&blocked(&decision, Answer::Json, Caller::Key)).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&refusal.body).unwrap();
    assert_eq!(value["message"], format!("Please call us.\n\"Now\" Details: {URL}"));
    assert_eq!(value["data"]["deny_codes"], serde_json::json!(["suspended", "trial_ended", "quota_exhausted"]));

    // Whatever staff write, a frame ends where it should.
    let refusal = refuse(&blocked(&decision, Answer::Chat, Caller::Browser)).unwrap();
    assert_eq!(body(&refusal).matches("\n\n").count(), 2);
    assert!(body(&refusal).ends_with("data:{\"code\":0,\"data\":true,\"message\":\"\"}\n\n"));
}

#[test]
fn retry_after_is_there_where_waiting_helps() {
    let header = |denial: &Denial| header(&refused(denial, Answer::Json, Caller::Key), "retry-after").to_owned();
    assert_eq!(header(&quota(Meter::Messages, 1, 1, Some(THEN))), "3600");
    assert_eq!(header(&Denial::PaywallUnavailable), "3600");
    assert_eq!(header(&quota(Meter::Datasets, 1, 1, None)), "");
    assert_eq!(header(&Denial::TrialEnded { ended_at: None }), "");
}

#[test]
fn a_link_ends_where_its_address_does() {
    let decision = Decision { denials: vec![Denial::TrialEnded { ended_at: None }] };
    let url = "https://x.example/a(b) <c>";
    let refusal = refuse(&Blocked { upgrade_url: url, ..blocked(&decision, Answer::Chat, Caller::Browser) }).unwrap();
    assert!(body(&refusal).contains("[Choose a plan](https://x.example/a%28b%29%20%3Cc%3E)"), "{}", body(&refusal));
}

#[test]
fn nothing_is_refused_where_nothing_denies() {
    let decision = Decision { denials: Vec::new() };
    assert_eq!(refuse(&blocked(&decision, Answer::Json, Caller::Key)), None);
}

#[test]
fn a_refusal_becomes_the_response() {
    let refusal = refused(&Denial::UnknownTenant, Answer::Json, Caller::Key);
    let response = Response::from(refusal.clone());
    assert_eq!((response.status(), response.headers()), (refusal.status, &refusal.headers));
}

#[test]
fn the_language_is_the_one_most_wanted() {
    for (accept, expected) in [
        ("", Language::En),
        ("de, fr;q=0.9", Language::En),
        ("es", Language::Es),
        ("es-MX,es;q=0.9,en;q=0.8", Language::Es),
        ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
        ("zh_TW", Language::Zh),
        ("ZH-hant", Language::Zh),
        ("en;q=0.1, es;q=0.7, zh;q=0.6", Language::Es),
        ("de, es;q=0.5, en;q=0.5", Language::Es),
        ("es;q=0", Language::En),
        ("es;q=nan, zh;q=inf, es;q=-1, zh;q=2", Language::En),
        ("es;level=1;q=0.4, en; q=0.3", Language::Es),
        (";;;,,,q=1", Language::En),
    ] {
        assert_eq!(Language::of(accept), expected, "{accept}");
    }
}

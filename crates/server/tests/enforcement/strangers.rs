//! How the payer stands is its members' to know, not whoever names one of its things.

use paywall_domain::Meter;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::on_each_pair;
use crate::ragflow::{beta, cookie, key, session};
use crate::world::{Answer, CHAT, World, end_trial, eventually, hour_ago, override_of};

const OPENAI: &str = "/api/v1/openai/d1/chat/completions";
const AGENT: &str = "/api/v1/agents/chat/completions";
const DIFY: &str = "/api/v1/dify/retrieval";

/// A way to use something of user 1.
type Way = (&'static str, Value);

/// Every envelope in which a refusal can come.
fn ways() -> Vec<Way> {
    let messages = json!([{"role": "user", "content": "Which city?"}]);
    vec![
        (CHAT, json!({"chat_id": "d1", "question": "Which city?"})),
        (CHAT, json!({"chat_id": "d1", "question": "Which city?", "stream": false})),
        (OPENAI, json!({"model": "m", "messages": messages})),
        (AGENT, json!({"agent_id": "a1", "query": "Which city?"})),
        ("/api/v1/retrieval", json!({"question": "Which city?", "dataset_ids": ["kb1"]})),
        (DIFY, json!({"knowledge_id": "kb1", "query": "Which city?"})),
        ("/api/v1/datasets/kb1/documents/parse", json!({"document_ids": ["x"]})),
    ]
}

/// Every header and the body, but for those that no caller is told anything by.
fn all(answer: &Answer) -> String {
    let headers = answer.headers.iter().filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{}\n\n{}", headers.join("\n"), answer.body)
}

/// What would tell how user 1 stands.
const SECRETS: [&str; 10] = [
    "limit of",
    "reached",
    "resets",
    "trial ended",
    "/paywall/",
    "User 1",
    "user1@",
    "example1.com",
    "0000000000000001",
    "4321",
];

fn keeps_quiet(answer: &Answer, code: &str) {
    assert_eq!(answer.code(), Some(code), "{answer:?}");
    let told = all(answer);
    for secret in SECRETS {
        assert!(!told.contains(secret), "{secret:?} is told: {told}");
    }
    for name in ["x-paywall-meter", "retry-after", "x-paywall-url"] {
        assert_eq!(answer.header(name), None, "{told}");
    }
}

fn asked_by_a_front(request: RequestBuilder) -> RequestBuilder {
    request.header("X-Original-Method", "POST").header("X-Original-URI", OPENAI)
}

/// User 2 is in user 1's team, user 3 was asked to be, user 4 has nothing to do with it.
async fn a_stranger_learns_no_figures_and_a_member_all_of_them(world: World) {
    world.users(4);
    world.ragflow.join(2, 1, "normal", hour_ago());
    world.ragflow.join(3, 1, "invite", hour_ago());
    let paywall = world.serve_with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    eventually(async || paywall.tenant(1).await.members.len() == 3).await;
    let send = |(path, body): &Way, credential: &str| paywall.send(paywall.post(path, credential, body));

    // A limit is reached: 0, of which 4321 were there.
    for meter in [Meter::Messages, Meter::Tokens, Meter::ApiRequests] {
        paywall.adjust(1, override_of(meter, 4321)).await;
    }
    let (chat, passages) = (&ways()[0], &ways()[4]);
    assert!(send(chat, &key(1)).await.passed() && send(passages, &key(4)).await.passed());
    for meter in [Meter::Messages, Meter::Tokens, Meter::ApiRequests] {
        paywall.adjust(1, override_of(meter, 0)).await;
    }
    eventually(async || send(chat, &key(4)).await.code() == Some("quota_exhausted")).await;
    for way in &ways() {
        for stranger in [key(4), key(3)] {
            keeps_quiet(&send(way, &stranger).await, "quota_exhausted");
        }
        // In the web UI's own shapes.
        if way.0 != DIFY && !way.0.contains("retrieval") {
            keeps_quiet(&send(way, &session(4)).await, "quota_exhausted");
        }
        for member in [key(1), key(2)] {
            let told = all(&send(way, &member).await);
            assert!(told.contains("x-paywall-meter") && told.contains("/paywall/"), "{told}");
        }
    }
    let neutral = send(&ways()[1], &key(4)).await;
    assert_eq!((neutral.status, &neutral.json()["data"]), (429, &json!(null)));
    assert!(neutral.body.contains("another account"), "{neutral:?}");
    let synthetic = send(chat, &session(4)).await;
    assert_eq!(synthetic.status, 200);
    let frames = synthetic.frames();
    assert!(frames[0]["data"]["answer"].as_str().unwrap().contains("another account"), "{synthetic:?}");
    assert_eq!(frames[1]["data"], true);
    let openai = send(&ways()[2], &key(4)).await;
    assert_eq!((openai.status, openai.json()["error"]["code"].as_str()), (429, Some("quota_exhausted")));

    // As a front asks.
    for stranger in [key(4), session(4), key(3)] {
        let answer = paywall.send(asked_by_a_front(paywall.with(Method::GET, "/authz", &stranger))).await;
        assert_eq!(answer.status, 403);
        keeps_quiet(&answer, "quota_exhausted");
    }
    let answer = paywall.send(asked_by_a_front(paywall.with(Method::GET, "/authz", &session(2)))).await;
    assert_eq!(
        (answer.header("x-paywall-meter"), answer.header("x-paywall-url")),
        (Some("messages"), Some("/paywall/"))
    );

    // A cookie that names the owner is no proof: its user's id is no secret.
    let forged = paywall.bare(Method::POST, CHAT).headers(cookie(1)).json(&chat.1);
    keeps_quiet(&paywall.send(forged).await, "quota_exhausted");

    // And another rule.
    paywall.adjust(1, end_trial()).await;
    eventually(async || send(chat, &key(4)).await.code() == Some("trial_ended")).await;
    for way in &ways() {
        let answer = send(way, &key(4)).await;
        assert_eq!(answer.status, 402);
        keeps_quiet(&answer, "trial_ended");
        assert!(all(&send(way, &key(2)).await).contains("trial ended"));
    }
    paywall.stop().await;
}

/// The key in an embedding page is the owner's own; whoever reads the page is not.
async fn a_visitor_of_an_embedded_chat_learns_nothing_of_the_owner(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    let question = json!({"question": "Which city?", "query": "Which city?"});
    let ways = ["/api/v1/chatbots/d1/completions", "/api/v1/agentbots/a1/completions"];
    let visit = |path: &str| paywall.send(paywall.post(path, &beta(1), &question));
    paywall.adjust(1, override_of(Meter::Messages, 1)).await;
    eventually(async || visit(ways[0]).await.code() == Some("quota_exhausted")).await;
    for path in ways {
        let answer = visit(path).await;
        assert_eq!(answer.status, 200, "the page shows it");
        keeps_quiet(&answer, "quota_exhausted");
        assert!(answer.body.contains("not available at the moment"), "{answer:?}");
    }
    let whole = json!({"question": "Which city?", "stream": false});
    let answer = paywall.send(paywall.post(ways[0], &beta(1), &whole)).await;
    keeps_quiet(&answer, "quota_exhausted");
    assert_eq!(answer.json()["data"], json!(null));
    paywall.adjust(1, end_trial()).await;
    eventually(async || visit(ways[0]).await.code() == Some("trial_ended")).await;
    keeps_quiet(&visit(ways[1]).await, "trial_ended");
    paywall.stop().await;
}

on_each_pair!(
    a_stranger_learns_no_figures_and_a_member_all_of_them,
    a_visitor_of_an_embedded_chat_learns_nothing_of_the_owner,
);

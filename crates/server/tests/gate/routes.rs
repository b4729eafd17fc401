//! What each route is taken for, as a table.

use paywall_domain::{Decision, Denial, Meter, Operation, Timestamp};
use paywall_server::gate::{
    Answer, Asked, Caller, Effect, Resource, Route, UnknownRoutes, Work, classify, classify_with, costs, relevant,
    table,
};
use serde_json::json;

const MESSAGE: &str = "generate: messages tokens api_requests";
const HELP: &str = "generate: tokens api_requests";
const FIND: &str = "retrieve: api_requests";
const UPLOAD: &str = "upload: documents storage_bytes";
const STORE: &str = "upload: storage_bytes";
const LINK: &str = "upload: documents";
const PARSE: &str = "parse: tokens";
const DATASET: &str = "create: datasets";
const INVITE: &str = "invite: seats";
const CHANGE: &str = "change: api_requests";
const FREE: &str = "free:";
const ADMIN: &str = "administer:";

/// Request, what it costs, how it answers, who pays: an id in the path, the fields to look at, or the caller.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str, &str)] = &[
    // Today's routes.
    ("POST /api/v1/chat/completions",                        MESSAGE, "Chat",   "chat_id session_id"),
    ("POST /api/v1/openai/d1/chat/completions",              MESSAGE, "OpenAi", "Dialog d1"),
    ("POST /api/v1/agents/chat/completions",                 MESSAGE, "Agent",  "agent_id"),
    ("POST /api/v1/chatbots/d1/completions",                 MESSAGE, "Chat",   "Dialog d1"),
    ("POST /api/v1/agentbots/a1/completions",                MESSAGE, "Agent",  "Agent a1"),
    ("POST /api/v1/searchbots/ask",                          MESSAGE, "Chat",   "kb_ids search_id"),
    ("POST /api/v1/searchbots/mindmap",                      HELP,    "Json",   "kb_ids search_id"),
    ("POST /api/v1/searchbots/related_questions",            HELP,    "Json",   "search_id"),
    ("POST /api/v1/searches/s1/completion",                  MESSAGE, "Chat",   "Search s1"),
    ("POST /api/v1/searches/s1/completions",                 MESSAGE, "Chat",   "Search s1"),
    ("POST /api/v1/chat/mindmap",                            HELP,    "Json",   "kb_ids search_id"),
    ("POST /api/v1/chat/recommendation",                     HELP,    "Json",   "search_id"),
    ("POST /api/v1/chat/audio/speech",                       HELP,    "Json",   "caller"),
    ("POST /api/v1/chat/audio/transcription",                HELP,    "Json",   "caller"),
    ("POST /api/v1/agents/a1/components/c1/debug",           HELP,    "Json",   "Agent a1"),
    ("POST /api/v1/agents/rerun",                            PARSE,   "Json",   "caller"),
    ("POST /api/v1/connectors/c1/rebuild",                   PARSE,   "Json",   "kb_id"),
    ("POST /api/v1/connectors/c1/resume",                    FREE,    "Json",   "caller"),
    ("PUT /api/v1/messages/m1:7",                            FREE,    "Json",   "caller"),
    ("POST /api/v1/agents/a1/webhook",                       MESSAGE, "Json",   "Agent a1"),
    ("GET /api/v1/agents/a1/webhook",                        MESSAGE, "Json",   "Agent a1"),
    ("HEAD /api/v1/agents/a1/webhook",                       MESSAGE, "Json",   "Agent a1"),
    ("DELETE /api/v1/agents/a1/webhook/test",                MESSAGE, "Json",   "Agent a1"),
    ("POST /api/v1/messages",                                HELP,    "Json",   "memory_id agent_id"),
    ("POST /api/v1/retrieval",                               FIND,    "Json",   "dataset_ids"),
    ("POST /api/v1/datasets/search",                         FIND,    "Json",   "dataset_ids kb_id"),
    ("POST /api/v1/datasets/k1/search",                      FIND,    "Json",   "Dataset k1"),
    ("POST /api/v1/searchbots/retrieval_test",               FIND,    "Json",   "kb_id search_id"),
    ("POST /api/v1/dify/retrieval",                          FIND,    "Dify",   "knowledge_id knowledge_id"),
    ("GET /api/v1/dify/retrieval",                           FIND,    "Dify",   "knowledge_id knowledge_id"),
    ("GET /api/v1/messages/search",                          FIND,    "Json",   "memory_id"),
    ("POST /api/v1/datasets/k1/documents",                   UPLOAD,  "Json",   "Dataset k1"),
    ("POST /api/v1/documents/upload",                        STORE,   "Json",   "caller"),
    ("POST /api/v1/files",                                   STORE,   "Json",   "caller"),
    ("POST /api/v1/files/link-to-datasets",                  LINK,    "Json",   "kb_ids dataset_ids"),
    ("POST /api/v1/agents/a1/upload",                        STORE,   "Json",   "Agent a1"),
    ("POST /api/v1/datasets/k1/documents/parse",             PARSE,   "Json",   "Dataset k1"),
    ("POST /api/v1/documents/ingest",                        PARSE,   "Json",   "doc_ids"),
    ("POST /api/v1/datasets/k1/chunks",                      PARSE,   "Json",   "Dataset k1"),
    ("POST /api/v1/datasets/k1/index",                       PARSE,   "Json",   "Dataset k1"),
    ("POST /api/v1/datasets/k1/embedding/check",             PARSE,   "Json",   "Dataset k1"),
    ("POST /api/v1/datasets/k1/documents/f1/chunks",         PARSE,   "Json",   "Dataset k1"),
    ("PATCH /api/v1/datasets/k1/documents/f1/chunks/c1",     PARSE,   "Json",   "Dataset k1"),
    ("POST /api/v1/datasets",                                DATASET, "Json",   "caller"),
    ("POST /api/v1/tenants/t1/users",                        INVITE,  "Json",   "Tenant t1"),
    ("POST /api/v1/chats",                                   CHANGE,  "Json",   "caller"),
    ("POST /api/v1/agents",                                  CHANGE,  "Json",   "caller"),
    ("POST /api/v1/searches",                                CHANGE,  "Json",   "caller"),
    ("POST /api/v1/memories",                                CHANGE,  "Json",   "caller"),
    ("POST /api/v1/mcp/servers",                             CHANGE,  "Json",   "caller"),
    ("POST /api/v1/connectors",                              CHANGE,  "Json",   "caller"),
    ("POST /api/v1/chat-channels",                           CHANGE,  "Json",   "caller"),
    ("POST /api/v1/system/tokens",                           CHANGE,  "Json",   "caller"),
    // Always open.
    ("POST /api/v1/auth/login",                              FREE,    "Json",   "caller"),
    ("POST /api/v1/auth/logout",                             FREE,    "Json",   "caller"),
    ("POST /api/v1/users",                                   FREE,    "Json",   "caller"),
    ("GET /api/v1/users/me",                                 FREE,    "Json",   "caller"),
    ("GET /api/v1/datasets",                                 FREE,    "Json",   "caller"),
    ("GET /api/v1/datasets/k1/documents/f1/chunks",          FREE,    "Json",   "caller"),
    ("GET /api/v1/datasets/k1/index",                        FREE,    "Json",   "caller"),
    ("DELETE /api/v1/datasets",                              FREE,    "Json",   "caller"),
    ("DELETE /api/v1/datasets/k1/chunks",                    FREE,    "Json",   "caller"),
    ("PATCH /api/v1/tenants/t1",                             FREE,    "Json",   "Tenant t1"),
    ("POST /api/v1/chats/d1/sessions",                       FREE,    "Json",   "Dialog d1"),
    ("PUT /api/v1/agents/a1",                                FREE,    "Json",   "Agent a1"),
    ("GET /api/v1/chatbots/d1/info",                         FREE,    "Json",   "Dialog d1"),
    ("OPTIONS /api/v1/chat/completions",                     FREE,    "Json",   "caller"),
    ("GET /",                                                FREE,    "Json",   "caller"),
    ("GET /assets/index.js",                                 FREE,    "Json",   "caller"),
    ("POST /api/v1/admin/login",                             ADMIN,   "Json",   "caller"),
    ("PUT /api/v1/admin/users/u/activate",                   ADMIN,   "Json",   "caller"),
    // Deprecated, and still there.
    ("POST /api/v1/chats/d1/completions",                    MESSAGE, "Chat",   "Dialog d1"),
    ("POST /api/v1/chats_openai/d1/chat/completions",        MESSAGE, "OpenAi", "Dialog d1"),
    ("POST /api/v1/agents/a1/completions",                   MESSAGE, "Agent",  "Agent a1"),
    ("POST /api/v1/agents_openai/a1/chat/completions",       MESSAGE, "OpenAi", "Agent a1"),
    ("POST /api/v1/agents/chat/completion",                  MESSAGE, "Agent",  "agent_id"),
    ("POST /api/v1/sessions/related_questions",              HELP,    "Json",   "search_id"),
    ("POST /api/v1/datasets/k1/run_graphrag",                PARSE,   "Json",   "Dataset k1"),
    ("POST /api/v1/datasets/k1/run_raptor",                  PARSE,   "Json",   "Dataset k1"),
    ("GET /api/v1/datasets/k1/trace_raptor",                 FREE,    "Json",   "caller"),
    ("POST /api/v1/file/upload",                             STORE,   "Json",   "caller"),
    ("POST /api/v1/file/create",                             STORE,   "Json",   "caller"),
    ("POST /api/v1/file/convert",                            LINK,    "Json",   "kb_ids"),
    ("POST /api/v1/file/upload_info",                        STORE,   "Json",   "caller"),
    ("POST /api/v1/file/rm",                                 FREE,    "Json",   "caller"),
    ("PUT /api/v1/datasets/k1/documents/f1/chunks/c1",       PARSE,   "Json",   "Dataset k1"),
    ("PUT /api/v1/chats/d1/sessions/s1",                     FREE,    "Json",   "Dialog d1"),
    ("POST /v1/document/upload_info",                        STORE,   "Json",   "caller"),
    ("GET /v1/document/download/f1",                         FREE,    "Json",   "Document f1"),
    ("GET /v1/system/healthz",                               FREE,    "Json",   "caller"),
    // v0.22 to v0.24.
    ("POST /api/v1/sessions/ask",                            MESSAGE, "Chat",   "dataset_ids"),
    ("POST /api/v1/webhook/a1",                              MESSAGE, "Json",   "Agent a1"),
    ("POST /v1/conversation/completion",                     MESSAGE, "Chat",   "conversation_id"),
    ("POST /v1/conversation/ask",                            MESSAGE, "Chat",   "kb_ids search_id"),
    ("POST /v1/conversation/mindmap",                        HELP,    "Json",   "kb_ids search_id"),
    ("POST /v1/conversation/tts",                            HELP,    "Json",   "caller"),
    ("POST /v1/canvas/completion",                           MESSAGE, "Agent",  "id"),
    ("POST /v1/canvas/a1/completion",                        MESSAGE, "Agent",  "Agent a1"),
    ("POST /v1/canvas/rerun",                                PARSE,   "Json",   "caller"),
    ("PUT /v1/canvas/cancel/t1",                             FREE,    "Json",   "caller"),
    ("POST /v1/api/completion",                              MESSAGE, "Chat",   "conversation_id"),
    ("POST /v1/api/completion_aibotk",                       MESSAGE, "Json",   "conversation_id"),
    ("GET /v1/api/new_conversation",                         FREE,    "Json",   "caller"),
    ("POST /v1/api/retrieval",                               FIND,    "Json",   "kb_id"),
    ("POST /v1/api/document/upload",                         UPLOAD,  "Json",   "caller"),
    ("POST /v1/api/document/upload_and_parse",               UPLOAD,  "Json",   "conversation_id"),
    ("POST /v1/api/list_chunks",                             FREE,    "Json",   "caller"),
    ("POST /v1/evaluation/run/start",                        HELP,    "Json",   "dialog_id"),
    ("POST /v1/messages",                                    HELP,    "Json",   "memory_id agent_id"),
    ("GET /v1/messages/search",                              FIND,    "Json",   "memory_id"),
    ("PUT /v1/memories/m1",                                  FREE,    "Json",   "Memory m1"),
    ("PUT /v1/connector/c1/rebuild",                         PARSE,   "Json",   "kb_id"),
    ("PUT /v1/connector/c1/resume",                          FREE,    "Json",   "caller"),
    ("POST /api/v1/sequence2txt",                            HELP,    "Json",   "caller"),
    ("POST /v1/conversation/sequence2txt",                   HELP,    "Json",   "caller"),
    ("POST /v1/document/upload_and_parse",                   UPLOAD,  "Json",   "conversation_id"),
    ("POST /v1/document/parse",                              PARSE,   "Json",   "caller"),
    ("POST /v1/kb/check_embedding",                          PARSE,   "Json",   "kb_id"),
    ("POST /v1/kb/update_metadata_setting",                  FREE,    "Json",   "caller"),
    ("POST /v1/canvas/debug",                                HELP,    "Json",   "id"),
    ("POST /v1/canvas/upload/a1",                            STORE,   "Json",   "Agent a1"),
    ("POST /v1/chunk/retrieval_test",                        FIND,    "Json",   "kb_id"),
    ("POST /v1/chunk/create",                                PARSE,   "Json",   "doc_id"),
    ("POST /v1/chunk/list",                                  FREE,    "Json",   "caller"),
    ("POST /v1/document/upload",                             UPLOAD,  "Json",   "kb_id"),
    ("POST /v1/document/web_crawl",                          UPLOAD,  "Json",   "kb_id"),
    ("POST /v1/document/run",                                PARSE,   "Json",   "doc_ids"),
    ("POST /v1/document/list",                               FREE,    "Json",   "caller"),
    ("POST /v1/file/upload",                                 STORE,   "Json",   "caller"),
    ("POST /v1/file2document/convert",                       LINK,    "Json",   "kb_ids"),
    ("POST /v1/kb/create",                                   DATASET, "Json",   "caller"),
    ("POST /v1/kb/list",                                     FREE,    "Json",   "caller"),
    ("POST /v1/kb/run_graphrag",                             PARSE,   "Json",   "kb_id"),
    ("POST /v1/tenant/t1/user",                              INVITE,  "Json",   "Tenant t1"),
    ("POST /v1/dialog/set",                                  CHANGE,  "Json",   "caller"),
    ("POST /v1/user/login",                                  FREE,    "Json",   "caller"),
    // Nobody told us.
    ("GET /api/v1/something/new",                            FREE,    "Json",   "caller"),
    ("POST /api/v1/something/new",                           CHANGE,  "Json",   "caller"),
    ("DELETE /api/v1/something/new",                         FREE,    "Json",   "caller"),
    ("PROPFIND /api/v1/datasets",                            CHANGE,  "Json",   "caller"),
    ("PUT /api/v1/retrieval",                                CHANGE,  "Json",   "caller"),
    // Other spellings of a costly route, one by one.
    ("post /api/v1/retrieval",                               FIND,    "Json",   "dataset_ids"),
    ("POST /api/v1/retrieval/",                              FIND,    "Json",   "dataset_ids"),
    ("POST //api///v1/retrieval",                            FIND,    "Json",   "dataset_ids"),
    ("POST /api/v1/retrieval?x=/v1/kb/list",                 FIND,    "Json",   "dataset_ids"),
    ("POST /api/v1/%72etrieval",                             FIND,    "Json",   "dataset_ids"),
    ("POST /api%2Fv1%2fretrieval",                           FIND,    "Json",   "dataset_ids"),
    ("POST /%61%70%69/v1/retrieval%2f",                      FIND,    "Json",   "dataset_ids"),
    ("POST /API/V1/Retrieval",                               FIND,    "Json",   "dataset_ids"),
    ("POST /api/v1/retrieval;jsessionid=1",                  FIND,    "Json",   "dataset_ids"),
    ("POST /api;a/v1;b/retrieval%3Bc",                       FIND,    "Json",   "dataset_ids"),
    ("POST /api/v1/;/retrieval",                             FIND,    "Json",   "dataset_ids"),
    ("HEAD /api/v1/dify/retrieval",                          FIND,    "Dify",   "knowledge_id knowledge_id"),
    ("POST /api/v1/openai/%64%31/chat/completions",          MESSAGE, "OpenAi", "Dialog d1"),
    ("POST /api/v1/agents/chat/upload",                      STORE,   "Json",   "Agent chat"),
];

/// Paths that are refused before anything is decided.
const REFUSED: &[&str] = &[
    "/api/v1/x/../retrieval",
    "/api/v1/./retrieval",
    "/api/v1/%2e%2e/v1/retrieval",
    "/api/v1/x/%2E./retrieval",
    "/api/v1/x%2f..%2fretrieval",
    "/api/v1/..;/v1/retrieval",
    "/api/v1/..",
    "/api/v1/%252e%252e/retrieval",
    "/api%252fv1/retrieval",
    "/api/v1\\retrieval",
    "/api/v1%5cretrieval",
    "/api/v1/retrieval%00",
    "/api/v1/retrieval%0d%0aX:1",
    "/api/v1/retrieval%",
    "/api/v1/retrieval%zz",
    "/api/v1/retrieval%f",
    "/api/v1/%ff/retrieval",
    "/api/v1/retrieval#x",
    "api/v1/retrieval",
    "http://elsewhere/api/v1/retrieval",
    "*",
    "",
];

fn word(work: Work) -> &'static str {
    match work {
        Work::Does(Operation::Generate) => "generate",
        Work::Does(Operation::Retrieve) => "retrieve",
        Work::Does(Operation::Upload) => "upload",
        Work::Does(Operation::Parse) => "parse",
        Work::Does(Operation::Create) => "create",
        Work::Does(Operation::Invite) => "invite",
        Work::Change => "change",
        Work::Free => "free",
        Work::Administer => "administer",
    }
}

fn request(line: &str) -> Route {
    let (method, path) = line.split_once(' ').unwrap();
    classify(method, path).unwrap()
}

#[test]
fn every_route_is_taken_for_what_it_is() {
    for (line, work, answer, payer) in CASES {
        let route = request(line);
        let operation = format!("{}:", word(route.kind.work));
        let meters = route.kind.meters.iter().map(|it| it.as_str());
        assert_eq!(std::iter::once(operation.as_str()).chain(meters).collect::<Vec<_>>().join(" "), *work, "{line}");
        assert_eq!(format!("{:?}", route.kind.answer(Asked::default())), *answer, "{line}");
        let fields: Vec<&str> = route.fields.iter().map(|it| it.name).collect();
        let pays = match route.payer() {
            Some(id) => format!("{:?} {}", id.resource, id.id),
            None if fields.is_empty() => "caller".into(),
            None => fields.join(" "),
        };
        assert_eq!(pays, *payer, "{line}");
    }
}

#[test]
fn paths_that_can_be_read_in_two_ways_are_refused() {
    for path in REFUSED {
        assert!(classify("POST", path).is_err(), "{path}");
        assert!(classify("OPTIONS", path).is_err(), "{path}");
    }
    assert!(classify("GET", &format!("/{}", "a".repeat(5000))).is_err());
    // Deep or long as such is no harm.
    assert_eq!(classify("GET", &"/a".repeat(2000)).unwrap().pattern, "(other read)");
}

#[test]
fn a_route_costs_no_more_than_its_operation_can_deny() {
    for row in table() {
        let allowed = row.kind.work.operation().map_or(&[][..], Operation::meters);
        assert!(row.kind.meters.iter().all(|meter| allowed.contains(meter)), "{}", row.pattern);
        assert!(!row.kind.meters.is_empty() || row.kind.work.operation().is_none(), "{}", row.pattern);
    }
}

/// Also bounds the search: more ids in a row would let a path branch more often.
#[test]
fn the_table_is_well_formed() {
    let mut seen = std::collections::BTreeSet::new();
    for row in table() {
        assert!(row.pattern.starts_with("/api/v1/") || row.pattern.starts_with("/v1/"), "{}", row.pattern);
        assert!(!row.pattern.ends_with('/') && !row.pattern.contains("//"), "{}", row.pattern);
        assert!(row.pattern.split('/').filter(|it| it.starts_with('{')).count() <= 3, "{}", row.pattern);
        assert!(seen.insert((row.pattern, format!("{:?}", row.methods))), "{} twice", row.pattern);
        for segment in row.pattern.split('/').filter(|it| it.contains(['{', '}'])) {
            let known = ["dataset", "document", "dialog", "session", "agent", "search", "memory", "tenant", "id", "*"];
            assert!(known.contains(&segment.trim_matches(['{', '}'])), "{}", row.pattern);
        }
    }
    assert!(table().len() > 150);
}

#[test]
fn embed_keys_open_what_is_embedded_and_no_more() {
    let open: Vec<&str> = table().iter().filter(|row| row.kind.embeds).map(|row| row.pattern).collect();
    for pattern in &open {
        let embedded = ["/chatbots/", "/agentbots/", "/searchbots/"];
        let upload = *pattern == "/api/v1/agents/{agent}/upload";
        assert!(upload || embedded.iter().any(|part| pattern.contains(part)), "{pattern}");
    }
    for part in ["/chatbots/", "/agentbots/", "/searchbots/"] {
        for row in table().iter().filter(|row| row.pattern.contains(part)) {
            assert!(open.contains(&row.pattern), "{}", row.pattern);
        }
    }
}

#[test]
fn what_passes_tells_the_cache() {
    for (line, effect) in [
        ("POST /api/v1/auth/login", Some(Effect::SignIn)),
        ("GET /api/v1/auth/oauth/github/callback", Some(Effect::SignIn)),
        ("POST /v1/user/login", Some(Effect::SignIn)),
        ("POST /api/v1/auth/logout", Some(Effect::SignOut)),
        ("GET /v1/user/logout", Some(Effect::SignOut)),
        ("PATCH /api/v1/users/me", Some(Effect::SignOut)),
        ("POST /api/v1/users", Some(Effect::Register)),
        ("DELETE /api/v1/system/tokens/t", Some(Effect::Keys)),
        ("POST /api/v1/system/tokens", Some(Effect::Keys)),
        ("POST /api/v1/tenants/t1/users", Some(Effect::Members)),
        ("PATCH /api/v1/tenants/t1", Some(Effect::Members)),
        ("GET /api/v1/auth/login/github", None),
        ("POST /api/v1/chat/completions", None),
    ] {
        assert_eq!(request(line).kind.effect, effect, "{line}");
    }
}

#[test]
fn the_body_decides_how_an_answer_looks_and_whether_work_stops() {
    let answer = |line, body| request(line).kind.answer(Asked::read(&body));
    assert_eq!(answer("POST /api/v1/chat/completions", json!({})), Answer::Chat);
    assert_eq!(answer("POST /api/v1/chat/completions", json!({"stream": true})), Answer::Chat);
    for no in [json!(false), json!(0), json!(""), json!(null), json!([])] {
        assert_eq!(answer("POST /api/v1/chat/completions", json!({"stream": no})), Answer::Json);
    }
    assert_eq!(answer("POST /api/v1/searchbots/ask", json!({"stream": false})), Answer::Chat);
    assert_eq!(answer("POST /api/v1/agents/chat/completions", json!({"stream": false})), Answer::Json);
    let openai = json!({"openai-compatible": true, "stream": false});
    assert_eq!(answer("POST /api/v1/agents/chat/completions", openai), Answer::OpenAi);
    assert_eq!(answer("POST /api/v1/openai/d/chat/completions", json!({"stream": true})), Answer::OpenAi);

    let ingest = |body| request("POST /api/v1/documents/ingest").kind.work(Asked::read(&body));
    for stop in [json!(2), json!("2")] {
        assert_eq!(ingest(json!({"run": stop})), Work::Free);
    }
    for start in [json!(1), json!("1"), json!(2.0), json!("2.0"), json!(" 2"), json!([2]), json!(true), json!(null)] {
        assert_eq!(ingest(json!({"run": start})), Work::Does(Operation::Parse));
    }
    // Nothing turns this stream off.
    assert_eq!(answer("POST /v1/canvas/completion", json!({"id": "a", "stream": false})), Answer::Agent);
    // Only where RAGFlow looks at it.
    let parse = request("POST /api/v1/datasets/k/documents/parse").kind;
    assert_eq!(parse.work(Asked::read(&json!({"run": 2}))), Work::Does(Operation::Parse));
}

#[test]
fn unknown_routes_follow_the_policy() {
    let policy = UnknownRoutes { reads_count: true, writes_count: false };
    let work = |method, path| classify_with(policy, method, path).unwrap().kind.work;
    assert_eq!(work("GET", "/api/v1/new"), Work::Change);
    assert_eq!(work("POST", "/api/v1/new"), Work::Free);
    assert_eq!(work("DELETE", "/api/v1/new"), Work::Free);
    assert_eq!(work("POST", "/api/v1/retrieval"), Work::Does(Operation::Retrieve));
}

#[test]
fn a_refusal_concerns_what_the_route_costs_this_caller() {
    let exhausted = |meter| Denial::QuotaExhausted { meter, used: 1, limit: 1, resets_at: None };
    let ended = Denial::TrialEnded { ended_at: Some(Timestamp(0)) };
    let decision = Decision {
        denials: vec![
            ended.clone(),
            exhausted(Meter::Messages),
            exhausted(Meter::Tokens),
            exhausted(Meter::ApiRequests),
        ],
    };
    let left = |line, caller| relevant(&decision, &request(line), caller).denials;
    assert_eq!(left("POST /api/v1/chat/completions", Caller::Key), decision.denials);
    assert_eq!(left("POST /api/v1/chat/completions", Caller::Browser), decision.denials[..3]);
    assert_eq!(left("POST /api/v1/chat/mindmap", Caller::Visitor), [ended.clone(), exhausted(Meter::Tokens)]);
    assert_eq!(left("POST /api/v1/chats", Caller::Browser), [ended]);

    let counted = |line, caller| costs(&request(line), caller).collect::<Vec<_>>();
    assert_eq!(counted("POST /api/v1/chats", Caller::Key), [Meter::ApiRequests]);
    assert!(counted("POST /api/v1/chats", Caller::Browser).is_empty());
}

#[test]
fn an_id_is_any_text_and_an_inner_one_does_not_pay() {
    let route = request("PUT /api/v1/datasets/%27%20OR%201=1--/documents/%e4%bd%a0/chunks/c");
    let ids: Vec<(Resource, &str)> = route.ids.iter().map(|it| (it.resource, it.id.as_str())).collect();
    let expected = [(Resource::Dataset, "' OR 1=1--"), (Resource::Document, "你"), (Resource::Other, "c")];
    assert_eq!(ids, expected);
    assert_eq!(route.payer().map(|it| it.resource), Some(Resource::Dataset));
}

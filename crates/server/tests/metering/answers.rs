//! Answers of every kind, whole and broken off, in pieces cut anywhere.

use paywall_domain::Meter;
use paywall_server::gate::Answer;
use paywall_server::metering::{Amounts, End, Head, Observer, Outcome, TokenCount, TokenSource, estimate};
use paywall_server::quota::Counter;
use proptest::prelude::*;
use serde_json::{Value, json};

const ASKED: i64 = 10;
const SSE: &str = "text/event-stream; charset=utf-8";
const JSON: &str = "application/json";

/// What an answer is, and what it has to count as.
struct Case {
    what: &'static str,
    answer: Answer,
    status: u16,
    kind: &'static str,
    body: String,
    end: End,
    expected: Outcome,
}

fn stream(frames: &[Value]) -> String {
    let mut text = String::new();
    for frame in frames {
        text.push_str("data:");
        text.push_str(&frame.to_string());
        text.push_str("\n\n");
    }
    text
}

fn chat(text: &str) -> Value {
    json!({"code": 0, "message": "", "data": {"answer": text, "reference": {}, "session_id": "s", "id": "m"}})
}

fn chat_end() -> Value {
    json!({"code": 0, "message": "", "data": true})
}

fn agent(event: &str, data: impl Into<Value>) -> Value {
    let data = data.into();
    json!({"event": event, "message_id": "m", "created_at": 1, "task_id": "t", "session_id": "s", "data": data})
}

fn piece(delta: impl Into<Value>) -> Value {
    let delta = delta.into();
    json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn answered(units: i64, source: TokenSource) -> Outcome {
    Outcome {
        billable: true,
        messages: 1,
        tokens: TokenCount { units, source },
        documents: None,
        failure: None,
        complete: true,
    }
}

fn estimated(text: &str) -> Outcome {
    answered(ASKED + estimate(text), TokenSource::Estimate)
}

fn failed(code: i64) -> Outcome {
    Outcome { failure: Some(code), complete: true, ..Outcome::NOTHING }
}

fn broken(outcome: Outcome) -> Outcome {
    Outcome { complete: false, ..outcome }
}

fn documents(outcome: Outcome, count: i64) -> Outcome {
    Outcome { documents: Some(count), ..outcome }
}

/// A prompt as the last frame of a chat shows it.
const PROMPT: &str = "You are a helpful assistant.\nHere is the knowledge base:\n知识库的内容。\n\n### Query:\nWhy?\n\n\
                      ## Time elapsed:\n  - Total: 812.1ms\n\n## Token usage:\n  - Generated tokens(approximately): 44\n  \
                      - Token speed: 61/s";

fn streams() -> Vec<Case> {
    let sse = |what, answer, body: String, expected| Case {
        what,
        answer,
        status: 200,
        kind: SSE,
        body,
        end: End::Complete,
        expected,
    };
    let text = "Grüße, 世界! \"Quoted\" \\ \u{1F600}\n";
    let usage = json!({"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150, "calls": 2});
    let last = json!({"code": 0, "message": "", "data": {"answer": "", "reference": {"chunks": [{"content": "not the answer"}]},
        "prompt": PROMPT, "final": true}});
    vec![
        sse(
            "chat in pieces",
            Answer::Chat,
            stream(&[chat("Hello"), chat(", "), chat(text), chat_end()]),
            estimated(&format!("Hello, {text}")),
        ),
        sse(
            "chat whose frames grow",
            Answer::Chat,
            stream(&[chat("Hello"), chat("Hello, my"), chat("Hello, my world"), chat_end()]),
            estimated("Hello, my world"),
        ),
        sse(
            "chat with its prompt in the last frame",
            Answer::Chat,
            stream(&[chat("Hello"), chat(", you"), last.clone(), chat_end()]),
            answered(estimate(PROMPT) + 44, TokenSource::Estimate),
        ),
        sse(
            "chat that says all again in the last frame",
            Answer::Chat,
            stream(&[
                chat("One two three."),
                chat(" Four five six."),
                json!({"code": 0, "data": {"answer": "One two three. Four five six. [ID:0]", "final": true}}),
                chat_end(),
            ]),
            estimated("One two three. Four five six. [ID:0]"),
        ),
        sse(
            "chat that fails before it says anything",
            Answer::Chat,
            stream(&[
                json!({"code": 500, "message": "no model", "data": {"answer": "**ERROR**: no model", "reference": []}}),
                chat_end(),
            ]),
            documents(failed(500), 0),
        ),
        sse(
            "chat that fails in the midst",
            Answer::Chat,
            stream(&[
                chat("Hello"),
                json!({"code": 500, "message": "gone", "data": {"answer": "**ERROR**: gone"}}),
                chat_end(),
            ]),
            Outcome { failure: Some(500), ..estimated("Hello") },
        ),
        sse(
            "chat whose text is an error",
            Answer::Chat,
            stream(&[chat("**ERROR**: quota of the model"), chat_end()]),
            Outcome { complete: true, ..Outcome::NOTHING },
        ),
        sse(
            "chat that says nothing",
            Answer::Chat,
            stream(&[chat(""), chat_end()]),
            Outcome { complete: true, documents: None, ..Outcome::NOTHING },
        ),
        Case {
            end: End::Broken,
            ..sse(
                "chat whose caller leaves",
                Answer::Chat,
                stream(&[chat("Hello"), chat(", you")]),
                broken(estimated("Hello, you")),
            )
        },
        Case {
            end: End::Broken,
            ..sse(
                "chat that ends within a frame",
                Answer::Chat,
                "data: {\"code\":0,\"data\":{\"answer\":\"Hel".to_owned(),
                broken(estimated("Hel")),
            )
        },
        Case {
            end: End::Broken,
            ..sse(
                "chat whose caller leaves before it begins",
                Answer::Chat,
                String::new(),
                Outcome { documents: None, ..Outcome::NOTHING },
            )
        },
        sse(
            "agent of which the provider reports",
            Answer::Agent,
            stream(&[
                agent("workflow_started", json!({"inputs": {}})),
                agent("node_finished", json!({"outputs": {"content": "inner work"}, "usage": {"total_tokens": 70}})),
                agent("message", json!({"content": "Hello"})),
                agent("message", json!({"content": " you"})),
                agent("message_end", json!({"reference": {}})),
                agent("workflow_finished", json!({"outputs": {"content": "Hello you"}, "usage": usage})),
            ]) + "data:[DONE]\n\n",
            answered(150, TokenSource::Provider),
        ),
        sse(
            "agent of which nobody reports",
            Answer::Agent,
            stream(&[
                agent("message", json!({"content": "Hello"})),
                agent("node_finished", json!({"outputs": {"content": "inner work"}})),
                agent("message", json!({"content": " you"})),
                agent("workflow_finished", json!({"outputs": {"content": "Hello you"}, "usage": {"total_tokens": 0}})),
            ]) + "data:[DONE]\n\n",
            estimated("Hello you"),
        ),
        sse(
            "agent that says it in the end alone",
            Answer::Agent,
            stream(&[agent("workflow_finished", json!({"outputs": {"content": "Hello you"}}))]) + "data:[DONE]\n\n",
            estimated("Hello you"),
        ),
        sse(
            "agent that forwards usage alone",
            Answer::Agent,
            stream(&[
                agent("message", json!({"content": "Hi"})),
                json!({"event": "workflow_finished", "data": {"usage": usage}}),
            ]) + "data:[DONE]\n\n",
            answered(150, TokenSource::Provider),
        ),
        sse(
            "agent that fails",
            Answer::Agent,
            stream(&[agent("workflow_started", json!({})), json!({"code": 500, "message": "x", "data": false})])
                + "data:[DONE]\n\n",
            failed(500),
        ),
        sse(
            "as OpenAI answers, with too few tokens",
            Answer::OpenAi,
            stream(&[
                piece(json!({"role": "assistant", "content": "Hello"})),
                piece(json!({"content": ", you", "reasoning_content": null})),
                json!({"choices": [{"delta": {"content": null}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}),
            ]) + "data:[DONE]\n\n",
            answered(ASKED + estimate("Hello, you"), TokenSource::Partial),
        ),
        sse(
            "as OpenAI answers, with more",
            Answer::OpenAi,
            stream(&[
                piece(json!({"content": "Hello"})),
                json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 200}}),
            ]) + "data: [DONE]\r\n\r\n",
            answered(300, TokenSource::Partial),
        ),
        sse(
            "lines as others end them",
            Answer::Chat,
            format!(": hello\revent: x\r\ndata: {}\r\n\r\ndata:{}\r\r", chat("Hel"), chat("lo")),
            estimated("Hello"),
        ),
        sse(
            "data of several lines",
            Answer::Chat,
            "data: {\"code\": 0,\ndata: \"data\": {\"answer\":\ndata: \"Hello\"}}\n\n".to_owned(),
            estimated("Hello"),
        ),
        sse(
            "no shape that is known",
            Answer::Chat,
            "data: Hello, you\n\nretry: 5\n\n".to_owned(),
            estimated("data: Hello, you\n\nretry: 5\n\n"),
        ),
        sse(
            "nested beyond reason",
            Answer::Chat,
            format!("data: {}\n\n", "[".repeat(5_000)),
            estimated(&format!("data: {}\n\n", "[".repeat(5_000))),
        ),
    ]
}

fn bodies() -> Vec<Case> {
    let body = |what, answer, body: Value, expected| Case {
        what,
        answer,
        status: 200,
        kind: JSON,
        body: body.to_string(),
        end: End::Complete,
        expected,
    };
    let ok = |data| json!({"code": 0, "message": "", "data": data});
    vec![
        body(
            "chat",
            Answer::Json,
            ok(json!({"answer": "Hello", "prompt": PROMPT, "reference": {"chunks": [{"content": "no"}]}})),
            documents(answered(estimate(PROMPT) + 44, TokenSource::Estimate), 1),
        ),
        body(
            "agent",
            Answer::Json,
            ok(json!({"data": {"content": "Hello", "usage": {"total_tokens": 77}}})),
            documents(answered(77, TokenSource::Provider), 1),
        ),
        body(
            "an error inside of 200",
            Answer::Json,
            json!({"code": 102, "message": "You don't own it.", "data": null}),
            documents(failed(102), 0),
        ),
        body(
            "the code at the end",
            Answer::Json,
            json!({"data": {"answer": "x"}, "z": 1, "zz": [{}], "code": 100}),
            documents(failed(100), 0),
        ),
        body(
            "as OpenAI answers",
            Answer::OpenAi,
            json!({"choices": [{"message": {"role": "assistant", "content": "Hello"}}], "usage": {"total_tokens": 3}}),
            documents(answered(ASKED + 2, TokenSource::Partial), 0),
        ),
        body(
            "as OpenAI errs",
            Answer::OpenAi,
            json!({"error": {"message": "x", "type": "y"}}),
            documents(failed(-1), 0),
        ),
        Case {
            status: 401,
            ..body("signed out", Answer::Json, json!({"code": 401, "message": "x"}), documents(failed(401), 0))
        },
        Case {
            status: 502,
            kind: "text/html",
            body: "<html>bad gateway".to_owned(),
            ..body("no RAGFlow", Answer::Json, Value::Null, Outcome { complete: true, ..Outcome::NOTHING })
        },
        body(
            "three documents",
            Answer::Json,
            ok(json!([{"id": "a", "name": "]["}, {"id": "b", "chunks": [1, 2]}, {"id": "c"}])),
            documents(estimated(""), 3),
        ),
        body("no documents", Answer::Json, ok(json!([])), documents(estimated(""), 0)),
        body("ids", Answer::Json, ok(json!(["a", "b"])), documents(estimated(""), 2)),
        body(
            "what a webhook's author likes",
            Answer::Json,
            json!({"result": "done"}),
            documents(estimated("{\"result\":\"done\"}"), 0),
        ),
        Case {
            body: "{\"code\":0,\"data\":{\"answer\":\"Hello".to_owned(),
            end: End::Broken,
            ..body("broken off", Answer::Json, Value::Null, broken(estimated("Hello")))
        },
        Case {
            kind: "audio/mpeg",
            body: "ID3 and so on".to_owned(),
            ..body("speech", Answer::Json, Value::Null, Outcome { documents: None, ..estimated("") })
        },
    ]
}

fn watch<'a>(case: &Case, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let head = Head { status: case.status, content_type: Some(case.kind), encoded: false };
    let mut observer = Observer::new(case.answer, ASKED, head);
    for piece in pieces {
        observer.feed(piece);
    }
    observer.finish(case.end)
}

/// Documents are a matter of bodies alone.
fn comparable(case: &Case, outcome: Outcome) -> Outcome {
    if case.kind == SSE { Outcome { documents: None, ..outcome } } else { outcome }
}

#[test]
fn an_answer_counts_the_same_wherever_it_is_cut() {
    for case in streams().into_iter().chain(bodies()) {
        let bytes = case.body.as_bytes();
        let expected = comparable(&case, case.expected);
        assert_eq!(comparable(&case, watch(&case, [bytes])), expected, "{}", case.what);
        assert_eq!(comparable(&case, watch(&case, bytes.chunks(1))), expected, "{}", case.what);
        for at in 0..=bytes.len() {
            let (one, other) = bytes.split_at(at);
            assert_eq!(comparable(&case, watch(&case, [one, other])), expected, "{} cut at {at}", case.what);
        }
    }
}

#[test]
fn an_answer_that_cannot_be_read_counts_its_question() {
    let head = Head { status: 200, content_type: Some(JSON), encoded: true };
    let mut observer = Observer::new(Answer::Json, ASKED, head);
    observer.feed(&[0x1f, 0x8b, 8]);
    assert_eq!(observer.finish(End::Complete), estimated(""));
}

#[test]
fn what_counts_is_what_the_route_costs() {
    let outcome = answered(42, TokenSource::Provider);
    let amounts = Amounts::NONE.with(Counter::Messages, 1).with(Counter::Tokens, 42).with(Counter::ApiRequests, 1);
    assert_eq!(outcome.amounts([Meter::Messages, Meter::Tokens, Meter::ApiRequests, Meter::Documents]), amounts);
    assert_eq!(outcome.amounts([Meter::Tokens]), Amounts::NONE.with(Counter::Tokens, 42));
    assert!(Outcome::NOTHING.amounts(Meter::ALL).is_none());
}

proptest! {
    #[test]
    fn whatever_comes_it_counts_the_same_in_pieces_and_never_panics(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "(data:|[\\[\\]{},:\" \n]|\"(code|data|answer|usage|total_tokens)\"|\\\\u[0-9a-f]{4}|0|-5|1e9|true|x){0,80}".prop_map(String::into_bytes),
        ],
        cuts in prop::collection::vec(0_usize..300, 0..6),
        sse in any::<bool>(),
    ) {
        let case = Case {
            what: "", answer: Answer::Chat, status: 200, kind: if sse { SSE } else { JSON }, body: String::new(),
            end: End::Complete, expected: Outcome::NOTHING,
        };
        let whole = watch(&case, [&*bytes]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        prop_assert_eq!(whole, watch(&case, cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]])));
        prop_assert!(whole.tokens.units >= 0);
    }

    #[test]
    fn a_text_of_an_answer_is_counted_as_it_is(text in "\\PC{0,200}") {
        let case = Case {
            what: "", answer: Answer::Chat, status: 200, kind: SSE, body: stream(&[chat("- "), chat(&text)]),
            end: End::Complete, expected: Outcome::NOTHING,
        };
        prop_assume!(!text.starts_with("- "));
        let mut escaped = String::new();
        for char in case.body.chars() {
            if char.is_ascii() {
                escaped.push(char);
            } else {
                let units = char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>();
                escaped.push_str(&units.concat());
            }
        }
        let outcome = watch(&case, [case.body.as_bytes()]);
        prop_assert_eq!(outcome.tokens.units, ASKED + estimate(&format!("- {text}")));
        prop_assert_eq!(outcome, watch(&case, [escaped.as_bytes()]));
    }
}

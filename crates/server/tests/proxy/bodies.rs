//! Looking into bodies, and passing them on unchanged.

use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::upstream::Note;

fn post(target: &str, content_type: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn bodies(notes: &[Note]) -> Vec<String> {
    let body = |note: &Note| match note {
        Note::Whole { body, .. } => Some(String::from_utf8_lossy(body).into_owned()),
        _ => None,
    };
    notes.iter().filter_map(body).collect()
}

const CHAT: &str = "/api/v1/chat/completions";
const UPLOAD: &str = "/v1/document/upload";
const JSON: &str = "application/json";
const FORM: &str = "multipart/form-data; boundary=b";

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_is_read_and_the_body_passes_unchanged() {
    let app = App::start().await;
    let part = |name: &str, text: &str| format!("--b\r\nContent-Disposition: form-data; {name}\r\n\r\n{text}\r\n");
    let file = part("name=\"file\"; filename=\"f.txt\"", &"x".repeat(3_000_000));
    let field_first = part("name=\"kb_id\"", "k1") + &file + "--b--\r\n";
    let small_file_first = part("name=\"file\"; filename=\"f\"", "x") + &part("name=\"kb_id\"", "k2") + "--b--\r\n";
    let without = part("name=\"other\"", "x") + "--b--\r\n";
    let cases: [(&str, &str, String, &[&str]); 12] = [
        (CHAT, JSON, r#"{"chat_id":"c1","stream":false}"#.into(), &["c1"]),
        (CHAT, "text/plain", r#"{"chat_id":"c1"}"#.into(), &["c1"]),
        (CHAT, JSON, r#"{"chat_id":"","session_id":"s1"}"#.into(), &["s1"]),
        (CHAT, JSON, r#"{"chat_id":7}"#.into(), &[]),
        (CHAT, JSON, String::new(), &[]),
        (CHAT, "application/x-www-form-urlencoded", "chat_id=c%31&chat_id=c2".into(), &["c1"]),
        ("/api/v1/retrieval", JSON, r#"{"dataset_ids":["d1","d2"]}"#.into(), &["d1", "d2"]),
        ("/api/v1/dify/retrieval?knowledge_id=d3", JSON, r#"{"query":"?"}"#.into(), &["d3"]),
        (UPLOAD, FORM, field_first, &["k1"]),
        (UPLOAD, FORM, small_file_first, &["k2"]),
        (UPLOAD, FORM, without, &[]),
        (UPLOAD, JSON, r#"{"kb_id":"k1"}"#.into(), &[]),
    ];
    for (target, content_type, body, expected) in cases {
        app.upstream.take();
        let (head, answer) = app.ask(&post(target, content_type, &body)).await;
        assert_eq!(head.status(), 200, "{target} {content_type}: {answer}");
        let named = app.journal.all().pop().unwrap().named.unwrap();
        let ids: Vec<&str> = named.ids.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, expected, "{target} {content_type}");
        assert!(bodies(&app.upstream.notes()) == [body], "{target} {content_type}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_where_it_must_be_is_refused_with_a_reason() {
    let app = App::start().await;
    let large = format!(r#"{{"chat_id":"c","question":"{}"}}"#, "x".repeat(1_100_000));
    let late = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"kb_id\"\r\n\r\nk\r\n--b--\r\n",
        "x".repeat(3_000_000)
    );
    let extended = "--b\r\nContent-Disposition: form-data; name*=UTF-8''kb_id\r\n\r\nk\r\n--b--\r\n".to_owned();
    let gzip = "Content-Encoding: gzip\r\nContent-Type";
    let cases = [
        (post(CHAT, JSON, &large), 413, "1048576 bytes at most"),
        (post(CHAT, JSON, "{").replace("Content-Type", gzip), 415, "cannot be compressed"),
        (post(CHAT, JSON, "{\"chat_id\":"), 400, "cannot be read"),
        (post(CHAT, JSON, "\u{feff}{}"), 400, "cannot be read"),
        (post(UPLOAD, FORM, &late), 413, "before its files"),
        (post(UPLOAD, FORM, &extended), 400, "extended or continued name"),
        (post(UPLOAD, "multipart/form-data; boundary=a; boundary=b", "x"), 400, "exactly one boundary"),
        (post(UPLOAD, FORM, "--b").replace("Content-Type", gzip), 415, "cannot be compressed"),
    ];
    for (request, status, reason) in cases {
        let (head, body) = app.ask(&request).await;
        assert_eq!(head.status(), status, "{reason}: {body}");
        assert!(body.contains(reason), "{body}");
        assert!(body.starts_with(&format!("{{\"code\":{status}")), "{body}");
    }
    assert!(app.upstream.notes().is_empty());
    // Where the path names who pays, nothing of that matters.
    let (head, _) = app.ask(&post("/api/v1/chats/c/completions", JSON, &large)).await;
    assert_eq!(head.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_waits_for_a_word_gets_it_when_its_body_is_wanted() {
    let app = App::start().await;
    for target in ["/a", CHAT] {
        let mut caller = app.caller().await;
        let body = r#"{"chat_id":"c"}"#;
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n");
        caller.send(head).await;
        assert_eq!(caller.head().await.status(), 100);
        caller.send(body).await;
        assert_eq!(caller.head().await.status(), 200, "{target}");
        assert_eq!(app.upstream.heads().pop().unwrap().get("expect"), None);
    }
    // Refused, it does not get to send it.
    let mut caller = app.caller().await;
    let request = "POST /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ragflow-blocked\r\n\
        Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n";
    caller.send(request).await;
    assert_eq!(caller.head().await.status(), 402);
    let (head, _) = app.ask("POST /a HTTP/1.1\r\nHost: a\r\nExpect: more\r\nContent-Length: 1\r\n\r\nx").await;
    assert_eq!(head.status(), 417);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_gets_to_read_why() {
    let app = App::start().await;
    for (target, key, status) in [("/a", "ragflow-blocked", 402), ("/refuse-early", "ragflow-fine", 413)] {
        let caller = app.caller().await;
        let (mut reader, mut writer) = tokio::io::split(caller.stream);
        let size = 64 * 1024 * 1024;
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: {size}\r\n\r\n"
        );
        // All of it first, as a browser does, which a reset in between would not survive.
        tokio::io::AsyncWriteExt::write_all(&mut writer, head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..64 {
            tokio::io::AsyncWriteExt::write_all(&mut writer, &piece).await.unwrap();
        }
        tokio::io::AsyncWriteExt::flush(&mut writer).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        let mut answer = vec![0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut reader, &mut answer).await.unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), format!("HTTP/1.1 {status}"), "{target}");
    }
}

/// `RAGFlow` takes each of them, and what commas part.
#[tokio::test(flavor = "multi_thread")]
async fn every_memory_that_a_query_names_counts() {
    let app = App::start().await;
    let target = "/api/v1/messages/search?memory_id=m1,m2&query=x&memory_id=m3";
    let (head, _) = app.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    assert_eq!(head.status(), 200);
    let named = app.journal.all().pop().unwrap().named.unwrap();
    assert_eq!(named.ids.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["m1", "m2", "m3"]);
}

//! Requests that two servers could read differently: refused, or passed on as exactly one request in the
//! one framing that is left.

use std::time::Duration;

use tokio::time::timeout;

use crate::app::App;
use crate::upstream::Note;
use crate::wire::read_head;

/// What `RAGFlow` gets.
#[derive(Clone, Copy)]
enum Upstream {
    /// No whole request.
    Nothing,
    /// This one: first line and body.
    One(&'static str, &'static str),
}
use Upstream::{Nothing, One};

struct Case {
    what: &'static str,
    bytes: &'static [u8],
    status: u16,
    upstream: Upstream,
}

const fn case(what: &'static str, bytes: &'static [u8], status: u16, upstream: Upstream) -> Case {
    Case { what, bytes, status, upstream }
}

const GET: &str = "GET /a HTTP/1.1";
const POST: &str = "POST /a HTTP/1.1";

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Length and chunks.
    case("length, then chunks", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 200, One(POST, "")),
    case("chunks, then length", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n4\r\ndata\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 200, One(POST, "data")),
    case("two lengths", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\ndata", 400, Nothing),
    case("one length, twice", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\ndata", 200, One(POST, "data")),
    case("a list of lengths", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4, 4\r\n\r\ndata", 400, Nothing),
    case("a signed length", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n\r\ndata", 400, Nothing),
    case("a negative length", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: -4\r\n\r\ndata", 400, Nothing),
    case("an empty length", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\ndata", 400, Nothing),
    case("a length beyond numbers", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nx", 400, Nothing),
    case("a padded length", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0004\r\n\r\ndata", 200, One(POST, "data")),
    // Transfer codings.
    case("chunked, not last", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, Nothing),
    case("identity", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 400, Nothing),
    case("xchunked", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, Nothing),
    case("chunked in quotes", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400, Nothing),
    case("a vertical tab before chunked", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, Nothing),
    case("a coding below chunks", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, Nothing),
    case("chunked twice", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501, Nothing),
    case("chunked in two lines", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501, Nothing),
    case("identity, then chunked", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501, Nothing),
    case("chunked, then identity", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400, Nothing),
    case("CHUNKED", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n4\r\ndata\r\n0\r\n\r\n", 200, One(POST, "data")),
    // Chunks.
    case("a chunk size that is none", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\ndata\r\n0\r\n\r\n", 400, Nothing),
    case("a chunk size beyond numbers", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\ndata\r\n0\r\n\r\n", 400, Nothing),
    case("a negative chunk size", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-4\r\ndata\r\n0\r\n\r\n", 400, Nothing),
    case("a chunk longer than it says", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndata\r\n0\r\n\r\n", 400, Nothing),
    case("a bare line feed after a chunk size", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\ndata\r\n0\r\n\r\n", 400, Nothing),
    case("a line feed in a chunk extension", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4;a\nb\r\ndata\r\n0\r\n\r\n", 400, Nothing),
    case("a chunk extension", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\ndata\r\n0\r\n\r\n", 200, One(POST, "data")),
    // Heads.
    case("a folded header", b"GET /a HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400, Nothing),
    case("a fold in front", b"GET /a HTTP/1.1\r\n Host: h\r\n\r\n", 400, Nothing),
    case("a space before the colon", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length : 4\r\n\r\ndata", 400, Nothing),
    case("a tab before the colon", b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400, Nothing),
    case("a header without a colon", b"GET /a HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", 400, Nothing),
    case("a header without a name", b"GET /a HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", 400, Nothing),
    case("NUL in a header", b"GET /a HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 400, Nothing),
    case("NUL in a header's name", b"GET /a HTTP/1.1\r\nHost: h\r\nX\0: a\r\n\r\n", 400, Nothing),
    case("a bare carriage return", b"GET /a HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400, Nothing),
    case("bare line feeds", b"GET /a HTTP/1.1\nHost: h\nX: a\n\n", 200, One(GET, "")),
    case("an empty line in front", b"\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", 200, One(GET, "")),
    case("a space in front", b" GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("Connection names the length", b"POST /a HTTP/1.1\r\nHost: h\r\nConnection: content-length, host\r\nContent-Length: 4\r\n\r\ndata", 200, One(POST, "data")),
    // Versions.
    case("HTTP/0.9", b"GET /a\r\n\r\n", 400, Nothing),
    case("HTTP/1.2", b"GET /a HTTP/1.2\r\nHost: h\r\n\r\n", 400, Nothing),
    case("HTTP/2 in the text", b"GET /a HTTP/2.0\r\nHost: h\r\n\r\n", 400, Nothing),
    case("HTTP/1.0 with a length", b"POST /a HTTP/1.0\r\nContent-Length: 4\r\n\r\ndata", 200, One(POST, "data")),
    case("HTTP/1.0 without a length", b"POST /a HTTP/1.0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 200, One(POST, "")),
    case("HTTP/1.0 with chunks", b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, Nothing),
    case("an offer of h2c", b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n", 200, One(GET, "")),
    // Bodies where few have one.
    case("a body with a GET", b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\ndata", 200, One(GET, "data")),
    case("chunks with a GET", b"GET /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n\r\n", 200, One(GET, "data")),
    // Hosts and targets.
    case("no host", b"GET /a HTTP/1.1\r\n\r\n", 400, Nothing),
    case("two hosts", b"GET /a HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400, Nothing),
    case("a list of hosts", b"GET /a HTTP/1.1\r\nHost: h, i\r\n\r\n", 400, Nothing),
    case("a host with a path", b"GET /a HTTP/1.1\r\nHost: h/b\r\n\r\n", 400, Nothing),
    case("a host with a user", b"GET /a HTTP/1.1\r\nHost: u@h\r\n\r\n", 400, Nothing),
    case("an absolute target", b"GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", 200, One(GET, "")),
    case("an absolute target elsewhere", b"GET http://other/a HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("an absolute target with a user", b"GET http://u@h/a HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("an absolute target of the server's own", b"GET http://other/admin/v1/me HTTP/1.1\r\nHost: h\r\n\r\n", 401, Nothing),
    case("a target without a slash", b"GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("an asterisk", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("a tunnel", b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 405, Nothing),
    case("a space in the target", b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("NUL in the target", b"GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("a method that is none", b"G@T /a HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("dot segments", b"GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("encoded dot segments", b"GET /a/%2e%2E/b HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("doubly encoded dot segments", b"GET /a/%252e%252e/b HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("a backslash", b"GET /a%5Cb HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("a broken escape", b"GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("encoded NUL", b"GET /a%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("encoded line breaks", b"GET /a%0d%0aX:%20b HTTP/1.1\r\nHost: h\r\n\r\n", 400, Nothing),
    case("an encoded slash", b"GET /a%2Fb HTTP/1.1\r\nHost: h\r\n\r\n", 200, One("GET /a%2Fb HTTP/1.1", "")),
    case("doubled slashes", b"GET //a//b HTTP/1.1\r\nHost: h\r\n\r\n", 200, One("GET //a//b HTTP/1.1", "")),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_is_refused_or_passed_on_as_one_request() {
    let app = App::start().await;
    let mut wrong = Vec::new();
    for Case { what, bytes, status, upstream } in CASES {
        app.upstream.take();
        let mut caller = app.caller().await;
        caller.send(bytes).await;
        let head = timeout(Duration::from_secs(5), read_head(&mut caller.stream)).await;
        let found = head.ok().and_then(Result::ok).flatten().map_or(0, |it| it.status());
        // Time for a second request, if one was made of the rest of these bytes.
        let closed = timeout(Duration::from_millis(30), caller.rest()).await.is_ok();
        let notes = app.upstream.notes();
        let whole: Vec<(&str, String)> = notes
            .iter()
            .filter_map(|note| match note {
                Note::Whole { head, body, .. } => {
                    Some((head.first.as_str(), String::from_utf8_lossy(body).into_owned()))
                }
                _ => None,
            })
            .collect();
        let right = match upstream {
            Nothing => whole.is_empty(),
            One(first, body) => whole == [(*first, (*body).to_owned())],
        };
        let garbage = notes.iter().any(|note| matches!(note, Note::Garbage));
        if found != *status || !right || garbage {
            wrong.push(format!("{what}: {found} (closed: {closed}), upstream got {notes:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_http_2_is_not_answered_with_it() {
    let app = App::start().await;
    let mut caller = app.caller().await;
    caller.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let rest = caller.rest().await;
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{rest:?}");
    assert!(app.upstream.notes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_headers_are_refused() {
    let app = App::start().await;
    let with = |count: usize| format!("GET /a HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: a\r\n".repeat(count));
    assert_eq!(app.ask(&with(90)).await.0.status(), 200);
    assert_eq!(app.ask(&with(150)).await.0.status(), 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(5000));
    assert_eq!(app.ask(&long).await.0.status(), 400);
    assert_eq!(app.upstream.heads().len(), 1);
}

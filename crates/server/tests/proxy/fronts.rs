//! Real nginx and real Caddy in front, with what docs/fronts.md tells people to write.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::app::{App, BLOCKED, EXHAUSTED};
use crate::upstream::{FRAMES, Note, PAUSE, frame};
use crate::wire::{Caller, Head, LONG};

/// The block of that name in the documentation.
fn snippet(name: &str) -> String {
    let docs = include_str!("../../../../docs/fronts.md");
    let (_, rest) = docs.split_once(&format!("<!-- snippet: {name} -->\n")).expect("the snippet");
    let block = rest.strip_prefix("```").unwrap().split_once('\n').unwrap().1;
    block.split_once("\n```").unwrap().0.to_owned() + "\n"
}

struct Front {
    address: SocketAddr,
    app: App,
    _process: Child,
    _folder: TempDir,
}

impl Front {
    async fn start(name: &str) -> Self {
        let app = App::with(|config| {
            config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
            if name.contains("authz") {
                config.ragflow_url = None;
            }
        })
        .await;
        // Another program may take the port before the front does.
        for _ in 0..5 {
            if let Some((address, process, folder)) = launch(name, &app).await {
                return Self { address, app, _process: process, _folder: folder };
            }
        }
        panic!("{name} does not start");
    }

    async fn caller(&self) -> Caller {
        Caller::connect(self.address).await
    }

    /// Sends a question and answers status, deny code and body.
    async fn ask(&self, headers: &str) -> (u16, Option<String>, String) {
        let (head, body) = self.answer(headers).await;
        (head.status(), head.get("x-paywall-code").map(str::to_owned), body)
    }

    async fn answer(&self, headers: &str) -> (Head, String) {
        let body = r#"{"question":"?"}"#;
        let request = format!(
            "POST /api/v1/chats/c/completions?a=%2F HTTP/1.1\r\nHost: {}\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.caller().await.ask(&request).await
    }

    async fn check(&self, name: &str) {
        self.allows().await;
        self.streams().await;
        self.blocks(name).await;
    }

    /// What may pass gets to RAGFlow whole, whatever a caller says about the front.
    async fn allows(&self) {
        let lies = "Authorization: Bearer ragflow-fine\r\nX-Original-Method: GET\r\nX-Original-URI: /free\r\n\
            X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /free\r\nX-Forwarded-For: 198.51.100.66\r\n\
            X-Original-Content-Length: 0\r\n";
        let (status, _, body) = self.ask(lies).await;
        assert_eq!((status, body.as_str()), (200, "ok"));
        let whole: Vec<_> = self.app.upstream.take();
        let [Note::Whole { head, body, .. }] = &whole[..] else { panic!("{whole:?}") };
        assert_eq!(head.first, "POST /api/v1/chats/c/completions?a=%2F HTTP/1.1");
        assert_eq!(head.get("host"), Some(self.address.to_string().as_str()));
        assert_eq!(head.get("authorization"), Some("Bearer ragflow-fine"));
        assert_eq!(body, br#"{"question":"?"}"#);
        let seen = self.app.journal.all().pop().unwrap();
        assert_eq!(seen.target, "/api/v1/chats/c/completions?a=%2F");
        assert_eq!(seen.peer, "127.0.0.1");
        assert_eq!(seen.length.as_deref(), Some("16"), "an upload's room is set aside by it");
        assert_eq!(seen.credential, "Ok(ApiKey(…))");
        assert_eq!(self.app.journal.ended(&seen.target).await.ends.len(), 1);
    }

    async fn streams(&self) {
        let mut caller = self.caller().await;
        caller.send(format!("GET /stream HTTP/1.1\r\nHost: {}\r\n\r\n", self.address)).await;
        let head = caller.head().await;
        assert!(head.is_chunked(), "{head:?}");
        let (mut all, mut times) = (Vec::new(), Vec::new());
        loop {
            let (chunk, at) = caller.chunk().await;
            if chunk.is_empty() {
                break;
            }
            all.extend(chunk);
            times.push(at);
        }
        assert_eq!(String::from_utf8(all).unwrap(), (0..FRAMES).map(frame).collect::<String>());
        let steps = times.windows(2).filter(|it| it[1] - it[0] > PAUSE / 4).count();
        assert!(steps >= FRAMES / 2, "{steps} of {}", FRAMES - 1);
        self.app.upstream.take();
    }

    async fn blocks(&self, name: &str) {
        let (status, code, body) = self.ask(&format!("Authorization: Bearer {BLOCKED}\r\n")).await;
        assert_eq!(status, if name == "caddy-authz" { 403 } else { 402 }, "{body}");
        assert_eq!(code.as_deref(), Some("trial_ended"));
        assert!(body.contains("The free trial ended on 2026-06-15."), "{body}");
        assert!(body.contains("https://pay.example/paywall"), "{body}");
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(json["code"].is_number(), "{body}");
        // The table of docs/fronts.md: which status, and what tells a program when to come again.
        let (head, body) = self.answer(&format!("Authorization: Bearer {EXHAUSTED}\r\n")).await;
        let status = match name {
            "caddy-authz" => 403,
            "nginx-authz" => 402,
            _ => 429,
        };
        assert_eq!(head.status(), status, "{body}");
        let told = ["x-paywall-code", "x-paywall-meter", "retry-after"].map(|it| head.get(it));
        assert_eq!(told, [Some("quota_exhausted"), Some("messages"), Some("3600")]);
        assert!(self.app.upstream.take().is_empty());
    }
}

/// Starts a front of that kind before `app`; `None` where it ended at once.
async fn launch(name: &str, app: &App) -> Option<(SocketAddr, Child, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let here = snippet(name.split('+').next().unwrap());
    let here = match name.split_once('+') {
        None => here,
        // From the network of this test, or from another.
        Some((_, network)) => {
            let route = snippet("nginx-admin").replace("10.0.0.0/8", network);
            here.replacen("    location / {", &format!("{route}\n    location / {{"), 1)
        }
    };
    let here = here
        .replace("127.0.0.1:8787", &app.address.to_string())
        .replace("127.0.0.1:8080", &app.upstream.address.to_string());
    let root = folder.path().display();
    let file = folder.path().join("config");
    let mut command;
    if name.starts_with("nginx") {
        let here = here.replace("listen 80;", &format!("listen {address};"));
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|it| format!("{it}_temp_path {root}/{it};"))
            .join("\n");
        let text = format!(
            "daemon off;\nmaster_process off;\npid {root}/pid;\nerror_log {root}/log warn;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}\n{here}}}\n"
        );
        std::fs::write(&file, text).unwrap();
        command = Command::new("nginx");
        command.arg("-e").arg(folder.path().join("log")).arg("-p").arg(folder.path()).arg("-c").arg(&file);
    } else {
        let here = here.replace("ragflow.example {", &format!("http://{address} {{"));
        std::fs::write(&file, format!("{{\nadmin off\n}}\n{here}")).unwrap();
        command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(variable, folder.path());
        }
    }
    // Where administrators' programs are not on everybody's path.
    command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn();
    let mut process = process.expect("nginx-light and caddy are installed; `cargo xtask test` does that");
    let start = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(start.elapsed() < LONG, "{name} does not start: {}", log());
        if process.try_wait().unwrap().is_some() {
            assert!(!log().contains("[emerg]") || log().contains("bind()"), "{}", log());
            return None;
        }
        sleep(Duration::from_millis(10)).await;
    }
    Some((address, process, folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_before_the_proxy() {
    Front::start("nginx-proxy").await.check("nginx-proxy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_that_asks_authz() {
    let front = Front::start("nginx-authz").await;
    front.check("nginx-authz").await;
    // A person in RAGFlow's web UI gets what that shows: a status of success, and the code inside.
    let (status, code, body) = front.ask("Authorization: a.session-of-blocked.b\r\n").await;
    assert_eq!((status, code.as_deref()), (200, Some("trial_ended")), "{body}");
    assert!(body.starts_with("{\"code\":402,\"message\":\"The free trial ended"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_opens_the_admin_api_to_one_network_where_it_is_told_to() {
    let status = async |name: &str, path: &str| {
        let front = Front::start(name).await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", front.address);
        let (head, _) = front.caller().await.ask(&request).await;
        (head.status(), front.app.upstream.take().len())
    };
    for way in ["nginx-proxy", "nginx-authz"] {
        assert_eq!(
            status(&format!("{way}+127.0.0.0/8"), "/admin/v1/me").await,
            (401, 0),
            "{way}: the token is missing"
        );
        for spelling in ["/admin/v1/me", "//admin/v1/me", "/%61dmin/v1/me", "/x/../admin/v1/me"] {
            assert_eq!(status(&format!("{way}+10.0.0.0/8"), spelling).await, (403, 0), "{way}: {spelling}");
        }
    }
    // Where it is not told to: open behind its tokens, or not there.
    assert_eq!(status("nginx-proxy", "/admin/v1/me").await, (401, 0));
    assert_eq!(status("nginx-authz", "/admin/v1/me").await.1, 1, "it went to RAGFlow");
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_before_the_proxy() {
    Front::start("caddy-proxy").await.check("caddy-proxy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_that_asks_authz() {
    Front::start("caddy-authz").await.check("caddy-authz").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authz_answers_trusted_fronts_alone_and_says_who_pays() {
    let question = "GET /authz HTTP/1.1\r\nHost: a\r\nX-Original-Method: POST\r\nX-Original-URI: /a\r\n\r\n";
    let app = App::start().await;
    let (head, body) = app.ask(question).await;
    assert_eq!(head.status(), 403);
    assert!(body.contains("trusted_proxies"), "{body}");
    assert!(app.journal.all().is_empty());

    let app = App::with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let mut front = app.caller().await;
    front.send(question).await;
    let head = front.head().await;
    assert_eq!(head.status(), 204);
    assert_eq!(head.get("x-paywall-tenant"), Some(crate::app::PAYER));
    assert!(head.get("x-request-id").unwrap().starts_with("req_"));
    let (head, body) = front.ask(&question.replace("/a\r", "/a/../b\r")).await;
    assert_eq!(head.status(), 403, "{body}");
    assert_eq!(head.get("x-paywall-message"), Some("the path has a dot segment"));
    assert_eq!(head.get("x-paywall-code"), None);
    let (head, _) = front.ask(&question.replace("X-Original-Method", "X-Forwarded-Method")).await;
    assert_eq!(head.status(), 403);
    assert!(app.upstream.notes().is_empty());
}

//! Large uploads, by a server that runs as its own process, so that its memory is its own.

use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::upstream::{Note, Upstream};
use crate::wire::Caller;

/// Resident memory in bytes; what the process had at most since it started.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|it| it.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_passes_in_flat_memory() {
    const SIZE: u64 = 1 << 30;
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_paywall-server"))
        .arg("serve")
        .env("PAYWALL_LISTEN", "127.0.0.1:0")
        .env("PAYWALL_DATABASE_URL", format!("sqlite://{}", folder.path().join("server.db").display()))
        .env("PAYWALL_TOKEN_KEY", "0123456789abcdef")
        .env("PAYWALL_RAGFLOW_URL", format!("http://{}", upstream.address))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("listening on http://").unwrap().parse().unwrap();
    let mut caller = Caller::connect(address).await;
    assert_eq!(caller.ask(&crate::app::get("/warm")).await.1, "ok");
    let before = peak_memory(server.id().unwrap());

    let start = Instant::now();
    caller.send(format!("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n")).await;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..SIZE >> 20 {
        caller.stream.write_all(&piece).await.unwrap();
    }
    assert_eq!(caller.head().await.status(), 200);
    let bytes = upstream.wait(|note| if let Note::Counted { bytes } = note { Some(*bytes) } else { None }).await;
    assert_eq!(bytes, SIZE);
    let grown = peak_memory(server.id().unwrap()).saturating_sub(before);
    eprintln!("1 GiB in {:?}, memory grew by {} KiB", start.elapsed(), grown >> 10);
    assert!(grown <= 16 << 20, "{grown} bytes");
}

//! Stands in for `RAGFlow`: notes every request as it came over the wire, and answers by its path, with
//! the framing and the pauses that `RAGFlow`'s streams have.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::wire::{Head, LONG, read_chunk, read_head};

/// How far apart the frames of `/stream` are.
pub(crate) const PAUSE: Duration = Duration::from_millis(40);
/// How many there are.
pub(crate) const FRAMES: usize = 12;

/// What came in.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    /// A request whose framing was whole.
    Whole { connection: usize, head: Head, body: Vec<u8>, trailers: Head },
    /// A request whose body was counted and not kept.
    Counted { bytes: u64 },
    /// A request that broke off within.
    Partial,
    /// What was not HTTP.
    Garbage,
    /// The other side closed while an answer was on its way.
    Aborted { path: String, at: Instant },
}

#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    notes: Arc<Mutex<Vec<Note>>>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        Self::start_on(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap())
    }

    pub(crate) fn start_on(listener: TcpListener) -> Self {
        let upstream = Self { address: listener.local_addr().unwrap(), notes: Arc::default() };
        let serving = upstream.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let upstream = serving.clone();
                tokio::spawn(async move {
                    if upstream.serve(connection, BufReader::new(stream)).await.is_err() {
                        upstream.note(Note::Garbage);
                    }
                });
            }
        });
        upstream
    }

    fn note(&self, note: Note) {
        self.notes.lock().unwrap().push(note);
    }

    pub(crate) fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap().clone()
    }

    pub(crate) fn take(&self) -> Vec<Note> {
        std::mem::take(&mut self.notes.lock().unwrap())
    }

    /// The heads of whole requests so far.
    pub(crate) fn heads(&self) -> Vec<Head> {
        let whole = |note| if let Note::Whole { head, .. } = note { Some(head) } else { None };
        self.notes().into_iter().filter_map(whole).collect()
    }

    /// Waits until `found` finds something among the notes.
    pub(crate) async fn wait<T>(&self, found: impl Fn(&Note) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(it) = self.notes().iter().find_map(&found) {
                return it;
            }
            assert!(start.elapsed() < LONG, "{:?}", self.notes());
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// When the answer to `path` was aborted.
    pub(crate) async fn abort_of(&self, path: &str) -> Instant {
        self.wait(|note| match note {
            Note::Aborted { path: it, at } if it == path => Some(*at),
            _ => None,
        })
        .await
    }

    async fn serve(&self, connection: usize, mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
        stream.get_ref().set_nodelay(true)?;
        while let Some(head) = read_head(&mut stream).await? {
            if !head.first.ends_with(" HTTP/1.1") {
                self.note(Note::Garbage);
                return Ok(());
            }
            let path = head.target().to_owned();
            if path == "/refuse-early" {
                stream
                    .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmany")
                    .await?;
                // As nginx does: closing at once would reset the connection and with it the answer.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                return Ok(());
            }
            if path == "/count" {
                let bytes = count(&mut stream, &head).await?;
                self.note(Note::Counted { bytes });
            } else {
                let Some((body, trailers)) = read_body(&mut stream, &head).await else {
                    self.note(Note::Partial);
                    return Ok(());
                };
                self.note(Note::Whole { connection, head: head.clone(), body, trailers });
            }
            if !self.answer(&mut stream, &head, &path).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Answers; `false` where that closes the connection.
    async fn answer(&self, stream: &mut BufReader<TcpStream>, head: &Head, path: &str) -> std::io::Result<bool> {
        const SSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n\
            Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
        match path.split('?').next().unwrap_or_default() {
            "/stream" | "/api/v1/chat/completions" => {
                stream.write_all(SSE.as_bytes()).await?;
                for number in 0..FRAMES {
                    sleep(PAUSE).await;
                    stream.write_all(chunk(frame(number).as_bytes()).as_slice()).await?;
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            // Several frames in one write, as a busy server sends them.
            "/burst" => {
                let chunks: Vec<u8> = (0..FRAMES).flat_map(|it| chunk(frame(it).as_bytes())).collect();
                stream.write_all(&[SSE.as_bytes(), &chunks, b"0\r\n\r\n"].concat()).await?;
            }
            "/forever" | "/hang" => {
                if path == "/forever" {
                    stream.write_all(&[SSE.as_bytes(), &chunk(b"data:begin\n\n")].concat()).await?;
                }
                let mut byte = [0];
                let _ = stream.read(&mut byte).await;
                self.note(Note::Aborted { path: path.to_owned(), at: Instant::now() });
                return Ok(false);
            }
            "/flood" => {
                let piece = chunk(&[b'x'; 16 * 1024]);
                stream.write_all(SSE.as_bytes()).await?;
                while stream.write_all(&piece).await.is_ok() {}
                self.note(Note::Aborted { path: path.to_owned(), at: Instant::now() });
                return Ok(false);
            }
            "/trailers" => {
                let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                    4\r\ndata\r\n0\r\nX-Sum: 42\r\n\r\n";
                stream.write_all(answer.as_bytes()).await?;
            }
            "/until-closed" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end").await?;
                return Ok(false);
            }
            "/die" => {
                stream.write_all(&[SSE.as_bytes(), &chunk(frame(0).as_bytes()), b"ff\r\nhalf"].concat()).await?;
                // So that the caller has the beginning when the end comes.
                sleep(PAUSE).await;
                return Ok(false);
            }
            "/die-at-once" => return Ok(false),
            "/switch" => {
                let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
                stream.write_all(answer).await?;
                return Ok(false);
            }
            "/large-header" => {
                let answer =
                    format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\nContent-Length: 2\r\n\r\nok", "y".repeat(30_000));
                stream.write_all(answer.as_bytes()).await?;
            }
            "/odd-answer" => {
                let answer = "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                    X-Paywall-Code: forged\r\nX-Request-Id: forged\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
                    Content-Length: 2\r\n\r\nok";
                stream.write_all(answer.as_bytes()).await?;
                return Ok(false);
            }
            "/nothing" => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?,
            _ if head.method() == "HEAD" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").await?;
            }
            _ => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?,
        }
        Ok(true)
    }
}

/// What `/stream` sends; frames differ in size.
pub(crate) fn frame(number: usize) -> String {
    let answer = "word ".repeat(number + 1);
    format!("data:{{\"code\":0,\"message\":\"\",\"data\":{{\"answer\":\"{answer}\",\"reference\":{{}}}}}}\n\n")
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

async fn read_body(stream: &mut BufReader<TcpStream>, head: &Head) -> Option<(Vec<u8>, Head)> {
    let mut body = Vec::new();
    if !head.all("transfer-encoding").is_empty() {
        assert!(head.is_chunked() && head.length().is_none(), "{head:?}");
        loop {
            let chunk = read_chunk(stream).await.ok()??;
            if chunk.is_empty() {
                break;
            }
            body.extend(chunk);
        }
        // Trailers look like headers below a line that is none.
        let mut trailers = Head { first: "trailers".to_owned(), headers: Vec::new() };
        loop {
            let mut line = String::new();
            tokio::io::AsyncBufReadExt::read_line(stream, &mut line).await.ok().filter(|it| *it > 0)?;
            match line.trim().split_once(':') {
                Some((name, value)) => trailers.headers.push((name.to_owned(), value.trim().to_owned())),
                None => return Some((body, trailers)),
            }
        }
    }
    assert!(head.all("content-length").len() < 2, "{head:?}");
    body.resize(head.length().unwrap_or(0), 0);
    stream.read_exact(&mut body).await.ok()?;
    Some((body, Head::default()))
}

async fn count(stream: &mut BufReader<TcpStream>, head: &Head) -> std::io::Result<u64> {
    let (mut bytes, mut buffer) = (0, vec![0; 256 * 1024]);
    let length = head.length().unwrap() as u64;
    while bytes < length {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
    }
    Ok(bytes)
}

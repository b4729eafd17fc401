//! HTTP/1.1 by hand, so that a test sees the framing and not what a library made of it.

use std::time::{Duration, Instant};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A first line and headers, with names as they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn target(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.all("transfer-encoding") == ["chunked"]
    }

    pub(crate) fn length(&self) -> Option<usize> {
        self.get("content-length").map(|it| it.parse().unwrap())
    }
}

/// Reads a head; `None` at the connection's end.
pub(crate) async fn read_head(from: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Head>> {
    let mut head = Head::default();
    loop {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        if line.is_empty() {
            return Ok(Some(head));
        }
        match line.split_once(':') {
            Some((name, value)) if !head.first.is_empty() => {
                head.headers.push((name.to_owned(), value.trim().to_owned()));
            }
            _ => head.first = line,
        }
    }
}

/// One chunk; an empty one is the last. `None` where the connection ended before.
pub(crate) async fn read_chunk(from: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    if from.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
    let mut chunk = vec![0; size];
    if size > 0 {
        let mut rest = [0; 2];
        from.read_exact(&mut chunk).await?;
        from.read_exact(&mut rest).await?;
    }
    Ok(Some(chunk))
}

/// A caller with a connection of its own.
pub(crate) struct Caller {
    pub(crate) stream: BufReader<TcpStream>,
}

impl Caller {
    pub(crate) async fn connect(address: std::net::SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next answer's head.
    pub(crate) async fn head(&mut self) -> Head {
        timeout(LONG, read_head(&mut self.stream)).await.unwrap().unwrap().expect("an answer")
    }

    /// The next chunk and when it came.
    pub(crate) async fn chunk(&mut self) -> (Vec<u8>, Instant) {
        let chunk = timeout(LONG, read_chunk(&mut self.stream)).await.unwrap().unwrap().expect("a chunk");
        (chunk, Instant::now())
    }

    /// The body that `head` announces, whatever its framing.
    pub(crate) async fn body(&mut self, head: &Head) -> Vec<u8> {
        let mut body = Vec::new();
        if head.is_chunked() {
            loop {
                let (chunk, _) = self.chunk().await;
                if chunk.is_empty() {
                    read_head(&mut self.stream).await.unwrap();
                    return body;
                }
                body.extend(chunk);
            }
        }
        match head.length() {
            Some(length) => {
                body.resize(length, 0);
                timeout(LONG, self.stream.read_exact(&mut body)).await.unwrap().unwrap();
            }
            None => {
                timeout(LONG, self.stream.read_to_end(&mut body)).await.unwrap().unwrap();
            }
        }
        body
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&mut self, request: &str) -> (Head, String) {
        self.send(request).await;
        let head = self.head().await;
        let body = self.body(&head).await;
        (head, String::from_utf8_lossy(&body).into_owned())
    }

    /// Waits until the other side closes; answers what it still sent.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = timeout(LONG, self.stream.read_to_end(&mut rest)).await.expect("the other side closes");
        rest
    }
}

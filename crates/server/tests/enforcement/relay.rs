//! A network between the paywall and a database, which can swallow everything.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Relay {
    address: SocketAddr,
    flows: watch::Sender<bool>,
}

impl Relay {
    pub(crate) async fn to(url: &str) -> Self {
        let target = host_of(url).to_owned();
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let flows = watch::Sender::new(true);
        let flowing = flows.subscribe();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let Ok(database) = TcpStream::connect(&target).await else { continue };
                let ((from, to), (back_from, back_to)) = (caller.into_split(), database.into_split());
                tokio::spawn(pipe(from, back_to, flowing.clone()));
                tokio::spawn(pipe(back_from, to, flowing.clone()));
            }
        });
        Self { address, flows }
    }

    /// The URL by way of it.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replacen(host_of(url), &self.address.to_string(), 1)
    }

    pub(crate) fn swallow(&self) {
        self.flows.send_replace(false);
    }

    pub(crate) fn let_through(&self) {
        self.flows.send_replace(true);
    }
}

/// Host and port of a URL.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").unwrap().1;
    let authority = rest.split('/').next().unwrap();
    authority.rsplit('@').next().unwrap()
}

async fn pipe(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut flowing: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if flowing.wait_for(|it| *it).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

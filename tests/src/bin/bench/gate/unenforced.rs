//! Our proxy in a process of its own, with an engine that lets everything pass.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use paywall_server::{Config, Server, SystemClock, proxy};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until it is killed; started by the measurement of the gate.
#[derive(Args)]
pub(crate) struct Unenforced {
    /// Where to listen, on loopback
    #[arg(long)]
    port: u16,
    /// Where to forward to, on loopback
    #[arg(long)]
    upstream: u16,
    /// Where its database lies
    #[arg(long)]
    folder: PathBuf,
}

impl Unenforced {
    pub(crate) async fn serve(self) -> anyhow::Result<()> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let config = Config {
            listen,
            database_url: format!("sqlite://{}", self.folder.join("unenforced.db").display()),
            token_key: SecretString::from("a key for one measurement"),
            ragflow_url: Some(format!("http://127.0.0.1:{}", self.upstream).parse()?),
            ..Config::default()
        };
        let server = Server::open(config, Arc::new(SystemClock)).await?;
        let listener = TcpListener::bind(listen).await?;
        Ok(server.serve_with(listener, CancellationToken::new(), Arc::new(proxy::Unenforced)).await?)
    }
}

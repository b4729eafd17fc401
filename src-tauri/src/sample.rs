//! The sample world inside the app: the real paywall server and the sample Stripe on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use paywall_console::ipc::{Failure, FailureCode, ProfileView};
use paywall_console::{Console, Home, SAMPLE_PROFILE, SampleAddresses};
use paywall_domain::{Role, Timestamp};
use paywall_sandbox::{Rules, World, WorldSpec, stripe_api};
use paywall_server::{Config, Server, SystemClock};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How many tenants the sample world has: enough for every awkward case, small enough to start at once.
const TENANTS: u32 = 240;
const SEED: u64 = 20;
/// How long a token of the sample server lives; each start makes a new one.
const TOKEN_DAYS: u32 = 90;

/// What is remembered of the sample world between starts, so that it stays the same world.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    as_of: Timestamp,
    paused: bool,
    /// The ports of the last time, taken again where they are free.
    server_port: u16,
    stripe_port: u16,
}

/// The two servers while they run.
struct Running {
    stop: CancellationToken,
    server: JoinHandle<()>,
    stripe: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        let _ = self.server.await;
        let _ = self.stripe.await;
    }
}

/// The sample world of this data folder.
pub(crate) struct Sample {
    folder: PathBuf,
    running: Mutex<Option<Running>>,
}

impl Sample {
    pub(crate) fn new(home: &Home) -> Self {
        Self { folder: home.path().join("sample"), running: Mutex::new(None) }
    }

    /// Makes the sample profile, starts its servers and opens it.
    pub(crate) async fn start(&self, console: &Console) -> Result<ProfileView, Failure> {
        self.run(console).await?;
        console.profile_open(SAMPLE_PROFILE).await
    }

    /// Opens the sample profile, with its servers where they ran when it was left.
    pub(crate) async fn open(&self, console: &Console) -> Result<ProfileView, Failure> {
        if let Err(failure) = self.resume_last(console).await {
            // The copy can be looked at without its servers.
            tracing::warn!(code = ?failure.code, detail = failure.detail, "the sample servers did not start");
        }
        console.profile_open(SAMPLE_PROFILE).await
    }

    /// Starts the servers where they ran when the app was left.
    pub(crate) async fn resume_last(&self, console: &Console) -> Result<(), Failure> {
        match self.remembered() {
            Some(remembered) if remembered.paused => {
                console.sample_running(false).await;
                Ok(())
            }
            Some(_) => self.run(console).await,
            None => Ok(()),
        }
    }

    /// Stops the servers, as if the network were gone, until they are resumed.
    pub(crate) async fn pause(&self, console: &Console) -> Result<(), Failure> {
        self.stop().await;
        if let Some(remembered) = self.remembered() {
            self.remember(&Remembered { paused: true, ..remembered })?;
        }
        console.sample_running(false).await;
        Ok(())
    }

    /// Starts the servers again.
    pub(crate) async fn resume(&self, console: &Console) -> Result<(), Failure> {
        self.run(console).await
    }

    /// Stops the servers.
    pub(crate) async fn stop(&self) {
        if let Some(running) = self.running.lock().await.take() {
            running.stop().await;
        }
    }

    /// Stops the servers and forgets the world.
    pub(crate) async fn discard(&self) -> Result<(), Failure> {
        self.stop().await;
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(fault(error)),
            _ => Ok(()),
        }
    }

    async fn run(&self, console: &Console) -> Result<(), Failure> {
        let mut running = self.running.lock().await;
        if running.is_some() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder).map_err(fault)?;
        let fresh = self.remembered();
        let as_of = fresh.as_ref().map_or_else(now, |remembered| remembered.as_of);
        let spec = WorldSpec { seed: SEED, tenants: TENANTS, as_of };
        let world = tauri::async_runtime::spawn_blocking(move || World::generate(spec)).await.map_err(fault)?;

        let server_listener = listen(fresh.as_ref().map(|it| it.server_port)).await?;
        let stripe_listener = listen(fresh.as_ref().map(|it| it.stripe_port)).await?;
        let server_address = server_listener.local_addr().map_err(fault)?;
        let stripe_address = stripe_listener.local_addr().map_err(fault)?;

        let mut config = Config::embedded(self.folder.join("server.db"), server_address);
        config.plans = Some(world.plans());
        let server = Server::open(config, Arc::new(SystemClock)).await.map_err(fault)?;
        // Only a new world is brought in: what was changed in it since stays changed.
        if fresh.is_none() {
            server.import(world.intake()).await.map_err(fault)?;
        }
        let token = server.create_token("You", Role::Owner, Some(now().plus_days(TOKEN_DAYS))).await.map_err(fault)?;

        let stop = CancellationToken::new();
        let stripe = stripe_api::router(world.stripe(), Rules::default());
        let stripe = tokio::spawn({
            let stop = stop.clone();
            async move {
                let served = axum::serve(stripe_listener, stripe).with_graceful_shutdown(stop.cancelled_owned()).await;
                if let Err(error) = served {
                    tracing::error!(%error, "the sample Stripe stopped");
                }
            }
        });
        let server = tokio::spawn({
            let stop = stop.clone();
            async move {
                if let Err(error) = server.serve(server_listener, stop).await {
                    tracing::error!(%error, "the sample server stopped");
                }
            }
        });
        *running = Some(Running { stop, server, stripe });

        self.remember(&Remembered {
            as_of,
            paused: false,
            server_port: server_address.port(),
            stripe_port: stripe_address.port(),
        })?;
        console
            .sample_profile(SampleAddresses {
                server_url: format!("http://{server_address}"),
                server_token: token,
                stripe_url: format!("http://{stripe_address}"),
                stripe_key: world.keys().restricted,
            })
            .await?;
        console.sample_running(true).await;
        Ok(())
    }

    fn remembered(&self) -> Option<Remembered> {
        let text = std::fs::read(self.folder.join("world.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn remember(&self, remembered: &Remembered) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(remembered).map_err(fault)?;
        std::fs::write(self.folder.join("world.json"), text).map_err(fault)
    }
}

/// A loopback listener, on the port of the last time where it is free.
async fn listen(port: Option<u16>) -> Result<TcpListener, Failure> {
    if let Some(port) = port
        && let Ok(listener) = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
    {
        return Ok(listener);
    }
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.map_err(fault)
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn fault(error: impl std::fmt::Display) -> Failure {
    Failure::of(FailureCode::Internal, format!("the sample world: {error}"))
}

//! What lives as long as the window: the console, the sample servers, and the way back to the page.

use std::time::Duration;

use paywall_console::ipc::{Failure, Freshness, SettledChange};
use paywall_console::{Console, Home, Observer, SAMPLE_PROFILE};
use tauri::{AppHandle, Emitter, Manager};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::sample::Sample;

/// The state behind every command.
pub(crate) struct Shell {
    /// The console, or why it could not be started; the page shows the reason.
    console: Result<Console, Failure>,
    pub(crate) sample: Sample,
    /// Whether what the last session left has been taken up.
    resumed: watch::Sender<bool>,
    /// The app is going away.
    stopping: CancellationToken,
}

/// Says that resuming is over, however it ended.
struct Resumed<'a>(&'a watch::Sender<bool>);

impl Drop for Resumed<'_> {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// How long the app may take to go away once its window is gone.
const FAREWELL: Duration = Duration::from_secs(5);

impl Shell {
    pub(crate) fn new(console: Result<Console, Failure>, home: &Home) -> Self {
        Self {
            console,
            sample: Sample::new(home),
            resumed: watch::Sender::new(false),
            stopping: CancellationToken::new(),
        }
    }

    pub(crate) fn console(&self) -> Result<&Console, Failure> {
        self.console.as_ref().map_err(Clone::clone)
    }

    /// Takes up what the last session left: the sample servers where they ran, then the last profile.
    pub(crate) async fn resume(&self) {
        let _resumed = Resumed(&self.resumed);
        // A profile that waits for its keyring must not hold up whoever closes the window.
        // Boxed: what a sample server starts with is much to carry around in a future.
        self.stopping.run_until_cancelled(Box::pin(self.take_up())).await;
    }

    async fn take_up(&self) {
        if let Ok(console) = &self.console {
            // Of a sample that is not looked at nothing runs.
            if console.last_open().as_deref() == Some(SAMPLE_PROFILE)
                && let Err(failure) = self.sample.resume_last(console).await
            {
                tracing::warn!(code = ?failure.code, detail = failure.detail, "the sample servers did not start");
            }
            console.open_last().await;
        }
    }

    /// Waits until [`Shell::resume`] is through.
    pub(crate) async fn resumed(&self) {
        // Fails only without a sender, and that is here.
        let _ = self.resumed.subscribe().wait_for(|done| *done).await;
    }

    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        let ended = async {
            if let Ok(console) = &self.console {
                console.shutdown().await;
            }
            self.sample.stop().await;
        };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!("the app did not come to its end in time");
        }
    }
}

/// Tells the page what changed in the core.
pub(crate) struct WindowObserver {
    app: AppHandle,
}

impl WindowObserver {
    pub(crate) fn new(app: AppHandle) -> Self {
        Self { app }
    }
}

impl Observer for WindowObserver {
    fn freshness(&self, freshness: &Freshness) {
        // Fails only while the window is going away.
        let _ = self.app.emit("freshness", freshness);
    }

    fn data_changed(&self) {
        let _ = self.app.emit("data-changed", ());
    }

    fn settled(&self, settled: &SettledChange) {
        let _ = self.app.emit("settled", settled);
    }
}

/// Brings the window to the front.
pub(crate) fn focus(app: &AppHandle) {
    if let Some(window) = app.get_webview_window("main") {
        let _ = window.unminimize();
        let _ = window.show();
        let _ = window.set_focus();
    }
}

/// Logs to standard error; `PAYWALL_LOG` sets the filter.
pub(crate) fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PAYWALL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,paywall_console=info,paywall_server=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

//! Follows what changes, whichever server changes it.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError};

/// The channel on which a server tells the others.
const CHANNEL: &str = "paywall_changed";

/// How often the sequence is looked at, whatever is heard: a connection may be lost without a word.
const EVERY: Duration = Duration::from_secs(1);

/// The longest that beginning to listen may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Notes that the sequence has come to `last`. What is known further along stays.
pub(super) fn told(changes: &watch::Sender<i64>, last: i64) {
    changes.send_if_modified(|known| {
        let further = last > *known;
        *known = last.max(*known);
        further
    });
}

impl Store {
    /// The number of the newest change that is known here. It grows with each change of the feed: at once
    /// with those made by this server, and while [`Store::follow`] runs with those of others, within a second.
    /// It falls where the database was put back from a backup.
    pub(crate) fn changes_watch(&self) -> watch::Receiver<i64> {
        self.changes.subscribe()
    }

    /// Hears of what others change until `stop` is cancelled: told by them on `PostgreSQL`, and by looking
    /// once a second.
    pub(crate) async fn follow(&self, stop: CancellationToken) {
        stop.run_until_cancelled_owned(async {
            let mut listener = None;
            loop {
                if listener.is_none() {
                    listener = self.listen().await;
                }
                // Also right after beginning to listen: something may have been said before. Where it fails,
                // whoever is asked for something says that the database is away.
                let _ = self.look().await;
                let next = Instant::now() + EVERY;
                while let Ok(heard) = timeout_at(next, heard(&mut listener)).await {
                    match heard {
                        Some(last) => told(&self.changes, last),
                        // The connection is lost, and made anew at the next look.
                        None => listener = None,
                    }
                }
            }
        })
        .await;
    }

    /// Looks where the sequence stands.
    pub(super) async fn look(&self) -> Result<(), StoreError> {
        let known = *self.changes.borrow();
        let (last,): (i64,) = sqlx::query_as("SELECT last FROM sequence").fetch_one(&self.readers).await?;
        if last < known {
            // What was known had been committed before this look, and is gone.
            self.changes.send_replace(last);
        } else {
            told(&self.changes, last);
        }
        Ok(())
    }

    async fn listen(&self) -> Option<PgListener> {
        let options = self.listen.clone()?;
        let listening = async {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .acquire_timeout(PATIENCE)
                .connect_with(options)
                .await?;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        timeout(PATIENCE, listening).await.ok()?.ok()
    }
}

/// The next number that is told; `None` where the connection is lost. Never, where nobody listens.
async fn heard(listener: &mut Option<PgListener>) -> Option<i64> {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        let told = listener.try_recv().await.ok().flatten()?;
        // Another program may use the channel's name.
        if let Ok(last) = told.payload().parse() {
            return Some(last);
        }
    }
}

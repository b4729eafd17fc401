//! Questions in SQL over the copy of the open profile.

use tokio_util::sync::CancellationToken;

use super::{Console, blocking, guard, now};
use crate::ipc::{Failure, FailureCode, SavedQuery, SqlAnswer, SqlRefusal, SqlView};
use crate::sql::{LONGEST, Saved, SqlError, SqlLimits, described};

impl Console {
    /// The views that questions are asked of. They are the same for every profile.
    pub fn sql_views(&self) -> Vec<SqlView> {
        described()
    }

    /// Answers a question. Until it does, [`Console::sql_cancel`] with the same `id` stops it.
    pub async fn sql_run(&self, id: u64, text: &str) -> Result<SqlAnswer, Failure> {
        let open = self.require_open()?;
        let stop = open.stopped_with();
        let _running = Running::begin(self, id, stop.clone());
        match open.cache.sql(text, SqlLimits::default(), &stop).await {
            Ok(answer) => Ok(answer),
            Err(SqlError::Cache(error)) => open.read(Err(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Stops the question of that id. None of that id runs: it has ended.
    pub async fn sql_cancel(&self, id: u64) {
        if let Some(stop) = guard(&self.inner.questions).get(&id) {
            stop.cancel();
        }
    }

    /// The questions that are kept of the open profile, by name.
    pub async fn saved_queries(&self) -> Result<Vec<SavedQuery>, Failure> {
        let path = self.inner.home.queries_file(&self.require_open()?.profile);
        blocking(move || Ok(Saved::load(&path, now())?.queries)).await
    }

    /// Keeps a question, in the place of the one of its name; answers all.
    pub async fn saved_query_put(&self, query: SavedQuery) -> Result<Vec<SavedQuery>, Failure> {
        let query = SavedQuery { name: query.name.trim().to_owned(), sql: query.sql };
        let refused = |reason, detail| Err(Failure::of(FailureCode::SqlRefused { reason }, detail));
        if query.name.is_empty() || query.sql.trim().is_empty() {
            return refused(SqlRefusal::Empty, "a query that is kept has a name and a text");
        }
        if query.sql.chars().nth(LONGEST).is_some() {
            return refused(SqlRefusal::TooLong, "a query that is kept is no longer than one that is asked");
        }
        self.change_saved(move |saved| saved.put(query)).await
    }

    /// Drops the question of that name; answers those that stay.
    pub async fn saved_query_delete(&self, name: &str) -> Result<Vec<SavedQuery>, Failure> {
        let name = name.to_owned();
        self.change_saved(move |saved| saved.delete(&name)).await
    }

    async fn change_saved(&self, change: impl FnOnce(&mut Saved) + Send + 'static) -> Result<Vec<SavedQuery>, Failure> {
        // Whoever removes the profile meanwhile would find its folder made again.
        let _turn = self.inner.turn.lock().await;
        let path = self.inner.home.queries_file(&self.require_open()?.profile);
        blocking(move || {
            let mut saved = Saved::load(&path, now())?;
            change(&mut saved);
            saved.store(&path)?;
            Ok(saved.queries)
        })
        .await
    }
}

/// A question that can be stopped as long as this lives.
struct Running<'a> {
    console: &'a Console,
    id: u64,
}

impl<'a> Running<'a> {
    fn begin(console: &'a Console, id: u64, stop: CancellationToken) -> Self {
        guard(&console.inner.questions).insert(id, stop);
        Self { console, id }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        guard(&self.console.inner.questions).remove(&self.id);
    }
}

//! Where a server's data lies: in a file, or in a `PostgreSQL` that really runs.

use std::path::PathBuf;
use std::sync::Arc;

use paywall_databases::Postgres;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Connection, Executor, Transaction};
use tempfile::TempDir;

/// Makes a test of each case on each database: `case::sqlite` and `case::postgres`.
macro_rules! on_each_database {
    ($($case:ident),+ $(,)?) => { $(
        mod $case {
            use crate::app::Database;

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn sqlite() {
                super::$case(Database::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn postgres() {
                super::$case(Database::Postgres).await;
            }
        }
    )+ };
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// A database of its own.
pub(crate) struct Place {
    folder: TempDir,
    postgres: Option<(Arc<Postgres>, String)>,
}

impl Place {
    pub(crate) fn new(on: Database) -> Self {
        let postgres = match on {
            Database::Sqlite => None,
            Database::Postgres => Some(Self::empty(Postgres::shared().unwrap())),
        };
        Self { folder: tempfile::tempdir().unwrap(), postgres }
    }

    /// On a server that this test may stop.
    pub(crate) fn on(server: Postgres) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), postgres: Some(Self::empty(Arc::new(server))) }
    }

    fn empty(server: Arc<Postgres>) -> (Arc<Postgres>, String) {
        let url = server.database().unwrap();
        (server, url.rsplit_once('/').unwrap().1.to_owned())
    }

    /// The database server, and the database's name.
    pub(crate) fn server(&self) -> (&Postgres, &str) {
        let (server, name) = self.postgres.as_ref().unwrap();
        (server, name)
    }

    pub(crate) fn url(&self) -> String {
        match &self.postgres {
            None => format!("sqlite://{}", self.file().display()),
            Some((server, name)) => server.url(name),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("server.db")
    }

    /// Another program's connection. A server has to be open.
    pub(crate) async fn connection(&self) -> AnyConnection {
        AnyConnection::connect(&self.url()).await.unwrap()
    }

    pub(crate) fn back_up(&self) {
        let backup = self.folder.path().join("backup");
        match &self.postgres {
            None => drop(std::fs::copy(self.file(), backup).unwrap()),
            Some((server, name)) => server.dump(name, &backup).unwrap(),
        }
    }

    pub(crate) fn put_back(&self) {
        let backup = self.folder.path().join("backup");
        match &self.postgres {
            None => {
                for beside in ["server.db-wal", "server.db-shm"] {
                    let _ = std::fs::remove_file(self.folder.path().join(beside));
                }
                std::fs::copy(backup, self.file()).unwrap();
            }
            Some((server, name)) => server.restore(name, &backup).unwrap(),
        }
    }

    /// Lets every write to a table fail, as where the disk is full.
    pub(crate) async fn refuse_writes(&self, table: &str) {
        let statements = if self.postgres.is_some() {
            format!(
                "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql
                     AS $$ BEGIN RAISE EXCEPTION 'full'; END $$;
                 CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table}
                     FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"
            )
        } else {
            ["INSERT", "UPDATE"]
                .map(|event| {
                    format!(
                        "CREATE TRIGGER no_{event}_{table} BEFORE {event} ON {table}
                         BEGIN SELECT RAISE(ABORT, 'full'); END;"
                    )
                })
                .concat()
        };
        self.connection().await.execute(AssertSqlSafe(statements)).await.unwrap();
    }
}

/// Holds every writer back until the transaction ends.
pub(crate) async fn held(intruder: &mut AnyConnection) -> Transaction<'_, Any> {
    if intruder.backend_name() == "PostgreSQL" {
        let mut lock = intruder.begin().await.unwrap();
        lock.execute("SELECT last FROM sequence FOR UPDATE").await.unwrap();
        lock
    } else {
        intruder.begin_with("BEGIN IMMEDIATE").await.unwrap()
    }
}

//! Brings either database to this version.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Executor, SqlStr};

use super::connect::POSTGRES;
use super::{Dialect, StoreError};

/// Runs the migrations that are missing. A database of a newer version is refused.
pub(super) async fn run(pool: &AnyPool, dialect: Dialect) -> Result<(), StoreError> {
    let migrator = migrator(dialect);
    let mut connection = pool.acquire().await?;
    if dialect == Dialect::Postgres && complete(&mut connection, &migrator).await? {
        return Ok(());
    }
    if dialect == Dialect::Postgres {
        // Making an index may take longer than an answer, and other servers wait for it.
        connection.execute("SET lock_timeout = 0; SET statement_timeout = 0").await?;
    }
    // Not `run`: its future is `Send` for one lifetime at a time only, so that whoever opens a
    // store could not move between threads.
    migrator.run_direct(None, &mut *connection, false).await.map_err(failure)?;
    if dialect == Dialect::Postgres {
        connection.execute(POSTGRES).await?;
    }
    Ok(())
}

/// `PostgreSQL`'s code for what a role may not do.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Why it failed: where rights are missing, somebody else has to migrate.
fn failure(error: MigrateError) -> StoreError {
    let code = match &error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => {
            cause.as_database_error().and_then(sqlx::error::DatabaseError::code)
        }
        _ => None,
    };
    if code.as_deref() == Some(INSUFFICIENT_PRIVILEGE) {
        StoreError::MayNotMigrate(error)
    } else {
        StoreError::Migration(error)
    }
}

/// Whether exactly these migrations were run, asked without the right to make tables: a server may be given
/// less than whoever migrates.
async fn complete(connection: &mut AnyConnection, migrator: &Migrator) -> Result<bool, StoreError> {
    let (there,): (bool,) =
        sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !there {
        return Ok(false);
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(connection)
            .await?;
    Ok(migrator
        .iter()
        .map(|it| (it.version, &*it.checksum))
        .eq(applied.iter().map(|(version, sum)| (*version, &**sum))))
}

/// The migrations of one database, embedded in the program, and only ever added.
fn migrator(dialect: Dialect) -> Migrator {
    let migration = |version, what, statements| {
        let statements = SqlStr::from_static(statements);
        Migration::new(version, Cow::Borrowed(what), MigrationType::Simple, statements, false)
    };
    Migrator::with_migrations(match dialect {
        Dialect::Sqlite => vec![
            migration(1, "tenants, plans, entries, runs, keys, tokens", include_str!("schema_1.sql")),
            migration(2, "tokens are revoked", include_str!("schema_2.sql")),
            migration(3, "usage events, leases", include_str!("../quota/schema_sqlite.sql")),
            migration(4, "addresses that are alike", include_str!("schema_4.sql")),
            migration(5, "processes that serve", include_str!("schema_5.sql")),
            migration(6, "changed credentials, passed requests, old usage", include_str!("schema_6.sql")),
            migration(7, "what Stripe tells", include_str!("../billing/schema_sqlite.sql")),
            migration(8, "what is bought, and what Stripe is told", include_str!("../billing/buying_sqlite.sql")),
            migration(9, "whose an event is, and what is disputed", include_str!("../billing/told_sqlite.sql")),
            migration(10, "repairs that are begun", include_str!("../billing/repairs_sqlite.sql")),
            migration(11, "what sessions come to", include_str!("../billing/closing_sqlite.sql")),
        ],
        Dialect::Postgres => vec![
            migration(1, "tenants, plans, entries, runs, keys, tokens", include_str!("postgres/schema_1.sql")),
            migration(3, "usage events, leases", include_str!("../quota/schema_postgres.sql")),
            migration(4, "addresses that are alike", include_str!("postgres/schema_4.sql")),
            migration(5, "processes that serve", include_str!("postgres/schema_5.sql")),
            migration(6, "changed credentials, passed requests, old usage", include_str!("postgres/schema_6.sql")),
            migration(7, "what Stripe tells", include_str!("../billing/schema_postgres.sql")),
            migration(8, "what is bought, and what Stripe is told", include_str!("../billing/buying_postgres.sql")),
            migration(9, "whose an event is, and what is disputed", include_str!("../billing/told_postgres.sql")),
            migration(10, "repairs that are begun", include_str!("../billing/repairs_postgres.sql")),
            migration(11, "what sessions come to", include_str!("../billing/closing_postgres.sql")),
        ],
    })
}

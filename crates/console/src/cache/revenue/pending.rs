//! Who is to be counted again, and what is forgotten.

use sqlx::SqliteConnection;

use crate::cache::Result;

/// Something new is known of these customers.
pub(in crate::cache) async fn pending(tx: &mut SqliteConnection, customers: &[&str]) -> Result<()> {
    if customers.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO revenue_pending (lens, customer)
         SELECT num, value FROM revenue_lenses CROSS JOIN json_each(?1) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(serde_json::to_string(customers)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// A tenant is about to be written: where its trial or its customer changes, its trial is counted again, also
/// for who it was before.
pub(in crate::cache) async fn tenant_pending(
    tx: &mut SqliteConnection,
    id: &str,
    customer: Option<&str>,
    trial: Option<(i64, i64)>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO revenue_pending (lens, customer)
         SELECT 0, who.value
         FROM json_each(json_array(?1, ?2, (SELECT stripe_customer FROM tenants WHERE id = ?1))) AS who
         WHERE who.value IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM tenants
             WHERE id = ?1 AND stripe_customer IS ?2 AND trial_started_at IS ?3 AND trial_ends_at IS ?4
         )
         ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(customer)
    .bind(trial.map(|it| it.0))
    .bind(trial.map(|it| it.1))
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets the figures of a lens.
pub(super) async fn forget_lens(tx: &mut SqliteConnection, lens: i64) -> Result<()> {
    for statement in [
        "DELETE FROM revenue_pending WHERE lens = ?1",
        "DELETE FROM revenue_accounts WHERE lens = ?1",
        "DELETE FROM revenue_movements WHERE lens = ?1",
        "DELETE FROM revenue_days WHERE lens = ?1",
        "DELETE FROM revenue_rebuilt_days WHERE lens = ?1",
        "DELETE FROM revenue_objects WHERE lens = ?1",
        "DELETE FROM revenue_trials WHERE ?1 = 0",
    ] {
        sqlx::query(statement).bind(lens).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Forgets every snapshot and all that follows: Stripe's part is forgotten. Trials of the server's stay to be
/// counted.
pub(in crate::cache) async fn forget_all(tx: &mut SqliteConnection) -> Result<()> {
    let lenses: Vec<(i64,)> = sqlx::query_as("SELECT num FROM revenue_lenses").fetch_all(&mut *tx).await?;
    for (lens,) in lenses {
        forget_lens(tx, lens).await?;
    }
    for statement in [
        "DELETE FROM revenue_snapshots",
        "UPDATE revenue_lenses SET counted_at = NULL",
        "INSERT INTO revenue_pending (lens, customer) SELECT DISTINCT 0, coalesce(stripe_customer, id) FROM tenants
             WHERE trial_started_at IS NOT NULL",
    ] {
        sqlx::query(statement).execute(&mut *tx).await?;
    }
    Ok(())
}

/// The server's tenants are forgotten: whose trials are kept is counted again.
pub(in crate::cache) async fn trials_gone(tx: &mut SqliteConnection) -> Result<()> {
    sqlx::query(
        "INSERT INTO revenue_pending (lens, customer) SELECT DISTINCT 0, customer FROM revenue_trials WHERE true
         ON CONFLICT DO NOTHING",
    )
    .execute(tx)
    .await?;
    Ok(())
}

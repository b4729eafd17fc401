//! What Stripe gives and the copy leaves out: objects of test clocks, whose time is made up, and deleted ones.

use std::collections::HashSet;

use paywall_stripe::Stream;
use sqlx::SqliteConnection;

use super::StripeRow;
use super::rows::{deleted, reference};
use crate::cache::Result;

/// Keeps of a page what belongs into the copy, and takes out of the copy what does not.
pub(super) async fn kept<'a>(
    tx: &mut SqliteConnection,
    stream: Stream,
    rows: &'a [StripeRow],
) -> Result<Vec<&'a StripeRow>> {
    if stream == Stream::Events {
        return Ok(rows.iter().collect());
    }
    let on_clock = |row: &&StripeRow| row.raw.get("test_clock").is_some_and(|it| !it.is_null());
    let customers: Vec<&str> = rows.iter().filter(on_clock).filter_map(|row| customer(stream, row)).collect();
    if !customers.is_empty() {
        forget_customers(tx, &customers).await?;
    }
    let theirs = test_customers(tx, stream, rows).await?;
    let left_out = |row: &StripeRow| {
        on_clock(&row)
            || deleted(&row.raw) && stream != Stream::Customers
            || customer(stream, row).is_some_and(|it| theirs.contains(it))
    };
    let (out, kept): (Vec<&StripeRow>, Vec<&StripeRow>) = rows.iter().partition(|row| left_out(row));
    if !out.is_empty() {
        let ids: Vec<&str> = out.iter().map(|row| row.id.as_str()).collect();
        delete(tx, stream, &ids).await?;
    }
    Ok(kept)
}

/// Whose an object is, as far as it says.
fn customer(stream: Stream, row: &StripeRow) -> Option<&str> {
    if stream == Stream::Customers { Some(&row.id) } else { reference(&row.raw, "/customer") }
}

/// Which of a page's customers are known to be on a test clock.
async fn test_customers(tx: &mut SqliteConnection, stream: Stream, rows: &[StripeRow]) -> Result<HashSet<String>> {
    let ids: Vec<&str> = rows.iter().filter_map(|row| customer(stream, row)).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<(String,)> =
        sqlx::query_as("SELECT id FROM stripe_test_customers WHERE id IN (SELECT value FROM json_each(?1))")
            .bind(serde_json::to_string(&ids)?)
            .fetch_all(tx)
            .await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Remembers customers as being on a test clock, and takes out what the copy has of them.
async fn forget_customers(tx: &mut SqliteConnection, ids: &[&str]) -> Result<()> {
    let ids = serde_json::to_string(ids)?;
    for statement in [
        "INSERT INTO stripe_test_customers (id) SELECT value FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
        "DELETE FROM stripe_refunds WHERE charge IN (
             SELECT id FROM stripe_charges WHERE customer IN (SELECT value FROM json_each(?1)))",
        "DELETE FROM stripe_disputes WHERE charge IN (
             SELECT id FROM stripe_charges WHERE customer IN (SELECT value FROM json_each(?1)))",
        "DELETE FROM stripe_invoice_payments WHERE invoice IN (
             SELECT id FROM stripe_invoices WHERE customer IN (SELECT value FROM json_each(?1)))",
        "DELETE FROM stripe_charges WHERE customer IN (SELECT value FROM json_each(?1))",
        "DELETE FROM stripe_credit_notes WHERE customer IN (SELECT value FROM json_each(?1))",
        "DELETE FROM stripe_invoices WHERE customer IN (SELECT value FROM json_each(?1))",
        "DELETE FROM stripe_subscriptions WHERE customer IN (SELECT value FROM json_each(?1))",
        "DELETE FROM stripe_customers WHERE id IN (SELECT value FROM json_each(?1))",
    ] {
        sqlx::query(statement).bind(&ids).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Takes objects out of the copy.
async fn delete(tx: &mut SqliteConnection, stream: Stream, ids: &[&str]) -> Result<()> {
    let statement = match stream {
        Stream::Customers => "DELETE FROM stripe_customers WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::Products => "DELETE FROM stripe_products WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::Prices => "DELETE FROM stripe_prices WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::Subscriptions => "DELETE FROM stripe_subscriptions WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::Invoices => "DELETE FROM stripe_invoices WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::InvoicePayments => "DELETE FROM stripe_invoice_payments WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::Charges => "DELETE FROM stripe_charges WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::Refunds => "DELETE FROM stripe_refunds WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::CreditNotes => "DELETE FROM stripe_credit_notes WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::Disputes => "DELETE FROM stripe_disputes WHERE id IN (SELECT value FROM json_each(?1))",
        Stream::Events => "DELETE FROM stripe_events WHERE id IN (SELECT value FROM json_each(?1))",
    };
    sqlx::query(statement).bind(serde_json::to_string(ids)?).execute(tx).await?;
    Ok(())
}

/// Takes out an object that Stripe says is gone. A customer stays, marked as deleted, since its invoices still
/// name it.
pub(super) async fn gone(tx: &mut SqliteConnection, stream: Stream, id: &str) -> Result<()> {
    if stream == Stream::Customers {
        sqlx::query("UPDATE stripe_customers SET deleted = 1 WHERE id = ?1").bind(id).execute(tx).await?;
        return Ok(());
    }
    delete(tx, stream, &[id]).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_object_says_whose_it_is_by_id_or_in_full() {
        let row = |raw: Value| StripeRow { id: "x".into(), created: 1, raw };
        assert_eq!(customer(Stream::Invoices, &row(json!({"customer": "cus_1"}))), Some("cus_1"));
        assert_eq!(customer(Stream::Invoices, &row(json!({"customer": {"id": "cus_1"}}))), Some("cus_1"));
        assert_eq!(customer(Stream::Customers, &row(json!({}))), Some("x"));
        assert_eq!(customer(Stream::Refunds, &row(json!({"charge": "ch_1"}))), None);
    }
}

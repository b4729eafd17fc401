//! What a customer paid, got back and disputes, and what happens next, from Stripe's objects in the copy.

use std::collections::HashMap;

use paywall_domain::Timestamp;
use paywall_domain::billing::StripeSubscription;
use paywall_stripe::Stream;
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::subscription;
use crate::cache::{Cache, Result};
use crate::ipc::{CreditNoteRow, DisputeRow, Money, PaymentRow, RefundRow};

/// Rows of each list that are read: one more than a screen shows, which tells that there are more.
pub(super) const LATEST: usize = 13;

fn instant(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1000))
}

fn text(raw: Option<&Value>, pointer: &str) -> Option<String> {
    raw?.pointer(pointer)?.as_str().map(str::to_owned)
}

/// What an amount's columns say; `None` = Stripe did not say how much, or in which currency.
fn amount(row: &SqliteRow, column: &str) -> Result<Option<Money>> {
    let currency: Option<String> = row.try_get("currency")?;
    let amount: Option<i64> = row.try_get(column)?;
    let currency = currency.filter(|it| !it.is_empty()).map(|it| it.to_ascii_lowercase());
    Ok(amount.zip(currency).map(|(amount, currency)| Money { amount, currency }))
}

fn word(row: &SqliteRow, column: &str) -> Result<String> {
    Ok(row.try_get::<Option<String>, _>(column)?.unwrap_or_else(|| "unknown".to_owned()))
}

impl Cache {
    /// A customer's payments, the latest 13; `None` = Stripe's list of them is not here.
    pub(super) async fn payments(&self, customer: &str) -> Result<Option<Vec<PaymentRow>>> {
        if !self.stripe_complete(Stream::Charges).await? {
            return Ok(None);
        }
        let rows = sqlx::query(
            "SELECT id, status, currency, amount, amount_refunded, created,
                 (SELECT invoice FROM stripe_invoice_payments AS p INDEXED BY stripe_invoice_payments_by_charge
                  WHERE p.charge = c.id ORDER BY created DESC LIMIT 1) AS by_charge,
                 (SELECT invoice FROM stripe_invoice_payments AS p INDEXED BY stripe_invoice_payments_by_payment
                  WHERE p.payment_intent = c.payment_intent ORDER BY created DESC LIMIT 1) AS by_payment
             FROM stripe_charges AS c WHERE customer = ?1 ORDER BY created DESC, id DESC LIMIT 13",
        )
        .bind(customer)
        .fetch_all(self.readers())
        .await?;
        let raw = self.raw_by_id(Stream::Charges, &rows).await?;
        let payments = rows.iter().map(|row| {
            let id: String = row.try_get("id")?;
            let raw = raw.get(&id);
            let failure = text(raw, "/failure_code").map(|code| {
                // With a declined card it is the bank's reason that tells.
                if code == "card_declined" { text(raw, "/outcome/reason").unwrap_or(code) } else { code }
            });
            Ok(PaymentRow {
                status: word(row, "status")?,
                amount: amount(row, "amount")?,
                refunded: amount(row, "amount_refunded")?,
                failure,
                card: text(raw, "/payment_method_details/card/brand"),
                last4: text(raw, "/payment_method_details/card/last4"),
                invoice: match row.try_get("by_charge")? {
                    Some(invoice) => Some(invoice),
                    None => row.try_get("by_payment")?,
                },
                created_at: instant(row.try_get("created")?),
                id,
            })
        });
        let mut payments = payments.collect::<Result<Vec<_>>>()?;
        payments.extend(self.payments_by_hand(customer).await?);
        payments.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        payments.truncate(LATEST);
        Ok(Some(payments))
    }

    /// What paid a customer's invoices without a charge: somebody wrote down that the money came elsewhere.
    async fn payments_by_hand(&self, customer: &str) -> Result<Vec<PaymentRow>> {
        let rows = sqlx::query(
            "SELECT p.id, p.status, p.currency, p.amount_paid, p.created, p.invoice
             FROM stripe_invoices AS i CROSS JOIN stripe_invoice_payments AS p ON p.invoice = i.id
             WHERE i.customer = ?1 AND p.charge IS NULL AND p.payment_intent IS NULL AND p.status = 'paid'
             ORDER BY p.created DESC, p.id DESC LIMIT 13",
        )
        .bind(customer)
        .fetch_all(self.readers())
        .await?;
        let by_hand = rows.iter().map(|row| {
            let amount = amount(row, "amount_paid")?;
            Ok(PaymentRow {
                id: row.try_get("id")?,
                status: "succeeded".to_owned(),
                refunded: amount.as_ref().map(|it| Money { amount: 0, currency: it.currency.clone() }),
                amount,
                failure: None,
                card: None,
                last4: None,
                invoice: row.try_get("invoice")?,
                created_at: instant(row.try_get("created")?),
            })
        });
        by_hand.collect()
    }

    /// What went back to a customer, the latest 13; `None` = Stripe's lists of it are not here.
    pub(super) async fn refunds(&self, customer: &str) -> Result<Option<Vec<RefundRow>>> {
        if !self.stripe_complete(Stream::Refunds).await? || !self.stripe_complete(Stream::Charges).await? {
            return Ok(None);
        }
        let rows = sqlx::query(
            "SELECT r.id, r.charge, r.status, r.currency, r.amount, r.created
             FROM stripe_charges AS c CROSS JOIN stripe_refunds AS r ON r.charge = c.id
             WHERE c.customer = ?1 ORDER BY r.created DESC, r.id DESC LIMIT 13",
        )
        .bind(customer)
        .fetch_all(self.readers())
        .await?;
        let raw = self.raw_by_id(Stream::Refunds, &rows).await?;
        let refunds = rows.iter().map(|row| {
            let id: String = row.try_get("id")?;
            Ok(RefundRow {
                charge: row.try_get("charge")?,
                status: word(row, "status")?,
                amount: amount(row, "amount")?,
                reason: text(raw.get(&id), "/reason"),
                created_at: instant(row.try_get("created")?),
                id,
            })
        });
        refunds.collect::<Result<Vec<_>>>().map(Some)
    }

    /// What a customer disputes, the latest 13; `None` = Stripe's lists of it are not here.
    pub(super) async fn disputes(&self, customer: &str) -> Result<Option<Vec<DisputeRow>>> {
        if !self.stripe_complete(Stream::Disputes).await? || !self.stripe_complete(Stream::Charges).await? {
            return Ok(None);
        }
        let rows = sqlx::query(
            "SELECT d.id, d.charge, d.status, d.reason, d.currency, d.amount, d.created
             FROM stripe_disputes AS d CROSS JOIN stripe_charges AS c ON c.id = d.charge
             WHERE c.customer = ?1 ORDER BY d.created DESC, d.id DESC LIMIT 13",
        )
        .bind(customer)
        .fetch_all(self.readers())
        .await?;
        let raw = self.raw_by_id(Stream::Disputes, &rows).await?;
        let disputes = rows.iter().map(|row| {
            let id: String = row.try_get("id")?;
            let due = raw.get(&id).and_then(|it| it.pointer("/evidence_details/due_by")?.as_i64());
            Ok(DisputeRow {
                charge: row.try_get("charge")?,
                status: word(row, "status")?,
                amount: amount(row, "amount")?,
                reason: row.try_get("reason")?,
                evidence_due_at: due.map(instant),
                created_at: instant(row.try_get("created")?),
                id,
            })
        });
        disputes.collect::<Result<Vec<_>>>().map(Some)
    }

    /// A customer's credit notes, the latest 13; `None` = Stripe's list of them is not here.
    pub(super) async fn credit_notes(&self, customer: &str) -> Result<Option<Vec<CreditNoteRow>>> {
        if !self.stripe_complete(Stream::CreditNotes).await? {
            return Ok(None);
        }
        let rows = sqlx::query(
            "SELECT id, invoice, status, currency, total, created FROM stripe_credit_notes
             WHERE customer = ?1 ORDER BY created DESC, id DESC LIMIT 13",
        )
        .bind(customer)
        .fetch_all(self.readers())
        .await?;
        let notes = rows.iter().map(|row| {
            Ok(CreditNoteRow {
                id: row.try_get("id")?,
                invoice: row.try_get("invoice")?,
                status: word(row, "status")?,
                total: amount(row, "total")?,
                created_at: instant(row.try_get("created")?),
            })
        });
        notes.collect::<Result<Vec<_>>>().map(Some)
    }

    /// A customer's subscriptions as the domain reads them, with the invoices of each that are open.
    pub(super) async fn subscriptions(&self, customer: &str, rows: &[SqliteRow]) -> Result<Vec<StripeSubscription>> {
        let raw = self.raw_by_id(Stream::Subscriptions, rows).await?;
        let open: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT id, subscription FROM stripe_invoices WHERE customer = ?1 AND status = 'open'
             ORDER BY created DESC, id DESC LIMIT 100",
        )
        .bind(customer)
        .fetch_all(self.readers())
        .await?;
        let ids: Vec<String> = open.iter().map(|(id, _)| id.clone()).collect();
        let invoices = self.stripe_raw(Stream::Invoices, &ids).await?;
        let of = |subscription: &str| -> Vec<Value> {
            let own = |it: &&Value| open.iter().any(|(id, of)| it["id"] == **id && of.as_deref() == Some(subscription));
            invoices.iter().filter(own).cloned().collect()
        };
        Ok(raw.iter().filter_map(|(id, raw)| subscription::read(raw, &of(id))).collect())
    }

    async fn raw_by_id(&self, stream: Stream, rows: &[SqliteRow]) -> Result<HashMap<String, Value>> {
        let ids: Vec<String> = rows.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
        let raw = self.stripe_raw(stream, &ids).await?;
        Ok(raw.into_iter().filter_map(|it| Some((it.get("id")?.as_str()?.to_owned(), it))).collect())
    }
}

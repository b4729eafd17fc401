//! From Stripe's objects to rows: the columns that screens and sums read. A page is one statement, which takes
//! its rows as one JSON text (`?1`: an array of columns each) and their packed forms as one blob (`?2`), cut by
//! the last two columns: a statement for each row would cost more than everything else.

use paywall_stripe::Stream;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::revenue_facts::Revenue;
use crate::cache::{Result, fold};

const PUT_CUSTOMERS: &str = "INSERT INTO stripe_customers (
         id, created, email, payment_method, livemode, deleted, discounted, reading, packed
     )
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, ?3,
         substr(?2, value ->> 7, value ->> 8) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         -- Stripe says only the id of a deleted one; what was known of it stays.
         created = iif(excluded.deleted, created, excluded.created),
         email = iif(excluded.deleted, email, excluded.email),
         payment_method = iif(excluded.deleted, payment_method, excluded.payment_method),
         livemode = iif(excluded.deleted, livemode, excluded.livemode),
         discounted = iif(excluded.deleted, discounted, excluded.discounted),
         packed = iif(excluded.deleted, packed, excluded.packed),
         deleted = excluded.deleted, reading = excluded.reading";

const PUT_PRODUCTS: &str = "INSERT INTO stripe_products (id, created, name, active, reading, packed)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?3,
         substr(?2, value ->> 4, value ->> 5) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         created = excluded.created, name = excluded.name, active = excluded.active,
         reading = excluded.reading, packed = excluded.packed";

const PUT_PRICES: &str = "INSERT INTO stripe_prices (
         id, created, product, currency, unit_amount, active, reading, packed
     )
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, ?3,
         substr(?2, value ->> 6, value ->> 7) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         created = excluded.created, product = excluded.product, currency = excluded.currency,
         unit_amount = excluded.unit_amount, active = excluded.active,
         reading = excluded.reading, packed = excluded.packed";

const PUT_SUBSCRIPTIONS: &str = "INSERT INTO stripe_subscriptions (
         id, created, customer, status, currency, started_at, ended_at, current_period_end,
         cancel_at_period_end, payment_method, counted, mrr, mrr_lost, including_tax, mrr_fault,
         reading, packed
     )
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
         value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, ?3,
         substr(?2, value ->> 15, value ->> 16) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         current_period_end = excluded.current_period_end,
         cancel_at_period_end = excluded.cancel_at_period_end, payment_method = excluded.payment_method,
         reading = excluded.reading, packed = excluded.packed";

// The columns of a subscription that indexes hold: SQLite writes an index anew for every column of it that is set,
// changed or not. Only what differs is set here, and revenue apart, which changes alone most of the time. Whose it
// is never changes.
const MOVE_SUBSCRIPTIONS: [&str; 2] = [
    "UPDATE stripe_subscriptions AS s SET
         created = value ->> 1, status = value ->> 3, currency = value ->> 4,
         started_at = value ->> 5, ended_at = value ->> 6, counted = value ->> 10, mrr_lost = value ->> 12,
         including_tax = value ->> 13, mrr_fault = value ->> 14
     FROM json_each(?1) AS now WHERE s.id = value ->> 0 AND (
         s.created, s.status, s.currency, s.started_at, s.ended_at, s.counted, s.mrr_lost,
         s.including_tax, s.mrr_fault
     ) IS NOT (
         value ->> 1, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 10, value ->> 12,
         value ->> 13, value ->> 14
     )",
    "UPDATE stripe_subscriptions AS s SET mrr = value ->> 11
     FROM json_each(?1) AS now WHERE s.id = value ->> 0 AND s.mrr <> value ->> 11",
];

const PUT_INVOICES: &str = "INSERT INTO stripe_invoices (
         id, created, customer, subscription, number, number_key, status, currency, total, amount_due,
         amount_paid, amount_remaining, attempt_count, paid_at, billed_at, kept, reading, packed
     )
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
         value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, 1, ?3,
         substr(?2, value ->> 15, value ->> 16) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         created = excluded.created, customer = excluded.customer, subscription = excluded.subscription,
         number = excluded.number, number_key = excluded.number_key, status = excluded.status,
         currency = excluded.currency, total = excluded.total, amount_due = excluded.amount_due,
         amount_paid = excluded.amount_paid, amount_remaining = excluded.amount_remaining,
         attempt_count = excluded.attempt_count, paid_at = excluded.paid_at, billed_at = excluded.billed_at,
         kept = 1, reading = excluded.reading, packed = excluded.packed";

const PUT_INVOICE_PAYMENTS: &str = "INSERT INTO stripe_invoice_payments (
         id, created, invoice, status, currency, amount_requested, amount_paid, payment_intent, charge,
         reading, packed
     )
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
         value ->> 8, ?3, substr(?2, value ->> 9, value ->> 10) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         created = excluded.created, invoice = excluded.invoice, status = excluded.status,
         currency = excluded.currency, amount_requested = excluded.amount_requested,
         amount_paid = excluded.amount_paid, payment_intent = excluded.payment_intent, charge = excluded.charge,
         reading = excluded.reading, packed = excluded.packed";

const PUT_CHARGES: &str = "INSERT INTO stripe_charges (
         id, created, customer, status, currency, amount, amount_refunded, paid, payment_intent, reading, packed
     )
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
         value ->> 8, ?3, substr(?2, value ->> 9, value ->> 10) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         created = excluded.created, customer = excluded.customer, status = excluded.status,
         currency = excluded.currency, amount = excluded.amount, amount_refunded = excluded.amount_refunded,
         paid = excluded.paid, payment_intent = excluded.payment_intent,
         reading = excluded.reading, packed = excluded.packed";

const PUT_REFUNDS: &str = "INSERT INTO stripe_refunds (id, created, charge, status, currency, amount, reading, packed)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, ?3,
         substr(?2, value ->> 6, value ->> 7) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         created = excluded.created, charge = excluded.charge, status = excluded.status,
         currency = excluded.currency, amount = excluded.amount,
         reading = excluded.reading, packed = excluded.packed";

const PUT_CREDIT_NOTES: &str = "INSERT INTO stripe_credit_notes (
         id, created, customer, invoice, status, currency, total, pre_payment_amount, post_payment_amount,
         reading, packed
     )
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
         value ->> 8, ?3, substr(?2, value ->> 9, value ->> 10) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         created = excluded.created, customer = excluded.customer, invoice = excluded.invoice,
         status = excluded.status, currency = excluded.currency, total = excluded.total,
         pre_payment_amount = excluded.pre_payment_amount, post_payment_amount = excluded.post_payment_amount,
         reading = excluded.reading, packed = excluded.packed";

const PUT_DISPUTES: &str = "INSERT INTO stripe_disputes (
         id, created, charge, status, reason, currency, amount, reading, packed
     )
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, ?3,
         substr(?2, value ->> 7, value ->> 8) FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
         created = excluded.created, charge = excluded.charge, status = excluded.status,
         reason = excluded.reason, currency = excluded.currency, amount = excluded.amount,
         reading = excluded.reading, packed = excluded.packed";

/// Of an event only that it was seen: which object it is about is read from the event when it comes. It takes no
/// part in readings (`?3`) and is not packed (`?2`).
const PUT_EVENTS: &str = "INSERT INTO stripe_events (id, created, type, object)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1)
     WHERE ?2 IS NOT NULL AND ?3 IS NOT NULL ON CONFLICT (id) DO NOTHING";

/// Rows of one list on their way into the copy.
pub(super) struct Batch {
    stream: Stream,
    rows: Vec<Value>,
    packed: Vec<u8>,
}

impl Batch {
    pub(super) fn of(stream: Stream) -> Self {
        Self { stream, rows: Vec::new(), packed: Vec::new() }
    }

    /// Adds an object with its packed form and, for a subscription, its revenue.
    pub(super) fn add(&mut self, id: &str, created: i64, raw: &Value, packed: &[u8], revenue: Option<&Revenue>) {
        let mut columns = vec![json!(id), json!(created)];
        columns.extend(columns_of(self.stream, created, raw, revenue));
        // Bytes are counted from one.
        columns.extend([json!(self.packed.len() + 1), json!(packed.len())]);
        self.packed.extend_from_slice(packed);
        self.rows.push(Value::Array(columns));
    }

    /// Writes them. What is there already is replaced.
    pub(super) async fn put(self, tx: &mut SqliteConnection, reading: i64) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let statement = match self.stream {
            Stream::Customers => PUT_CUSTOMERS,
            Stream::Products => PUT_PRODUCTS,
            Stream::Prices => PUT_PRICES,
            Stream::Subscriptions => PUT_SUBSCRIPTIONS,
            Stream::Invoices => PUT_INVOICES,
            Stream::InvoicePayments => PUT_INVOICE_PAYMENTS,
            Stream::Charges => PUT_CHARGES,
            Stream::Refunds => PUT_REFUNDS,
            Stream::CreditNotes => PUT_CREDIT_NOTES,
            Stream::Disputes => PUT_DISPUTES,
            Stream::Events => PUT_EVENTS,
        };
        let rows = Value::Array(self.rows).to_string();
        if self.stream == Stream::Subscriptions {
            for statement in MOVE_SUBSCRIPTIONS {
                sqlx::query(statement).bind(&rows).execute(&mut *tx).await?;
            }
        }
        sqlx::query(statement).bind(rows).bind(self.packed).bind(reading).execute(tx).await?;
        Ok(())
    }
}

fn text<'a>(raw: &'a Value, pointer: &str) -> Option<&'a str> {
    raw.pointer(pointer).and_then(Value::as_str)
}

fn number(raw: &Value, pointer: &str) -> Option<i64> {
    raw.pointer(pointer).and_then(Value::as_i64)
}

fn flag(raw: &Value, pointer: &str) -> Option<bool> {
    raw.pointer(pointer).and_then(Value::as_bool)
}

/// The id of something that Stripe names by its id or, where it was asked to expand it, in full.
pub(super) fn reference<'a>(raw: &'a Value, pointer: &str) -> Option<&'a str> {
    match raw.pointer(pointer)? {
        Value::String(id) => Some(id),
        object => object.get("id")?.as_str(),
    }
}

/// Whether Stripe says that it was deleted.
pub(super) fn deleted(raw: &Value) -> bool {
    flag(raw, "/deleted") == Some(true)
}

/// Stripe's seconds as the milliseconds that everything here counts in.
fn seconds(value: Option<i64>) -> Option<i64> {
    value.map(|it| it.saturating_mul(1000))
}

/// When the running period ends: at the items since API version basil, before that at the subscription.
fn period_end(raw: &Value) -> Option<i64> {
    let items = raw.pointer("/items/data").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| number(item, "/current_period_end")).max().or_else(|| number(raw, "/current_period_end"))
}

fn currency(raw: &Value) -> String {
    text(raw, "/currency").unwrap_or_default().to_ascii_lowercase()
}

/// The columns between `created` and `reading`, in the order of the list's statement.
fn columns_of(stream: Stream, created: i64, raw: &Value, revenue: Option<&Revenue>) -> Vec<Value> {
    match stream {
        Stream::Customers => {
            let pays = reference(raw, "/invoice_settings/default_payment_method").is_some()
                || reference(raw, "/default_source").is_some();
            vec![
                json!(text(raw, "/email")),
                json!(pays),
                json!(flag(raw, "/livemode").unwrap_or(true)),
                json!(deleted(raw)),
                json!(raw.get("discount").is_some_and(|it| !it.is_null())),
            ]
        }
        Stream::Products => vec![json!(text(raw, "/name")), json!(flag(raw, "/active"))],
        Stream::Prices => vec![
            json!(reference(raw, "/product")),
            json!(text(raw, "/currency")),
            json!(number(raw, "/unit_amount")),
            json!(flag(raw, "/active")),
        ],
        Stream::Subscriptions => subscription_columns(created, raw, revenue.unwrap_or(&Revenue::default())),
        Stream::Invoices => invoice_columns(created, raw),
        Stream::InvoicePayments => vec![
            json!(reference(raw, "/invoice")),
            json!(text(raw, "/status")),
            json!(currency(raw)),
            json!(number(raw, "/amount_requested")),
            json!(number(raw, "/amount_paid")),
            json!(reference(raw, "/payment/payment_intent")),
            json!(reference(raw, "/payment/charge")),
        ],
        Stream::Charges => vec![
            json!(reference(raw, "/customer")),
            json!(text(raw, "/status")),
            json!(text(raw, "/currency")),
            json!(number(raw, "/amount")),
            json!(number(raw, "/amount_refunded")),
            json!(flag(raw, "/paid")),
            json!(reference(raw, "/payment_intent")),
        ],
        Stream::Refunds => vec![
            json!(reference(raw, "/charge")),
            json!(text(raw, "/status")),
            json!(text(raw, "/currency")),
            json!(number(raw, "/amount")),
        ],
        Stream::CreditNotes => vec![
            json!(reference(raw, "/customer")),
            json!(reference(raw, "/invoice")),
            json!(text(raw, "/status")),
            json!(currency(raw)),
            json!(number(raw, "/total")),
            json!(number(raw, "/pre_payment_amount")),
            json!(number(raw, "/post_payment_amount")),
        ],
        Stream::Disputes => vec![
            json!(reference(raw, "/charge")),
            json!(text(raw, "/status")),
            json!(text(raw, "/reason")),
            json!(text(raw, "/currency")),
            json!(number(raw, "/amount")),
        ],
        Stream::Events => vec![json!(text(raw, "/type")), json!(text(raw, "/data/object/id"))],
    }
}

fn subscription_columns(created: i64, raw: &Value, revenue: &Revenue) -> Vec<Value> {
    let pays = reference(raw, "/default_payment_method").is_some() || reference(raw, "/default_source").is_some();
    vec![
        json!(reference(raw, "/customer")),
        json!(text(raw, "/status").unwrap_or("unknown")),
        json!(currency(raw)),
        json!(seconds(number(raw, "/start_date").or(Some(created)))),
        json!(seconds(number(raw, "/ended_at"))),
        json!(seconds(period_end(raw))),
        json!(flag(raw, "/cancel_at_period_end").unwrap_or(false)),
        json!(pays),
        json!(revenue.counted),
        json!(revenue.mrr),
        json!(revenue.lost),
        json!(revenue.including_tax),
        json!(revenue.fault),
    ]
}

fn invoice_columns(created: i64, raw: &Value) -> Vec<Value> {
    let number_text = text(raw, "/number");
    let amount = |pointer: &str| number(raw, pointer).unwrap_or(0);
    vec![
        json!(reference(raw, "/customer")),
        json!(reference(raw, "/parent/subscription_details/subscription").or_else(|| reference(raw, "/subscription"))),
        json!(number_text),
        json!(number_text.map(fold)),
        json!(text(raw, "/status").unwrap_or("draft")),
        json!(currency(raw)),
        json!(amount("/total")),
        json!(amount("/amount_due")),
        json!(amount("/amount_paid")),
        json!(amount("/amount_remaining")),
        json!(amount("/attempt_count")),
        json!(seconds(number(raw, "/status_transitions/paid_at"))),
        json!(seconds(number(raw, "/status_transitions/finalized_at").or(Some(created)))),
    ]
}

/// Writes what a subscription's revenue has become, the object itself being the same.
pub(super) async fn put_revenue(tx: &mut SqliteConnection, id: &str, revenue: &Revenue) -> Result<()> {
    sqlx::query(
        "UPDATE stripe_subscriptions
         SET counted = ?2, mrr = ?3, mrr_lost = ?4, including_tax = ?5, mrr_fault = ?6 WHERE id = ?1",
    )
    .bind(id)
    .bind(revenue.counted)
    .bind(revenue.mrr)
    .bind(revenue.lost)
    .bind(revenue.including_tax)
    .bind(revenue.fault.as_deref())
    .execute(tx)
    .await?;
    Ok(())
}

//! The views that questions are asked of: one source for the statements that make them and for what is said of them.

use crate::ipc::{SqlColumn, SqlView};

/// A view: its columns, each from an expression, and what they come from.
pub(super) struct View {
    pub(super) name: &'static str,
    doc: &'static str,
    columns: &'static [Column],
    from: &'static str,
}

struct Column {
    name: &'static str,
    is: &'static str,
    doc: &'static str,
}

const fn column(name: &'static str, is: &'static str, doc: &'static str) -> Column {
    Column { name, is, doc }
}

/// Every view, in the order in which it is shown.
pub(super) const VIEWS: &[View] = &[TENANTS, SUBSCRIPTIONS, INVOICES, MRR_BY_MONTH, MOVEMENTS, USAGE_BY_DAY];

// The tenant of a row's customer: one that was deleted only where there is no other.
macro_rules! tenant_of {
    ($row:literal) => {
        concat!(
            "(SELECT t.id FROM main.tenants AS t WHERE t.stripe_customer = ",
            $row,
            ".customer ORDER BY t.deleted_at IS NOT NULL, t.num LIMIT 1)"
        )
    };
}

const TENANTS: View = View {
    name: "tenants",
    doc: "One row per tenant, deleted ones too.",
    columns: &[
        column("id", "id", "The tenant's id."),
        column("name", "name", "Its name."),
        column("email", "email", "Its owner's address."),
        column("domain", "domain", "What stands behind the @ of that address."),
        column("status", "status", "trial, active, past_due, expired or suspended."),
        column("access", "level", "What it may do now: full, grace, partial or locked."),
        column("plan", "plan", "The plan that it is on, by id."),
        column("plan_in_force", "plan_in_force", "The plan whose limits hold now, by id."),
        column("tags", "tags", "What else holds, such as comped or extended: a JSON array."),
        column("created_at", "datetime(created_at / 1000, 'unixepoch')", "When it was first seen. UTC."),
        column(
            "deleted_at",
            "datetime(deleted_at / 1000, 'unixepoch')",
            "When it was deleted. UTC; NULL = it was not.",
        ),
        column(
            "trial_started_at",
            "datetime(trial_started_at / 1000, 'unixepoch')",
            "When its trial began. UTC; NULL = it had none.",
        ),
        column(
            "trial_ends_at",
            "datetime(trial_ends_at / 1000, 'unixepoch')",
            "When its trial ends or ended. UTC; NULL = it had none.",
        ),
        column("trial_extensions", "extensions", "How often its trial was extended."),
        column("trial_extended_days", "extended_ms / 86400000.0", "By how many days in all."),
        column(
            "overdue_since",
            "datetime(overdue_since / 1000, 'unixepoch')",
            "Since when a payment is overdue. UTC; NULL = none is.",
        ),
        column(
            "used_percent",
            "used_percent",
            "Percent of its limit that the meter nearest to it has used; NULL = no limit, or unknown.",
        ),
        column("used_meter", "used_meter", "That meter."),
        column(
            "last_active_at",
            "datetime(last_active_at / 1000, 'unixepoch')",
            "When it last used anything. UTC; NULL = never, or unknown.",
        ),
        column(
            "last_refused_at",
            "datetime(last_refused_at / 1000, 'unixepoch')",
            "When a request of it was last refused. UTC; NULL = never.",
        ),
        column("customer", "stripe_customer", "Its customer in Stripe, by id; NULL = none."),
        column("as_of", "datetime(as_of / 1000, 'unixepoch')", "For when this row holds. UTC."),
    ],
    from: "main.tenants",
};

const SUBSCRIPTIONS: View = View {
    name: "subscriptions",
    doc: "One row per subscription in Stripe, ended ones too.",
    columns: &[
        column("id", "id", "The subscription's id."),
        column("customer", "customer", "Its customer in Stripe, by id."),
        column("tenant_id", tenant_of!("s"), "The tenant of that customer; NULL = none."),
        column(
            "status",
            "status",
            "As Stripe says: trialing, active, past_due, unpaid, canceled, paused, incomplete or incomplete_expired.",
        ),
        column("currency", "currency", "In lower case, such as eur."),
        column(
            "mrr",
            "mrr / 10000.0",
            "Recurring revenue a month in the currency's minor unit (cents; JPY has none, so yen); 0 while it does not count.",
        ),
        column("mrr_10k", "mrr", "The same exactly, in 1/10,000 of the minor unit."),
        column("mrr_lost", "mrr_lost / 10000.0", "What it was at its end, in the minor unit, for one that ended."),
        column("counts", "counted", "1 where it counts towards recurring revenue now."),
        column("including_tax", "including_tax", "1 where its prices include tax."),
        column("mrr_fault", "mrr_fault", "Why its revenue cannot be told; NULL = it can."),
        column("created_at", "datetime(created, 'unixepoch')", "When it was made. UTC."),
        column("started_at", "datetime(started_at / 1000, 'unixepoch')", "When it began. UTC."),
        column("ended_at", "datetime(ended_at / 1000, 'unixepoch')", "When it ended. UTC; NULL = it has not."),
        column("current_period_end", "datetime(current_period_end / 1000, 'unixepoch')", "To when it is billed. UTC."),
        column("cancel_at_period_end", "cancel_at_period_end", "1 where it ends then."),
    ],
    from: "main.stripe_subscriptions AS s",
};

const INVOICES: View = View {
    name: "invoices",
    doc: "One row per invoice in Stripe. Amounts are whole numbers in the currency's minor unit.",
    columns: &[
        column("id", "id", "The invoice's id."),
        column("number", "number", "Its number; NULL = a draft."),
        column("customer", "customer", "Its customer in Stripe, by id."),
        column("tenant_id", tenant_of!("i"), "The tenant of that customer; NULL = none."),
        column("subscription", "subscription", "The subscription that it is for; NULL = none."),
        column("status", "status", "draft, open, paid, uncollectible or void."),
        column("currency", "currency", "In lower case, such as eur."),
        column("total", "total", "Its total, tax and discounts counted."),
        column("amount_due", "amount_due", "What was asked for."),
        column("amount_paid", "amount_paid", "What was paid."),
        column("amount_remaining", "amount_remaining", "What is still to be paid."),
        column("attempts", "attempt_count", "How often it was tried to be paid."),
        column("created_at", "datetime(created, 'unixepoch')", "When it was made. UTC."),
        column("paid_at", "datetime(paid_at / 1000, 'unixepoch')", "When it was paid. UTC; NULL = it was not."),
    ],
    from: "main.stripe_invoices AS i",
};

const MRR_BY_MONTH: View = View {
    name: "mrr_by_month",
    doc: "One row per calendar month and currency, from the first movement on, by our own definition and in the reporting zone. The last month is as far as it has been counted.",
    columns: &[
        column("month", "month", "The month, such as 2026-01."),
        column("currency", "currency", "In lower case, such as eur."),
        column("mrr", "mrr_10k / 10000.0", "Recurring revenue a month at its end, in the currency's minor unit."),
        column("mrr_10k", "mrr_10k", "The same exactly, in 1/10,000 of the minor unit."),
        column("customers", "customers", "Customers paying at its end."),
        column("new", "new / 10000.0", "From customers who never paid before, in the minor unit."),
        column("reactivation", "reactivation / 10000.0", "From former customers, in the minor unit."),
        column("expansion", "expansion / 10000.0", "Gained from those who paid already, in the minor unit."),
        column("contraction", "contraction / 10000.0", "Lost from those who still pay, in the minor unit; below zero."),
        column("churn", "churn / 10000.0", "Lost with those who left, in the minor unit; below zero."),
        column(
            "estimated",
            "estimated > 0",
            "1 where a movement in it is rebuilt from invoices and dates rather than seen.",
        ),
    ],
    from: "(WITH RECURSIVE sums AS (
            SELECT currency, strftime('%Y-%m', day * 86400, 'unixepoch') AS month, sum(amount_10k) AS moved,
                   sum(paying) AS paying, sum(estimated) AS estimated, sum(iif(kind = 0, amount_10k, 0)) AS new,
                   sum(iif(kind = 1, amount_10k, 0)) AS reactivation, sum(iif(kind = 2, amount_10k, 0)) AS expansion,
                   sum(iif(kind = 3, amount_10k, 0)) AS contraction, sum(iif(kind = 4, amount_10k, 0)) AS churn
            FROM main.revenue_days WHERE lens = 0 GROUP BY 1, 2),
        spans AS (
            SELECT currency, min(month) AS month, max(max(month), coalesce((
                SELECT strftime('%Y-%m', counted_at / 1000, 'unixepoch') FROM main.revenue_lenses WHERE num = 0), ''))
                AS last
            FROM sums GROUP BY currency),
        months (currency, month, last) AS (
            SELECT currency, month, last FROM spans
            UNION ALL SELECT currency, strftime('%Y-%m', month || '-01', '+1 month'), last FROM months
            WHERE month < last)
        SELECT m.currency, m.month, sum(coalesce(moved, 0)) OVER upto AS mrr_10k,
               sum(coalesce(paying, 0)) OVER upto AS customers, coalesce(estimated, 0) AS estimated,
               coalesce(new, 0) AS new, coalesce(reactivation, 0) AS reactivation, coalesce(expansion, 0) AS expansion,
               coalesce(contraction, 0) AS contraction, coalesce(churn, 0) AS churn
        FROM months AS m LEFT JOIN sums AS s ON s.currency = m.currency AND s.month = m.month
        WINDOW upto AS (PARTITION BY m.currency ORDER BY m.month))",
};

const MOVEMENTS: View = View {
    name: "movements",
    doc: "One row per customer, currency and day on which recurring revenue moved, by our own definition and in the reporting zone. Rows add up to mrr_by_month exactly.",
    columns: &[
        column("day", "date(day * 86400, 'unixepoch')", "The day, such as 2026-01-31."),
        column("month", "strftime('%Y-%m', day * 86400, 'unixepoch')", "Its month, such as 2026-01."),
        column("customer", "customer", "The customer in Stripe, by id."),
        column("tenant_id", tenant_of!("m"), "The tenant of that customer; NULL = none."),
        column(
            "kind",
            "CASE kind WHEN 0 THEN 'new' WHEN 1 THEN 'reactivation' WHEN 2 THEN 'expansion' WHEN 3 THEN 'contraction' WHEN 4 THEN 'churn' END",
            "new, reactivation, expansion, contraction or churn.",
        ),
        column("currency", "currency", "In lower case, such as eur."),
        column(
            "amount",
            "amount_10k / 10000.0",
            "By how much, in the currency's minor unit; below zero for contraction and churn.",
        ),
        column("amount_10k", "amount_10k", "The same exactly, in 1/10,000 of the minor unit."),
        column("customers", "paying", "How many more customers pay after it: 1, 0 or -1."),
        column("estimated", "estimated", "1 where it is rebuilt from invoices and dates rather than seen."),
    ],
    from: "main.revenue_movements AS m WHERE lens = 0",
};

const USAGE_BY_DAY: View = View {
    name: "usage_by_day",
    doc: "One row per tenant and day on which something was counted; up to 400 days back. Days are the server's: UTC. Empty where the server is too old to tell.",
    columns: &[
        column("day", "date(day / 1000, 'unixepoch')", "The day, such as 2026-01-31."),
        column("tenant_id", "tenant_id", "Whose."),
        column("messages", "messages", "Messages counted on that day."),
        column("tokens", "tokens", "Tokens counted on that day."),
        column("api_requests", "api_requests", "API requests counted on that day."),
    ],
    from: "main.usage_days",
};

impl View {
    /// The statement that makes it. As a temporary view it hides the table of the same name.
    pub(super) fn statement(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|it| format!("{} AS {}", it.is, it.name)).collect();
        format!("CREATE TEMP VIEW {} AS SELECT {} FROM {}", self.name, columns.join(", "), self.from)
    }
}

/// What is said of every view.
pub fn described() -> Vec<SqlView> {
    VIEWS
        .iter()
        .map(|view| SqlView {
            name: view.name.to_owned(),
            doc: view.doc.to_owned(),
            columns: view
                .columns
                .iter()
                .map(|it| SqlColumn { name: it.name.to_owned(), doc: it.doc.to_owned() })
                .collect(),
        })
        .collect()
}

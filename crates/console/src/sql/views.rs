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
pub(super) const VIEWS: &[View] = &[TENANTS, SUBSCRIPTIONS, INVOICES, USAGE_BY_DAY];

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
        column(
            "tenant_id",
            "(SELECT t.id FROM main.tenants AS t WHERE t.stripe_customer = s.customer ORDER BY t.deleted_at IS NOT NULL, t.num LIMIT 1)",
            "The tenant of that customer; NULL = none.",
        ),
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
        column(
            "tenant_id",
            "(SELECT t.id FROM main.tenants AS t WHERE t.stripe_customer = i.customer ORDER BY t.deleted_at IS NOT NULL, t.num LIMIT 1)",
            "The tenant of that customer; NULL = none.",
        ),
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

const USAGE_BY_DAY: View = View {
    name: "usage_by_day",
    doc: "One row per tenant, day and meter on which something was counted. Days are the server's: UTC.",
    columns: &[
        column("day", "date(day / 1000, 'unixepoch')", "The day, such as 2026-01-31."),
        column("tenant_id", "tenant_id", "Whose."),
        column("meter", "meter", "messages, tokens or api_requests."),
        column("amount", "amount", "How much was counted on that day."),
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

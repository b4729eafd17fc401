//! One customer's side of the Stripe account, in compact records. JSON is made of them on demand.
//!
//! All instants are seconds since 1970. Records name one another by their place within the books.

use paywall_domain::SubscriptionStatus;

use crate::catalog::Currency;
use crate::ids::Kind;

/// Everything that Stripe knows of one customer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    pub(crate) customer: Option<Customer>,
    pub(crate) subscriptions: Vec<Sub>,
    pub(crate) invoices: Vec<Invoice>,
    pub(crate) charges: Vec<Charge>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) disputes: Vec<Dispute>,
    /// Which invoices were to be paid by a payment.
    pub(crate) payments: Vec<InvoicePayment>,
    /// Of each refund, in its order.
    pub(crate) credit_notes: Vec<CreditNote>,
    pub(crate) events: Vec<Event>,
}

#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) created: i64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) tenant_id: String,
    pub(crate) currency: Currency,
    pub(crate) delinquent: bool,
    pub(crate) deleted_at: Option<i64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Sub {
    pub(crate) created: i64,
    pub(crate) status: SubscriptionStatus,
    pub(crate) currency: Currency,
    pub(crate) items: Vec<Item>,
    pub(crate) period: (i64, i64),
    pub(crate) trial: Option<(i64, i64)>,
    pub(crate) cancel_at_period_end: bool,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    pub(crate) paused_at: Option<i64>,
    /// Collection paused: invoices are voided, the status stays.
    pub(crate) collection_paused: bool,
    pub(crate) discount: Option<Discount>,
    pub(crate) latest_invoice: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) created: i64,
    pub(crate) price: u16,
    pub(crate) quantity: i64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Discount {
    pub(crate) coupon: u8,
    pub(crate) start: i64,
    pub(crate) end: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvoiceStatus {
    Draft,
    Open,
    Paid,
    Void,
    Uncollectible,
}

impl InvoiceStatus {
    pub(crate) const ALL: [Self; 5] = [Self::Draft, Self::Open, Self::Paid, Self::Void, Self::Uncollectible];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Create,
    Cycle,
    Update,
}

impl Reason {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Create => "subscription_create",
            Self::Cycle => "subscription_cycle",
            Self::Update => "subscription_update",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Invoice {
    pub(crate) created: i64,
    pub(crate) sub: u16,
    pub(crate) number: u16,
    pub(crate) currency: Currency,
    pub(crate) status: InvoiceStatus,
    pub(crate) reason: Reason,
    pub(crate) period: (i64, i64),
    pub(crate) lines: Vec<Line>,
    pub(crate) discount: Option<Discount>,
    pub(crate) finalized_at: Option<i64>,
    pub(crate) paid_at: Option<i64>,
    pub(crate) closed_at: Option<i64>,
    pub(crate) attempts: u32,
    pub(crate) next_attempt: Option<i64>,
}

impl Invoice {
    pub(crate) fn subtotal(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }

    pub(crate) fn discounted(&self) -> i64 {
        self.lines.iter().map(|line| line.discounted).sum()
    }

    /// What the customer owes for it; never below zero.
    pub(crate) fn total(&self) -> i64 {
        (self.subtotal() - self.discounted()).max(0)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) price: u16,
    pub(crate) item: u8,
    pub(crate) quantity: i64,
    pub(crate) amount: i64,
    pub(crate) discounted: i64,
    pub(crate) period: (i64, i64),
    pub(crate) proration: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge {
    pub(crate) created: i64,
    pub(crate) invoice: u16,
    pub(crate) currency: Currency,
    pub(crate) amount: i64,
    pub(crate) refunded: i64,
    pub(crate) disputed: bool,
    /// `None` = it succeeded.
    pub(crate) failure: Option<&'static str>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Refund {
    pub(crate) created: i64,
    pub(crate) charge: u16,
    pub(crate) amount: i64,
    pub(crate) reason: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Dispute {
    pub(crate) created: i64,
    pub(crate) charge: u16,
    pub(crate) reason: &'static str,
    pub(crate) status: &'static str,
    pub(crate) closed_at: Option<i64>,
}

/// That an invoice is paid, or to be paid, by a payment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InvoicePayment {
    pub(crate) created: i64,
    pub(crate) invoice: u16,
}

/// What was given back of an invoice, in its own document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CreditNote {
    pub(crate) created: i64,
    pub(crate) refund: u16,
}

/// Every type of event.
pub(crate) const EVENT_TYPES: [&str; 20] = [
    "customer.created",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.paused",
    "customer.subscription.deleted",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice.payment_failed",
    "charge.succeeded",
    "charge.failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.closed",
    "refund.created",
    "invoice_payment.paid",
    "credit_note.created",
];

/// Something that happened to an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) created: i64,
    pub(crate) kind: &'static str,
    pub(crate) object: Kind,
    pub(crate) ordinal: u16,
}

impl Books {
    /// How many objects of a kind there are.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Customer => usize::from(self.customer.is_some()),
            Kind::Subscription => self.subscriptions.len(),
            Kind::Invoice => self.invoices.len(),
            Kind::Charge => self.charges.len(),
            Kind::Refund => self.refunds.len(),
            Kind::Dispute => self.disputes.len(),
            Kind::InvoicePayment => self.payments.len(),
            Kind::CreditNote => self.credit_notes.len(),
            Kind::Event => self.events.len(),
            _ => 0,
        }
    }

    /// When an object was created.
    pub(crate) fn created(&self, kind: Kind, ordinal: u16) -> Option<i64> {
        let at = usize::from(ordinal);
        match kind {
            Kind::Customer => self.customer.as_ref().map(|it| it.created),
            Kind::Subscription => self.subscriptions.get(at).map(|it| it.created),
            Kind::Invoice => self.invoices.get(at).map(|it| it.created),
            Kind::Charge => self.charges.get(at).map(|it| it.created),
            Kind::Refund => self.refunds.get(at).map(|it| it.created),
            Kind::Dispute => self.disputes.get(at).map(|it| it.created),
            Kind::InvoicePayment => self.payments.get(at).map(|it| it.created),
            Kind::CreditNote => self.credit_notes.get(at).map(|it| it.created),
            Kind::Event => self.events.get(at).map(|it| it.created),
            _ => None,
        }
    }

    /// The place of an invoice's payment.
    pub(crate) fn payment_of(&self, invoice: u16) -> Option<u16> {
        self.payments.iter().position(|it| it.invoice == invoice).map(|at| at as u16)
    }

    /// What was given back of an invoice after it was paid.
    pub(crate) fn credited(&self, invoice: u16) -> i64 {
        let of = |refund: &&Refund| {
            self.charges.get(usize::from(refund.charge)).is_some_and(|charge| charge.invoice == invoice)
        };
        self.refunds.iter().filter(of).map(|refund| refund.amount).sum()
    }

    /// Adds what Stripe makes by itself: the payment of each invoice that is finalized and not free, and the
    /// credit note of each refund.
    pub(crate) fn derive_documents(&mut self) {
        for (at, invoice) in
            self.invoices.iter().enumerate().skip(self.payments.last().map_or(0, |it| usize::from(it.invoice) + 1))
        {
            if let Some(created) = invoice.finalized_at.filter(|_| invoice.total() > 0) {
                self.payments.push(InvoicePayment { created, invoice: at as u16 });
            }
        }
        for (at, refund) in self.refunds.iter().enumerate().skip(self.credit_notes.len()) {
            self.credit_notes.push(CreditNote { created: refund.created, refund: at as u16 });
        }
    }

    /// Adds the events of everything that happened at or after `since`, oldest first.
    pub(crate) fn derive_events(&mut self, since: i64) {
        let mut events = Vec::new();
        let mut push = |created: i64, kind: &'static str, object: Kind, ordinal: usize| {
            if created >= since {
                events.push(Event { created, kind, object, ordinal: ordinal as u16 });
            }
        };
        if let Some(customer) = &self.customer {
            push(customer.created, "customer.created", Kind::Customer, 0);
        }
        for (at, sub) in self.subscriptions.iter().enumerate() {
            push(sub.created, "customer.subscription.created", Kind::Subscription, at);
            if sub.period.0 > sub.created {
                push(sub.period.0, "customer.subscription.updated", Kind::Subscription, at);
            }
            if let Some(paused) = sub.paused_at {
                push(paused, "customer.subscription.paused", Kind::Subscription, at);
            }
            match (sub.canceled_at, sub.ended_at) {
                (canceled, Some(ended)) if sub.status == SubscriptionStatus::Canceled => {
                    if let Some(canceled) = canceled.filter(|it| *it < ended) {
                        push(canceled, "customer.subscription.updated", Kind::Subscription, at);
                    }
                    push(ended, "customer.subscription.deleted", Kind::Subscription, at);
                }
                (canceled, ended) => {
                    if let Some(changed) = canceled.or(ended) {
                        push(changed, "customer.subscription.updated", Kind::Subscription, at);
                    }
                }
            }
        }
        for (at, invoice) in self.invoices.iter().enumerate() {
            push(invoice.created, "invoice.created", Kind::Invoice, at);
            if let Some(finalized) = invoice.finalized_at {
                push(finalized, "invoice.finalized", Kind::Invoice, at);
            }
            if let Some(paid) = invoice.paid_at {
                push(paid, "invoice.paid", Kind::Invoice, at);
            }
            if let Some(closed) = invoice.closed_at {
                let kind = match invoice.status {
                    InvoiceStatus::Void => "invoice.voided",
                    _ => "invoice.marked_uncollectible",
                };
                push(closed, kind, Kind::Invoice, at);
            }
        }
        for (at, charge) in self.charges.iter().enumerate() {
            if charge.failure.is_some() {
                push(charge.created, "charge.failed", Kind::Charge, at);
                push(charge.created, "invoice.payment_failed", Kind::Invoice, usize::from(charge.invoice));
                push(charge.created, "customer.subscription.updated", Kind::Subscription, {
                    self.invoices.get(usize::from(charge.invoice)).map_or(0, |it| usize::from(it.sub))
                });
            } else {
                push(charge.created, "charge.succeeded", Kind::Charge, at);
            }
        }
        for (at, refund) in self.refunds.iter().enumerate() {
            push(refund.created, "refund.created", Kind::Refund, at);
            push(refund.created, "charge.refunded", Kind::Charge, usize::from(refund.charge));
        }
        for (at, payment) in self.payments.iter().enumerate() {
            if let Some(paid) = self.invoices.get(usize::from(payment.invoice)).and_then(|it| it.paid_at) {
                push(paid, "invoice_payment.paid", Kind::InvoicePayment, at);
            }
        }
        for (at, note) in self.credit_notes.iter().enumerate() {
            push(note.created, "credit_note.created", Kind::CreditNote, at);
        }
        for (at, dispute) in self.disputes.iter().enumerate() {
            push(dispute.created, "charge.dispute.created", Kind::Dispute, at);
            if let Some(closed) = dispute.closed_at {
                push(closed, "charge.dispute.closed", Kind::Dispute, at);
            }
        }
        if let Some(deleted) = self.customer.as_ref().and_then(|it| it.deleted_at) {
            push(deleted, "customer.deleted", Kind::Customer, 0);
        }
        // Stable: what happened in the same second stays in the order of cause and effect.
        events.sort_by_key(|event| event.created);
        self.events = events;
    }
}

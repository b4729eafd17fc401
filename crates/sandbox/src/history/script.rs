//! What a script lets happen to the account: time passes, customers pay, cancel, leave, are refunded.

use std::sync::{Arc, PoisonError};

use paywall_domain::SubscriptionStatus;

use super::{Entry, NoSuch, OF_CUSTOMERS, StripeHistory, slot, status_of};
use crate::books::{Books, Charge, Event, Invoice, InvoiceStatus, Line, Reason, Refund};
use crate::calendar::add_months;
use crate::ids::{CATALOG, Kind};

impl StripeHistory {
    /// Changes one customer's books at the present second. Whatever was added, and the events that
    /// `change` returns, come into the lists as the newest; several in one second keep their order.
    fn mutate(&self, tenant: u32, change: impl FnOnce(&mut Books, i64) -> Vec<(&'static str, Kind, u16)>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let now = state.now;
        let mut books = (*self.books(&state, tenant)).clone();
        let before: Vec<usize> = OF_CUSTOMERS.iter().map(|kind| books.count(*kind)).collect();
        let events = change(&mut books, now);
        books.derive_documents();
        for (kind, object, ordinal) in events {
            books.events.push(Event { created: now, kind, object, ordinal });
        }
        for (kind, before) in OF_CUSTOMERS.into_iter().zip(before) {
            let Some(slot) = slot(kind) else { continue };
            for entry in state.index[slot].iter_mut().filter(|it| it.tenant == tenant) {
                entry.status = status_of(&books, kind, entry.ordinal);
            }
            let added = (before..books.count(kind)).map(|ordinal| ordinal as u16).map(|ordinal| Entry {
                created: now,
                tenant,
                ordinal,
                status: status_of(&books, kind, ordinal),
            });
            let added: Vec<Entry> = added.collect();
            state.index[slot].extend(added);
        }
        if books.customer.as_ref().is_some_and(|it| it.deleted_at.is_some()) {
            state.index[0].retain(|it| it.tenant != tenant);
        }
        state.changed.insert(tenant, Arc::new(books));
    }

    fn live_customer(&self, id: &str) -> Result<u32, NoSuch> {
        let missing = || NoSuch { kind: Kind::Customer, id: id.to_owned() };
        let place = self.place(Kind::Customer, id).filter(|it| it.tenant != CATALOG).ok_or_else(missing)?;
        let books = self.books(&self.read(), place.tenant);
        books.customer.as_ref().filter(|it| it.deleted_at.is_none()).ok_or_else(missing)?;
        Ok(place.tenant)
    }

    /// The account's clock, in seconds. It stands still but for [`Self::advance`].
    pub fn now(&self) -> i64 {
        self.read().now
    }

    /// Moves the account's clock on. What is scripted afterwards happens then; scripted without it,
    /// everything happens in the same second.
    pub fn advance(&self, seconds: u32) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).now += i64::from(seconds);
    }

    /// Renews the customer's latest subscription that is not over: its next period is invoiced and
    /// paid at once. Returns the invoice's id.
    pub fn add_invoice_paid(&self, customer: &str) -> Result<String, NoSuch> {
        let tenant = self.live_customer(customer)?;
        let books = self.books(&self.read(), tenant);
        let sub = books
            .subscriptions
            .iter()
            .rposition(|sub| {
                sub.status != SubscriptionStatus::Canceled && sub.status != SubscriptionStatus::IncompleteExpired
            })
            .ok_or_else(|| NoSuch { kind: Kind::Subscription, id: customer.to_owned() })?;
        let mut invoice = 0;
        self.mutate(tenant, |books, now| {
            invoice = books.invoices.len() as u16;
            let charge = books.charges.len() as u16;
            let subscription = &mut books.subscriptions[sub];
            let months =
                subscription.items.first().map_or(1, |it| self.setting.prices[usize::from(it.price)].interval.months());
            subscription.period = (subscription.period.1, add_months(subscription.period.1, months));
            subscription.status = SubscriptionStatus::Active;
            subscription.latest_invoice = Some(invoice);
            let lines: Vec<Line> = subscription
                .items
                .iter()
                .enumerate()
                .map(|(item, it)| Line {
                    price: it.price,
                    item: item as u8,
                    quantity: it.quantity,
                    amount: self.setting.prices[usize::from(it.price)].unit_amount * it.quantity,
                    discounted: 0,
                    period: subscription.period,
                    proration: false,
                })
                .collect();
            let currency = subscription.currency;
            let paid = Invoice {
                created: now,
                sub: sub as u16,
                number: invoice,
                currency,
                status: InvoiceStatus::Paid,
                reason: Reason::Cycle,
                period: (now, now),
                lines,
                discount: None,
                finalized_at: Some(now),
                paid_at: Some(now),
                closed_at: None,
                attempts: 1,
                next_attempt: None,
            };
            books.charges.push(Charge {
                created: now,
                invoice,
                currency,
                amount: paid.total(),
                refunded: 0,
                disputed: false,
                failure: None,
            });
            books.invoices.push(paid);
            vec![
                ("invoice.created", Kind::Invoice, invoice),
                ("invoice.finalized", Kind::Invoice, invoice),
                ("charge.succeeded", Kind::Charge, charge),
                ("invoice.paid", Kind::Invoice, invoice),
                ("invoice_payment.paid", Kind::InvoicePayment, books.payments.len() as u16),
                ("customer.subscription.updated", Kind::Subscription, sub as u16),
            ]
        });
        Ok(self.setting.ids.id(Kind::Invoice, tenant, invoice))
    }

    /// Cancels a subscription at once.
    pub fn cancel_subscription(&self, id: &str) -> Result<(), NoSuch> {
        let missing = || NoSuch { kind: Kind::Subscription, id: id.to_owned() };
        let place = self.place(Kind::Subscription, id).filter(|it| it.tenant != CATALOG).ok_or_else(missing)?;
        let at = usize::from(place.ordinal);
        let books = self.books(&self.read(), place.tenant);
        books.subscriptions.get(at).filter(|it| it.status != SubscriptionStatus::Canceled).ok_or_else(missing)?;
        self.mutate(place.tenant, |books, now| {
            cancel(books, at, now);
            vec![("customer.subscription.deleted", Kind::Subscription, place.ordinal)]
        });
        Ok(())
    }

    /// Deletes a customer; its subscriptions are canceled with it.
    pub fn delete_customer(&self, id: &str) -> Result<(), NoSuch> {
        let tenant = self.live_customer(id)?;
        self.mutate(tenant, |books, now| {
            let mut events = Vec::new();
            for at in 0..books.subscriptions.len() {
                if books.subscriptions[at].ended_at.is_none() {
                    cancel(books, at, now);
                    events.push(("customer.subscription.deleted", Kind::Subscription, at as u16));
                }
            }
            if let Some(customer) = &mut books.customer {
                customer.deleted_at = Some(now);
            }
            events.push(("customer.deleted", Kind::Customer, 0));
            events
        });
        Ok(())
    }

    /// Gives back what is left of a charge. Returns the refund's id.
    pub fn refund(&self, charge: &str) -> Result<String, NoSuch> {
        let missing = || NoSuch { kind: Kind::Charge, id: charge.to_owned() };
        let place = self.place(Kind::Charge, charge).filter(|it| it.tenant != CATALOG).ok_or_else(missing)?;
        let at = usize::from(place.ordinal);
        let books = self.books(&self.read(), place.tenant);
        books.charges.get(at).filter(|it| it.failure.is_none() && it.refunded < it.amount).ok_or_else(missing)?;
        let mut refund = 0;
        self.mutate(place.tenant, |books, now| {
            refund = books.refunds.len() as u16;
            let amount = books.charges[at].amount - books.charges[at].refunded;
            books.charges[at].refunded += amount;
            books.refunds.push(Refund { created: now, charge: place.ordinal, amount, reason: "requested_by_customer" });
            vec![
                ("refund.created", Kind::Refund, refund),
                ("charge.refunded", Kind::Charge, place.ordinal),
                ("credit_note.created", Kind::CreditNote, refund),
            ]
        });
        Ok(self.setting.ids.id(Kind::Refund, place.tenant, refund))
    }
}

fn cancel(books: &mut Books, at: usize, now: i64) {
    let sub = &mut books.subscriptions[at];
    sub.status = SubscriptionStatus::Canceled;
    sub.canceled_at = Some(now);
    sub.ended_at = Some(now);
    sub.cancel_at_period_end = false;
}

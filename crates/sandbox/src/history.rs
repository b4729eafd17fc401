//! The Stripe account as a whole: what there is, in Stripe's order, and what happens next.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use paywall_domain::SubscriptionStatus;
use serde_json::Value;

use crate::books::{Books, Charge, EVENT_TYPES, Event, Invoice, InvoiceStatus, Line, Reason, Refund};
use crate::calendar::add_months;
use crate::catalog::Product;
use crate::ids::{CATALOG, Kind, Place};
use crate::render::{self, Renderer};
use crate::story::{self, Setting};

/// One object in a list's order.
#[derive(Debug, Clone, Copy)]
struct Entry {
    created: i64,
    tenant: u32,
    ordinal: u16,
    /// For subscriptions and invoices, the place of its status in the list of statuses; for events,
    /// that of its type.
    status: u8,
}

impl Entry {
    fn place(self) -> Place {
        Place { tenant: self.tenant, ordinal: self.ordinal }
    }
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first, by the place of the kind in [`Kind::LISTED`]; same-second objects in the order
    /// in which they came.
    index: [Vec<Entry>; 9],
    /// Books that changed since the world was made.
    changed: BTreeMap<u32, Arc<Books>>,
    now: i64,
}

/// The whole account. Cheap to hold for large worlds: objects are made when they are asked for.
#[derive(Debug)]
pub struct StripeHistory {
    setting: Setting,
    tenants: u32,
    state: RwLock<State>,
}

/// Which objects of a kind to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Created at or after.
    pub from: Option<i64>,
    /// Created before.
    pub to: Option<i64>,
    /// Only this customer's.
    pub customer: Option<String>,
    /// Only of this subscription (invoices).
    pub subscription: Option<String>,
    /// Only of this charge (refunds, disputes).
    pub charge: Option<String>,
    /// Only with this status (subscriptions, invoices); `all` = every one.
    pub status: Option<String>,
    /// Only of these types (events).
    pub types: Vec<String>,
    /// Only customers of this address.
    pub email: Option<String>,
    /// Only of this product (prices).
    pub product: Option<String>,
    /// Only those that are sold, or not (prices, products).
    pub active: Option<bool>,
}

/// From where to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor<'a> {
    /// From the newest.
    Start,
    /// Older ones than this object.
    After(&'a str),
    /// Newer ones than this object, those next to it.
    Before(&'a str),
}

/// A script names something that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSuch {
    /// What kind of thing.
    pub kind: Kind,
    /// The id given.
    pub id: String,
}

impl std::fmt::Display for NoSuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "No such {}: '{}'", self.kind.singular(), self.id)
    }
}

impl std::error::Error for NoSuch {}

pub(crate) const SUBSCRIPTION_STATUSES: [(&str, SubscriptionStatus); 8] = [
    ("incomplete", SubscriptionStatus::Incomplete),
    ("incomplete_expired", SubscriptionStatus::IncompleteExpired),
    ("trialing", SubscriptionStatus::Trialing),
    ("active", SubscriptionStatus::Active),
    ("past_due", SubscriptionStatus::PastDue),
    ("unpaid", SubscriptionStatus::Unpaid),
    ("canceled", SubscriptionStatus::Canceled),
    ("paused", SubscriptionStatus::Paused),
];
const CANCELED: u8 = 6;

fn slot(kind: Kind) -> Option<usize> {
    Kind::LISTED.iter().position(|it| *it == kind)
}

fn status_of(books: &Books, kind: Kind, ordinal: u16) -> u8 {
    let at = usize::from(ordinal);
    let place = match kind {
        Kind::Subscription => {
            books.subscriptions.get(at).and_then(|sub| SUBSCRIPTION_STATUSES.iter().position(|it| it.1 == sub.status))
        }
        Kind::Invoice => {
            books.invoices.get(at).and_then(|it| InvoiceStatus::ALL.iter().position(|status| *status == it.status))
        }
        Kind::Event => books.events.get(at).and_then(|event| EVENT_TYPES.iter().position(|it| *it == event.kind)),
        _ => None,
    };
    place.unwrap_or(0) as u8
}

/// The kinds that belong to a customer.
const OF_CUSTOMERS: [Kind; 7] =
    [Kind::Customer, Kind::Subscription, Kind::Invoice, Kind::Charge, Kind::Refund, Kind::Dispute, Kind::Event];

impl StripeHistory {
    pub(crate) fn new(setting: Setting, tenants: u32) -> Self {
        let mut state = State { now: setting.seconds(), ..State::default() };
        for tenant in 0..tenants {
            let books = story::tell(&setting, tenant).books;
            for kind in OF_CUSTOMERS {
                let Some(slot) = slot(kind) else { continue };
                if kind == Kind::Customer && books.customer.as_ref().is_some_and(|it| it.deleted_at.is_some()) {
                    continue;
                }
                for ordinal in 0..books.count(kind) as u16 {
                    let created = books.created(kind, ordinal).unwrap_or(0);
                    state.index[slot].push(Entry {
                        created,
                        tenant,
                        ordinal,
                        status: status_of(&books, kind, ordinal),
                    });
                }
            }
        }
        let products = Product::all().count() as u16;
        for (kind, count, first) in [(Kind::Product, products, 0), (Kind::Price, setting.prices.len() as u16, 20)] {
            if let Some(slot) = slot(kind) {
                state.index[slot].extend((0..count).map(|ordinal| Entry {
                    created: render::catalog_created(&setting, first + ordinal),
                    tenant: CATALOG,
                    ordinal,
                    status: 0,
                }));
            }
        }
        for entries in &mut state.index {
            entries.sort_unstable_by_key(|it| (it.created, it.tenant, it.ordinal));
            entries.shrink_to_fit();
        }
        Self { setting, tenants, state: RwLock::new(state) }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account's id.
    pub fn account(&self) -> String {
        self.setting.ids.account()
    }

    /// The seed of the world that this belongs to.
    pub fn seed(&self) -> u64 {
        self.setting.seed
    }

    /// How many objects of a kind a list without a filter, canceled ones included, goes through.
    pub fn count(&self, kind: Kind) -> usize {
        slot(kind).map_or(0, |slot| self.read().index[slot].len())
    }

    fn books(&self, state: &State, tenant: u32) -> Arc<Books> {
        state.changed.get(&tenant).cloned().unwrap_or_else(|| Arc::new(story::tell(&self.setting, tenant).books))
    }

    fn place(&self, kind: Kind, id: &str) -> Option<Place> {
        let place = self.setting.ids.place(kind, id)?;
        (place.tenant < self.tenants || place.tenant == CATALOG).then_some(place)
    }

    fn object(&self, state: &State, kind: Kind, place: Place) -> Option<Value> {
        let mut object = self.made(state, kind, place)?;
        // The same bytes whether or not the JSON library keeps the order of insertion.
        object.sort_all_objects();
        Some(object)
    }

    fn made(&self, state: &State, kind: Kind, place: Place) -> Option<Value> {
        match (kind, place.tenant == CATALOG) {
            (Kind::Product, true) => {
                Product::all().nth(usize::from(place.ordinal)).map(|it| render::product(&self.setting, it))
            }
            (Kind::Price, true) if usize::from(place.ordinal) < self.setting.prices.len() => {
                Some(render::price(&self.setting, place.ordinal))
            }
            (_, true) => None,
            (_, false) => {
                let books = self.books(state, place.tenant);
                let renderer = Renderer { setting: &self.setting, tenant: place.tenant, books: &books };
                if kind == Kind::Customer && books.customer.as_ref()?.deleted_at.is_some() {
                    return Some(renderer.deleted_customer());
                }
                renderer.object(kind, place.ordinal)
            }
        }
    }

    /// One object by its id, as Stripe would show it; deleted customers in their short form.
    pub fn retrieve(&self, kind: Kind, id: &str) -> Option<Value> {
        let place = self.place(kind, id)?;
        self.object(&self.read(), kind, place)
    }

    /// The lines of an invoice, or the items of a subscription, all of them.
    pub fn parts(&self, kind: Kind, id: &str) -> Option<Vec<Value>> {
        let place = self.place(kind, id).filter(|it| it.tenant != CATALOG)?;
        let state = self.read();
        let books = self.books(&state, place.tenant);
        let renderer = Renderer { setting: &self.setting, tenant: place.tenant, books: &books };
        if usize::from(place.ordinal) >= books.count(kind) {
            return None;
        }
        match kind {
            Kind::Invoice => Some(renderer.lines(place.ordinal)),
            Kind::Subscription => Some(renderer.items(place.ordinal)),
            _ => None,
        }
    }

    /// The discounts of a subscription or an invoice in full.
    pub fn discounts(&self, kind: Kind, id: &str, with_coupon: bool) -> Vec<Value> {
        let Some(place) = self.place(kind, id).filter(|it| it.tenant != CATALOG) else { return Vec::new() };
        let state = self.read();
        let books = self.books(&state, place.tenant);
        let renderer = Renderer { setting: &self.setting, tenant: place.tenant, books: &books };
        renderer
            .discount_of(kind, place.ordinal)
            .map(
                |(sub, it)| {
                    if with_coupon { renderer.discount_with_coupon(sub, &it) } else { renderer.discount(sub, &it) }
                },
            )
            .into_iter()
            .collect()
    }

    /// A page of a list, newest first, and whether there are more in the cursor's direction.
    pub fn list(
        &self,
        kind: Kind,
        filter: &Filter,
        cursor: Cursor<'_>,
        limit: usize,
    ) -> Result<(Vec<Value>, bool), NoSuch> {
        let state = self.read();
        let Some(slot) = slot(kind) else { return Ok((Vec::new(), false)) };
        let own: Vec<Entry>;
        // One customer's objects are few and need no index of the whole account.
        let owner = [
            (&filter.customer, Kind::Customer),
            (&filter.subscription, Kind::Subscription),
            (&filter.charge, Kind::Charge),
        ]
        .into_iter()
        .find_map(|(id, kind)| id.as_ref().map(|id| (id, kind)));
        let entries: &[Entry] = match owner {
            Some((id, owner_kind)) => {
                let place = self.place(owner_kind, id).filter(|it| it.tenant != CATALOG);
                let Some(place) = place else { return Err(NoSuch { kind: owner_kind, id: id.clone() }) };
                own = self.entries_of(&state, kind, place.tenant);
                &own
            }
            None => &state.index[slot],
        };
        let low = filter.from.map_or(0, |from| entries.partition_point(|it| it.created < from));
        let high = filter.to.map_or(entries.len(), |to| entries.partition_point(|it| it.created < to)).max(low);
        let position = |id: &str| -> Result<usize, NoSuch> {
            let missing = || NoSuch { kind, id: id.to_owned() };
            let place = self.place(kind, id).ok_or_else(missing)?;
            let created = self.created(&state, kind, place).ok_or_else(missing)?;
            let first = entries.partition_point(|it| it.created < created);
            let tie = entries[first..].iter().take_while(|it| it.created == created).position(|it| it.place() == place);
            // What has left the list, as deleted customers do, still marks a place in it.
            Ok(first + tie.unwrap_or(0))
        };
        let mut found = Vec::with_capacity(limit + 1);
        let keep = |entry: &Entry| self.keeps(&state, kind, filter, *entry);
        match cursor {
            Cursor::Before(id) => {
                let exists = position(id)?;
                let begin = match entries.get(exists) {
                    Some(entry) if self.place(kind, id) == Some(entry.place()) => exists + 1,
                    _ => exists,
                };
                found.extend(
                    entries[begin.clamp(low, high)..high].iter().filter(|it| keep(it)).take(limit + 1).copied(),
                );
            }
            Cursor::After(id) => {
                let end = position(id)?.clamp(low, high);
                found.extend(entries[low..end].iter().rev().filter(|it| keep(it)).take(limit + 1).copied());
            }
            Cursor::Start => {
                found.extend(entries[low..high].iter().rev().filter(|it| keep(it)).take(limit + 1).copied());
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        if matches!(cursor, Cursor::Before(_)) {
            found.reverse();
        }
        let objects = found.into_iter().filter_map(|entry| self.object(&state, kind, entry.place())).collect();
        Ok((objects, more))
    }

    fn entries_of(&self, state: &State, kind: Kind, tenant: u32) -> Vec<Entry> {
        let books = self.books(state, tenant);
        if kind == Kind::Customer && books.customer.as_ref().is_some_and(|it| it.deleted_at.is_some()) {
            return Vec::new();
        }
        let mut entries: Vec<Entry> = (0..books.count(kind) as u16)
            .map(|ordinal| Entry {
                created: books.created(kind, ordinal).unwrap_or(0),
                tenant,
                ordinal,
                status: status_of(&books, kind, ordinal),
            })
            .collect();
        entries.sort_by_key(|it| it.created);
        entries
    }

    fn created(&self, state: &State, kind: Kind, place: Place) -> Option<i64> {
        if place.tenant == CATALOG {
            return match kind {
                Kind::Product if usize::from(place.ordinal) < Product::all().count() => {
                    Some(render::catalog_created(&self.setting, place.ordinal))
                }
                Kind::Price if usize::from(place.ordinal) < self.setting.prices.len() => {
                    Some(render::catalog_created(&self.setting, 20 + place.ordinal))
                }
                _ => None,
            };
        }
        self.books(state, place.tenant).created(kind, place.ordinal)
    }

    fn keeps(&self, state: &State, kind: Kind, filter: &Filter, entry: Entry) -> bool {
        match (kind, filter.status.as_deref()) {
            (Kind::Subscription, None) if entry.status == CANCELED => return false,
            (Kind::Subscription, Some("ended")) if entry.status != CANCELED && entry.status != 1 => return false,
            (Kind::Subscription, Some("all" | "ended")) => {}
            (Kind::Subscription, Some(word)) if SUBSCRIPTION_STATUSES[usize::from(entry.status)].0 != word => {
                return false;
            }
            (Kind::Invoice, Some(word)) if InvoiceStatus::ALL[usize::from(entry.status)].word() != word => {
                return false;
            }
            _ => {}
        }
        if let Some(email) = &filter.email {
            let books = self.books(state, entry.tenant);
            if books.customer.as_ref().is_none_or(|it| it.email != *email) {
                return false;
            }
        }
        let at = usize::from(entry.ordinal);
        if kind == Kind::Price {
            let price = self.setting.prices[at];
            let product = self.setting.ids.id(Kind::Product, CATALOG, price.product.ordinal());
            return filter.active.is_none_or(|it| it == price.active)
                && filter.product.as_ref().is_none_or(|it| *it == product);
        }
        if kind == Kind::Product {
            return filter.active != Some(false);
        }
        if kind == Kind::Event {
            let of = EVENT_TYPES[usize::from(entry.status)];
            return filter.types.is_empty() || filter.types.iter().any(|it| matches_type(it, of));
        }
        if filter.subscription.is_none() && filter.charge.is_none() {
            return true;
        }
        let books = self.books(state, entry.tenant);
        let ids = &self.setting.ids;
        let charge_is =
            |charge: u16| filter.charge.as_ref().is_none_or(|it| *it == ids.id(Kind::Charge, entry.tenant, charge));
        match kind {
            Kind::Invoice => filter
                .subscription
                .as_ref()
                .is_none_or(|it| *it == ids.id(Kind::Subscription, entry.tenant, books.invoices[at].sub)),
            Kind::Refund => charge_is(books.refunds[at].charge),
            Kind::Dispute => charge_is(books.disputes[at].charge),
            _ => true,
        }
    }

    /// Changes one customer's books at the present second. Whatever was added, and the events that
    /// `change` returns, come into the lists as the newest; several in one second keep their order.
    fn mutate(&self, tenant: u32, change: impl FnOnce(&mut Books, i64) -> Vec<(&'static str, Kind, u16)>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let now = state.now;
        let mut books = (*self.books(&state, tenant)).clone();
        let before: Vec<usize> = OF_CUSTOMERS.iter().map(|kind| books.count(*kind)).collect();
        for (kind, object, ordinal) in change(&mut books, now) {
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
            vec![("refund.created", Kind::Refund, refund), ("charge.refunded", Kind::Charge, place.ordinal)]
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

/// Whether a type of event fits a pattern such as `invoice.*`.
fn matches_type(pattern: &str, kind: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == kind, |start| kind.starts_with(start))
}

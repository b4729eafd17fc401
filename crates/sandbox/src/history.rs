//! The Stripe account as a whole: what there is, in Stripe's order. What happens next is in [`script`].

mod script;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use paywall_domain::SubscriptionStatus;
use serde_json::Value;

use crate::books::{Books, EVENT_TYPES, InvoiceStatus};
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
    index: [Vec<Entry>; 11],
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
    /// Only of this invoice (its payments, its credit notes).
    pub invoice: Option<String>,
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
const OF_CUSTOMERS: [Kind; 9] = [
    Kind::Customer,
    Kind::Subscription,
    Kind::Invoice,
    Kind::Charge,
    Kind::Refund,
    Kind::Dispute,
    Kind::Event,
    Kind::InvoicePayment,
    Kind::CreditNote,
];

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

    /// The lines of an invoice or a credit note, or the items of a subscription, all of them.
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
            Kind::CreditNote => Some(renderer.credit_note_lines(place.ordinal)),
            Kind::Subscription => Some(renderer.items(place.ordinal)),
            _ => None,
        }
    }

    /// The payments of an invoice, as a list within it.
    pub fn payments(&self, invoice: &str) -> Value {
        let url = format!("/v1/invoice_payments?invoice={invoice}");
        let place = self.place(Kind::Invoice, invoice).filter(|it| it.tenant != CATALOG);
        let payments = place.map_or_else(Vec::new, |place| {
            let books = self.books(&self.read(), place.tenant);
            Renderer { setting: &self.setting, tenant: place.tenant, books: &books }.payments(place.ordinal)
        });
        render::list(payments, false, url)
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
            (&filter.invoice, Kind::Invoice),
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
        if filter.subscription.is_none() && filter.charge.is_none() && filter.invoice.is_none() {
            return true;
        }
        let books = self.books(state, entry.tenant);
        let ids = &self.setting.ids;
        let charge_is =
            |charge: u16| filter.charge.as_ref().is_none_or(|it| *it == ids.id(Kind::Charge, entry.tenant, charge));
        let invoice_is =
            |invoice: u16| filter.invoice.as_ref().is_none_or(|it| *it == ids.id(Kind::Invoice, entry.tenant, invoice));
        match kind {
            Kind::Invoice => filter
                .subscription
                .as_ref()
                .is_none_or(|it| *it == ids.id(Kind::Subscription, entry.tenant, books.invoices[at].sub)),
            Kind::InvoicePayment => invoice_is(books.payments[at].invoice),
            Kind::CreditNote => {
                let refund = books.refunds[usize::from(books.credit_notes[at].refund)];
                invoice_is(books.charges[usize::from(refund.charge)].invoice)
            }
            Kind::Refund => charge_is(books.refunds[at].charge),
            Kind::Dispute => charge_is(books.disputes[at].charge),
            _ => true,
        }
    }
}

/// Whether a type of event fits a pattern such as `invoice.*`.
fn matches_type(pattern: &str, kind: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == kind, |start| kind.starts_with(start))
}

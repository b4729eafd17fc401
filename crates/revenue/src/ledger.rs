//! All facts by customer, what moved each one's recurring revenue, and the sums by day.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crate::movement::movements;
use crate::timeline::{level_at, levels};
use crate::{
    Day, InvoiceFacts, Level, MetricPolicy, Movement, Objects, ReportingZone, RevenueError, Snapshot,
    SubscriptionStatus, Totals, TrialFacts, UsageType,
};

/// Something known of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A subscription as it was read.
    Subscription {
        /// `cus_…`
        customer: Arc<str>,
        /// What was read, and when.
        snapshot: Snapshot,
    },
    /// An invoice as it was read.
    Invoice {
        /// When.
        seen_at: i64,
        /// What was read. Of one invoice, the copy read last counts.
        invoice: InvoiceFacts,
    },
    /// A customer.
    Customer {
        /// `cus_…`
        id: Arc<str>,
        /// When Stripe said that it is deleted, which ends its subscriptions.
        deleted_at: Option<i64>,
    },
    /// A trial that is kept outside of Stripe.
    Trial {
        /// When it was read.
        seen_at: i64,
        /// What was read. Of one trial, the copy read last counts.
        trial: TrialFacts,
    },
}

/// How facts are looked at: two sets of figures can be compared where this is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lens {
    /// The rules.
    pub policy: MetricPolicy,
    /// Where days begin.
    pub zone: ReportingZone,
    /// The last instant that is looked at. What is dated later is scheduled, and no movement yet.
    pub until: i64,
}

/// A subscription whose revenue cannot be told. It is in no figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `cus_…`
    pub customer: Arc<str>,
    /// `sub_…`
    pub subscription: Arc<str>,
    /// Why.
    pub error: RevenueError,
}

/// One customer's facts, and what follows from them.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) subscriptions: BTreeMap<Arc<str>, Vec<Snapshot>>,
    /// By id, with the instant at which each was read.
    pub(crate) invoices: Vec<(i64, InvoiceFacts)>,
    pub(crate) deleted_at: Option<i64>,
    pub(crate) outcome: Outcome,
}

/// What follows from a customer's facts through a lens: all that has to be kept of it to have the figures
/// without the facts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What moved, by day and currency.
    pub movements: Vec<Movement>,
    /// The subscriptions that are in no figure.
    pub faults: Vec<Fault>,
    /// What it rests on, by currency.
    pub objects: Vec<(Arc<str>, Objects)>,
    /// On which days how many more subscriptions that count are rebuilt and not seen, by currency.
    pub rebuilt: Vec<(Arc<str>, Day, i64)>,
    /// The first instant after the lens's last at which something changes by itself.
    pub next_change: Option<i64>,
}

/// All facts, and the figures that follow from them. Feeding it the same facts in any order, any
/// number of times and in pages of any size gives the same.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(crate) accounts: BTreeMap<Arc<str>, Account>,
    /// Those kept outside of Stripe by id, with the instant at which each was read. One can move from a
    /// tenant to the customer that the tenant becomes.
    pub(crate) trials: BTreeMap<Arc<str>, (i64, TrialFacts)>,
    /// Customers of whom something is known that their outcome does not have yet.
    changed: BTreeSet<Arc<str>>,
    /// Customers by the instant at which something changes by itself.
    due: BTreeSet<(i64, Arc<str>)>,
    pub(crate) lens: Option<Lens>,
    pub(crate) totals: Totals,
    names: Names,
}

/// Names that many facts share, each kept once.
#[derive(Debug, Default)]
struct Names(HashSet<Arc<str>>);

impl Names {
    fn of(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.0.insert(name.clone());
        name
    }

    fn share(&mut self, name: &mut Arc<str>) {
        *name = self.of(name);
    }
}

impl Ledger {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a fact in; false where it was known. Figures follow with [`Ledger::refresh`].
    pub fn put(&mut self, fact: Fact) -> bool {
        let (customer, new) = match fact {
            Fact::Subscription { mut customer, snapshot } => {
                self.names.share(&mut customer);
                let id = self.names.of(&snapshot.facts.id);
                let account = self.accounts.entry(customer.clone()).or_default();
                let new = insert_snapshot(account.subscriptions.entry(id).or_default(), snapshot);
                (customer, new)
            }
            Fact::Invoice { seen_at, mut invoice } => {
                let shared =
                    [&mut invoice.customer, &mut invoice.currency].into_iter().chain(&mut invoice.subscription);
                shared.for_each(|name| self.names.share(name));
                for line in &mut invoice.lines {
                    let shared = line.price.iter_mut().chain(&mut line.subscription).chain(&mut line.item);
                    shared.for_each(|name| self.names.share(name));
                }
                let customer = invoice.customer.clone();
                let account = self.accounts.entry(customer.clone()).or_default();
                let new = match account.invoices.binary_search_by(|(_, known)| known.id.cmp(&invoice.id)) {
                    Ok(at) => replace(&mut account.invoices[at], (seen_at, invoice)),
                    Err(at) => {
                        account.invoices.insert(at, (seen_at, invoice));
                        true
                    }
                };
                (customer, new)
            }
            Fact::Customer { id, deleted_at } => {
                let known = self.accounts.contains_key(&id);
                let account = self.accounts.entry(id.clone()).or_default();
                let earlier = deleted_at.filter(|at| account.deleted_at.is_none_or(|known| *at < known));
                account.deleted_at = earlier.or(account.deleted_at);
                (id, !known || earlier.is_some())
            }
            Fact::Trial { seen_at, trial } => {
                return match self.trials.get_mut(&trial.id) {
                    Some(known) => replace(known, (seen_at, trial)),
                    None => self.trials.insert(trial.id.clone(), (seen_at, trial)).is_none(),
                };
            }
        };
        if new {
            self.changed.insert(customer);
        }
        new
    }

    /// Brings the figures up to date, and says of which customers they changed. Only customers of
    /// whom something new is known, or of whom something became due, are looked at again; all of
    /// them where the lens has other rules or another zone than the last time, or ends earlier.
    pub fn refresh(&mut self, lens: &Lens) -> BTreeSet<Arc<str>> {
        let mut again = std::mem::take(&mut self.changed);
        match &self.lens {
            Some(last) if last.policy == lens.policy && last.zone == lens.zone && last.until <= lens.until => {
                again.extend(
                    self.due.iter().take_while(|(at, _)| *at <= lens.until).map(|(_, customer)| customer.clone()),
                );
            }
            _ => again.extend(self.accounts.keys().cloned()),
        }
        let names = &mut self.names;
        again.retain(|customer| {
            let Some(account) = self.accounts.get_mut(customer) else { return false };
            let outcome = account.look(customer, lens, &mut |name| names.of(name));
            let before = std::mem::replace(&mut account.outcome, outcome);
            let after = &account.outcome;
            if before.next_change != after.next_change {
                before.next_change.map(|at| self.due.remove(&(at, customer.clone())));
                after.next_change.map(|at| self.due.insert((at, customer.clone())));
            }
            let moved = before.movements != after.movements
                || before.objects != after.objects
                || before.rebuilt != after.rebuilt;
            if moved {
                self.totals.add(&before, -1);
                self.totals.add(after, 1);
            }
            moved || before.faults != after.faults
        });
        self.lens = Some(lens.clone());
        again
    }

    /// The lens of the last [`Ledger::refresh`].
    pub fn lens(&self) -> Option<&Lens> {
        self.lens.as_ref()
    }

    /// The sums that figures derive from.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Every movement, by customer, day and currency.
    pub fn movements(&self) -> impl Iterator<Item = &Movement> {
        self.accounts.values().flat_map(|account| &account.outcome.movements)
    }

    /// The movements of one customer.
    pub fn movements_of(&self, customer: &str) -> &[Movement] {
        self.accounts.get(customer).map_or(&[], |account| &account.outcome.movements)
    }

    /// What follows from one customer's facts; `None` where nothing is known of it.
    pub fn outcome_of(&self, customer: &str) -> Option<&Outcome> {
        self.accounts.get(customer).map(|account| &account.outcome)
    }

    /// Every customer, in order.
    pub fn customers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.accounts.keys()
    }

    /// Customers whose worth from the first snapshot on can rest on invoices by some rule: those with a metered
    /// price, and those with an overdue subscription. Invoices of others tell of the time before it only.
    pub fn rest_on_invoices(&self) -> impl Iterator<Item = &Arc<str>> {
        let metered = |it: &Snapshot| {
            let usage = |item: &crate::Item| item.price.recurring.is_some_and(|it| it.usage_type == UsageType::Metered);
            it.facts.items.iter().any(usage) || it.facts.status == SubscriptionStatus::PastDue
        };
        self.accounts
            .iter()
            .filter(move |(_, account)| account.subscriptions.values().flatten().any(metered))
            .map(|(customer, _)| customer)
    }

    /// The subscriptions that are in no figure.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.accounts.values().flat_map(|account| &account.outcome.faults)
    }

    /// Each subscription as it is worth at the lens's last instant, told by its facts alone and not by
    /// the movements, in the order of customers and subscriptions. Those with a fault are left out.
    pub fn subscriptions_now(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, Level)> {
        self.accounts.iter().flat_map(move |(customer, account)| {
            let invoices = account.invoice_list();
            account.subscriptions.iter().filter_map(move |(id, snapshots)| {
                let lens = self.lens.as_ref()?;
                let mut level = level_at(snapshots, &invoices, &lens.policy, lens.until).ok()??;
                if account.deleted_at.is_some_and(|at| at <= lens.until) {
                    (level.amount_10k, level.counts) = (0, false);
                }
                let faulty = account.outcome.faults.iter().any(|fault| fault.subscription == *id);
                (!faulty).then_some((customer, id, level))
            })
        })
    }
}

impl Extend<Fact> for Ledger {
    fn extend<T: IntoIterator<Item = Fact>>(&mut self, facts: T) {
        for fact in facts {
            self.put(fact);
        }
    }
}

impl Account {
    pub(crate) fn invoice_list(&self) -> Vec<&InvoiceFacts> {
        self.invoices.iter().map(|(_, invoice)| invoice).collect()
    }

    /// The levels of one subscription, cut off where the customer was deleted.
    pub(crate) fn levels(
        &self,
        snapshots: &[Snapshot],
        invoices: &[&InvoiceFacts],
        policy: &MetricPolicy,
    ) -> Result<Vec<Level>, RevenueError> {
        let mut levels = levels(snapshots, invoices, policy)?;
        if let Some(deleted) = self.deleted_at {
            let kept = levels.partition_point(|level| level.from < deleted);
            levels.truncate(kept);
            if let Some(last) = levels.last().filter(|last| last.counts) {
                let over = Level { from: deleted, amount_10k: 0, counts: false, including_tax: false, ..last.clone() };
                levels.push(over);
            }
        }
        Ok(levels)
    }

    fn look(&self, customer: &Arc<str>, lens: &Lens, intern: &mut dyn FnMut(&str) -> Arc<str>) -> Outcome {
        let invoices = self.invoice_list();
        let mut objects: BTreeMap<Arc<str>, Objects> = BTreeMap::new();
        for invoice in &invoices {
            objects.entry(invoice.currency.clone()).or_default().invoices += 1;
        }
        let fault = |subscription: &Arc<str>, error| Fault {
            customer: customer.clone(),
            subscription: subscription.clone(),
            error,
        };
        let (mut all, mut faults, mut rebuilt) = (Vec::with_capacity(self.subscriptions.len()), Vec::new(), Vec::new());
        let mut next_change = None;
        for (id, snapshots) in &self.subscriptions {
            let Some(last) = snapshots.last() else { continue };
            let rests_on = objects.entry(intern(&last.facts.currency)).or_default();
            rests_on.subscriptions += 1;
            match self.levels(snapshots, &invoices, &lens.policy) {
                Ok(levels) => {
                    let after = levels.partition_point(|level| level.from <= lens.until);
                    next_change = next_change.into_iter().chain(levels.get(after).map(|level| level.from)).min();
                    let now = after.checked_sub(1).map(|at| &levels[at]);
                    rests_on.including_tax += i64::from(now.is_some_and(|level| level.including_tax));
                    rebuilt.extend(spans_rebuilt(&levels, lens, intern));
                    all.push(levels);
                }
                Err(error) => {
                    rests_on.faults += 1;
                    faults.push(fault(id, error));
                }
            }
        }
        let movements =
            movements(customer, &all, &lens.policy, lens.zone, lens.until, intern).unwrap_or_else(|error| {
                faults = self.subscriptions.keys().map(|id| fault(id, error.clone())).collect();
                Vec::new()
            });
        Outcome { movements, faults, objects: objects.into_iter().collect(), rebuilt, next_change }
    }
}

/// From which day to which a subscription counts by what was rebuilt, as +1 and -1.
fn spans_rebuilt(levels: &[Level], lens: &Lens, intern: &mut dyn FnMut(&str) -> Arc<str>) -> Vec<(Arc<str>, Day, i64)> {
    let mut spans = Vec::new();
    let mut inside = false;
    for level in levels.iter().take_while(|level| level.from <= lens.until) {
        let rebuilt = level.estimated && level.counts;
        if rebuilt != inside {
            let sign = if rebuilt { 1 } else { -1 };
            spans.push((intern(&level.currency), lens.zone.day_of(level.from), sign));
            inside = rebuilt;
        }
    }
    spans
}

/// Keeps a subscription's snapshots in order, each once; neighbours that say the same share it.
fn insert_snapshot(snapshots: &mut Vec<Snapshot>, mut snapshot: Snapshot) -> bool {
    let Err(at) = snapshots.binary_search(&snapshot) else { return false };
    let neighbours = [at.checked_sub(1), Some(at)];
    let same =
        neighbours.into_iter().flatten().filter_map(|at| snapshots.get(at)).find(|it| it.facts == snapshot.facts);
    if let Some(known) = same {
        snapshot.facts = known.facts.clone();
    }
    snapshots.insert(at, snapshot);
    true
}

/// Keeps the copy read last; of two read at once, always the same one.
fn replace<T: Ord>(known: &mut (i64, T), found: (i64, T)) -> bool {
    let newer = found > *known;
    let changed = newer && found.1 != known.1;
    if newer {
        *known = found;
    }
    changed
}

//! One tenant's story: who it is, what it pays, and how it stands.

use std::collections::BTreeMap;

use paywall_domain::{
    Comp, DAY_MS, Limit, Meter, Override, PlanId, Subscription, SubscriptionStatus, Suspension, TenantFacts, TenantId,
    Timestamp, Trial,
};

use crate::billing::{self, Course, GIVE_UP, Terms, bill};
use crate::books::{Books, Customer, InvoiceStatus};
use crate::calendar::{DAY, HOUR, add_months, sub_months};
use crate::cast::Role;
use crate::catalog::{ADDON_COUNT, Currency, FIRST_ADDON, FORMER_PRO, Interval, Price, Product, price_of};
use crate::draw::{Draw, Purpose};
use crate::ids::{Ids, Kind};
use crate::names;
use crate::turns::Turns;

/// How long access stays while a payment is overdue.
pub(crate) const GRACE_DAYS: u32 = 7;
/// How long Stripe keeps events.
pub(crate) const EVENT_DAYS: i64 = 30;
/// How far back the world goes, in days.
const HISTORY_DAYS: i64 = 730;

/// What all tenants of a world share.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) seed: u64,
    pub(crate) now: Timestamp,
    pub(crate) ids: Ids,
    pub(crate) prices: Vec<Price>,
}

impl Setting {
    /// The present in whole seconds.
    pub(crate) fn seconds(&self) -> i64 {
        self.now.0.div_euclid(1000)
    }
}

pub(crate) struct Story {
    pub(crate) index: u32,
    pub(crate) role: Option<Role>,
    pub(crate) id: TenantId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) domain: String,
    pub(crate) owner: String,
    pub(crate) created_at: Timestamp,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) facts: TenantFacts,
    pub(crate) books: Books,
}

impl Story {
    pub(crate) fn customer_id(&self, ids: &Ids) -> Option<String> {
        self.books.customer.as_ref().map(|_| ids.id(Kind::Customer, self.index, 0))
    }
}

/// What a tenant is at present; the rest of its story follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Trial,
    StripeTrial,
    TrialOver,
    Subscribed(Now),
    Comped,
}

/// How a subscription stands at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    Paid,
    Leaving,
    PastDue { days: i64 },
    Unpaid,
    Canceled { days: i64 },
    Paused,
    Incomplete,
    IncompleteExpired,
}

/// Everything that is decided before the books are written.
struct Sketch {
    path: Path,
    age: i64,
    product: Product,
    currency: Currency,
    interval: Interval,
    quantity: i64,
    coupon: Option<u8>,
    upgrade: bool,
    suspended: bool,
    extensions: u32,
    mishaps: bool,
    /// For a trial: seconds from now to its end, negative once over.
    trial_left: Option<i64>,
    turns: Turns,
}

pub(crate) fn tell(setting: &Setting, index: u32) -> Story {
    let mut draw = Draw::new(setting.seed, index, Purpose::Story);
    let role = Role::ALL.get(index as usize).copied();
    let id = TenantId::parse(&draw.hex(32)).unwrap_or_else(|_| unreachable!("32 hexadecimal digits"));
    let (business, domain) = names::business(&mut draw, index);
    let (owner, local) = names::person(&mut draw);
    let mut story = Story {
        index,
        role,
        id,
        name: business,
        email: format!("{local}@{domain}"),
        domain,
        owner,
        created_at: setting.now,
        deleted_at: None,
        facts: TenantFacts {
            plan: PlanId::from("trial"),
            trial: None,
            comp: None,
            suspension: None,
            subscription: None,
            overrides: BTreeMap::new(),
        },
        books: Books::default(),
    };
    let mut sketch = sketch(&mut draw);
    sketch.turns =
        Turns::of(&mut Draw::new(setting.seed, index, Purpose::Turns), sketch.product, sketch.interval, sketch.age);
    if let Some(role) = role {
        crate::parts::dress(&mut story, role);
        direct(&mut sketch, role);
    }
    write(setting, &mut draw, &mut story, &sketch);
    if let Some(role) = role {
        finish(setting, &mut draw, &mut story, role);
    }
    settle_facts(setting, &mut story);
    story.books.derive_documents();
    story.books.derive_events(setting.seconds() - EVENT_DAYS * DAY);
    story
}

/// Draws what a tenant without a part is.
fn sketch(draw: &mut Draw) -> Sketch {
    let product = match draw.below(100) {
        0..45 => Product::Starter,
        45..85 => Product::Pro,
        _ => Product::Team,
    };
    let currency = match draw.below(100) {
        0..62 => Currency::Usd,
        62..82 => Currency::Eur,
        82..91 => Currency::Gbp,
        91..98 => Currency::Jpy,
        _ => Currency::Kwd,
    };
    let suspended = draw.chance(15);
    let roll = draw.below(1000);
    let path = match roll {
        0..600 => Path::Subscribed(Now::Paid),
        600..635 => Path::Subscribed(Now::Leaving),
        635..650 => Path::Comped,
        650..800 => Path::Trial,
        800..820 => Path::StripeTrial,
        820..885 => Path::TrialOver,
        885..945 => Path::Subscribed(Now::Canceled { days: draw.between(1, 400) }),
        945..970 => Path::Subscribed(Now::PastDue { days: draw.between(1, 6) }),
        970..976 => Path::Subscribed(Now::PastDue { days: draw.between(8, 15) }),
        976..984 => Path::Subscribed(Now::Unpaid),
        984..990 => Path::Subscribed(Now::Paused),
        990..992 => Path::Subscribed(Now::Incomplete),
        _ => Path::Subscribed(Now::IncompleteExpired),
    };
    // Growth: more tenants came lately than long ago.
    let age = draw.between(20, HISTORY_DAYS).min(draw.between(20, HISTORY_DAYS + 400));
    Sketch {
        path,
        age,
        product,
        currency,
        interval: if draw.chance(150) { Interval::Year } else { Interval::Month },
        quantity: if product == Product::Team { draw.between(3, 40) } else { 1 },
        coupon: draw.chance(80).then(|| draw.below(3) as u8),
        upgrade: product == Product::Starter && draw.chance(200),
        suspended,
        extensions: if draw.chance(150) { 1 + draw.below(2) as u32 } else { 0 },
        mishaps: true,
        trial_left: None,
        turns: Turns::default(),
    }
}

/// Makes of a sketch what a part asks for.
fn direct(sketch: &mut Sketch, role: Role) {
    *sketch = Sketch {
        path: Path::Subscribed(Now::Paid),
        age: 200 + i64::from(role as u8) * 5,
        product: Product::Pro,
        currency: Currency::Usd,
        interval: Interval::Month,
        quantity: 1,
        coupon: None,
        upgrade: false,
        suspended: false,
        extensions: 0,
        mishaps: false,
        trial_left: None,
        turns: Turns::default(),
    };
    match role {
        Role::LockedOut | Role::TwoRules => {
            sketch.path = Path::TrialOver;
            sketch.trial_left = Some(-2 * DAY);
        }
        Role::ExtendedBefore => {
            sketch.path = Path::Trial;
            sketch.trial_left = Some(5 * DAY);
            sketch.extensions = 2;
        }
        Role::TrialEndsIn2h => {
            sketch.path = Path::Trial;
            sketch.trial_left = Some(2 * HOUR);
        }
        Role::TrialEndsIn1d => {
            sketch.path = Path::Trial;
            sketch.trial_left = Some(DAY);
        }
        Role::TrialEndsIn3d => {
            sketch.path = Path::Trial;
            sketch.trial_left = Some(3 * DAY);
        }
        Role::OwnerOnly => {
            sketch.path = Path::Trial;
            sketch.trial_left = Some(9 * DAY);
        }
        Role::UnknownUsage => {
            sketch.path = Path::Trial;
            sketch.trial_left = Some(11 * DAY);
        }
        Role::DeletedAccount | Role::CompEnded => {
            sketch.path = Path::TrialOver;
            sketch.trial_left = Some(-90 * DAY);
        }
        Role::Comped | Role::Unlimited | Role::ZeroLimit => sketch.path = Path::Comped,
        Role::Suspended => sketch.suspended = true,
        Role::PastDueInGrace => sketch.path = Path::Subscribed(Now::PastDue { days: 3 }),
        Role::Overdue => sketch.path = Path::Subscribed(Now::PastDue { days: 11 }),
        Role::Canceled => sketch.path = Path::Subscribed(Now::Canceled { days: 21 }),
        Role::DeletedCustomer => sketch.path = Path::Subscribed(Now::Canceled { days: 9 }),
        Role::CameBack => sketch.path = Path::Subscribed(Now::Canceled { days: 120 }),
        Role::Jpy => sketch.currency = Currency::Jpy,
        Role::Kwd => sketch.currency = Currency::Kwd,
        Role::Eur => sketch.currency = Currency::Eur,
        Role::ManyMembers => {
            sketch.product = Product::Team;
            sketch.quantity = 300;
        }
        Role::StripeTrialing => sketch.path = Path::StripeTrial,
        Role::Unpaid => sketch.path = Path::Subscribed(Now::Unpaid),
        Role::Paused => sketch.path = Path::Subscribed(Now::Paused),
        Role::Incomplete => sketch.path = Path::Subscribed(Now::Incomplete),
        Role::IncompleteExpired => sketch.path = Path::Subscribed(Now::IncompleteExpired),
        Role::Yearly => {
            sketch.interval = Interval::Year;
            sketch.age = 600;
        }
        Role::Upgraded => {
            sketch.product = Product::Starter;
            sketch.upgrade = true;
        }
        Role::Discounted => sketch.coupon = Some(0),
        Role::CancelsAtPeriodEnd => sketch.path = Path::Subscribed(Now::Leaving),
        _ => {}
    }
}

fn write(setting: &Setting, draw: &mut Draw, story: &mut Story, sketch: &Sketch) {
    let now = setting.seconds();
    let jitter = draw.between(0, DAY - 1);
    match sketch.path {
        Path::Trial | Path::TrialOver => {
            let left = sketch.trial_left.unwrap_or_else(|| match sketch.path {
                Path::Trial => draw.between(1, 14 * DAY),
                _ => -draw.between(1, (sketch.age - 14).max(1) * DAY),
            });
            let extended = i64::from(sketch.extensions) * 7 * DAY;
            let ends = now + left;
            let started = ends - extended - 14 * DAY;
            story.created_at = Timestamp(started * 1000);
            story.facts.trial = Some(Trial {
                started_at: story.created_at,
                ends_at: Timestamp(ends * 1000),
                extensions: sketch.extensions,
                extended_ms: extended * 1000,
            });
            // Some opened Checkout and left again: a customer without a subscription.
            if story.role.is_none() && draw.chance(200) {
                open_customer(story, sketch, started + draw.between(0, (now - started).clamp(0, 10 * DAY)));
            }
        }
        Path::StripeTrial => {
            let started = now - draw.between(1, 12 * DAY);
            story.created_at = Timestamp((started - HOUR) * 1000);
            story.facts.plan = plan_of(sketch.product);
            open_customer(story, sketch, started - 60);
            let terms = terms(sketch, started, Course::Trialing { until: started + 14 * DAY });
            bill(&mut story.books, draw, &setting.prices, &terms, now);
        }
        Path::Comped => {
            let started = now - sketch.age * DAY - jitter;
            trial_then(story, started);
            story.facts.comp = Some(Comp {
                plan: PlanId::from("enterprise"),
                since: Timestamp((started + 10 * DAY) * 1000),
                until: draw.chance(500).then(|| Timestamp((now + draw.between(5, 300) * DAY) * 1000)),
            });
        }
        Path::Subscribed(present) => subscribe(setting, draw, story, sketch, present, jitter),
    }
    if sketch.suspended {
        let since = now - draw.between(1, 10) * DAY;
        story.facts.suspension = Some(Suspension {
            since: Timestamp(since.max(story.created_at.0 / 1000 + HOUR) * 1000),
            by: if draw.chance(500) { "Mia" } else { "Tom" }.to_owned(),
            reason: "Shared one account with dozens of companies; terms of service, section 4".to_owned(),
            message: draw.chance(500).then(|| "Please write to support@paywall.example.".to_owned()),
        });
    }
}

fn subscribe(setting: &Setting, draw: &mut Draw, story: &mut Story, sketch: &Sketch, present: Now, jitter: i64) {
    let now = setting.seconds();
    let months = sketch.interval.months();
    // A subscription that stands badly since some day must have a renewal on that day.
    let aligned = |days: i64, periods: u32| {
        let since = now - days * DAY;
        let start = sub_months(since, periods * months);
        (start, add_months(start, periods * months))
    };
    let periods = if sketch.interval == Interval::Year { 1 } else { 1 + (sketch.age / 40) as u32 };
    let usual = now - sketch.age * DAY - jitter + draw.between(3, 14) * DAY;
    let (start, course) = match present {
        Now::Paid => (usual, Course::Paid { cancels_at_period_end: false }),
        Now::Leaving => (usual, Course::Paid { cancels_at_period_end: true }),
        Now::PastDue { days } => {
            let (start, since) = aligned(days, periods);
            (start, Course::PastDue { since })
        }
        Now::Unpaid => {
            let (start, since) = aligned(GIVE_UP / DAY + 3, periods);
            (start, Course::Unpaid { since })
        }
        Now::Canceled { days } if sketch.turns.lapses => {
            let lived = (sketch.age.min(HISTORY_DAYS - days - 50) / 31).max(1) as u32;
            let since = now - days * DAY - jitter / 24 - GIVE_UP;
            let start = sub_months(since, lived);
            (start, Course::Lapsed { since: add_months(start, lived) })
        }
        Now::Canceled { days } => {
            let at = now - days * DAY - jitter / 24;
            (at - (sketch.age.min(HISTORY_DAYS - days - 20)).max(15) * DAY, Course::Canceled { at })
        }
        Now::Paused => (now - (sketch.age + 20) * DAY - jitter, Course::Paused { at: now - 12 * DAY }),
        Now::Incomplete => (now - 3 * HOUR - jitter / 24, Course::Incomplete),
        Now::IncompleteExpired => (now - sketch.age.min(100) * DAY - jitter, Course::IncompleteExpired),
    };
    let trial_started = start - draw.between(3, 14) * DAY;
    trial_then(story, trial_started);
    story.facts.plan = plan_of(sketch.product);
    open_customer(story, sketch, start - 120);
    let mut start = start;
    if let (Now::Paid, Some((after, away))) = (present, sketch.turns.away) {
        let left = start + after * DAY;
        let first = Terms { upgrade: None, ..terms(sketch, start, Course::Canceled { at: left }) };
        bill(&mut story.books, draw, &setting.prices, &first, now);
        start = left + away * DAY;
    }
    let terms = terms(sketch, start, course);
    bill(&mut story.books, draw, &setting.prices, &terms, now);
    if let Some(item) = story.books.subscriptions.last().and_then(|sub| sub.items.first()) {
        story.facts.plan = plan_of(setting.prices[usize::from(item.price)].product);
    }
}

/// What only one part has.
fn finish(setting: &Setting, draw: &mut Draw, story: &mut Story, role: Role) {
    let now = setting.seconds();
    match role {
        Role::Comped => {
            if let Some(comp) = &mut story.facts.comp {
                comp.until = None;
            }
        }
        Role::Unlimited | Role::ZeroLimit => {
            story.facts.plan = PlanId::from(if role == Role::Unlimited { "enterprise" } else { "archive" });
            if let Some(comp) = &mut story.facts.comp {
                comp.plan = story.facts.plan.clone();
                comp.until = None;
            }
        }
        Role::CompEnded => {
            story.facts.comp = Some(Comp {
                plan: PlanId::from("pro"),
                since: Timestamp((now - 60 * DAY) * 1000),
                until: Some(Timestamp((now - 5 * DAY) * 1000)),
            });
        }
        Role::Overridden => {
            let grant = |limit, days: i64, reason: &str| Override {
                limit: Limit::AtMost(limit),
                expires_at: Some(Timestamp((now + days * DAY) * 1000)),
                reason: reason.to_owned(),
            };
            story.facts.overrides.insert(Meter::Messages, grant(25_000, 12, "Launch week"));
            story.facts.overrides.insert(Meter::Documents, grant(40_000, -20, "Moving their old archive in"));
        }
        Role::DeletedCustomer => {
            let ended = story.books.subscriptions.iter().filter_map(|sub| sub.ended_at).max();
            if let Some(customer) = &mut story.books.customer {
                customer.deleted_at = ended.map(|it| it + 1);
            }
        }
        Role::DeletedAccount => story.deleted_at = Some(Timestamp((now - 4 * DAY) * 1000)),
        Role::Refunded => {
            let last = story.books.charges.len() - 1;
            let charge = story.books.charges[last];
            billing::refund(&mut story.books, last as u16, charge.amount, (charge.created + HOUR).min(now), now);
        }
        Role::Disputed => {
            let last = story.books.charges.len() - 1;
            let at = (story.books.charges[last].created + 2 * HOUR).min(now);
            billing::dispute(&mut story.books, last as u16, at, false, now);
        }
        Role::CameBack => {
            let terms = Terms {
                start: now - 75 * DAY,
                currency: Currency::Usd,
                items: vec![(price_of(Product::Starter, Currency::Usd, Interval::Month), 1)],
                months: 1,
                coupon: None,
                upgrade: None,
                renewals: Vec::new(),
                course: Course::Paid { cancels_at_period_end: false },
                mishaps: false,
            };
            bill(&mut story.books, draw, &setting.prices, &terms, now);
            story.facts.plan = plan_of(Product::Starter);
        }
        Role::ManyItems | Role::FormerPrice => {
            let start = story.books.subscriptions[0].created;
            let extras = (FIRST_ADDON..FIRST_ADDON + ADDON_COUNT - 1).map(|price| (price, 1));
            let pro = price_of(Product::Pro, Currency::Usd, Interval::Month);
            let items = match role {
                Role::ManyItems => std::iter::once((pro, 1)).chain(extras).collect(),
                _ => vec![(FORMER_PRO, 1)],
            };
            let customer = story.books.customer.take();
            story.books = Books { customer, ..Books::default() };
            let terms = Terms {
                start,
                currency: Currency::Usd,
                items,
                months: 1,
                coupon: None,
                upgrade: None,
                renewals: Vec::new(),
                course: Course::Paid { cancels_at_period_end: false },
                mishaps: false,
            };
            bill(&mut story.books, draw, &setting.prices, &terms, now);
        }
        Role::CollectionPaused => {
            // Drafts made while collection is paused are voided at once, without an attempt.
            let sub = &mut story.books.subscriptions[0];
            sub.collection_paused = true;
            let from = now - 40 * DAY;
            for (at, invoice) in story.books.invoices.iter_mut().enumerate() {
                if invoice.created >= from {
                    invoice.status = InvoiceStatus::Void;
                    invoice.closed_at = invoice.finalized_at;
                    invoice.paid_at = None;
                    invoice.attempts = 0;
                    story.books.charges.retain(|charge| usize::from(charge.invoice) != at);
                }
            }
        }
        _ => {}
    }
}

fn plan_of(product: Product) -> PlanId {
    PlanId::from(product.plan().unwrap_or("pro"))
}

fn trial_then(story: &mut Story, started: i64) {
    story.created_at = Timestamp(started * 1000);
    story.facts.trial = Some(Trial {
        started_at: story.created_at,
        ends_at: story.created_at.plus_days(14),
        extensions: 0,
        extended_ms: 0,
    });
}

fn open_customer(story: &mut Story, sketch: &Sketch, created: i64) {
    story.books.customer = Some(Customer {
        created,
        name: story.name.clone(),
        email: story.email.clone(),
        tenant_id: story.id.to_string(),
        currency: sketch.currency,
        delinquent: false,
        deleted_at: None,
    });
}

fn terms(sketch: &Sketch, start: i64, course: Course) -> Terms {
    let price = |product| price_of(product, sketch.currency, sketch.interval);
    let mut renewals: Vec<(i64, u16, i64)> = sketch
        .turns
        .changes
        .iter()
        .flatten()
        .map(|(after, seats)| {
            let at = start + after * DAY;
            match sketch.product {
                Product::Team => (at, price(Product::Team), (sketch.quantity * seats / 1000).max(1)),
                _ => (at, price(Product::Starter), 1),
            }
        })
        .collect();
    renewals.sort_unstable();
    // An amount off is in dollars; a percentage fits any currency.
    Terms {
        start,
        currency: sketch.currency,
        items: vec![(price(sketch.product), sketch.quantity)],
        months: sketch.interval.months(),
        coupon: sketch.coupon,
        upgrade: sketch.upgrade.then(|| (start + 45 * DAY + 7 * HOUR, price(Product::Pro), 1)),
        renewals,
        course,
        mishaps: sketch.mishaps,
    }
}

/// States what the paywall knows of the subscription, as the books have it.
fn settle_facts(setting: &Setting, story: &mut Story) {
    let Some((at, sub)) = story.books.subscriptions.iter().enumerate().next_back() else { return };
    let overdue = matches!(sub.status, SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid)
        .then(|| {
            let open =
                story.books.invoices.iter().filter(|it| usize::from(it.sub) == at && it.status == InvoiceStatus::Open);
            open.map(|it| it.created).min()
        })
        .flatten()
        .map(|seconds| Timestamp(seconds * 1000));
    let instant = |seconds: i64| Timestamp(seconds * 1000);
    story.facts.subscription = Some(Subscription {
        id: setting.ids.id(Kind::Subscription, story.index, at as u16),
        status: sub.status,
        current_period_end: Some(instant(sub.period.1)),
        overdue_since: overdue,
        grace_ends_at: overdue
            .filter(|_| sub.status == SubscriptionStatus::PastDue)
            .map(|since| since.plus_ms(i64::from(GRACE_DAYS) * DAY_MS)),
        ended_at: sub.ended_at.or(sub.paused_at).map(instant),
        cancel_at_period_end: sub.cancel_at_period_end,
    });
}

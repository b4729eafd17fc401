//! How a subscription is billed from its start to the world's present.

use paywall_domain::SubscriptionStatus;

use crate::books::{Books, Charge, Discount, Dispute, Invoice, InvoiceStatus, Item, Line, Reason, Refund, Sub};
use crate::calendar::{DAY, HOUR, add_months};
use crate::catalog::{COUPONS, Currency, Price};
use crate::draw::Draw;

/// How a subscription ends, or how it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Course {
    /// Every renewal is paid in the end.
    Paid { cancels_at_period_end: bool },
    /// Every renewal is paid, then it was canceled.
    Canceled { at: i64 },
    /// The renewal of this instant was never paid; Stripe gave up and canceled it.
    Lapsed { since: i64 },
    /// Renewals from this instant on fail, and Stripe still tries.
    PastDue { since: i64 },
    /// Renewals from this instant on fail, and Stripe gave up.
    Unpaid { since: i64 },
    /// Paused.
    Paused { at: i64 },
    /// Never paid; it may still be.
    Incomplete,
    /// Never paid in time.
    IncompleteExpired,
    /// On a trial that Stripe runs, until then.
    Trialing { until: i64 },
}

/// A subscription to be billed.
pub(crate) struct Terms {
    pub(crate) start: i64,
    pub(crate) currency: Currency,
    pub(crate) items: Vec<(u16, i64)>,
    pub(crate) months: u32,
    pub(crate) coupon: Option<u8>,
    /// The first item becomes this price and quantity then.
    pub(crate) upgrade: Option<(i64, u16, i64)>,
    /// From the first renewal at or after these instants on, the first item is this price and quantity; in order.
    pub(crate) renewals: Vec<(i64, u16, i64)>,
    pub(crate) course: Course,
    /// Whether refunds, disputes and late payments happen by chance.
    pub(crate) mishaps: bool,
}

const RETRIES: [i64; 4] = [0, 3 * DAY, 5 * DAY, 7 * DAY];
/// After so long without success, Stripe gives up.
pub(crate) const GIVE_UP: i64 = 21 * DAY;
const DECLINES: [&str; 4] = ["card_declined", "insufficient_funds", "expired_card", "processing_error"];

/// Adds the subscription, its invoices and charges to the books.
pub(crate) fn bill(books: &mut Books, draw: &mut Draw, prices: &[Price], terms: &Terms, now: i64) {
    let Terms { start, currency, months, course, .. } = *terms;
    let ordinal = books.subscriptions.len() as u16;
    let discount = terms.coupon.map(|coupon| Discount {
        coupon,
        start,
        end: COUPONS[usize::from(coupon)].months.map(|months| add_months(start, months)),
    });
    let mut items: Vec<Item> = terms
        .items
        .iter()
        .map(|(price, quantity)| Item { created: start, price: *price, quantity: *quantity })
        .collect();
    let stop = match course {
        Course::Canceled { at } | Course::Paused { at } => at,
        Course::Lapsed { since } => since + GIVE_UP,
        _ => i64::MAX,
    };
    let mut upgrade = terms.upgrade;
    let mut period = (start, add_months(start, months));
    let mut periods = 0;
    loop {
        let begins = add_months(start, periods * months);
        if begins > now || begins >= stop {
            break;
        }
        period = (begins, add_months(start, (periods + 1) * months));
        if let Course::Trialing { until } = course {
            period = (start, until);
        }
        for (_, price, quantity) in terms.renewals.iter().filter(|it| periods > 0 && it.0 <= begins) {
            (items[0].price, items[0].quantity) = (*price, *quantity);
        }
        let reason = if periods == 0 { Reason::Create } else { Reason::Cycle };
        let invoice = new_invoice(books, ordinal, currency, reason, begins, period, &items, prices, discount, course);
        settle(books, draw, invoice, course, terms.mishaps, now);
        if let Some((at, price, quantity)) =
            upgrade.filter(|(at, ..)| (period.0..period.1).contains(at) && *at < stop && *at <= now)
        {
            upgrade = None;
            let former = items[0];
            items[0].price = price;
            items[0].quantity = quantity;
            let invoice = prorate(books, ordinal, currency, at, period, former, items[0], prices);
            settle(books, draw, invoice, course, false, now);
        }
        periods += 1;
        if matches!(course, Course::Trialing { .. } | Course::Incomplete | Course::IncompleteExpired) {
            break;
        }
    }
    let (status, canceled_at, ended_at, paused_at, at_period_end) = match course {
        Course::Paid { cancels_at_period_end } => {
            let asked = cancels_at_period_end.then(|| (period.0 + (now - period.0) / 2).min(now));
            (SubscriptionStatus::Active, asked, None, None, cancels_at_period_end)
        }
        Course::Canceled { at } => {
            (SubscriptionStatus::Canceled, Some((at - 2 * DAY).max(start)), Some(at), None, false)
        }
        Course::Lapsed { since } => {
            (SubscriptionStatus::Canceled, Some(since + GIVE_UP), Some(since + GIVE_UP), None, false)
        }
        Course::PastDue { .. } => (SubscriptionStatus::PastDue, None, None, None, false),
        Course::Unpaid { .. } => (SubscriptionStatus::Unpaid, None, None, None, false),
        Course::Paused { at } => (SubscriptionStatus::Paused, None, None, Some(at), false),
        Course::Incomplete => (SubscriptionStatus::Incomplete, None, None, None, false),
        Course::IncompleteExpired => {
            (SubscriptionStatus::IncompleteExpired, None, Some(start + 23 * HOUR), None, false)
        }
        Course::Trialing { .. } => (SubscriptionStatus::Trialing, None, None, None, false),
    };
    if let (Course::PastDue { .. } | Course::Unpaid { .. }, Some(customer)) = (course, &mut books.customer) {
        customer.delinquent = true;
    }
    books.subscriptions.push(Sub {
        created: start,
        status,
        currency,
        items,
        period,
        trial: match course {
            Course::Trialing { until } => Some((start, until)),
            _ => None,
        },
        cancel_at_period_end: at_period_end,
        canceled_at,
        ended_at,
        paused_at,
        collection_paused: false,
        discount: discount.filter(|it| it.end.is_none_or(|end| end > now)),
        latest_invoice: books.invoices.len().checked_sub(1).map(|it| it as u16),
    });
}

#[expect(clippy::too_many_arguments)]
fn new_invoice(
    books: &mut Books,
    sub: u16,
    currency: Currency,
    reason: Reason,
    created: i64,
    period: (i64, i64),
    items: &[Item],
    prices: &[Price],
    discount: Option<Discount>,
    course: Course,
) -> u16 {
    let free = matches!(course, Course::Trialing { .. });
    let mut lines: Vec<Line> = items
        .iter()
        .enumerate()
        .map(|(item, it)| Line {
            price: it.price,
            item: item as u8,
            quantity: it.quantity,
            amount: if free { 0 } else { prices[usize::from(it.price)].unit_amount * it.quantity },
            discounted: 0,
            period,
            proration: false,
        })
        .collect();
    let discount = discount.filter(|it| it.end.is_none_or(|end| created < end) && !free);
    if let Some(discount) = discount {
        apply_discount(&mut lines, discount, currency);
    }
    push_invoice(books, sub, currency, reason, created, lines, discount)
}

fn push_invoice(
    books: &mut Books,
    sub: u16,
    currency: Currency,
    reason: Reason,
    created: i64,
    lines: Vec<Line>,
    discount: Option<Discount>,
) -> u16 {
    let number = books.invoices.len() as u16;
    // A renewal's own period is the one that it closes; the lines carry the one that it opens.
    let period = match books.invoices.iter().rev().find(|it| it.sub == sub && it.reason != Reason::Update) {
        Some(before) if reason == Reason::Cycle => (before.created, created),
        _ => (created, created),
    };
    books.invoices.push(Invoice {
        created,
        sub,
        number,
        currency,
        status: InvoiceStatus::Draft,
        reason,
        period,
        lines,
        discount,
        finalized_at: None,
        paid_at: None,
        closed_at: None,
        attempts: 0,
        next_attempt: None,
    });
    number
}

fn apply_discount(lines: &mut [Line], discount: Discount, currency: Currency) {
    let coupon = COUPONS[usize::from(discount.coupon)];
    let mut left = coupon.amount.unwrap_or(0);
    for line in lines {
        line.discounted = match coupon.percent {
            Some(percent) => currency.chargeable((line.amount * percent + 50) / 100),
            None => left.min(line.amount),
        };
        left -= line.discounted;
    }
}

/// An upgrade in mid-period: the rest of the old price back, the rest of the new one on top.
#[expect(clippy::too_many_arguments)]
fn prorate(
    books: &mut Books,
    sub: u16,
    currency: Currency,
    at: i64,
    period: (i64, i64),
    former: Item,
    next: Item,
    prices: &[Price],
) -> u16 {
    let line = |item: Item, sign: i64| {
        let whole = prices[usize::from(item.price)].unit_amount * item.quantity;
        let part = i128::from(whole) * i128::from(period.1 - at) / i128::from(period.1 - period.0);
        Line {
            price: item.price,
            item: 0,
            quantity: item.quantity,
            amount: currency.chargeable(part as i64) * sign,
            discounted: 0,
            period: (at, period.1),
            proration: true,
        }
    };
    push_invoice(books, sub, currency, Reason::Update, at, vec![line(former, -1), line(next, 1)], None)
}

/// Finalizes an invoice and tries to have it paid.
fn settle(books: &mut Books, draw: &mut Draw, which: u16, course: Course, mishaps: bool, now: i64) {
    let at = usize::from(which);
    let (created, reason, total, currency) = {
        let invoice = &books.invoices[at];
        (invoice.created, invoice.reason, invoice.total(), invoice.currency)
    };
    // Renewals are drafts for an hour; whatever a person asks for is due at once.
    let due = if reason == Reason::Cycle { created + HOUR } else { created + 2 };
    if due > now {
        return;
    }
    books.invoices[at].finalized_at = Some(due);
    books.invoices[at].status = InvoiceStatus::Open;
    let fail = |books: &mut Books, when: i64, decline: &'static str| {
        let charge = Charge {
            created: when,
            invoice: which,
            currency,
            amount: total,
            refunded: 0,
            disputed: false,
            failure: Some(decline),
        };
        books.charges.push(charge);
        books.invoices[at].attempts += 1;
    };
    match course {
        Course::Incomplete => return fail(books, due, "authentication_required"),
        Course::IncompleteExpired => {
            fail(books, due, "card_declined");
            books.invoices[at].status = InvoiceStatus::Void;
            books.invoices[at].closed_at = Some(created + 23 * HOUR);
            return;
        }
        Course::Lapsed { since } if created >= since => {
            let decline = *draw.pick(&DECLINES);
            for wait in RETRIES {
                fail(books, due + wait, decline);
            }
            books.invoices[at].status = InvoiceStatus::Uncollectible;
            books.invoices[at].closed_at = Some(since + GIVE_UP);
            return;
        }
        Course::PastDue { since } | Course::Unpaid { since } if created >= since => {
            let decline = *draw.pick(&DECLINES);
            let tries = RETRIES.iter().filter(|wait| due + **wait <= now).count();
            for wait in &RETRIES[..tries] {
                fail(books, due + wait, decline);
            }
            books.invoices[at].next_attempt = RETRIES.get(tries).map(|wait| due + wait);
            return;
        }
        _ => {}
    }
    let mut paid_at = due + 3;
    if total > 0 {
        if mishaps && reason == Reason::Cycle && due + 4 * DAY < now && draw.chance(40) {
            fail(books, due + 3, DECLINES[(which % 4) as usize]);
            paid_at = due + 3 * DAY + 3;
        }
        paid_at = paid_at.min(now);
        books.invoices[at].attempts += 1;
        books.charges.push(Charge {
            created: paid_at,
            invoice: which,
            currency,
            amount: total,
            refunded: 0,
            disputed: false,
            failure: None,
        });
        let charge = (books.charges.len() - 1) as u16;
        if mishaps && draw.chance(12) {
            let part = if draw.chance(300) { currency.chargeable(total / 2) } else { total };
            refund(books, charge, part, paid_at + draw.between(1, 20) * DAY, now);
        } else if mishaps && draw.chance(4) {
            dispute(books, charge, paid_at + draw.between(5, 40) * DAY, draw.chance(500), now);
        }
    }
    books.invoices[at].status = InvoiceStatus::Paid;
    books.invoices[at].paid_at = Some(paid_at);
}

/// Gives back `amount` of a charge, unless that lies in the future.
pub(crate) fn refund(books: &mut Books, charge: u16, amount: i64, at: i64, now: i64) {
    if at > now || amount <= 0 {
        return;
    }
    books.charges[usize::from(charge)].refunded += amount;
    books.refunds.push(Refund { created: at, charge, amount, reason: "requested_by_customer" });
}

/// Disputes a charge, unless that lies in the future; disputes are decided after 30 days.
pub(crate) fn dispute(books: &mut Books, charge: u16, at: i64, won: bool, now: i64) {
    if at > now {
        return;
    }
    let closed = Some(at + 30 * DAY).filter(|it| *it <= now);
    books.charges[usize::from(charge)].disputed = true;
    books.disputes.push(Dispute {
        created: at,
        charge,
        reason: if won { "product_not_received" } else { "fraudulent" },
        status: match (closed, won) {
            (None, _) => "needs_response",
            (Some(_), true) => "won",
            (Some(_), false) => "lost",
        },
        closed_at: closed,
    });
}

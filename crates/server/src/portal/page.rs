//! The page itself.

use askama::Template;
use paywall_domain::billing::CheckoutTrial;
use paywall_domain::{AccessLevel, Limit, Meter, Plan, Reading, Status, Timestamp};

use super::words::{self, Words, words};
use super::{Customer, Purchase, Visit, figures};
use crate::billing::prices::Offer;
use crate::gate::{self, Language};

/// The page's style sheet, at `/paywall/page.css`. A file of its own, so that the page needs no inline style.
pub(crate) const STYLE: &str = include_str!("page.css");

/// The page's script, at `/paywall/page.js`.
pub(crate) const SCRIPT: &str = include_str!("page.js");

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Template)]
#[template(path = "portal.html")]
struct Page<'a> {
    words: &'static Words,
    languages: [(&'static str, &'static str, bool); 3],
    name: Option<&'a str>,
    /// How the headline looks: `bad`, `soon`, `well`.
    tone: &'static str,
    headline: String,
    more: Vec<String>,
    meters: Vec<MeterRow>,
    plans: Vec<PlanColumn<'a>>,
    /// What the forms send along, where there is something to buy or to manage.
    ticket: Option<&'a str>,
    portal: bool,
    /// Whether some plan can be bought: it is further down.
    sells: bool,
    /// When what is bought now is first paid.
    trial_note: Option<String>,
    contact: Option<&'a str>,
    /// Whether the script should ask again with the browser's own session.
    ask_again: bool,
}

struct MeterRow {
    name: &'static str,
    text: String,
    /// `None` where there is nothing to fill.
    percent: Option<u8>,
    tone: &'static str,
    note: String,
}

struct PlanColumn<'a> {
    id: &'a str,
    name: &'a str,
    prices: Vec<PriceButton<'a>>,
    current: bool,
    limits: Vec<(&'static str, String)>,
}

struct PriceButton<'a> {
    id: &'a str,
    text: String,
}

/// The whole page. `contact`: where to turn to, a `mailto:` or `https:` address.
pub(crate) fn html(
    visit: &Visit,
    plans: &[Plan],
    contact: Option<&str>,
    language: Language,
    now: Timestamp,
) -> Result<String, askama::Error> {
    let words = words(language);
    let languages = [
        ("en", "English", language == Language::En),
        ("es", "Español", language == Language::Es),
        ("zh", "中文", language == Language::Zh),
    ];
    let empty = Page {
        words,
        languages,
        name: None,
        tone: "soon",
        headline: String::new(),
        more: Vec::new(),
        meters: Vec::new(),
        plans: Vec::new(),
        ticket: None,
        portal: false,
        sells: false,
        trial_note: None,
        contact,
        ask_again: false,
    };
    let page = match visit {
        Visit::Customer(customer) => Page {
            name: Some(&customer.name),
            tone: tone(customer, now),
            headline: headline(customer, language, now).unwrap_or_else(|| words.all_well.to_owned()),
            more: customer.snapshot.access.denials.iter().skip(1).map(|it| gate::why(it, language)).collect(),
            meters: customer.snapshot.meters.iter().map(|it| meter_row(it, language)).collect(),
            plans: plans.iter().map(|it| plan_column(it, customer, language)).collect(),
            ticket: customer.purchase.as_ref().map(|it| it.ticket.as_str()),
            portal: customer.purchase.as_ref().is_some_and(|it| it.portal),
            sells: customer.purchase.as_ref().is_some_and(|it| !it.offers.is_empty()),
            trial_note: customer.purchase.as_ref().and_then(|it| trial_note(it, language)),
            ..empty
        },
        Visit::Unknown => Page { headline: words.sign_in.to_owned(), ask_again: true, ..empty },
        Visit::Unavailable => Page { headline: words.unavailable.to_owned(), ..empty },
    };
    page.render()
}

/// What the customer has to know first; `None` where everything is well and nothing ends.
pub(super) fn headline(customer: &Customer, language: Language, now: Timestamp) -> Option<String> {
    if let Some(denial) = customer.snapshot.access.denials.first() {
        return Some(gate::why(denial, language));
    }
    if customer.snapshot.access.level == AccessLevel::Grace {
        return Some(words::overdue(language).to_owned());
    }
    let ends_at = customer.trial_ends_at().filter(|_| customer.snapshot.status == Status::Trial)?;
    let days_left = (ends_at.0 - now.0).max(0) / DAY_MS;
    Some(words::trial_runs(&figures::day(ends_at), days_left, language))
}

fn tone(customer: &Customer, now: Timestamp) -> &'static str {
    let ends_soon = customer.snapshot.status == Status::Trial
        && customer.trial_ends_at().is_some_and(|at| at.0 - now.0 < 4 * DAY_MS);
    match customer.snapshot.access.level {
        AccessLevel::Locked | AccessLevel::Partial => "bad",
        AccessLevel::Grace => "soon",
        AccessLevel::Full if ends_soon => "soon",
        AccessLevel::Full => "well",
    }
}

fn meter_row(reading: &Reading, language: Language) -> MeterRow {
    let words = words(language);
    let amount = |value| figures::amount(reading.meter, value, language);
    let (text, percent) = match (reading.used, reading.limit) {
        (None, _) => (words.unknown.to_owned(), None),
        (Some(used), Limit::Unlimited) => (format!("{} · {}", amount(used), words.unlimited), None),
        (Some(used), Limit::AtMost(most)) => {
            (words::of_limit(&amount(used), &amount(most), language), Some(figures::percent(used, most)))
        }
    };
    let mut notes = Vec::new();
    if reading.exhausted {
        notes.push(words.full.to_owned());
    }
    let counted = reading.used.and(reading.resets_at);
    notes.extend(counted.map(|at| words::resets(&figures::minute(at), language)));
    MeterRow {
        name: words::meter(reading.meter, language),
        text,
        percent,
        tone: match percent {
            _ if reading.exhausted => "bad",
            Some(90..) => "soon",
            _ => "well",
        },
        note: notes.join(" · "),
    }
}

/// When what is bought now is first paid.
fn trial_note(purchase: &Purchase, language: Language) -> Option<String> {
    if purchase.offers.is_empty() {
        return None;
    }
    match purchase.trial? {
        CheckoutTrial::None => None,
        CheckoutTrial::Until { trial_end } => Some(words::trial_kept(&figures::day(trial_end), language)),
        CheckoutTrial::Days { days } => Some(words::trial_kept_for(days, language)),
    }
}

fn price_button(offer: &Offer, language: Language) -> PriceButton<'_> {
    let every = offer.every.map(|(count, interval)| words::every(count, interval, language));
    let text = match (&offer.amount, every) {
        (Some(amount), Some(every)) => format!("{} {every}", figures::money(amount, language)),
        (Some(amount), None) => figures::money(amount, language),
        (None, _) => words(language).price_at_checkout.to_owned(),
    };
    PriceButton { id: &offer.price, text }
}

fn plan_column<'a>(plan: &'a Plan, customer: &'a Customer, language: Language) -> PlanColumn<'a> {
    let limit = |meter: Meter| match plan.limit(meter) {
        Limit::Unlimited => words(language).unlimited.to_owned(),
        Limit::AtMost(most) => figures::amount(meter, most, language),
    };
    let offers = customer.purchase.as_ref().map(|it| &it.offers);
    let offered = |id: &String| offers.and_then(|it| it.get(id));
    PlanColumn {
        id: plan.id.as_str(),
        name: &plan.name,
        prices: plan.stripe_prices.iter().filter_map(offered).map(|it| price_button(it, language)).collect(),
        current: plan.id == customer.plan.id,
        limits: Meter::ALL.map(|meter| (words::meter(meter, language), limit(meter))).into(),
    }
}

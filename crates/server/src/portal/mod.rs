//! The page that a customer sees at `/paywall/`: how its account stands, why something is blocked, what
//! is used, what each plan offers and costs, and the way to Stripe and back.
//!
//! Pure: [`Customer`] in, text out. `RAGFlow`'s web UI keeps its session token in the browser's local storage and
//! not in a cookie, so a visit by a link carries no credential. The page then is [`Visit::Unknown`], and its
//! script asks again with that token; without a script it says to sign in first.

mod buying;
mod figures;
mod looks;
mod notice;
mod offers;
mod page;
mod routes;
mod ticket;
mod words;

use paywall_contract::Snapshot;
use paywall_domain::{Plan, Timestamp};
use serde::Serialize;

pub(crate) use offers::Purchase;
pub(crate) use routes::router;

use self::page::{SCRIPT, STYLE, html};
use crate::gate::Language;

/// A customer, as its page shows it.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    /// The tenant's name.
    pub(crate) name: String,
    /// The plan in force.
    pub(crate) plan: Plan,
    /// Its facts, and what derives from them now.
    pub(crate) snapshot: Snapshot,
    /// What it can do about its payments; `None` = nothing here.
    pub(crate) purchase: Option<Purchase>,
}

impl Customer {
    /// When its trial ends or ended; `None` where there is none.
    fn trial_ends_at(&self) -> Option<Timestamp> {
        self.snapshot.facts.trial.as_ref().map(|it| it.ends_at)
    }
}

/// Who looks at the page.
#[derive(Debug, Clone)]
pub(crate) enum Visit {
    /// A customer, or a member of one.
    Customer(Box<Customer>),
    /// Nobody that is known, or no credential came along.
    Unknown,
    /// It cannot be told at present: the directory or the database is away.
    Unavailable,
}

/// What `/paywall/status` answers: for a banner in `RAGFlow`'s pages, or a program.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct StatusBody {
    /// The status, as in the admin API.
    pub(crate) status: &'static str,
    /// How much works: `full`, `grace`, `partial`, `locked`.
    pub(crate) level: &'static str,
    /// The codes of the rules that deny something, the first one first.
    pub(crate) deny_codes: Vec<&'static str>,
    /// One sentence for the customer; empty where nothing needs saying.
    pub(crate) message: String,
    /// When the trial ends or ended, in milliseconds since 1970; `null` where there is none.
    pub(crate) trial_ends_at: Option<Timestamp>,
    /// The name of the plan in force.
    pub(crate) plan: String,
    /// The meters with their limits in force.
    pub(crate) meters: Vec<StatusMeter>,
    /// The page with everything.
    pub(crate) url: String,
}

/// A meter of [`StatusBody`].
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct StatusMeter {
    /// Which.
    pub(crate) meter: &'static str,
    /// The level; `null` = not known.
    pub(crate) used: Option<i64>,
    /// The limit; `null` = none.
    pub(crate) limit: Option<i64>,
    /// When it starts from zero, in milliseconds since 1970; `null` for levels.
    pub(crate) resets_at: Option<Timestamp>,
}

/// `/paywall/status` of a customer. `url`: the page's own address.
pub(crate) fn status_body(customer: &Customer, url: &str, language: Language, now: Timestamp) -> StatusBody {
    StatusBody {
        status: customer.snapshot.status.as_str(),
        level: customer.snapshot.access.level.as_str(),
        deny_codes: customer.snapshot.access.denials.iter().map(|it| it.code().as_str()).collect(),
        message: page::headline(customer, language, now).unwrap_or_default(),
        trial_ends_at: customer.trial_ends_at(),
        plan: customer.plan.name.clone(),
        meters: customer
            .snapshot
            .meters
            .iter()
            .map(|it| StatusMeter {
                meter: it.meter.as_str(),
                used: it.used,
                limit: it.limit.into(),
                resets_at: it.resets_at,
            })
            .collect(),
        url: url.to_owned(),
    }
}

#[cfg(test)]
mod tests;

//! What an answer used.

use paywall_domain::Meter;

use super::{Amounts, TokenSource};
use crate::quota::Counter;

/// Tokens, and where their number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCount {
    /// How many.
    pub units: i64,
    /// Says who.
    pub source: TokenSource,
}

impl TokenCount {
    pub(super) const NONE: Self = Self { units: 0, source: TokenSource::Estimate };
}

/// What an answer used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it counts at all: an error in place of an answer does not, whatever its HTTP status; an answer
    /// that broke off does.
    pub billable: bool,
    /// Questions answered: one or none.
    pub messages: i64,
    /// Tokens used, the question's included.
    pub tokens: TokenCount,
    /// Documents that an upload brought; `None` where the answer broke off before it said so.
    pub documents: Option<i64>,
    /// The code of the error that the answer told of; −1 where it has none.
    pub failure: Option<i64>,
    /// Whether the answer came to its end.
    pub complete: bool,
}

impl Outcome {
    /// That of a request to which no answer began.
    pub const NOTHING: Self = Self {
        billable: false,
        messages: 0,
        tokens: TokenCount::NONE,
        documents: Some(0),
        failure: None,
        complete: false,
    };

    /// What of it counts on these meters, those that are levels left out.
    pub fn amounts(&self, meters: impl IntoIterator<Item = Meter>) -> Amounts {
        meters.into_iter().filter_map(Counter::of).fold(Amounts::NONE, |amounts, counter| {
            let units = match counter {
                Counter::Messages => self.messages,
                Counter::Tokens => self.tokens.units,
                Counter::ApiRequests => i64::from(self.billable),
            };
            amounts.with(counter, units)
        })
    }
}

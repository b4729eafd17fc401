//! Usage events: what was used, once and for good.

use std::borrow::Cow;

use paywall_domain::{TenantId, Timestamp};

use crate::quota::{Counter, CountingPeriod};

/// Units by counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts([i64; 3]);

impl Amounts {
    /// Nothing.
    pub const NONE: Self = Self([0; 3]);

    /// These, and `units` of `counter`. Below zero counts as zero: usage never falls.
    #[must_use]
    pub fn with(mut self, counter: Counter, units: i64) -> Self {
        self.0[counter.index()] = units.max(0);
        self
    }

    /// Units of one counter.
    pub fn get(self, counter: Counter) -> i64 {
        self.0[counter.index()]
    }

    /// Whether nothing was used.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// Where a count of tokens comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenSource {
    /// The model's provider reported it.
    Provider,
    /// `RAGFlow` counted, without the prompt that it built: too low.
    Partial,
    /// Estimated from the text that passed.
    Estimate,
}

impl TokenSource {
    /// The word for it in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Partial => "partial",
            Self::Estimate => "estimate",
        }
    }
}

/// Something that was used. Never changed once it is stored; stored once for each `(source, id)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEvent {
    /// Who says so, such as `gate`.
    pub source: Cow<'static, str>,
    /// Its name for it, such as the request's id.
    pub id: String,
    /// Whose usage it is.
    pub tenant: TenantId,
    /// The period that it counts in: the one in which it was admitted, also where it ended in the next.
    pub period: CountingPeriod,
    /// When.
    pub at: Timestamp,
    /// How much.
    pub amounts: Amounts,
    /// Where the count of tokens comes from; `None` where there is none.
    pub tokens_from: Option<TokenSource>,
}

//! Trials and how many of them become customers.

use std::sync::Arc;

/// A trial that is kept outside of Stripe, such as one that the paywall gave a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrialFacts {
    /// Its id.
    pub id: Arc<str>,
    /// Whose: the Stripe customer that would pay, else the tenant.
    pub customer: Arc<str>,
    /// When it began.
    pub started_at: i64,
    /// When it ends or ended, extensions counted.
    pub ends_at: i64,
}

//! What the business earns, from Stripe-shaped facts.
//!
//! Everything here is pure: facts, a policy and an instant in, figures out. There is no I/O and no
//! clock. Vendors disagree on nearly every rule of monthly recurring revenue, so the rules that
//! differ are a value, [`MetricPolicy`], and each screen can say which ones it used.
//!
//! One subscription at an instant is [`mrr`]; over time it is [`levels`], from snapshots of it and, before
//! them, from invoices. A [`Ledger`] takes facts in, in any order, and keeps the [`Movement`]s of each customer
//! and the [`Totals`] of each day through a [`Lens`]. From those come [`Figures`] with the customers behind
//! every cell, [`Cohort`]s, [`Trial`]s, [`Forecast`]s, sums in one currency by [`ExchangeRates`], and the
//! [`Difference`]s between two lenses.
//!
//! Sums are exact rationals inside. A figure is rounded once, half to even, to 1/10,000 of the
//! currency's minor unit when it leaves [`mrr`]; every total is a sum of such figures, so rows always
//! add up to the headline.

mod amount;
mod cohorts;
mod comparison;
mod error;
mod exchange;
mod facts;
mod figures;
mod forecast;
mod invoice;
mod kept;
mod ledger;
mod movement;
mod mrr;
mod payments;
mod policy;
mod stripe;
mod timeline;
mod totals;
mod trials;
mod zone;

pub use amount::{AMOUNT_SCALE, Mrr, display_minor, minor_digits, totals};
pub use cohorts::{Cohort, CohortMonth, cohorts};
pub use comparison::{Cause, Difference};
pub use error::RevenueError;
pub use exchange::{Converted, ExchangeRate, ExchangeRates, RateFault, RateProblem, Unknown, parse_rates};
pub use facts::{
    CollectionPause, Coupon, CouponDuration, CouponValue, Discount, Interval, Item, Price, Recurring, Rounding,
    SubscriptionFacts, SubscriptionStatus, TaxBehavior, Tier, TiersMode, TransformQuantity, UsageType,
};
pub use figures::{CASES_MIN, Cell, Figures, Headline, Moved, Rate, Window};
pub use forecast::{Assumption, Committed, Forecast};
pub use invoice::{InvoiceFacts, InvoiceLine, InvoiceStatus, LineDiscount};
pub use ledger::{Fact, Fault, Ledger, Lens, Outcome};
pub use movement::{Movement, MovementKind};
pub use mrr::mrr;
pub use payments::{FailedPayment, FailedPayments, Recovery};
pub use policy::{
    BriefRule, CancellationRule, ChurnBase, DiscountRule, FreeRule, MeteredRule, MetricPolicy, Preset, TaxRule,
};
pub use stripe::{Catalog, NoCatalog};
pub use timeline::{Level, Snapshot, levels};
pub use totals::{DayTotal, Objects, Totals};
pub use trials::{Trial, TrialCohort, TrialFacts, TrialOutcome, TrialsEnded};
pub use zone::{Day, Period, ReportingZone};

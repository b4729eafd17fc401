//! The rules on which vendors disagree, and what is known of each vendor's own.

use serde::{Deserialize, Serialize};

/// When a subscription that was told to cancel stops counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancellationRule {
    /// When the paid period is over and the subscription ends.
    AtPeriodEnd,
    /// At the moment the cancellation was asked for.
    AtCall,
}

/// Which discounts lower recurring revenue while they are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscountRule {
    /// None: list prices.
    None,
    /// Only those without an end.
    Forever,
    /// Those without an end, and those for several months. A discount on one invoice is no part of
    /// what recurs.
    Recurring,
    /// All, those on one invoice included.
    All,
}

/// Whether usage that is billed after the fact is recurring revenue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeteredRule {
    /// It is not.
    Excluded,
    /// The usage last invoiced, per month, counts from the end of the period it was used in for as
    /// long as that period was, or until the next one ends.
    LastInvoiced,
}

/// Whether tax that is part of a price counts as revenue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxRule {
    /// It is taken out where its rate is known; else the figure says that it includes tax.
    Excluded,
    /// It stays in.
    Included,
}

/// What it is when a customer goes on without paying: a free plan, or a full discount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreeRule {
    /// The customer is lost; paying again is a reactivation.
    Churn,
    /// The customer stays while a subscription counts: a contraction to zero, and an expansion from it.
    Contraction,
}

/// What becomes of a customer who is new and lost within one calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BriefRule {
    /// It is new, and it is churn.
    Counted,
    /// It never was: neither is shown, and the revenue between them is not either.
    Ignored,
}

/// By what the lost customers are divided for the churn of customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChurnBase {
    /// Those who paid at the start of the window.
    AtStart,
    /// Those, and those who began to pay within it.
    AtStartAndNew,
}

/// The rules by which a figure is made. Two figures can only be compared when their policies are
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricPolicy {
    /// Days of 24 hours after which an overdue subscription stops counting; `None` = it counts for as
    /// long as Stripe says `past_due`.
    pub past_due_days: Option<u32>,
    /// Whether a subscription counts while the collection of its invoices is paused. Stripe leaves
    /// its status as it is.
    pub paused_collection_counts: bool,
    /// Whether a subscription counts while it is on trial.
    pub trials_count: bool,
    /// When a cancellation takes effect.
    pub cancellation: CancellationRule,
    /// Which discounts come off.
    pub discounts: DiscountRule,
    /// Whether metered usage counts.
    pub metered: MeteredRule,
    /// Whether tax stays in.
    pub tax: TaxRule,
    /// What a fall to zero is while a subscription goes on.
    pub free: FreeRule,
    /// What becomes of customers of less than a month.
    pub brief: BriefRule,
    /// Days after which a former customer who pays again is new; `None` = it always is a reactivation.
    pub reactivation_days: Option<u32>,
    /// What the churn of customers is a part of.
    pub churn_base: ChurnBase,
}

impl Default for MetricPolicy {
    /// The status alone decides what counts, trials, usage and tax do not, a cancelled subscription
    /// counts until its period ends, and recurring discounts come off. Zero is churn, however it came
    /// about, and whoever paid before and pays again is a reactivation.
    fn default() -> Self {
        Self {
            past_due_days: None,
            paused_collection_counts: true,
            trials_count: false,
            cancellation: CancellationRule::AtPeriodEnd,
            discounts: DiscountRule::Recurring,
            metered: MeteredRule::Excluded,
            tax: TaxRule::Excluded,
            free: FreeRule::Churn,
            brief: BriefRule::Counted,
            reactivation_days: None,
            churn_base: ChurnBase::AtStart,
        }
    }
}

/// Whose rules. Where a vendor does not publish a rule, or lets each account choose, the preset has
/// what the vendor starts with, else our own rule; its policy says which is which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "describe", derive(ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(rename = "MetricPreset", export_to = "ipc.ts"))]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Our own.
    #[default]
    Paywall,
    /// Stripe's Billing analytics.
    Stripe,
    /// `ChartMogul`.
    Chartmogul,
    /// Baremetrics.
    Baremetrics,
    /// `ProfitWell`, now Paddle's.
    Profitwell,
}

impl Preset {
    /// All of them, ours first.
    pub const ALL: [Self; 5] = [Self::Paywall, Self::Stripe, Self::Chartmogul, Self::Baremetrics, Self::Profitwell];

    /// Its name, as [`Preset::parse`] takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paywall => "paywall",
            Self::Stripe => "stripe",
            Self::Chartmogul => "chartmogul",
            Self::Baremetrics => "baremetrics",
            Self::Profitwell => "profitwell",
        }
    }

    /// The preset of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name)
    }

    /// Its rules. What each vendor says of itself:
    ///
    /// - **Stripe** (docs.stripe.com/billing/subscriptions/analytics/glossary, support.stripe.com,
    ///   "Billing analytics", "Calculating churn rate in Billing"): active and past due count, unpaid
    ///   does not; no trials, taxes, usage; coupons without an end come off, others do not (an account
    ///   can choose otherwise); a cancellation counts at the call (an account can choose the period's
    ///   end); customers lost are divided by those at the start and the new ones. Not published, so
    ///   ours: paused collection.
    /// - **`ChartMogul`** (help.chartmogul.com, "Configuring Subscription Analytics settings", "Stripe
    ///   integration guide", "Lifecycle of a customer"; dev.chartmogul.com, "Implementing usage-based
    ///   billing"): churn when the subscription ends in the billing system; past due and paused ones
    ///   count until they end; revenue is what the invoices bill, so every discount comes off and
    ///   billed usage counts; a paying customer who goes on for free stays active; former payers
    ///   reactivate.
    /// - **Baremetrics** (its published example: $10 with 50 % for life is $5; changelog.baremetrics.com):
    ///   those who sign up and cancel within the window are in the churn rate. All else is not
    ///   published in a form that settles it, so ours: recurring discounts, churn when a subscription
    ///   ends, no usage.
    /// - **`ProfitWell`** (learn.profitwell.com, "`ProfitWell` vs. Stripe", "`ProfitWell` vs. Recurly",
    ///   "… different than Chargify"): until the end of the cycle; discounts of any frequency come
    ///   off; recurring metered billing counts; on hold is zero; new and churned within a month is
    ///   ignored; coming back at any time is a reactivation; unpaid is churn, past due is not, for how
    ///   long is not published.
    pub fn policy(self) -> MetricPolicy {
        let ours = MetricPolicy::default();
        match self {
            Self::Paywall => ours,
            Self::Stripe => MetricPolicy {
                cancellation: CancellationRule::AtCall,
                discounts: DiscountRule::Forever,
                churn_base: ChurnBase::AtStartAndNew,
                ..ours
            },
            Self::Chartmogul => MetricPolicy {
                discounts: DiscountRule::All,
                metered: MeteredRule::LastInvoiced,
                free: FreeRule::Contraction,
                ..ours
            },
            Self::Baremetrics => MetricPolicy { churn_base: ChurnBase::AtStartAndNew, ..ours },
            Self::Profitwell => MetricPolicy {
                paused_collection_counts: false,
                discounts: DiscountRule::All,
                metered: MeteredRule::LastInvoiced,
                brief: BriefRule::Ignored,
                ..ours
            },
        }
    }
}

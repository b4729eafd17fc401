//! Drifts: differences between Stripe and the paywall, by name.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{PlanId, SubscriptionStatus, TenantId, Timestamp};

use super::{Money, StatusWord, StripeMode};

/// The kind of a drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum DriftKind {
    /// Stripe's subscription gives access, and the paywall refuses.
    PaidButBlocked,
    /// The paywall gives access by a subscription that Stripe does not have, or that gives none.
    AccessWithoutSubscription,
    /// The subscription's id, status or end differ, without a difference in access.
    StatusDiffers,
    /// The tenant's plan is not the one that its price sells.
    PlanDiffers,
    /// The prices differ, of the same plan.
    PriceDiffers,
    /// The quantities differ.
    QuantityDiffers,
    /// The ends of a trial that Stripe runs differ.
    TrialEndDiffers,
    /// A comp given on a trial that Stripe runs is charged for, or what was paused for one goes on not being collected.
    CollectionDiffers,
    /// The currencies differ.
    CurrencyDiffers,
    /// The subscription is another customer's than the tenant's.
    CustomerDiffers,
    /// A second subscription takes money beside the one that counts.
    TwoSubscriptions,
    /// The subscription of a deleted tenant goes on.
    DeletedCustomerSubscription,
    /// A live subscription in test mode, or the other way round.
    ModeMixed,
    /// No webhook endpoint in Stripe leads here.
    WebhookEndpointMissing,
    /// The webhook endpoint is switched off.
    WebhookEndpointDisabled,
    /// The webhook endpoint does not hear of everything that it needs to.
    WebhookEventsMissing,
    /// Events that Stripe could not deliver.
    UndeliveredEvents,
    /// A price that is paid for and sells no plan.
    UnknownPrice,
    /// A paying customer that is no tenant's.
    UnknownCustomer,
}

impl DriftKind {
    /// Every kind, the gravest first.
    pub const ALL: [Self; 19] = [
        Self::PaidButBlocked,
        Self::AccessWithoutSubscription,
        Self::StatusDiffers,
        Self::PlanDiffers,
        Self::PriceDiffers,
        Self::QuantityDiffers,
        Self::TrialEndDiffers,
        Self::CollectionDiffers,
        Self::CurrencyDiffers,
        Self::CustomerDiffers,
        Self::TwoSubscriptions,
        Self::DeletedCustomerSubscription,
        Self::ModeMixed,
        Self::WebhookEndpointMissing,
        Self::WebhookEndpointDisabled,
        Self::WebhookEventsMissing,
        Self::UndeliveredEvents,
        Self::UnknownPrice,
        Self::UnknownCustomer,
    ];

    /// The word on the wire, in storage and in the docs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PaidButBlocked => "paid_but_blocked",
            Self::AccessWithoutSubscription => "access_without_subscription",
            Self::StatusDiffers => "status_differs",
            Self::PlanDiffers => "plan_differs",
            Self::PriceDiffers => "price_differs",
            Self::QuantityDiffers => "quantity_differs",
            Self::TrialEndDiffers => "trial_end_differs",
            Self::CollectionDiffers => "collection_differs",
            Self::CurrencyDiffers => "currency_differs",
            Self::CustomerDiffers => "customer_differs",
            Self::TwoSubscriptions => "two_subscriptions",
            Self::DeletedCustomerSubscription => "deleted_customer_subscription",
            Self::ModeMixed => "mode_mixed",
            Self::WebhookEndpointMissing => "webhook_endpoint_missing",
            Self::WebhookEndpointDisabled => "webhook_endpoint_disabled",
            Self::WebhookEventsMissing => "webhook_events_missing",
            Self::UndeliveredEvents => "undelivered_events",
            Self::UnknownPrice => "unknown_price",
            Self::UnknownCustomer => "unknown_customer",
        }
    }

    /// The kind of that word, if there is one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What each side says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum DriftBody {
    /// See [`DriftKind::PaidButBlocked`].
    PaidButBlocked {
        /// On record; `null` = no subscription.
        paywall: Option<SubscriptionStatus>,
        /// In Stripe.
        stripe: StatusWord,
    },
    /// See [`DriftKind::AccessWithoutSubscription`].
    AccessWithoutSubscription {
        /// On record.
        paywall: Option<SubscriptionStatus>,
        /// In Stripe; `null` = no subscription.
        stripe: Option<StatusWord>,
    },
    /// See [`DriftKind::StatusDiffers`].
    StatusDiffers {
        /// The subscription on record, where it is another one; `null` = none.
        paywall_subscription: Option<String>,
        /// On record; `null` = no subscription.
        paywall: Option<SubscriptionStatus>,
        /// Whether it ends with its period, on record.
        paywall_canceling: bool,
        /// In Stripe; `null` = no subscription.
        stripe: Option<StatusWord>,
        /// Whether it ends with its period, in Stripe.
        stripe_canceling: bool,
    },
    /// See [`DriftKind::PlanDiffers`].
    PlanDiffers {
        /// On record.
        paywall: PlanId,
        /// By the price.
        stripe: PlanId,
    },
    /// See [`DriftKind::PriceDiffers`].
    PriceDiffers {
        /// On record.
        paywall: Vec<String>,
        /// In Stripe.
        stripe: Vec<String>,
    },
    /// See [`DriftKind::QuantityDiffers`].
    QuantityDiffers {
        /// On record.
        paywall: i64,
        /// In Stripe.
        stripe: i64,
    },
    /// See [`DriftKind::TrialEndDiffers`].
    TrialEndDiffers {
        /// On record; `null` = no trial.
        paywall: Option<Timestamp>,
        /// In Stripe.
        stripe: Timestamp,
    },
    /// See [`DriftKind::CollectionDiffers`].
    CollectionDiffers {
        /// Whether a comp is in force that is not charged for.
        paywall: bool,
        /// Until when; `null` = until it is taken back, or none is.
        paywall_until: Option<Timestamp>,
        /// Whether collection is paused in Stripe.
        stripe: bool,
        /// When it goes on by itself; `null` = when somebody resumes it, or it is not paused.
        stripe_until: Option<Timestamp>,
    },
    /// See [`DriftKind::CurrencyDiffers`].
    CurrencyDiffers {
        /// On record.
        paywall: String,
        /// In Stripe.
        stripe: String,
    },
    /// See [`DriftKind::CustomerDiffers`].
    CustomerDiffers {
        /// On record; `null` = none.
        paywall: Option<String>,
        /// In Stripe.
        stripe: String,
    },
    /// See [`DriftKind::TwoSubscriptions`].
    TwoSubscriptions {
        /// The one that counts.
        counts: String,
        /// The status of the one beside it.
        stripe: StatusWord,
    },
    /// See [`DriftKind::DeletedCustomerSubscription`].
    DeletedCustomerSubscription {
        /// When the tenant was deleted.
        deleted_at: Timestamp,
        /// In Stripe.
        stripe: StatusWord,
    },
    /// See [`DriftKind::ModeMixed`].
    ModeMixed {
        /// The server's.
        paywall: StripeMode,
        /// The object's.
        stripe: StripeMode,
    },
    /// See [`DriftKind::WebhookEndpointMissing`].
    WebhookEndpointMissing {
        /// Where it should lead.
        url: String,
    },
    /// See [`DriftKind::WebhookEndpointDisabled`].
    WebhookEndpointDisabled {
        /// Where it leads.
        url: String,
    },
    /// See [`DriftKind::WebhookEventsMissing`].
    WebhookEventsMissing {
        /// Which are missing.
        events: Vec<String>,
    },
    /// See [`DriftKind::UndeliveredEvents`].
    UndeliveredEvents {
        /// How many.
        count: u64,
    },
    /// See [`DriftKind::UnknownPrice`].
    UnknownPrice {
        /// Which prices.
        prices: Vec<String>,
        /// The plan on record.
        plan: PlanId,
    },
    /// See [`DriftKind::UnknownCustomer`].
    UnknownCustomer {
        /// The plan that is paid for.
        plan: PlanId,
        /// In Stripe.
        stripe: StatusWord,
    },
}

/// What a person does about a drift that nothing here repairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum ByHand {
    /// Add the price to the plan that it sells, in the server's settings, or move the customer to a price
    /// that sells one.
    AddPriceToPlan,
    /// Give the server the key of the other mode, or cancel the subscription there.
    CheckMode,
    /// Create a webhook endpoint in Stripe, and give the server its secret.
    CreateEndpoint,
    /// Write the tenant's id into the subscription's metadata as `tenant_id`, or cancel it.
    AssignTenant,
    /// Update the server: Stripe uses a word that this version does not know.
    UpdateServer,
}

/// What puts a drift right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Repair {
    /// The paywall takes over what Stripe says.
    ApplyStripe,
    /// Stripe takes over the end of the trial. An end that has passed is set as `now`: Stripe then ends
    /// the trial and charges the customer.
    SetTrialEndInStripe {
        /// `sub_…`
        subscription: String,
        /// The end.
        trial_end: Timestamp,
    },
    /// Stripe stops collecting the subscription's invoices while the comp lasts, or collects them again.
    SetCollectionInStripe {
        /// `sub_…`
        subscription: String,
        /// Whether it is paused.
        paused: bool,
        /// When it goes on by itself; `null` = when somebody resumes it, or it is not paused.
        resumes_at: Option<Timestamp>,
    },
    /// The subscription is cancelled at once. What was paid is not paid back by that.
    CancelSubscription {
        /// `sub_…`
        subscription: String,
    },
    /// The webhook endpoint is switched on.
    EnableEndpoint {
        /// `we_…`
        endpoint: String,
    },
    /// The webhook endpoint hears of these, too.
    AddEvents {
        /// `we_…`
        endpoint: String,
        /// Which are missing.
        events: Vec<String>,
    },
    /// The events are fetched and processed.
    ProcessEvents,
    /// Nothing here can; a person has to.
    None {
        /// What to do.
        by_hand: ByHand,
    },
}

/// One difference between Stripe and the paywall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Drift {
    /// Whose; `null` = the account's, or nobody's.
    pub tenant: Option<TenantId>,
    /// `cus_…`
    pub customer: Option<String>,
    /// `sub_…`
    pub subscription: Option<String>,
    /// `we_…`
    pub endpoint: Option<String>,
    /// What each side says.
    pub body: DriftBody,
    /// What hangs on it per month; `null` = nothing, or it cannot be told.
    pub at_stake: Option<Money>,
    /// What puts it right.
    pub repair: Repair,
}

impl Drift {
    /// Its kind.
    pub fn kind(&self) -> DriftKind {
        match &self.body {
            DriftBody::PaidButBlocked { .. } => DriftKind::PaidButBlocked,
            DriftBody::AccessWithoutSubscription { .. } => DriftKind::AccessWithoutSubscription,
            DriftBody::StatusDiffers { .. } => DriftKind::StatusDiffers,
            DriftBody::PlanDiffers { .. } => DriftKind::PlanDiffers,
            DriftBody::PriceDiffers { .. } => DriftKind::PriceDiffers,
            DriftBody::QuantityDiffers { .. } => DriftKind::QuantityDiffers,
            DriftBody::TrialEndDiffers { .. } => DriftKind::TrialEndDiffers,
            DriftBody::CollectionDiffers { .. } => DriftKind::CollectionDiffers,
            DriftBody::CurrencyDiffers { .. } => DriftKind::CurrencyDiffers,
            DriftBody::CustomerDiffers { .. } => DriftKind::CustomerDiffers,
            DriftBody::TwoSubscriptions { .. } => DriftKind::TwoSubscriptions,
            DriftBody::DeletedCustomerSubscription { .. } => DriftKind::DeletedCustomerSubscription,
            DriftBody::ModeMixed { .. } => DriftKind::ModeMixed,
            DriftBody::WebhookEndpointMissing { .. } => DriftKind::WebhookEndpointMissing,
            DriftBody::WebhookEndpointDisabled { .. } => DriftKind::WebhookEndpointDisabled,
            DriftBody::WebhookEventsMissing { .. } => DriftKind::WebhookEventsMissing,
            DriftBody::UndeliveredEvents { .. } => DriftKind::UndeliveredEvents,
            DriftBody::UnknownPrice { .. } => DriftKind::UnknownPrice,
            DriftBody::UnknownCustomer { .. } => DriftKind::UnknownCustomer,
        }
    }

    /// What it is about, as one text: kind, tenant and Stripe's object. The same drift seen again has the
    /// same subject, whatever the two sides say meanwhile; of one subject there is one drift at a time.
    pub fn subject(&self) -> String {
        let mut subject = self.kind().as_str().to_owned();
        let tenant = self.tenant.as_ref().map_or("", TenantId::as_str);
        let object = self.subscription.as_deref().or(self.endpoint.as_deref()).unwrap_or_default();
        let _ = write!(subject, "/{tenant}/{object}");
        subject
    }
}

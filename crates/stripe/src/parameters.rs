//! What the operations of billing take.

use crate::shapes::Metadata;

/// A customer to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewCustomer {
    /// Where invoices go.
    pub email: Option<String>,
    /// Whom they are for.
    pub name: Option<String>,
    /// What is put on it; the tenant.
    pub metadata: Metadata,
}

/// A Checkout session to be opened. Checkout always asks for a way to pay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewCheckoutSession {
    /// Whose.
    pub customer: String,
    /// The tenant.
    pub client_reference_id: String,
    /// What is subscribed to.
    pub price: String,
    /// How many; `None` for a metered price, which takes none.
    pub quantity: Option<u32>,
    /// Where Stripe leads who has paid; `{CHECKOUT_SESSION_ID}` in it becomes the session's id.
    pub success_url: String,
    /// Where Stripe leads who turns back.
    pub cancel_url: String,
    /// When it closes, in Unix seconds, half an hour to a day ahead; `None` = after a day.
    pub expires_at: Option<i64>,
    /// The page's language; `None` = the browser's.
    pub locale: Option<String>,
    /// What remains of the trial.
    pub trial: Option<CheckoutTrial>,
    /// Whether codes for coupons are taken.
    pub allow_promotion_codes: bool,
    /// Whether Stripe computes taxes.
    pub automatic_tax: bool,
    /// Whether a tax number is asked for.
    pub tax_id_collection: bool,
    /// Whether the billing address is asked for even where the payment does not need it.
    pub billing_address: bool,
    /// What is put on the session and on the subscription; the tenant.
    pub metadata: Metadata,
}

/// What a subscription begins with before its first payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckoutTrial {
    /// A trial until an instant in Unix seconds, at least 48 hours ahead.
    Until(i64),
    /// A trial of whole days, at least one, counted from when Checkout is completed.
    Days(u32),
}

/// A portal session to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewPortalSession {
    /// Whose.
    pub customer: String,
    /// Where the page leads back to.
    pub return_url: Option<String>,
    /// What the page offers, `bpc_…`; `None` = the account's default.
    pub configuration: Option<String>,
    /// The page's language; `None` = the browser's.
    pub locale: Option<String>,
}

/// What is to be changed of a subscription; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionChange {
    /// When its trial ends. It moves the day on which it is billed.
    pub trial_end: Option<TrialEnd>,
    /// Whether it ends with the running period.
    pub cancel_at_period_end: Option<bool>,
    /// Whether payments are collected.
    pub collection: Option<Collection>,
    /// What is put on it beside what is there.
    pub metadata: Metadata,
}

/// When a trial ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialEnd {
    /// At once; the first payment is made.
    Now,
    /// At an instant in Unix seconds, at most two years ahead.
    At(i64),
}

/// Whether payments are collected. Either way the subscription's status stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// They are.
    Resumed,
    /// They are not.
    Paused {
        /// What becomes of the invoices meanwhile.
        invoices: PausedInvoices,
        /// Until when, in Unix seconds; `None` = until they are resumed.
        resumes_at: Option<i64>,
    },
}

/// What becomes of invoices while payments are not collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PausedInvoices {
    /// They are void.
    Void,
}

impl PausedInvoices {
    /// The word in Stripe.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Void => "void",
        }
    }
}

/// How a subscription is ended at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cancellation {
    /// Why, for who looks at it in Stripe.
    pub comment: Option<String>,
}

/// What is to be changed of a webhook endpoint; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointChange {
    /// Whether it delivers.
    pub enabled: Option<bool>,
    /// Every event that it is to deliver, those that it delivers already too.
    pub enabled_events: Option<Vec<String>>,
}

/// Which subscriptions to read: ended ones too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionsQuery {
    /// Only this customer's.
    pub customer: Option<String>,
    /// Per page, 1 to 100; 100 without it.
    pub limit: Option<u8>,
    /// After this one, which is towards older ones.
    pub starting_after: Option<String>,
}

/// Which invoices to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InvoicesQuery {
    /// Only this subscription's.
    pub subscription: Option<String>,
    /// Only this customer's.
    pub customer: Option<String>,
    /// Only with this status, such as `paid`.
    pub status: Option<String>,
    /// Per page, 1 to 100; 100 without it.
    pub limit: Option<u8>,
    /// After this one, which is towards older ones.
    pub starting_after: Option<String>,
}

/// Which events to read. Stripe keeps them for 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventsQuery {
    /// Only of these types, at most 20; all where it is empty.
    pub types: Vec<String>,
    /// `false` = only those that some endpoint did not get.
    pub delivery_success: Option<bool>,
    /// Made at or after, in Unix seconds.
    pub created_gte: Option<i64>,
    /// Per page, 1 to 100; 100 without it.
    pub limit: Option<u8>,
    /// After this one, which is towards older ones.
    pub starting_after: Option<String>,
}

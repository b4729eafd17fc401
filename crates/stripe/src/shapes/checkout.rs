//! Stripe's own pages, and where it delivers what happens.

use serde::Deserialize;

use super::{Metadata, Reference};

/// A Checkout session: the page on which somebody subscribes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CheckoutSession {
    /// `cs_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// When it closes by itself, in Unix seconds.
    pub expires_at: Option<i64>,
    /// `open`, `complete` or `expired`.
    pub status: Option<String>,
    /// `paid`, `unpaid` or `no_payment_required`.
    pub payment_status: Option<String>,
    /// `subscription`, where it is ours.
    pub mode: Option<String>,
    /// Where the page is; gone once it is closed.
    pub url: Option<String>,
    /// Whose.
    pub customer: Option<Reference>,
    /// What came of it.
    pub subscription: Option<Reference>,
    /// Its first invoice.
    pub invoice: Option<Reference>,
    /// The tenant.
    pub client_reference_id: Option<String>,
    /// Whether it is real.
    pub livemode: Option<bool>,
    /// What was put on it.
    pub metadata: Option<Metadata>,
}

/// A session of the customer portal.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PortalSession {
    /// `bps_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Where the page is. It is open for a short while and belongs to this customer alone.
    pub url: Option<String>,
    /// Whose.
    pub customer: Option<Reference>,
    /// Whether it is real.
    pub livemode: Option<bool>,
}

/// Where Stripe delivers events.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WebhookEndpoint {
    /// `we_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Where.
    pub url: Option<String>,
    /// `enabled` or `disabled`.
    pub status: Option<String>,
    /// Which events; `*` stands for all.
    pub enabled_events: Option<Vec<String>>,
    /// The version that events are delivered in; `None` = the account's.
    pub api_version: Option<String>,
    /// Whether it is real.
    pub livemode: Option<bool>,
}

//! What is set of Stripe: where it is, the keys to it, and when it is asked by itself.

use std::time::Duration;

use paywall_domain::billing::StripeMode;
use paywall_stripe::webhook::WebhookSecret;
use paywall_stripe::{KeyKind, STRIPE_URL, StripeKey};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{ConfigError, Settings, secret};

/// The longest grace period, in days: longer than any series of retries.
const GRACE_MOST: u64 = 365;

/// How the server bills.
#[derive(Debug, Clone)]
pub struct StripeSettings {
    /// Where Stripe's API is.
    pub url: String,
    /// The key that it is asked with; it may write.
    pub key: StripeKey,
    /// Which half of the account the key belongs to.
    pub mode: StripeMode,
    /// The secrets of the webhook endpoint: several while one is rolled. Empty = webhooks are refused.
    pub webhook_secrets: Vec<WebhookSecret>,
    /// For how many days access stays although a payment is overdue.
    pub grace_days: u32,
    /// How often Stripe is asked for events that no webhook brought.
    pub poll_every: Duration,
    /// The hour of the day, in UTC, at which all subscriptions are compared.
    pub reconcile_hour: u32,
    /// What Checkout does beside taking a payment.
    pub checkout: CheckoutSettings,
}

/// What Checkout does beside taking a payment. Each has to be set up in Stripe first, so that none is on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckoutSettings {
    /// Stripe computes taxes.
    pub automatic_tax: bool,
    /// Codes for coupons are taken.
    pub promotion_codes: bool,
    /// A tax number is asked for.
    pub tax_ids: bool,
    /// The billing address is asked for even where the payment does not need it.
    pub billing_address: bool,
}

impl StripeSettings {
    /// For the API at `url`, with what is usual for the rest.
    ///
    /// # Errors
    /// Why such a key cannot be used there, or such a secret at all.
    pub fn new(url: &str, key: &str, webhook_secrets: &str) -> Result<Self, ConfigError> {
        let key = StripeKey::new(key);
        let mode = mode_of(&key)?;
        check_url(url, mode)?;
        Ok(Self {
            url: url.to_owned(),
            key,
            mode,
            webhook_secrets: secrets(webhook_secrets)?,
            grace_days: 14,
            poll_every: Duration::from_secs(3600),
            reconcile_hour: 3,
            checkout: CheckoutSettings::default(),
        })
    }
}

/// What the settings say of Stripe; `None` = nothing.
pub(super) fn read(
    settings: &mut Settings,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Option<StripeSettings>, ConfigError> {
    let url = variable("PAYWALL_STRIPE_URL").or(settings.stripe_url.take());
    let (value, file) = (settings.stripe_key.take(), settings.stripe_key_file.take());
    let key = secret(variable, "stripe_key", value, file)?;
    let (value, file) = (settings.stripe_webhook_secret.take(), settings.stripe_webhook_secret_file.take());
    let webhook_secret = secret(variable, "stripe_webhook_secret", value, file)?;
    let whole = |key: &'static str, set: Option<u64>, otherwise: u64, least: u64, most: u64| {
        let wrong = |found: &str| ConfigError::Value {
            key,
            reason: format!("{found:?} is not a whole number from {least} to {most}"),
        };
        let value = match variable(&format!("PAYWALL_{}", key.to_uppercase())) {
            Some(text) => text.parse().map_err(|_| wrong(&text))?,
            None => set.unwrap_or(otherwise),
        };
        if (least..=most).contains(&value) { Ok(value) } else { Err(wrong(&value.to_string())) }
    };
    let grace_days = whole("grace_days", settings.grace_days, 14, 0, GRACE_MOST)?;
    let poll = whole("stripe_poll_seconds", settings.stripe_poll_seconds, 3600, 10, 86_400)?;
    let hour = whole("stripe_reconcile_hour", settings.stripe_reconcile_hour, 3, 0, 23)?;
    let on = |key: &'static str, set: Option<bool>| match variable(&format!("PAYWALL_{}", key.to_uppercase())) {
        None => Ok(set.unwrap_or(false)),
        Some(word) => word
            .parse()
            .map_err(|_| ConfigError::Value { key, reason: format!("{word:?} is neither \"true\" nor \"false\"") }),
    };
    let checkout = CheckoutSettings {
        automatic_tax: on("checkout_automatic_tax", settings.checkout_automatic_tax)?,
        promotion_codes: on("checkout_promotion_codes", settings.checkout_promotion_codes)?,
        tax_ids: on("checkout_tax_ids", settings.checkout_tax_ids)?,
        billing_address: on("checkout_billing_address", settings.checkout_billing_address)?,
    };
    let Some(key) = key else {
        let alone = [("stripe_webhook_secret", webhook_secret.is_some()), ("stripe_url", url.is_some())];
        return match alone.into_iter().find(|(_, set)| *set) {
            Some((name, _)) => Err(ConfigError::Value {
                key: "stripe_key",
                reason: format!(
                    "it is missing, though {name} is set: without a key nothing can be asked of Stripe; set it, or \
                     take {name} away to serve without billing"
                ),
            }),
            None => Ok(None),
        };
    };
    let url = url.unwrap_or_else(|| STRIPE_URL.to_owned());
    let settings = StripeSettings::new(&url, &key, webhook_secret.as_deref().unwrap_or_default())?;
    Ok(Some(StripeSettings {
        grace_days: grace_days as u32,
        poll_every: Duration::from_secs(poll),
        reconcile_hour: hour as u32,
        checkout,
        ..settings
    }))
}

fn mode_of(key: &StripeKey) -> Result<StripeMode, ConfigError> {
    let wrong = |reason: &str| ConfigError::Value { key: "stripe_key", reason: reason.to_owned() };
    match key.kind() {
        KeyKind::Restricted | KeyKind::Secret => {}
        KeyKind::Publishable => {
            return Err(wrong(
                "this is a publishable key (pk_…), which can read nothing; take a restricted one (rk_…)",
            ));
        }
        KeyKind::Unknown => {
            return Err(wrong(
                "this is no key of Stripe's API, which begins with rk_live_, rk_test_, sk_live_ or sk_test_",
            ));
        }
    }
    key.live().map(StripeMode::of).ok_or_else(|| {
        wrong("the key does not say whether it is for live or for test mode; take one that begins with rk_live_ or rk_test_")
    })
}

/// A key that moves real money goes to no address where somebody could read along, or where a double answers.
fn check_url(text: &str, mode: StripeMode) -> Result<(), ConfigError> {
    let wrong = |reason: &str| Err(ConfigError::Value { key: "stripe_url", reason: reason.to_owned() });
    let Ok(url) = Url::parse(text) else { return wrong("it is not an address such as https://api.stripe.com") };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("it must not hold a password; the key is stripe_key's");
    }
    match (url.scheme(), mode) {
        ("https", _) if !loopback => Ok(()),
        ("http" | "https", StripeMode::Test) if loopback => Ok(()),
        ("http" | "https", StripeMode::Live) if loopback => wrong(
            "it leads to this machine, and the key is a live one; take a test key (rk_test_…) for a double of Stripe",
        ),
        ("http", _) => wrong("it must begin with https://: the key would be readable on its way"),
        _ => wrong("it must begin with https://"),
    }
}

fn secrets(list: &str) -> Result<Vec<WebhookSecret>, ConfigError> {
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    let one = |text: &str| {
        let wrong = |reason: &str| ConfigError::Value { key: "stripe_webhook_secret", reason: reason.to_owned() };
        if ["sk_", "rk_", "pk_"].iter().any(|key| text.trim().starts_with(key)) {
            return Err(wrong("this is an API key; the secret of a webhook endpoint begins with whsec_"));
        }
        WebhookSecret::new(text).map_err(|_| wrong("one of them is blank: with it anybody could sign"))
    };
    list.split(',').map(one).collect()
}

//! Payment methods, by Stripe's published test numbers.

use serde_json::{Value, json};

use super::state::{Fields, State};
use crate::ids::Kind;
use crate::render::empty_address;

/// A payment method and how it behaves. Those of the first group cannot even be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Card {
    /// Pays.
    Good,
    /// Refused without a reason.
    Declined,
    /// Refused for lack of money.
    InsufficientFunds,
    /// Refused since it has expired.
    Expired,
    /// Refused for good: it was reported lost.
    Lost,
    /// Can be saved; every payment with it is refused.
    FailsLater,
    /// Asks its holder each time, who is not there when a subscription renews.
    NeedsAuthentication,
    /// Pays; its holder disputes the payment at once.
    Disputed,
    /// A bank debit that settles days later.
    Debit,
    /// A bank debit that bounces days later.
    DebitThatBounces,
}

/// A refusal: Stripe's code and the bank's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) decline: Option<&'static str>,
    pub(crate) message: &'static str,
}

/// What a payment attempt comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Paid { disputed: bool },
    Refused(Refusal),
    ActionRequired,
    Processing { fails: bool },
}

const AUTHENTICATION: Refusal = Refusal {
    code: "authentication_required",
    decline: Some("authentication_required"),
    message: "Your card was declined. This transaction requires authentication.",
};
const BOUNCED: Refusal = Refusal {
    code: "payment_intent_payment_attempt_failed",
    decline: None,
    message: "The payment failed: the bank account could not be debited.",
};

impl Card {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Good,
        Self::Declined,
        Self::InsufficientFunds,
        Self::Expired,
        Self::Lost,
        Self::FailsLater,
        Self::NeedsAuthentication,
        Self::Disputed,
        Self::Debit,
        Self::DebitThatBounces,
    ];

    /// Stripe's test number of it.
    pub fn number(self) -> &'static str {
        match self {
            Self::Good => "4242424242424242",
            Self::Declined => "4000000000000002",
            Self::InsufficientFunds => "4000000000009995",
            Self::Expired => "4000000000000069",
            Self::Lost => "4000000000009987",
            Self::FailsLater => "4000000000000341",
            Self::NeedsAuthentication => "4000002760003184",
            Self::Disputed => "4000000000000259",
            Self::Debit => "AT611904300234573201",
            Self::DebitThatBounces => "AT861904300235473202",
        }
    }

    /// The one of that test number, spaces or not.
    pub fn of_number(number: &str) -> Option<Self> {
        let digits: String = number.split_whitespace().collect();
        Self::ALL.into_iter().find(|card| card.number() == digits)
    }

    pub(crate) fn is_debit(self) -> bool {
        matches!(self, Self::Debit | Self::DebitThatBounces)
    }

    pub(crate) fn kind(self) -> &'static str {
        if self.is_debit() { "sepa_debit" } else { "card" }
    }

    fn refusal(self) -> Option<Refusal> {
        let refused = |code, decline, message| Some(Refusal { code, decline, message });
        match self {
            Self::Declined | Self::FailsLater => {
                refused("card_declined", Some("generic_decline"), "Your card was declined.")
            }
            Self::InsufficientFunds => {
                refused("card_declined", Some("insufficient_funds"), "Your card has insufficient funds.")
            }
            Self::Expired => refused("expired_card", None, "Your card has expired."),
            Self::Lost => refused("card_declined", Some("lost_card"), "Your card was declined."),
            _ => None,
        }
    }

    /// Why it cannot be saved.
    pub(crate) fn refused_to_save(self) -> Option<Refusal> {
        self.refusal().filter(|_| self != Self::FailsLater)
    }

    /// What a payment comes to, with its holder at the screen or not.
    pub(crate) fn charge(self, holder_present: bool) -> Outcome {
        match self {
            Self::Debit => Outcome::Processing { fails: false },
            Self::DebitThatBounces => Outcome::Processing { fails: true },
            Self::NeedsAuthentication if !holder_present => Outcome::ActionRequired,
            _ => match self.refusal() {
                Some(refusal) => Outcome::Refused(refusal),
                None => Outcome::Paid { disputed: self == Self::Disputed },
            },
        }
    }

    fn last4(self) -> &'static str {
        &self.number()[self.number().len() - 4..]
    }

    /// What a charge says of it.
    pub(crate) fn details(self) -> Value {
        if self.is_debit() {
            return json!({
                "sepa_debit": {"bank_code": "19043", "branch_code": "", "country": "AT", "fingerprint": null, "last4": self.last4(), "mandate": null},
                "type": "sepa_debit",
            });
        }
        json!({
            "card": {
                "amount_authorized": null, "authorization_code": null, "brand": "visa",
                "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"},
                "country": "US", "exp_month": if self == Self::Expired { 1 } else { 8 },
                "exp_year": if self == Self::Expired { 2024 } else { 2030 }, "funding": "credit", "last4": self.last4(), "network": "visa",
            },
            "type": "card",
        })
    }
}

impl Refusal {
    pub(crate) fn authentication() -> Self {
        AUTHENTICATION
    }

    pub(crate) fn bounced() -> Self {
        BOUNCED
    }

    /// Whether the bank will never take it: Stripe does not try again without another payment method.
    pub(crate) fn is_hard(&self) -> bool {
        matches!(self.decline, Some("lost_card" | "stolen_card" | "pickup_card" | "authentication_required"))
    }
}

impl State {
    /// Saves a payment method to a customer.
    pub(crate) fn attach(&mut self, customer: &str, card: Card) -> String {
        let id = self.new_id(Kind::PaymentMethod);
        let mut details = card.details();
        if let Some(fields) = details["card"].as_object_mut() {
            for inner in ["amount_authorized", "authorization_code", "network"] {
                fields.remove(inner);
            }
        }
        let holder = self.known(Kind::Customer, customer);
        let mut method = json!({
            "id": id, "object": "payment_method", "allow_redisplay": "always",
            "billing_details": {"address": empty_address(), "email": holder["email"], "name": holder["name"], "phone": null, "tax_id": null},
            "created": self.now, "customer": customer, "customer_account": null, "livemode": false, "metadata": {}, "type": card.kind(),
        });
        method[card.kind()] = details[card.kind()].take();
        self.cards.insert(id.clone(), card);
        self.insert(Kind::PaymentMethod, method, Some("payment_method.attached"))
    }

    /// What a subscription is paid with, by Stripe's order: its own, then the customer's.
    pub(crate) fn method_of(&self, subscription: &Value) -> Option<String> {
        subscription.maybe("default_payment_method").or_else(|| {
            let customer = self.get(Kind::Customer, subscription.text("customer"))?;
            customer.maybe("invoice_settings/default_payment_method")
        })
    }

    /// Makes everything that a customer pays with behave like `card`.
    pub(crate) fn spoil(&mut self, customer: &str, card: Card) -> bool {
        let methods: Vec<String> =
            self.table(Kind::PaymentMethod).filter(|it| it.is("customer", customer)).map(Fields::id).collect();
        for method in &methods {
            self.cards.insert(method.clone(), card);
        }
        !methods.is_empty()
    }
}

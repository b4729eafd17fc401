//! Why a figure cannot be given.

/// Why facts cannot be read or a figure cannot be given. The figure is then unknown, never zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevenueError {
    /// A field that the rules need is absent or null.
    #[error("{path} is missing")]
    Missing {
        /// The field's path in the Stripe object, such as `items.data[0].price.currency`.
        path: String,
    },
    /// A field is there but is not what Stripe documents.
    #[error("{path} cannot be read: {problem}")]
    Unreadable {
        /// The field's path in the Stripe object.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Stripe gave an id where the object itself is needed. Expand it, or let the catalog find it.
    #[error("{path} is the id {id}, not the object: expand it")]
    NotExpanded {
        /// The field's path in the Stripe object.
        path: String,
        /// The id found there.
        id: String,
    },
    /// The list of items goes on after the first page.
    #[error("items has more pages: read them all first")]
    ItemsIncomplete,
    /// An invoice's list of lines goes on after the first page.
    #[error("lines has more pages: read them all first")]
    LinesIncomplete,
    /// A price has tiers that neither it nor the catalog carries.
    #[error("the tiers of price {price} are not known: read the price with its tiers expanded")]
    TiersMissing {
        /// The price's id.
        price: String,
    },
    /// The tiers end below the quantity.
    #[error("the tiers of price {price} do not reach the quantity {quantity}")]
    TiersTooShort {
        /// The price's id.
        price: String,
        /// The quantity.
        quantity: i64,
    },
    /// A price bills per unit but has no unit amount.
    #[error("price {price} has no unit amount")]
    UnitAmountMissing {
        /// The price's id.
        price: String,
    },
    /// A licensed item has no quantity.
    #[error("an item of price {price} has no quantity")]
    QuantityMissing {
        /// The price's id.
        price: String,
    },
    /// An amount, a quantity, an interval count or a divisor is below what Stripe allows.
    #[error("{what} of price {price} is out of range")]
    OutOfRange {
        /// The price's id.
        price: String,
        /// Which of them.
        what: &'static str,
    },
    /// An item is priced in another currency than its subscription. Currencies are never added.
    #[error("price {price} is in {found}, its subscription in {expected}")]
    MixedCurrencies {
        /// The price's id.
        price: String,
        /// The subscription's currency.
        expected: String,
        /// The price's currency.
        found: String,
    },
    /// The figure does not fit 64 bits of 1/10,000 of the minor unit.
    #[error("the amount is too large")]
    TooLarge,
}

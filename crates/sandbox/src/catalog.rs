//! What the fictional company sells: plans of the paywall, and the Stripe products and prices behind.

use std::collections::BTreeMap;

use paywall_domain::{Limit, Meter, Plan, PlanId};

use crate::ids::{CATALOG, Ids, Kind};

/// A currency that customers of the sample world pay in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Currency {
    Usd,
    Eur,
    Gbp,
    Jpy,
    Kwd,
}

impl Currency {
    pub(crate) const ALL: [Self; 5] = [Self::Usd, Self::Eur, Self::Gbp, Self::Jpy, Self::Kwd];

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Eur => "eur",
            Self::Gbp => "gbp",
            Self::Jpy => "jpy",
            Self::Kwd => "kwd",
        }
    }

    pub(crate) fn country(self) -> &'static str {
        match self {
            Self::Usd => "US",
            Self::Eur => "DE",
            Self::Gbp => "GB",
            Self::Jpy => "JP",
            Self::Kwd => "KW",
        }
    }

    /// Rounds to an amount that can be charged: three-decimal currencies end in 0.
    pub(crate) fn chargeable(self, amount: i64) -> i64 {
        if self == Self::Kwd { amount.div_euclid(10) * 10 } else { amount }
    }
}

/// What a product is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Starter,
    Pro,
    Team,
    Addon(usize),
}

/// Extras sold beside a plan, monthly, in US dollars: name and cents.
const ADDONS: [(&str, i64); 12] = [
    ("Extra storage 10 GB", 500),
    ("Extra storage 100 GB", 3_500),
    ("Extra dataset pack", 900),
    ("Single sign-on", 4_900),
    ("Audit log export", 1_900),
    ("Priority parsing", 2_900),
    ("Table recognition", 1_400),
    ("Scanned pages", 1_200),
    ("Second region", 5_900),
    ("Nightly backups", 800),
    ("Sandbox workspace", 1_500),
    ("Priority support", 9_900),
];

impl Product {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [Self::Starter, Self::Pro, Self::Team].into_iter().chain((0..ADDONS.len()).map(Self::Addon))
    }

    pub(crate) fn ordinal(self) -> u16 {
        match self {
            Self::Starter => 0,
            Self::Pro => 1,
            Self::Team => 2,
            Self::Addon(which) => 3 + which as u16,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Starter => "Starter",
            Self::Pro => "Pro",
            Self::Team => "Team",
            Self::Addon(which) => ADDONS[which].0,
        }
    }

    /// The paywall's plan that it buys.
    pub(crate) fn plan(self) -> Option<&'static str> {
        match self {
            Self::Starter => Some("starter"),
            Self::Pro => Some("pro"),
            Self::Team => Some("team"),
            Self::Addon(_) => None,
        }
    }
}

/// How often a price renews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interval {
    Month,
    Year,
}

impl Interval {
    pub(crate) fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// A Stripe price.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Price {
    pub(crate) product: Product,
    pub(crate) currency: Currency,
    pub(crate) interval: Interval,
    /// Minor units per unit and interval.
    pub(crate) unit_amount: i64,
    /// Whether it is still sold.
    pub(crate) active: bool,
}

/// Every price, in the order of its ordinal.
pub(crate) fn prices() -> Vec<Price> {
    let mut prices = Vec::new();
    for product in [Product::Starter, Product::Pro, Product::Team] {
        for currency in Currency::ALL {
            let monthly = monthly_amount(product, currency);
            for (interval, unit_amount) in [(Interval::Month, monthly), (Interval::Year, monthly * 10)] {
                prices.push(Price { product, currency, interval, unit_amount, active: true });
            }
        }
    }
    // What Pro cost before it was raised; customers of then keep it.
    prices.push(Price {
        product: Product::Pro,
        currency: Currency::Usd,
        interval: Interval::Month,
        unit_amount: 4_900,
        active: false,
    });
    prices.extend(ADDONS.iter().enumerate().map(|(which, (_, unit_amount))| Price {
        product: Product::Addon(which),
        currency: Currency::Usd,
        interval: Interval::Month,
        unit_amount: *unit_amount,
        active: true,
    }));
    prices
}

/// The ordinal of Pro's former price.
pub(crate) const FORMER_PRO: u16 = 30;
/// The ordinal of the first extra's price.
pub(crate) const FIRST_ADDON: u16 = 31;
/// How many extras there are.
pub(crate) const ADDON_COUNT: u16 = ADDONS.len() as u16;

/// The ordinal of a plan's price as sold now.
pub(crate) fn price_of(product: Product, currency: Currency, interval: Interval) -> u16 {
    product.ordinal() * 10 + currency as u16 * 2 + interval as u16
}

fn monthly_amount(product: Product, currency: Currency) -> i64 {
    let table = match product {
        Product::Starter => [1_900, 1_900, 1_700, 2_900, 6_000],
        Product::Pro => [7_900, 7_500, 6_900, 12_000, 24_500],
        Product::Team => [2_900, 2_700, 2_500, 4_400, 9_000],
        Product::Addon(which) => return ADDONS[which].1,
    };
    table[currency as usize]
}

/// A coupon: percent in hundredths, or an amount in US cents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coupon {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) percent: Option<i64>,
    pub(crate) amount: Option<i64>,
    /// `None` = forever; else so many months.
    pub(crate) months: Option<u32>,
}

pub(crate) const COUPONS: [Coupon; 4] = [
    Coupon { id: "PARTNER20", name: "Partner 20%", percent: Some(20), amount: None, months: None },
    Coupon { id: "SPRING50", name: "Spring 50%, three months", percent: Some(50), amount: None, months: Some(3) },
    Coupon { id: "NONPROFIT30", name: "Non-profit 30%", percent: Some(30), amount: None, months: None },
    Coupon { id: "LOYAL10", name: "Ten dollars off, a year", percent: None, amount: Some(1_000), months: Some(12) },
];

const GIB: i64 = 1 << 30;

/// The paywall's plans.
pub(crate) fn plans(ids: &Ids) -> Vec<Plan> {
    let prices = prices();
    let of = |plan: &str| -> Vec<String> {
        prices
            .iter()
            .enumerate()
            .filter(|(_, price)| price.product.plan() == Some(plan))
            .map(|(ordinal, _)| ids.id(Kind::Price, CATALOG, ordinal as u16))
            .collect()
    };
    // Messages, tokens, API requests, documents, storage, datasets, seats.
    let rows: [(&str, &str, [Option<i64>; 7]); 6] = [
        ("trial", "Trial", [Some(500), Some(1_000_000), Some(1_000), Some(500), Some(GIB), Some(5), Some(5)]),
        (
            "starter",
            "Starter",
            [Some(2_000), Some(5_000_000), Some(5_000), Some(2_000), Some(5 * GIB), Some(10), Some(5)],
        ),
        (
            "pro",
            "Pro",
            [Some(10_000), Some(30_000_000), Some(50_000), Some(20_000), Some(50 * GIB), Some(100), Some(20)],
        ),
        (
            "team",
            "Team",
            [Some(50_000), Some(150_000_000), Some(250_000), Some(100_000), Some(500 * GIB), None, Some(400)],
        ),
        ("enterprise", "Enterprise", [None, None, None, None, None, None, None]),
        ("archive", "Archive", [Some(0), Some(0), Some(0), Some(20_000), Some(50 * GIB), Some(100), Some(5)]),
    ];
    rows.into_iter()
        .map(|(id, name, limits)| Plan {
            id: PlanId::from(id),
            name: name.to_owned(),
            limits: Meter::ALL
                .into_iter()
                .zip(limits)
                .map(|(meter, it)| (meter, Limit::from(it)))
                .collect::<BTreeMap<_, _>>(),
            stripe_prices: of(id),
            trial_days: 14,
        })
        .collect()
}

//! Generated subscriptions and tenants. Instants are whole days and few, so that "exactly at the end"
//! comes up often.

use std::collections::BTreeMap;

use paywall_domain::billing::{
    BilledSubscription, BillingPolicy, CollectionPause, Grace, Interval, Invoice, InvoiceState, Item, PaymentFailure,
    PaywallSide, PriceBook, StatusWord, StripeMode, StripePause, StripeSubscription,
};
use paywall_domain::{
    Comp, DAY_MS, Plan, PlanId, Subscription, SubscriptionStatus, Suspension, TenantFacts, TenantId, Timestamp, Trial,
};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;

pub fn day(n: i64) -> Timestamp {
    Timestamp(n * DAY_MS)
}

pub fn days() -> impl Strategy<Value = Timestamp> {
    (0_i64..40).prop_map(day)
}

pub fn tenant(n: u8) -> TenantId {
    TenantId::parse(&format!("{n:032x}")).unwrap()
}

pub fn plan(id: &str, prices: &[&str]) -> Plan {
    Plan {
        id: id.into(),
        name: id.into(),
        limits: BTreeMap::new(),
        stripe_prices: prices.iter().map(ToString::to_string).collect(),
        trial_days: 14,
    }
}

/// `price_month` and `price_year` sell pro, `price_team` sells team; anything else sells nothing.
pub fn policy() -> BillingPolicy {
    let plans = [plan("pro", &["price_month", "price_year"]), plan("team", &["price_team"]), plan("free", &[])];
    BillingPolicy { mode: StripeMode::Test, grace: Grace::days(7), prices: PriceBook::of(&plans) }
}

/// A subscription in good order: paid monthly, to the end of day 30.
pub fn paid(id: &str) -> StripeSubscription {
    StripeSubscription {
        id: id.into(),
        customer: "cus_1".into(),
        livemode: false,
        status: StatusWord::Known(SubscriptionStatus::Active),
        created: day(0),
        tenant: Some(tenant(1)),
        currency: "usd".into(),
        items: vec![item("price_month", 1)],
        trial_end: None,
        cancel_at_period_end: false,
        cancel_at: None,
        canceled_at: None,
        ended_at: None,
        pause: None,
        collection_pause: None,
        latest_invoice: None,
        open_invoices: vec![],
        disputed_since: None,
        refunded_at: None,
        mrr: None,
    }
}

pub fn with(status: SubscriptionStatus) -> StripeSubscription {
    StripeSubscription { status: StatusWord::Known(status), ..paid("sub_1") }
}

pub fn item(price: &str, quantity: i64) -> Item {
    Item {
        price: price.into(),
        quantity: Some(quantity),
        unit_amount: Some(4900),
        interval: Some(Interval::Month),
        interval_count: Some(1),
        current_period_start: None,
        current_period_end: Some(day(30)),
    }
}

/// An open invoice, final since `since`.
pub fn owed(id: &str, since: Timestamp) -> Invoice {
    Invoice {
        id: id.into(),
        state: InvoiceState::Open,
        created: since.plus_ms(-3_600_000),
        finalized_at: Some(since),
        due_at: None,
        amount_remaining: Some(4900),
        attempts: 1,
        last_attempt_at: Some(since),
        next_attempt_at: None,
        action_required: false,
        failure: None,
    }
}

pub fn facts() -> TenantFacts {
    TenantFacts {
        plan: "pro".into(),
        trial: None,
        comp: None,
        suspension: None,
        subscription: None,
        overrides: BTreeMap::new(),
    }
}

pub fn trial(ends_at: Timestamp) -> Trial {
    Trial { started_at: day(0), ends_at, extensions: 0, extended_ms: 0 }
}

pub fn side(facts: TenantFacts) -> PaywallSide {
    PaywallSide { tenant: tenant(1), deleted_at: None, customer: Some("cus_1".into()), facts, billed: None }
}

fn words() -> impl Strategy<Value = StatusWord> {
    prop_oneof![
        20 => select(SubscriptionStatus::ALL.to_vec()).prop_map(StatusWord::Known),
        10 => Just(StatusWord::Known(SubscriptionStatus::Active)),
        1 => Just(StatusWord::Other("hibernating".into())),
    ]
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let prices = select(vec!["price_month", "price_year", "price_team", "price_other"]);
    let one = (prices, 1_i64..4, of(days()), of(days())).prop_map(|(price, quantity, start, end)| Item {
        current_period_start: start,
        current_period_end: end,
        ..item(price, quantity)
    });
    vec(one, 0..3)
}

fn invoices() -> impl Strategy<Value = Invoice> {
    let states = select(vec![
        InvoiceState::Draft,
        InvoiceState::Open,
        InvoiceState::Open,
        InvoiceState::Paid,
        InvoiceState::Uncollectible,
        InvoiceState::Void,
        InvoiceState::Other,
    ]);
    let failure = select(vec!["card_declined", "expired_card", "authentication_required"])
        .prop_map(|code| PaymentFailure { code: code.into(), decline_code: None });
    (states, days(), of(days()), weighted(0.2, days()), of(days()), any::<bool>(), of(failure), 0_u32..9).prop_map(
        |(state, created, finalized_at, due_at, last_attempt_at, action_required, failure, n)| Invoice {
            state,
            created,
            finalized_at,
            due_at,
            last_attempt_at,
            action_required,
            failure,
            ..owed(&format!("in_{n}"), created)
        },
    )
}

fn one() -> impl Strategy<Value = StripeSubscription> {
    let what = (words(), weighted(0.9, select(vec![1_u8, 1, 1, 2])), weighted(0.1, Just(())), items());
    let ends =
        (weighted(0.2, Just(())), weighted(0.2, days()), weighted(0.3, days()), of(days()), of(days()), of(days()));
    let hangs = (
        of(invoices()),
        vec(invoices(), 0..3),
        weighted(0.1, days()),
        weighted(0.1, days()),
        weighted(0.1, (Just("void"), of(days()), weighted(0.5, Just(())))),
        of(select(vec!["trial_end_without_payment_method", "pause_requested"])),
    );
    let whose = (select(vec!["cus_1", "cus_1", "cus_2"]), select(vec!["usd", "eur"]), days());
    (what, ends, hangs, whose).prop_map(
        |(
            (status, owner, live, items),
            (at_end, cancel_at, canceled_at, ended_at, trial_end, since),
            (latest_invoice, open_invoices, disputed_since, refunded_at, behavior, reason),
            (customer, currency, created),
        )| StripeSubscription {
            customer: customer.into(),
            livemode: live.is_some(),
            status,
            created,
            tenant: owner.map(tenant),
            currency: currency.into(),
            items,
            trial_end,
            cancel_at_period_end: at_end.is_some(),
            cancel_at,
            canceled_at,
            ended_at,
            pause: reason.map(|it| StripePause { since, resumes_at: None, reason: Some(it.into()) }),
            collection_pause: behavior.map(|(word, resumes_at, ours)| CollectionPause {
                behavior: word.into(),
                resumes_at,
                by_comp: ours.is_some(),
            }),
            latest_invoice,
            open_invoices,
            disputed_since,
            refunded_at,
            ..paid("sub_0")
        },
    )
}

pub fn subscription() -> impl Strategy<Value = StripeSubscription> {
    one()
}

/// A tenant's subscriptions, each with an id of its own.
pub fn subscriptions() -> impl Strategy<Value = Vec<StripeSubscription>> {
    vec(one(), 0..5).prop_map(|list| {
        list.into_iter().enumerate().map(|(n, it)| StripeSubscription { id: format!("sub_{n}"), ..it }).collect()
    })
}

pub fn sides() -> impl Strategy<Value = PaywallSide> {
    let recorded = (0_u8..6, select(SubscriptionStatus::ALL.to_vec()), of(days()), of(days()), any::<bool>()).prop_map(
        |(n, status, overdue_since, ended_at, cancel_at_period_end)| Subscription {
            id: format!("sub_{n}"),
            status,
            current_period_end: Some(day(30)),
            overdue_since,
            grace_ends_at: overdue_since.map(|it| it.plus_days(7)),
            ended_at,
            cancel_at_period_end,
        },
    );
    let billed =
        (0_u8..6, select(vec!["usd", "eur"]), 1_i64..3, of(days())).prop_map(|(n, currency, quantity, trial_end)| {
            BilledSubscription {
                id: format!("sub_{n}"),
                currency: currency.into(),
                prices: vec!["price_month".into()],
                quantity,
                trial_end,
            }
        });
    let comp = of(days()).prop_map(|until| Comp { plan: PlanId::from("team"), since: day(0), until });
    let suspension =
        days().prop_map(|since| Suspension { since, by: "ada".into(), reason: "abuse".into(), message: None });
    let staff = (of(days()), weighted(0.2, comp), weighted(0.1, suspension), weighted(0.05, days()));
    let plans = select(vec!["pro", "team", "free"]);
    (staff, of(recorded), of(billed), of(select(vec!["cus_1", "cus_2"])), plans).prop_map(
        |((trial_end, comp, suspension, deleted_at), subscription, billed, customer, plan)| PaywallSide {
            deleted_at,
            customer: customer.map(Into::into),
            billed,
            ..side(TenantFacts {
                plan: plan.into(),
                trial: trial_end.map(trial),
                comp,
                suspension,
                subscription,
                overrides: BTreeMap::new(),
            })
        },
    )
}

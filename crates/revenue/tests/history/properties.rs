//! What holds for every history.

use std::collections::{BTreeMap, BTreeSet};

use paywall_revenue::{Cell, Fact, Figures, Ledger, Lens, Movement, MovementKind, Period, Totals, Window};
use proptest::prelude::*;

use crate::oracle::{self, Row};
use crate::random::{BEGIN, DAYS, HOUR, books, cases, instants, policies, zones};

fn lenses() -> impl Strategy<Value = Lens> {
    let until = prop_oneof![3 => Just(BEGIN + 3 * DAYS * 24 * HOUR), 1 => instants()];
    (policies(), zones(), until).prop_map(|(policy, zone, until)| Lens { policy, zone, until })
}

fn fed(facts: &[Fact], lens: &Lens) -> Ledger {
    let mut ledger = Ledger::new();
    ledger.extend(facts.iter().cloned());
    ledger.refresh(lens);
    ledger
}

fn rows(ledger: &Ledger) -> BTreeSet<Row> {
    let row = |it: &Movement| (it.customer.to_string(), it.currency.to_string(), it.day, it.kind, it.amount_10k);
    ledger.movements().map(row).collect()
}

fn whole(lens: &Lens) -> Window {
    Window { from: lens.zone.day_of(BEGIN), to: lens.zone.day_of(lens.until).plus(1) }
}

/// All that a ledger shows: movements, and the figures of the whole time and of each month.
fn shown(ledger: &Ledger, lens: &Lens) -> (Vec<Movement>, Vec<Figures>) {
    let mut figures = ledger.figures(whole(lens)).unwrap();
    for month in whole(lens).by(Period::Month) {
        figures.extend(ledger.figures(month).unwrap());
    }
    (ledger.movements().cloned().collect(), figures)
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn the_movements_are_those_of_the_slow_computation(facts in books(1), lens in lenses()) {
        let ledger = fed(&facts, &lens);
        prop_assert_eq!(ledger.faults().count(), 0);
        prop_assert_eq!(rows(&ledger), oracle::movements(&facts, &lens, oracle::days(&lens)));
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn movements_add_up_per_currency_and_month_and_agree_with_the_subscriptions(facts in books(4), lens in lenses()) {
        let ledger = fed(&facts, &lens);
        let mut levels: BTreeMap<String, i64> = BTreeMap::new();
        for month in whole(&lens).by(Period::Month) {
            for figures in ledger.figures(month).unwrap() {
                let moved: i64 = figures.moved.iter().map(|it| it.amount_10k).sum();
                let level = levels.entry(figures.currency.clone()).or_default();
                prop_assert_eq!(figures.start_10k, *level);
                prop_assert_eq!(figures.start_10k + moved, figures.end_10k);
                prop_assert_eq!(figures.net_10k, moved);
                prop_assert!(figures.end_10k >= 0 && figures.customers_end >= 0);
                *level = figures.end_10k;
            }
        }
        for (currency, headline) in ledger.headline().unwrap() {
            prop_assert_eq!(headline.difference_10k(), 0, "{}", &currency);
            prop_assert_eq!(headline.movements_10k, levels.get(&*currency).copied().unwrap_or(0));
        }
    }

    #[test]
    fn a_customer_never_pays_less_than_nothing(facts in books(3), lens in lenses()) {
        let ledger = fed(&facts, &lens);
        for customer in ledger.customers() {
            let mut levels: BTreeMap<&str, (i64, i8)> = BTreeMap::new();
            for movement in ledger.movements_of(customer) {
                let (level, paying) = levels.entry(&movement.currency).or_default();
                *level += movement.amount_10k;
                *paying += movement.paying;
                prop_assert!(*level >= 0 && movement.amount_10k != 0);
                prop_assert_eq!(*paying == 1, *level > 0);
            }
        }
    }

    #[test]
    fn order_repetition_and_pages_change_nothing(
        facts in books(4),
        lens in lenses(),
        order in any::<u64>(),
        page in 1_usize..9,
        earlier in instants(),
    ) {
        let once = fed(&facts, &lens);
        let mut again: Vec<Fact> = facts.iter().chain(&facts).cloned().collect();
        let mut state = order | 1;
        for at in (1..again.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            again.swap(at, (state >> 33) as usize % (at + 1));
        }
        let mut paged = Ledger::new();
        let before = Lens { until: earlier.min(lens.until), ..lens.clone() };
        for facts in again.chunks(page) {
            paged.extend(facts.iter().cloned());
            paged.refresh(&before);
        }
        paged.refresh(&lens);
        prop_assert_eq!(shown(&paged, &lens), shown(&once, &lens));
        prop_assert_eq!(paged.totals(), once.totals());
        let kept: Totals = Totals::from_parts(
            once.totals().days().map(|(currency, day, total)| (currency, day, *total)),
            once.totals().objects().map(|(currency, objects)| (currency, *objects)),
        );
        prop_assert_eq!(kept.figures(whole(&lens), lens.policy.churn_base), once.figures(whole(&lens)));
        for fact in &facts {
            // Two copies of an invoice read at once are settled by their content; the loser stays unknown.
            let told = paged.put(fact.clone());
            prop_assert!(!told, "{:?}", fact);
        }
        prop_assert!(paged.refresh(&lens).is_empty());
    }

    #[test]
    fn each_cell_is_the_sum_of_the_customers_behind_it(facts in books(5), lens in lenses(), limit in 1_usize..4) {
        let ledger = fed(&facts, &lens);
        for window in whole(&lens).by(Period::Month).into_iter().chain([whole(&lens)]) {
            for figures in ledger.figures(window).unwrap() {
                let mut cells = vec![
                    (Cell::Start, figures.start_10k),
                    (Cell::End, figures.end_10k),
                    (Cell::Net, figures.net_10k),
                ];
                cells.extend(MovementKind::ALL.map(|kind| (Cell::Moved(kind), figures.moved[kind.index()].amount_10k)));
                for (cell, expected) in cells {
                    let (mut sum, mut count, mut after) = (0, 0, None::<String>);
                    loop {
                        let page = ledger.customers_of(&figures.currency, window, cell, after.as_deref(), limit).unwrap();
                        sum += page.iter().map(|row| row.1).sum::<i64>();
                        count += page.len() as i64;
                        let Some(last) = page.last() else { break };
                        prop_assert!(after.as_deref() < Some(&*last.0));
                        after = Some(last.0.to_string());
                    }
                    prop_assert_eq!(sum, expected, "{:?}", cell);
                    match cell {
                        Cell::Start => prop_assert_eq!(count, figures.customers_start),
                        Cell::End => prop_assert_eq!(count, figures.customers_end),
                        _ => {}
                    }
                }
            }
        }
    }
}

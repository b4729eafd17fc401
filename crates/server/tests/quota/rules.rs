//! The store's rule for one allotment.

use paywall_server::quota::{Books, Claim, HolderId, Lease, SPARE_SHARE};
use proptest::prelude::*;

fn holder(name: u8) -> HolderId {
    HolderId(name.to_string())
}

fn claim(revision: i64, hold: i64, need: i64, ahead: i64, limit: i64) -> Claim {
    Claim { revision, known: false, hold, need, wish: need + ahead, limit }
}

#[test]
fn the_last_units_are_given_out_one_by_one_and_then_none() {
    let mut books = Books { counted: 998, ..Books::default() };
    let first = books.answer(&holder(1), &claim(1, 0, 1, 5, 1_000));
    assert_eq!((first.covered, first.left, first.held), (1, 1, 0));
    let second = books.answer(&holder(2), &claim(1, 0, 3, 5, 1_000));
    assert_eq!((second.covered, second.left, second.held, second.used), (1, 0, 0, 1_000));
    let third = books.answer(&holder(3), &claim(1, 0, 1, 0, 1_000));
    assert_eq!((third.covered, third.left, third.held), (0, 0, 0));
}

#[test]
fn far_from_the_limit_more_than_needed_is_given_and_asked_back_when_it_lacks() {
    let limit = 10 * SPARE_SHARE;
    let mut books = Books::default();
    let first = books.answer(&holder(1), &claim(1, 0, 1, 100, limit));
    assert_eq!(first.covered, 10);
    books.counted = limit - 10;
    let second = books.answer(&holder(2), &claim(1, 0, 1, 100, limit));
    assert_eq!((second.covered, second.held), (0, 9));
    assert!(books.leases[&holder(1)].wanted);
    let back = books.answer(&holder(1), &claim(2, 1, 1, 0, limit));
    assert_eq!(back.covered, 1);
    assert!(!books.leases[&holder(1)].wanted);
    assert_eq!(books.answer(&holder(2), &claim(2, 0, 1, 0, limit)).covered, 1);
}

#[test]
fn a_claim_that_comes_late_and_one_of_a_lease_written_off_change_nothing() {
    let mut books = Books::default();
    books.answer(&holder(1), &claim(2, 0, 5, 0, 100));
    books.answer(&holder(1), &claim(1, 0, 90, 0, 100));
    assert_eq!(books.used(), 5);
    books.leases.clear();
    books.counted = 5;
    let lost = books.answer(&holder(1), &Claim { known: true, ..claim(3, 5, 6, 0, 100) });
    assert!(lost.lost);
    assert_eq!(books, Books { counted: 5, ..Books::default() });
}

proptest! {
    #[test]
    fn nothing_grows_beyond_the_limit(
        counted in 0_i64..2_000,
        limit in 0_i64..4_000,
        leases in prop::collection::btree_map(0_u8..5, (0_i64..500, 0_i64..100), 0..5),
        need in 0_i64..3_000,
        ahead in 0_i64..100,
        in_use_share in 0.0_f64..1.0,
    ) {
        let leases = leases.into_iter().map(|(name, (covered, spare))| {
            let spare = spare.min(covered);
            (holder(name), Lease { revision: 1, covered, spare, wanted: false, alive: true })
        });
        let mut books = Books { counted, leases: leases.collect() };
        let before = books.used();
        let own = books.leases.get(&holder(0)).map_or(0, |it| it.covered);
        let hold = (own as f64 * in_use_share) as i64;
        let need = need.max(hold);
        let grant = books.answer(&holder(0), &claim(2, hold, need, ahead, limit));
        prop_assert!(books.used() <= limit.max(before));
        prop_assert!(grant.covered >= hold);
        prop_assert_eq!(grant.used, books.used());
        prop_assert_eq!(grant.left, (limit - books.used()).max(0));
        // All that is needed is given where it is there.
        prop_assert!(grant.covered >= need || books.used() >= limit);
    }
}

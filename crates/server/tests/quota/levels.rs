//! Levels between two measurements.

use paywall_domain::{Limit, Meter};
use paywall_server::quota::{Level, Levels};

use crate::parts::{NOW, tenant};

const FIVE: Limit = Limit::AtMost(5);

fn level(value: i64, later: i64) -> Level {
    Level { value, measured_at: NOW.plus_ms(later) }
}

#[test]
fn what_runs_and_what_ended_since_the_measurement_is_added() {
    let levels = Levels::default();
    let reserve = |amount, level: Level| levels.reserve(&tenant(1), Meter::Documents, amount, FIVE, level);
    let first = reserve(3, level(1, 0)).unwrap();
    let full = reserve(2, level(1, 0)).unwrap_err();
    assert_eq!((full.used, full.limit, full.resets_at), (4, 5, None));
    // Two came of three.
    first.settle(2, NOW.plus_ms(10));
    drop(reserve(2, level(1, 0)).unwrap());
    assert!(reserve(3, level(1, 0)).is_err());
    // A measurement that began before the end may not hold them yet, one that began later does.
    assert!(reserve(3, level(1, 10)).is_err());
    assert!(reserve(3, level(3, 11)).is_err());
    drop(reserve(2, level(3, 11)).unwrap());
    // Somebody made room.
    drop(reserve(5, level(0, 12)).unwrap());
}

#[test]
fn the_unknown_and_the_unlimited_block_nothing() {
    let levels = Levels::default();
    let held = levels.reserve(&tenant(1), Meter::Datasets, 9, FIVE, None).unwrap();
    assert!(levels.reserve(&tenant(1), Meter::Datasets, 1, FIVE, level(0, 0)).is_err());
    drop(levels.reserve(&tenant(1), Meter::Datasets, 1, Limit::Unlimited, level(9, 0)).unwrap());
    drop(levels.reserve(&tenant(2), Meter::Datasets, 5, FIVE, level(0, 0)).unwrap());
    drop(held);
    drop(levels.reserve(&tenant(1), Meter::Datasets, 5, FIVE, level(0, 0)).unwrap());
}

#[test]
fn nothing_fits_at_the_limit() {
    let levels = Levels::default();
    // The size of an upload may be unknown: it is refused where nothing is left.
    assert!(levels.reserve(&tenant(1), Meter::StorageBytes, 0, FIVE, level(5, 0)).is_err());
    assert!(levels.reserve(&tenant(1), Meter::StorageBytes, 0, FIVE, level(4, 0)).is_ok());
}

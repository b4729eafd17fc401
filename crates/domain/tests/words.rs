//! The words on the wire and in storage. Others script against them: they are added, never renamed.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code, missing_docs)]

mod facts;

use paywall_domain::{AccessLevel, ChangeKind, DenyCode, Meter, MeterKind, Operation, Role, Status, TenantId};
use serde::Serialize;

fn words<T: Serialize>(all: &[T]) -> String {
    all.iter().map(|it| serde_json::to_value(it).unwrap().as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_word_is_the_one_that_others_know() {
    assert_eq!(words(&Status::ALL), "trial active past_due expired suspended");
    assert_eq!(words(&Meter::ALL), "messages tokens api_requests documents storage_bytes datasets seats");
    assert_eq!(words(&[MeterKind::Counter, MeterKind::Gauge]), "counter gauge");
    assert_eq!(words(&Operation::ALL), "generate retrieve upload parse create invite");
    assert_eq!(
        words(&ChangeKind::ALL),
        "extend_trial end_trial override_quota remove_override comp suspend reinstate change_plan note repair_billing"
    );
    assert_eq!(words(&[Role::Viewer, Role::Support, Role::Owner]), "viewer support owner");
    let levels = [AccessLevel::Full, AccessLevel::Grace, AccessLevel::Partial, AccessLevel::Locked];
    assert_eq!(words(&levels), "full grace partial locked");
    assert_eq!(
        words(&DenyCode::ALL),
        "trial_ended subscription_ended payment_overdue suspended quota_exhausted unknown_tenant paywall_unavailable"
    );
    assert_eq!(words(&DenyCode::ALL), DenyCode::ALL.map(DenyCode::as_str).join(" "));
    assert_eq!(
        words(&facts::STATUSES),
        "incomplete incomplete_expired trialing active past_due unpaid canceled paused"
    );
}

#[test]
fn storage_and_wire_use_the_same_words() {
    for it in Status::ALL {
        assert_eq!((words(&[it]), Status::parse(it.as_str())), (it.as_str().to_owned(), Some(it)));
    }
    for it in Meter::ALL {
        assert_eq!((words(&[it]), Meter::parse(it.as_str())), (it.as_str().to_owned(), Some(it)));
    }
    for it in ChangeKind::ALL {
        assert_eq!(words(&[it]), it.as_str());
    }
    for it in [Role::Viewer, Role::Support, Role::Owner] {
        assert_eq!((words(&[it]), Role::parse(it.as_str())), (it.as_str().to_owned(), Some(it)));
    }
    for it in [AccessLevel::Full, AccessLevel::Grace, AccessLevel::Partial, AccessLevel::Locked] {
        assert_eq!(words(&[it]), it.as_str());
    }
}

#[test]
fn a_tenant_id_is_normalised_and_anything_else_refused() {
    let id = "0123456789abcdef0123456789abcdef";
    for same in [id, "0123456789ABCDEF0123456789ABCDEF", " 01234567-89ab-cdef-0123-456789abcdef\n"] {
        assert_eq!(TenantId::parse(same).unwrap().as_str(), id);
    }
    let long = format!("{id}0");
    let wide = "é".repeat(16);
    for other in ["", &id[1..], &long, "0123456789abcdef0123456789abcdeg", &wide, "' OR 1=1 --"] {
        assert!(TenantId::parse(other).is_err(), "{other}");
        assert!(serde_json::from_value::<TenantId>(other.into()).is_err(), "{other}");
    }
}

//! Whether a delivery is Stripe's, by signatures made here from the published rule.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use paywall_stripe::ErrorKind;
use paywall_stripe::webhook::{BlankSecret, SignatureError, TOLERANCE, WebhookSecret, event, verify};
use proptest::prelude::*;
use sha2::Sha256;

const BODY: &[u8] = br#"{"id": "evt_1", "type": "invoice.paid"}"#;
const NOW: i64 = 1_790_000_000;

fn secret(text: &str) -> WebhookSecret {
    WebhookSecret::new(text).unwrap()
}

/// What Stripe would put behind `v1=`.
fn v1(secret: &str, instant: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{instant}.").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn check(header: &str, secrets: &[&str]) -> Result<(), SignatureError> {
    let secrets: Vec<WebhookSecret> = secrets.iter().map(|it| secret(it)).collect();
    verify(BODY, header, &secrets, NOW, TOLERANCE)
}

#[test]
fn a_signature_is_the_hmac_of_the_instant_and_the_body() {
    // Computed apart from this code: printf '1790000000.%s' "$BODY" | openssl dgst -sha256 -hmac whsec_1
    let known = "44bb1fffc7dee489161c6884ea4bba7dfdb2c23ae03904b04b9825f1f6911074";
    assert_eq!(v1("whsec_1", NOW, BODY), known);
    assert_eq!(check(&format!("t={NOW},v1={known}"), &["whsec_1"]), Ok(()));
}

#[test]
fn the_header_is_read_as_stripe_may_send_it() {
    let right = v1("whsec_1", NOW, BODY);
    let wrong = v1("whsec_other", NOW, BODY);
    for header in [
        format!("t={NOW},v1={right}"),
        // Another scheme beside it, as test mode sends; an order of its own; spaces.
        format!("t={NOW},v1={right},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"),
        format!("v1={right},t={NOW}"),
        format!(" t = {NOW} , v1 = {right} "),
        format!("t={NOW},v2=zz,v1={}", right.to_uppercase()),
        // Several, of which one is right.
        format!("t={NOW},v1={wrong},v1={right}"),
        format!("t={NOW},v1={right},v1={wrong}"),
        format!("t={NOW},v1=,v1=nothex,v1={right}"),
    ] {
        assert_eq!(check(&header, &["whsec_1"]), Ok(()), "{header}");
    }
    for header in ["", "t", "v1", "t=,v1=aa", "t=-5,v1=aa", "t=1e9,v1=aa", "t=99999999999999999999,v1=aa", "v1=aa"] {
        assert_eq!(check(header, &["whsec_1"]), Err(SignatureError::MalformedHeader), "{header:?}");
    }
    let twice = format!("t={NOW},t={NOW},v1={right}");
    assert_eq!(check(&twice, &["whsec_1"]), Err(SignatureError::MalformedHeader));
    for header in [format!("t={NOW}"), format!("t={NOW},v0={right}"), format!("t={NOW},V1={right}")] {
        assert_eq!(check(&header, &["whsec_1"]), Err(SignatureError::NoSignature), "{header}");
    }
}

#[test]
fn what_was_not_signed_with_a_known_secret_is_refused() {
    let right = v1("whsec_1", NOW, BODY);
    let header = format!("t={NOW},v1={right}");
    assert_eq!(check(&header, &["whsec_2"]), Err(SignatureError::NoMatch));
    assert_eq!(check(&header, &[]), Err(SignatureError::NoMatch), "no secret is known");
    // The instant is signed too.
    assert_eq!(check(&format!("t={},v1={right}", NOW + 1), &["whsec_1"]), Err(SignatureError::NoMatch));
    for cut in [&right[..62], &right[..1], &format!("{right}00")] {
        assert_eq!(check(&format!("t={NOW},v1={cut}"), &["whsec_1"]), Err(SignatureError::NoMatch), "{cut}");
    }
    let secrets = [secret("whsec_1")];
    for tampered in [&br#"{"id": "evt_1", "type":"invoice.paid"}"#[..], b"", &[BODY, b"\n"].concat()] {
        assert_eq!(verify(tampered, &header, &secrets, NOW, TOLERANCE), Err(SignatureError::NoMatch));
    }
}

#[test]
fn a_secret_can_be_rolled_on_either_side_first() {
    let (old, new) = (v1("whsec_old", NOW, BODY), v1("whsec_new", NOW, BODY));
    // Stripe signs with both for a day; whichever is known here is enough.
    let both = format!("t={NOW},v1={new},v1={old}");
    for known in [&["whsec_old"][..], &["whsec_new"], &["whsec_old", "whsec_new"]] {
        assert_eq!(check(&both, known), Ok(()), "{known:?}");
    }
    // Both are known here; whichever Stripe signs with is enough.
    for signed in [old, new] {
        assert_eq!(check(&format!("t={NOW},v1={signed}"), &["whsec_old", "whsec_new"]), Ok(()));
    }
}

#[test]
fn only_age_counts_against_it_and_only_once_it_is_known_to_be_stripes() {
    let at = |instant: i64| {
        let header = format!("t={instant},v1={}", v1("whsec_1", instant, BODY));
        verify(BODY, &header, &[secret("whsec_1")], NOW, Duration::from_secs(300))
    };
    assert_eq!(at(NOW - 300), Ok(()));
    assert_eq!(at(NOW - 301), Err(SignatureError::TooOld { age_seconds: 301 }));
    assert_eq!(at(0), Err(SignatureError::TooOld { age_seconds: NOW }));
    assert_eq!(at(NOW + 86_400), Ok(()), "this clock may be slow");
    let old_and_wrong = format!("t=5,v1={}", v1("whsec_other", 5, BODY));
    assert_eq!(check(&old_and_wrong, &["whsec_1"]), Err(SignatureError::NoMatch));
}

#[test]
fn a_secret_is_never_blank_and_never_shown() {
    for blank in ["", " ", "\t\n", "\u{a0}"] {
        assert_eq!(WebhookSecret::new(blank).unwrap_err(), BlankSecret, "{blank:?}");
    }
    assert!(!format!("{:?}", secret("whsec_abc")).contains("abc"));
    // Pasted with its line's end.
    assert_eq!(check(&format!("t={NOW},v1={}", v1("whsec_1", NOW, BODY)), &[" whsec_1\n"]), Ok(()));
}

#[test]
fn an_event_says_what_to_read_anew() {
    let read = |text: &str| event(text.as_bytes()).unwrap();
    let invoice = read(
        r#"{"id": "evt_1", "object": "event", "type": "invoice.paid", "created": 7, "livemode": true,
            "api_version": "2025-03-31.basil", "pending_webhooks": 2, "data": {"object": {"id": "in_1",
            "object": "invoice", "customer": {"id": "cus_1"}, "amount_due": "of another version",
            "parent": {"subscription_details": {"subscription": "sub_1"}}}, "previous_attributes": {}}}"#,
    );
    assert_eq!((invoice.livemode, invoice.pending_webhooks), (Some(true), Some(2)));
    assert_eq!(invoice.api_version.as_deref(), Some("2025-03-31.basil"));
    let object = invoice.object().unwrap();
    assert_eq!((object.customer_id(), object.subscription_id()), (Some("cus_1"), Some("sub_1")));

    let before_basil = read(r#"{"id": "e", "data": {"object": {"object": "invoice", "subscription": "sub_2"}}}"#);
    assert_eq!(before_basil.object().unwrap().subscription_id(), Some("sub_2"));
    let subscription =
        read(r#"{"id": "e", "data": {"object": {"id": "sub_3", "object": "subscription", "customer": "cus_3"}}}"#);
    let object = subscription.object().unwrap();
    assert_eq!((object.subscription_id(), object.customer_id()), (Some("sub_3"), Some("cus_3")));
    let session = read(
        r#"{"id": "e", "data": {"object": {"id": "cs_1", "object": "checkout.session", "subscription": null,
            "client_reference_id": "ten_1", "metadata": {"tenant_id": "ten_1"}}}}"#,
    );
    let object = session.object().unwrap();
    assert_eq!(object.subscription_id(), None);
    let dispute = read(
        r#"{"id": "e", "data": {"object": {"id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1"}}}"#,
    );
    let object = dispute.object().unwrap();
    assert_eq!(object.charge_id(), Some("ch_1"));
    let charge = read(r#"{"id": "e", "data": {"object": {"id": "ch_2", "object": "charge"}}}"#);
    assert_eq!(charge.object().unwrap().charge_id(), Some("ch_2"));
    let customer = read(r#"{"id": "e", "data": {"object": {"id": "cus_9", "object": "customer"}}}"#);
    assert_eq!(customer.object().unwrap().customer_id(), Some("cus_9"));

    for (text, path) in [("[]", "."), ("{\"id\": 5}", "id"), ("{\"id\": \"e\"} x", "."), ("", ".")] {
        let error = event(text.as_bytes()).unwrap_err();
        assert!(matches!(&error.kind, ErrorKind::Unreadable { path: at, .. } if at == path), "{text}: {error:?}");
    }
}

proptest! {
    #[test]
    fn no_header_is_taken_that_was_not_signed(header in "[tv01=, a-f9]{0,80}", body in any::<Vec<u8>>()) {
        prop_assert!(verify(&body, &header, &[secret("whsec_1")], 0, TOLERANCE).is_err());
    }

    #[test]
    fn one_changed_byte_is_enough_to_be_refused(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let header = format!("t={NOW},v1={}", v1("whsec_1", NOW, &body));
        prop_assert_eq!(verify(&body, &header, &[secret("whsec_1")], NOW, TOLERANCE), Ok(()));
        let mut changed = body;
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        let refused = verify(&changed, &header, &[secret("whsec_1")], NOW, TOLERANCE);
        prop_assert_eq!(refused, Err(SignatureError::NoMatch));
    }
}

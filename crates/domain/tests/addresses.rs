//! Addresses that are likely to be one person's.

#![allow(clippy::unwrap_used)]

use paywall_domain::Mailbox;
use proptest::prelude::*;

fn address(text: &str) -> Option<String> {
    Mailbox::of(text).map(|it| it.address())
}

#[test]
fn spellings_of_one_address_are_one() {
    for text in ["Ada.Lovelace+trial2@GMail.com", " adalovelace@googlemail.com ", "a.d.a.lovelace@gmail.com."] {
        assert_eq!(address(text).unwrap(), "adalovelace@gmail.com", "{text}");
    }
    assert_eq!(address("Ada.Lovelace+x@Example.com").unwrap(), "ada.lovelace@example.com", "only Google ignores dots");
    assert_eq!(address("+49301234@sms.example").unwrap(), "+49301234@sms.example", "a tag follows a name");
    assert_eq!(address("\"a@b\"@example.com").unwrap(), "\"a@b\"@example.com");
    for text in ["", "ada", "@example.com", "ada@", "ada@.", "...@gmail.com"] {
        assert_eq!(address(text), None, "{text:?}");
    }
}

#[test]
fn a_provider_for_anyone_is_no_company() {
    assert_eq!(Mailbox::of("ada@googlemail.com").unwrap().company(), None);
    assert_eq!(Mailbox::of("ada@qq.com").unwrap().company(), None);
    assert_eq!(Mailbox::of("Ada@Example.COM").unwrap().company(), Some("example.com"));
}

proptest! {
    #[test]
    fn an_address_in_this_form_stays_as_it_is(text in "\\PC{0,12}@\\PC{0,12}") {
        if let Some(once) = address(&text) {
            prop_assert_eq!(address(&once), Some(once.clone()));
        }
    }

    #[test]
    fn case_and_tags_tell_nobody_apart(name in "[a-z][a-z0-9.]{0,12}", tag in "[a-z0-9]{0,8}", domain in "[a-z]{1,8}\\.(com|io)") {
        let plain = address(&format!("{name}@{domain}"));
        prop_assert_eq!(address(&format!("{}+{tag}@{}", name.to_uppercase(), domain.to_uppercase())), plain);
    }

    #[test]
    fn different_names_stay_different(one in "[a-z0-9]{1,8}", other in "[a-z0-9]{1,8}", domain in "(gmail|example)\\.com") {
        prop_assume!(one != other);
        prop_assert_ne!(address(&format!("{one}@{domain}")), address(&format!("{other}@{domain}")));
    }
}

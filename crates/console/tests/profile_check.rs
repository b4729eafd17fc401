//! Profiles: every finding, and a file that is never lost.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use paywall_console::ipc::{FailureCode, FindingCode, Mode, ProfileDraft, Settings, StripeKeyKind, Theme, WriteMode};
use paywall_console::observer::Unobserved;
use paywall_console::profile::hint;
use paywall_console::vault::{SecretName, Vault};
use paywall_console::{Console, ConsoleOptions, Home};
use secrecy::ExposeSecret;

fn token(letter: &str) -> String {
    let body = format!("pwt_{}", letter.repeat(43));
    format!("{body}{}", paywall_contract::token::checksum(&body))
}

fn vault() -> Vault {
    Vault::with_store("dev.paywall.console.test", keyring_core::mock::Store::new().unwrap())
}

async fn console(home: &std::path::Path, vault: &Vault) -> Console {
    let options = ConsoleOptions {
        home: Home::at(home),
        app_id: "unused".into(),
        version: "1.0.0".into(),
        observer: Arc::new(Unobserved),
    };
    Console::start_with_vault(options, vault.clone()).await.unwrap()
}

fn draft() -> ProfileDraft {
    ProfileDraft {
        id: None,
        name: "Production".into(),
        mode: Mode::Live,
        write_mode: WriteMode::Review,
        server_url: "https://paywall.example.com/".into(),
        server_token: Some(token("a")),
        stripe_url: None,
        stripe_key: Some("rk_live_51ZyXwVuTsRqPoNmLkJiHgFe".into()),
        session_only: false,
        accepted: vec![],
    }
}

#[tokio::test]
async fn every_oddity_is_found_and_only_the_named_ones_can_be_taken_on() {
    use FindingCode as F;
    let home = tempfile::tempdir().unwrap();
    let console = console(home.path(), &vault()).await;
    console.profile_save(ProfileDraft { name: "Taken".into(), ..draft() }).await.unwrap();

    assert!(console.profile_check(&draft()).await.findings.is_empty());
    let with = |change: fn(&mut ProfileDraft)| {
        let mut it = draft();
        change(&mut it);
        it
    };
    let cases = [
        (with(|it| it.name = "  ".into()), F::NameMissing, false),
        (with(|it| it.name = " taken ".into()), F::NameTaken, false),
        (with(|it| it.server_url = "paywall.example.com".into()), F::ServerUrlInvalid, false),
        (with(|it| it.server_url = "ftp://paywall.example.com".into()), F::ServerUrlInvalid, false),
        (with(|it| it.server_url = "https://me:secret@paywall.example.com".into()), F::ServerUrlInvalid, false),
        (with(|it| it.server_url = "http://paywall.example.com".into()), F::ServerUrlInsecure, false),
        (with(|it| it.server_url = "http://127.0.0.1.example.com".into()), F::ServerUrlInsecure, false),
        (with(|it| it.stripe_url = Some("stripe".into())), F::StripeUrlInvalid, false),
        (with(|it| it.stripe_url = Some("http://stripe.example.com".into())), F::StripeUrlInvalid, false),
        (with(|it| it.mode = Mode::Test), F::LiveKeyInTest, true),
        (with(|it| it.stripe_key = Some("rk_test_51ZyXwVuTs".into())), F::TestKeyInLive, true),
        (with(|it| it.stripe_key = Some("sk_live_51ZyXwVuTs".into())), F::FullSecretKey, true),
        (with(|it| it.stripe_key = Some("pk_live_51ZyXwVuTs".into())), F::PublishableKey, false),
        (with(|it| it.stripe_key = Some("whsec_51ZyXwVuTs".into())), F::StripeKeyUnknown, false),
        (with(|it| it.server_token = Some(token("a").replacen('a', "b", 1))), F::TokenMalformed, false),
        (with(|it| it.server_token = None), F::TokenMissing, false),
        (with(|it| it.server_token = Some(hint(&token("a")))), F::SecretIsMask, false),
        (with(|it| it.stripe_key = Some("rk_live_••••••HgFe".into())), F::SecretIsMask, false),
    ];
    for (draft, code, acceptable) in cases {
        let check = console.profile_check(&draft).await;
        let found = check.findings.iter().find(|it| it.code == code);
        assert_eq!(found.map(|it| it.acceptable), Some(acceptable), "{code:?} in {:?}", check.findings);
        let refused = console.profile_save(draft.clone()).await.unwrap_err();
        assert_eq!(refused.code, FailureCode::ProfileRejected, "{code:?}");
        let taken_on = ProfileDraft { accepted: check.findings.iter().map(|it| it.code).collect(), ..draft };
        let saved = console.profile_save(taken_on).await;
        assert_eq!(saved.is_ok(), acceptable, "{code:?} taken on: {saved:?}");
        if let Ok(saved) = saved {
            console.profile_remove(&saved.id).await.unwrap();
        }
    }
    for local in ["http://localhost:8787", "http://127.0.0.1:8787", "http://[::1]:8787"] {
        let check = console.profile_check(&ProfileDraft { server_url: local.into(), ..draft() }).await;
        assert!(check.findings.is_empty(), "{local}: {:?}", check.findings);
    }
    let check = console.profile_check(&draft()).await;
    assert_eq!((check.stripe_key_kind, check.stripe_key_live), (Some(StripeKeyKind::Restricted), Some(true)));
}

#[tokio::test]
async fn saving_an_untouched_draft_changes_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let vault = vault();
    let console = console(home.path(), &vault).await;
    let saved = console.profile_save(draft()).await.unwrap();
    assert_eq!(saved.server_url, "https://paywall.example.com");
    let untouched = ProfileDraft {
        id: Some(saved.id.clone()),
        name: "Prod".into(),
        server_token: None,
        stripe_key: Some(String::new()),
        ..draft()
    };
    let again = console.profile_save(untouched.clone()).await.unwrap();
    assert_eq!(again.name, "Prod");
    assert_eq!((again.server_token, again.stripe_key), (saved.server_token.clone(), saved.stripe_key.clone()));
    let kept = vault.get(&saved.id, SecretName::ServerToken).await.unwrap().unwrap();
    assert_eq!(kept.expose_secret(), token("a"));

    // The stored key is live: making the profile a test one is a mismatch although no key was typed.
    let check = console.profile_check(&ProfileDraft { mode: Mode::Test, ..untouched }).await;
    assert_eq!(check.findings[0].code, FindingCode::LiveKeyInTest);

    // What is stored under another name stays unknown to a wrong id.
    let wrong = ProfileDraft { id: Some("nobody".into()), ..draft() };
    let refused = console.profile_save(ProfileDraft { name: "Other".into(), ..wrong }).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::UnknownProfile);
}

#[tokio::test]
async fn profiles_and_settings_are_there_at_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let vault = vault();
    let console = console(home.path(), &vault).await;
    let saved = console.profile_save(draft()).await.unwrap();
    console.settings_set(Settings { theme: Theme::Dark, single_keys: false }).await.unwrap();
    console.shutdown().await;
    drop(console);

    let text = std::fs::read_to_string(home.path().join("profiles.json")).unwrap();
    assert!(!text.contains(&token("a")) && !text.contains("51ZyXw"), "{text}");
    assert!(!home.path().join("profiles.new").exists(), "the file was replaced as a whole");
    let again = self::console(home.path(), &vault).await;
    let state = again.app_state().await;
    assert_eq!(state.profiles[0].id, saved.id);
    assert_eq!(state.settings, Settings { theme: Theme::Dark, single_keys: false });
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_put_aside_whole() {
    let home = tempfile::tempdir().unwrap();
    let half = br#"{"version": 1, "profiles": [{"id": "01"#;
    std::fs::write(home.path().join("profiles.json"), half).unwrap();
    let console = console(home.path(), &vault()).await;
    let state = console.app_state().await;
    assert!(state.profiles.is_empty());
    let Some(FailureCode::ProfilesUnreadable { kept_as }) = state.open_failure.map(|it| it.code) else {
        panic!("no word of it");
    };
    assert_eq!(std::fs::read(kept_as).unwrap(), half);

    let newer = br#"{"version": 99, "profiles": "otherwise"}"#;
    std::fs::write(home.path().join("profiles.json"), newer).unwrap();
    let options = ConsoleOptions {
        home: Home::at(home.path()),
        app_id: "unused".into(),
        version: "1.0.0".into(),
        observer: Arc::new(Unobserved),
    };
    assert!(Console::start_with_vault(options, vault()).await.is_err());
    assert_eq!(std::fs::read(home.path().join("profiles.json")).unwrap(), newer, "a newer app's file is left alone");
}

#[test]
fn a_hint_never_shows_a_short_secret() {
    assert_eq!(hint("rk_live_51ZyXwVuTsRqPoNm9xQ2"), "rk_live_…9xQ2");
    assert_eq!(hint("rk_live_short"), "rk_live_…");
    assert_eq!(hint("hunter2"), "…");
}

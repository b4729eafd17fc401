//! The vault against a real keyring on a session bus of its own.
//!
//! Each test runs itself again under the bus that its scene needs, with folders of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use paywall_console::ipc::{FailureCode, KeyringState, Mode, ProfileDraft, SecretStore, WriteMode};
use paywall_console::observer::Unobserved;
use paywall_console::vault::{SecretName, Vault};
use paywall_console::{Console, ConsoleOptions, Home};
use secrecy::{ExposeSecret, SecretString};

const SERVICE: &str = "dev.paywall.console.test";
const INSIDE: &str = "PAYWALL_KEYRING_SCENE";
const UNLOCK: &str = "printf keyring-password | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1";
const REPLACE: &str =
    "printf keyring-password | gnome-keyring-daemon --replace --unlock --components=secrets >/dev/null 2>&1";
/// A bus on which nobody starts anything.
const BARE_BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"#;

#[derive(Clone, Copy, PartialEq)]
enum Scene {
    /// A keyring that is open.
    Unlocked,
    /// A keyring that the bus starts and nobody ever opened.
    NeverUnlocked,
    /// A bus, and no keyring.
    Bare,
    /// No bus.
    NoBus,
}

/// Whether this is the run inside the scene. The run outside makes the scene, runs the test in it, and
/// fails as that failed.
fn inside(scene: Scene, test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let folders = tempfile::tempdir().unwrap();
    let exe = std::env::current_exe().unwrap();
    let mut command = if scene == Scene::NoBus { Command::new(&exe) } else { Command::new("dbus-run-session") };
    match scene {
        Scene::NoBus => {}
        Scene::Unlocked => {
            command.args(["--", "bash", "-c", &format!("{UNLOCK}; exec \"$0\" \"$@\"")]).arg(&exe);
        }
        Scene::NeverUnlocked => {
            command.arg("--").arg(&exe);
        }
        Scene::Bare => {
            let config = folders.path().join("bus.conf");
            std::fs::write(&config, BARE_BUS).unwrap();
            command.arg(format!("--config-file={}", config.display())).arg("--").arg(&exe);
        }
    }
    for (name, folder) in [
        ("XDG_RUNTIME_DIR", "run"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_CACHE_HOME", "cache"),
        ("HOME", "home"),
    ] {
        let path = folders.path().join(folder);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        command.env(name, path);
    }
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").env("NO_AT_BRIDGE", "1");
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("GNOME_KEYRING_CONTROL");
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/none", folders.path().display()));
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        done.status.success(),
        "in its scene: {}\n{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(String::from_utf8_lossy(&done.stdout).contains("1 passed"), "the scene ran no test");
    false
}

fn shell(script: &str) -> String {
    let done = Command::new("bash").args(["-c", script]).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn lock_keyring() {
    shell(
        "gdbus call --session --dest org.freedesktop.secrets --object-path /org/freedesktop/secrets \
         --method org.freedesktop.Secret.Service.Lock \"['/org/freedesktop/secrets/collection/login']\"",
    );
}

fn token() -> SecretString {
    let body = format!("pwt_{}", "aB3".repeat(15)[..43].to_owned());
    SecretString::from(format!("{body}{}", paywall_contract::token::checksum(&body)))
}

async fn console(home: &Path) -> Console {
    let options = ConsoleOptions {
        home: Home::at(home),
        app_id: SERVICE.to_owned(),
        version: "1.0.0".to_owned(),
        observer: Arc::new(Unobserved),
    };
    Console::start(options).await.unwrap()
}

fn draft(session_only: bool) -> ProfileDraft {
    ProfileDraft {
        id: None,
        name: "Staging".to_owned(),
        mode: Mode::Test,
        write_mode: WriteMode::Review,
        server_url: "http://127.0.0.1:1".to_owned(),
        server_token: Some(real_token()),
        stripe_url: Some("http://127.0.0.1:1".to_owned()),
        stripe_key: Some("rk_test_51ZyXwVuTsRqPoNmLkJiHgFe".to_owned()),
        session_only,
        accepted: Vec::new(),
    }
}

fn real_token() -> String {
    token().expose_secret().to_owned()
}

/// Every file below `folder` that contains `text`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn a_secret_lies_in_the_keyring_and_survives_locking() {
    if !inside(Scene::Unlocked, "a_secret_lies_in_the_keyring_and_survives_locking") {
        return;
    }
    let vault = Vault::new(SERVICE);
    assert_eq!(vault.state().await, KeyringState::Available);
    assert!(vault.get("p1", SecretName::ServerToken).await.unwrap().is_none());
    vault.set("p1", SecretName::ServerToken, &token()).await.unwrap();

    // Another program finds it, so it is really there.
    let found = shell(&format!("secret-tool lookup service {SERVICE} username p1/server-token"));
    assert_eq!(found, token().expose_secret());

    lock_keyring();
    assert_eq!(vault.state().await, KeyringState::Locked);
    let refused = vault.get("p1", SecretName::ServerToken).await.unwrap_err();
    assert_eq!(refused.state, KeyringState::Locked);
    assert_eq!(vault.set("p1", SecretName::StripeKey, &token()).await.unwrap_err().state, KeyringState::Locked);

    // The same vault, once its user has unlocked the keyring.
    shell(REPLACE);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(vault.state().await, KeyringState::Available);
    let found = vault.get("p1", SecretName::ServerToken).await.unwrap().unwrap();
    assert_eq!(found.expose_secret(), token().expose_secret());

    vault.remove("p1", SecretName::ServerToken).await.unwrap();
    vault.remove("p1", SecretName::ServerToken).await.unwrap();
    assert!(vault.get("p1", SecretName::ServerToken).await.unwrap().is_none());
}

#[tokio::test]
async fn a_keyring_that_was_never_unlocked_is_locked_not_empty() {
    if !inside(Scene::NeverUnlocked, "a_keyring_that_was_never_unlocked_is_locked_not_empty") {
        return;
    }
    let vault = Vault::new(SERVICE);
    assert_eq!(vault.state().await, KeyringState::Locked);
    assert_eq!(vault.get("p1", SecretName::ServerToken).await.unwrap_err().state, KeyringState::Locked);
    assert_eq!(vault.set("p1", SecretName::ServerToken, &token()).await.unwrap_err().state, KeyringState::Locked);
}

#[tokio::test]
async fn a_keyring_that_comes_late_is_found_without_a_restart() {
    if !inside(Scene::Bare, "a_keyring_that_comes_late_is_found_without_a_restart") {
        return;
    }
    let vault = Vault::new(SERVICE);
    assert_eq!(vault.state().await, KeyringState::Missing);
    assert_eq!(vault.set("p1", SecretName::ServerToken, &token()).await.unwrap_err().state, KeyringState::Missing);
    assert_eq!(vault.get("p1", SecretName::ServerToken).await.unwrap_err().state, KeyringState::Missing);

    shell(UNLOCK);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(vault.state().await, KeyringState::Available);
    vault.set("p1", SecretName::ServerToken, &token()).await.unwrap();
    assert!(vault.get("p1", SecretName::ServerToken).await.unwrap().is_some());
}

#[tokio::test]
async fn without_a_bus_secrets_are_kept_for_the_session_or_not_at_all() {
    if !inside(Scene::NoBus, "without_a_bus_secrets_are_kept_for_the_session_or_not_at_all") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let console = console(home.path()).await;
    assert_eq!(console.app_state().await.keyring, KeyringState::Missing);

    let refused = console.profile_save(draft(false)).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::Keyring { state: KeyringState::Missing });
    assert!(console.app_state().await.profiles.is_empty(), "nothing was saved");

    let saved = console.profile_save(draft(true)).await.unwrap();
    assert_eq!(saved.server_token.as_ref().unwrap().store, SecretStore::Session);
    let opened = console.profile_open(&saved.id).await.unwrap();
    assert_eq!(opened.cache.tenants, Some(0));
    assert_eq!(files_with(home.path(), &real_token()), Vec::<String>::new());
    let folder = home.path().join("profiles").join(&saved.id);
    assert!(folder.join("session.db").exists());
    console.shutdown().await;
    assert!(!folder.join("session.db").exists(), "the session's copy went with the session");

    // A new process knows the profile, and that it has no token any more.
    let again = self::console(home.path()).await;
    let state = again.app_state().await;
    assert_eq!(state.profiles[0].server_token, None);
    let refused = again.profile_open(&saved.id).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::Keyring { state: KeyringState::Missing });
    again.profile_remove(&saved.id).await.unwrap();
}

/// Nothing but a token for this session: the keyring holds nothing, and is not needed.
async fn opens_with_a_session_token_alone(state: KeyringState) {
    let home = tempfile::tempdir().unwrap();
    let console = console(home.path()).await;
    assert_eq!(console.app_state().await.keyring, state);
    let saved = console.profile_save(ProfileDraft { stripe_key: None, ..draft(true) }).await.unwrap();
    assert_eq!(saved.stripe_key, None);
    console.profile_open(&saved.id).await.unwrap();
    let state = console.app_state().await;
    assert_eq!((state.open.as_deref(), state.open_failure), (Some(saved.id.as_str()), None));
    console.shutdown().await;
}

#[tokio::test]
async fn a_session_token_without_a_stripe_key_opens_with_a_locked_keyring() {
    if inside(Scene::NeverUnlocked, "a_session_token_without_a_stripe_key_opens_with_a_locked_keyring") {
        opens_with_a_session_token_alone(KeyringState::Locked).await;
    }
}

#[tokio::test]
async fn a_session_token_without_a_stripe_key_opens_without_a_keyring() {
    if inside(Scene::NoBus, "a_session_token_without_a_stripe_key_opens_without_a_keyring") {
        opens_with_a_session_token_alone(KeyringState::Missing).await;
    }
}

#[tokio::test]
async fn a_profile_keeps_no_secret_in_any_file_and_opens_again_after_unlocking() {
    if !inside(Scene::Unlocked, "a_profile_keeps_no_secret_in_any_file_and_opens_again_after_unlocking") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let console = console(home.path()).await;
    let saved = console.profile_save(draft(false)).await.unwrap();
    let hint = &saved.server_token.as_ref().unwrap().hint;
    assert_eq!(*hint, format!("pwt_…{}", &real_token()[real_token().len() - 4..]));
    console.profile_open(&saved.id).await.unwrap();
    let found = shell(&format!("secret-tool lookup service {SERVICE} username {}/server-token", saved.id));
    assert_eq!(found, real_token());
    let key = shell(&format!("secret-tool lookup service {SERVICE} username {}/cache-key", saved.id));
    console.shutdown().await;
    for secret in [real_token(), "51ZyXwVuTsRqPoNmLkJiHgFe".to_owned(), key] {
        assert_eq!(files_with(home.path(), &secret), Vec::<String>::new());
    }

    lock_keyring();
    let again = self::console(home.path()).await;
    again.open_last().await;
    let state = again.app_state().await;
    assert_eq!(state.open, None);
    assert_eq!(state.open_failure.unwrap().code, FailureCode::Keyring { state: KeyringState::Locked });
    assert_eq!(state.keyring, KeyringState::Locked);
    assert!(again.profile_remove(&saved.id).await.is_err(), "a locked keyring would keep the secrets");
    assert_eq!(again.app_state().await.profiles.len(), 1);

    shell(REPLACE);
    tokio::time::sleep(Duration::from_millis(500)).await;
    again.profile_open(&saved.id).await.unwrap();
    assert_eq!(again.app_state().await.open_failure, None);

    again.profile_remove(&saved.id).await.unwrap();
    assert!(!home.path().join("profiles").join(&saved.id).exists());
    let lost = Command::new("secret-tool")
        .args(["lookup", "service", SERVICE, "username", &format!("{}/server-token", saved.id)])
        .output()
        .unwrap();
    assert!(lost.stdout.is_empty(), "the secret went with its profile");
}

#[tokio::test]
async fn a_lost_key_empties_the_copy_and_says_so() {
    if !inside(Scene::Unlocked, "a_lost_key_empties_the_copy_and_says_so") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let console = console(home.path()).await;
    let saved = console.profile_save(draft(false)).await.unwrap();
    console.profile_open(&saved.id).await.unwrap();
    console.shutdown().await;
    shell(&format!("secret-tool clear service {SERVICE} username {}/cache-key", saved.id));

    let again = self::console(home.path()).await;
    again.profile_open(&saved.id).await.unwrap();
    let state = again.app_state().await;
    assert_eq!(state.open.as_deref(), Some(saved.id.as_str()));
    assert_eq!(state.open_failure.unwrap().code, FailureCode::CacheBroken);
    assert!(again.tenant_counts().await.is_ok());
    again.shutdown().await;

    let third = self::console(home.path()).await;
    third.profile_open(&saved.id).await.unwrap();
    assert_eq!(third.app_state().await.open_failure, None, "it is said once");
    third.shutdown().await;
}

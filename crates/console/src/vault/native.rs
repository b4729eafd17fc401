//! The platform's own keyring: how it is found, and what its refusals mean.

use std::sync::Arc;

use keyring_core::{CredentialStore, Error};

use super::VaultError;
use crate::ipc::KeyringState;

/// Looks for the keyring. Every call looks anew: a service that was away may have come.
#[cfg(all(unix, not(target_os = "macos")))]
pub(super) fn find() -> keyring_core::Result<Arc<CredentialStore>> {
    let store: Arc<CredentialStore> = zbus_secret_service_keyring_store::Store::new()?;
    Ok(store)
}

/// Looks for the keyring, which these systems always have.
#[cfg(not(all(unix, not(target_os = "macos"))))]
pub(super) fn find() -> keyring_core::Result<Arc<CredentialStore>> {
    if let Some(store) = keyring_core::get_default_store() {
        return Ok(store);
    }
    keyring::Entry::new("paywall", "probe")?;
    keyring_core::get_default_store().ok_or(Error::NoDefaultStore)
}

/// How the keyring is, and what it said. Never opens a window.
#[cfg(all(unix, not(target_os = "macos")))]
pub(super) fn probe() -> (KeyringState, String) {
    use secret_service::EncryptionType;
    use secret_service::blocking::SecretService;

    // No secret passes here, so none needs to be hidden on the bus.
    let service = match SecretService::connect(EncryptionType::Plain) {
        Ok(service) => service,
        Err(error) => return (refusal(&error), error.to_string()),
    };
    let collection = match service.get_default_collection() {
        Ok(collection) => collection,
        // It runs, but was never unlocked, so that it has nowhere to put anything.
        Err(secret_service::Error::NoResult) => {
            return (KeyringState::Locked, "the keyring has no default collection yet".to_owned());
        }
        Err(error) => return (refusal(&error), error.to_string()),
    };
    match collection.is_locked() {
        Ok(true) => (KeyringState::Locked, "the default collection is locked".to_owned()),
        Ok(false) => (KeyringState::Available, String::new()),
        Err(error) => (refusal(&error), error.to_string()),
    }
}

#[cfg(all(unix, not(target_os = "macos")))]
fn refusal(error: &secret_service::Error) -> KeyringState {
    use secret_service::Error as Refused;
    match error {
        Refused::Locked | Refused::Prompt => KeyringState::Locked,
        _ if error.to_string().contains("AccessDenied") => KeyringState::Denied,
        _ => KeyringState::Missing,
    }
}

/// How the keyring is, and what it said. Reads an entry that is never written.
#[cfg(not(all(unix, not(target_os = "macos"))))]
pub(super) fn probe() -> (KeyringState, String) {
    let asked = find().and_then(|store| store.build("paywall", "probe", None)).and_then(|entry| entry.get_password());
    match asked {
        Ok(_) | Err(Error::NoEntry) => (KeyringState::Available, String::new()),
        Err(error @ Error::NoStorageAccess(_)) => (KeyringState::Denied, error.to_string()),
        Err(error) => (KeyringState::Missing, error.to_string()),
    }
}

/// Why the keyring refused. Its present state says more than its words, which differ by version.
pub(super) fn explain(error: &Error, fixed: bool) -> VaultError {
    let said = plainly(error);
    let state = match error {
        Error::NoStorageAccess(_) if fixed => KeyringState::Locked,
        _ if fixed => KeyringState::Denied,
        _ => match probe().0 {
            KeyringState::Available => KeyringState::Denied,
            state => state,
        },
    };
    VaultError { state, detail: said }
}

/// The error in words. Those that carry what was stored are not quoted.
fn plainly(error: &Error) -> String {
    match error {
        Error::BadEncoding(_) | Error::BadDataFormat(..) => "what the keyring holds is no text".to_owned(),
        Error::Ambiguous(entries) => format!("the keyring holds {} entries of this name", entries.len()),
        other => other.to_string(),
    }
}

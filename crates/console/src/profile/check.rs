//! What is odd about a profile as typed.

use std::net::IpAddr;

use url::{Host, Url};

use super::{Profiles, is_mask};
use crate::ipc::{Finding, FindingCode, Mode, ProfileCheck, ProfileDraft, StripeKeyKind};

/// Stripe's own address.
pub const STRIPE_URL: &str = "https://api.stripe.com";

/// What the check knows beside the draft.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Every profile.
    pub profiles: &'a Profiles,
    /// Whether a token of this draft's profile can be read or was stored.
    pub token_stored: bool,
}

/// The address without what does not belong there, or `None` where it is none that can be used:
/// another scheme than http and https, no host, or a name, password, query or fragment in it.
pub fn normalised_url(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let usable = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    usable.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// Whether what is sent there can be read on the way: plain http to another machine.
pub(crate) fn readable_on_the_way(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return true };
    let this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    };
    url.scheme() != "https" && !this_machine
}

/// What kind of Stripe key that is by its look.
pub fn stripe_key_kind(key: &str) -> StripeKeyKind {
    let kind = match key.split_once('_') {
        Some(("rk", _)) => StripeKeyKind::Restricted,
        Some(("sk", _)) => StripeKeyKind::Secret,
        Some(("pk", _)) => StripeKeyKind::Publishable,
        _ => return StripeKeyKind::Unknown,
    };
    let tail = key[3..].trim_start_matches("live_").trim_start_matches("test_");
    let plain = !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && stripe_key_live(key).is_some() { kind } else { StripeKeyKind::Unknown }
}

/// Whether the Stripe key is live; `None` = cannot be told.
pub fn stripe_key_live(key: &str) -> Option<bool> {
    let rest = key.get(3..)?;
    if rest.starts_with("live_") {
        Some(true)
    } else if rest.starts_with("test_") {
        Some(false)
    } else {
        None
    }
}

/// Whether the text looks like a token of a paywall server.
fn token_looks_valid(token: &str) -> bool {
    paywall_contract::token::looks_valid(token)
}

/// The text as it was meant, or `None` for "keep what is stored".
pub(crate) fn typed(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// What is odd about the draft. An untouched secret is not looked at.
pub fn check(draft: &ProfileDraft, known: Known<'_>) -> ProfileCheck {
    let mut findings = Vec::new();
    let mut find = |code: FindingCode, acceptable: bool| {
        if !findings.iter().any(|it: &Finding| it.code == code) {
            findings.push(Finding { code, acceptable });
        }
    };

    let name = draft.name.trim();
    if name.is_empty() {
        find(FindingCode::NameMissing, false);
    }
    let folded = name.to_lowercase();
    let taken = |it: &&super::Profile| it.name.trim().to_lowercase() == folded && Some(&it.id) != draft.id.as_ref();
    if !name.is_empty() && known.profiles.profiles.iter().find(taken).is_some() {
        find(FindingCode::NameTaken, false);
    }

    match normalised_url(&draft.server_url) {
        None => find(FindingCode::ServerUrlInvalid, false),
        Some(url) if readable_on_the_way(&url) => find(FindingCode::ServerUrlInsecure, false),
        Some(_) => {}
    }
    if let Some(text) = typed(draft.stripe_url.as_ref())
        && normalised_url(text).is_none_or(|url| readable_on_the_way(&url))
    {
        find(FindingCode::StripeUrlInvalid, false);
    }

    match typed(draft.server_token.as_ref()) {
        None if !known.token_stored => find(FindingCode::TokenMissing, false),
        Some(text) if is_mask(text) => find(FindingCode::SecretIsMask, false),
        Some(text) if !token_looks_valid(text) => find(FindingCode::TokenMalformed, false),
        None | Some(_) => {}
    }

    let mut kind = None;
    let mut live = None;
    match typed(draft.stripe_key.as_ref()) {
        None => {}
        Some(text) if is_mask(text) => find(FindingCode::SecretIsMask, false),
        Some(text) => {
            kind = Some(stripe_key_kind(text));
            live = stripe_key_live(text).filter(|_| kind != Some(StripeKeyKind::Unknown));
            match kind {
                Some(StripeKeyKind::Unknown) => find(FindingCode::StripeKeyUnknown, false),
                Some(StripeKeyKind::Publishable) => find(FindingCode::PublishableKey, false),
                Some(StripeKeyKind::Secret) => find(FindingCode::FullSecretKey, true),
                Some(StripeKeyKind::Restricted) | None => {}
            }
        }
    }
    // A key that stays is looked at by its hint: the profile's mode may be what was changed.
    let live_now = live.or_else(|| {
        let kept = draft.id.as_deref().and_then(|id| known.profiles.get(id))?.stripe_key.as_ref()?;
        typed(draft.stripe_key.as_ref()).is_none().then(|| stripe_key_live(&kept.hint))?
    });
    match (live_now, draft.mode) {
        (Some(true), Mode::Test | Mode::Sample) => find(FindingCode::LiveKeyInTest, true),
        (Some(false), Mode::Live) => find(FindingCode::TestKeyInLive, true),
        _ => {}
    }
    ProfileCheck { findings, stripe_key_kind: kind, stripe_key_live: live }
}

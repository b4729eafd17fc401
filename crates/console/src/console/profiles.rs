//! Profiles: looked at, checked, tried, saved, removed.

use std::sync::atomic::Ordering;

use secrecy::SecretString;

use super::{Console, blocking, guard, io_failure, now, remove_session_copy};
use crate::cache::{self, Cache};
use crate::connection;
use crate::ipc::{
    CacheView, ConnectionReport, Failure, FailureCode, FindingCode, KeyringState, Mode, ProfileCheck, ProfileDraft,
    ProfileView, SecretStore, SecretView, TestStep, WriteMode,
};
use crate::profile::{self, Known, Profile, SAMPLE_PROFILE, hint, normalised_url};
use crate::vault::SecretName;

/// Where the sample world's servers are this time, and what opens them.
pub struct SampleAddresses {
    /// The paywall server.
    pub server_url: String,
    /// A token of it.
    pub server_token: String,
    /// The sample Stripe.
    pub stripe_url: String,
    /// A key of it.
    pub stripe_key: String,
}

impl std::fmt::Debug for SampleAddresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { server_url, stripe_url, .. } = self;
        f.debug_struct("SampleAddresses")
            .field("server_url", server_url)
            .field("stripe_url", stripe_url)
            .finish_non_exhaustive()
    }
}

impl Console {
    /// What is odd about a draft. Saves nothing, asks no network.
    pub async fn profile_check(&self, draft: &ProfileDraft) -> ProfileCheck {
        let kept = self.kept();
        profile::check(draft, Known { profiles: &kept, token_stored: self.token_stored(draft.id.as_deref(), &kept) })
    }

    fn token_stored(&self, id: Option<&str>, kept: &profile::Profiles) -> bool {
        id.is_some_and(|id| {
            kept.get(id).is_some_and(|it| it.server_token.is_some())
                || self.inner.vault.in_session(id, SecretName::ServerToken)
        })
    }

    /// Saves a draft: its secrets to the keyring, or to memory where it says so, the rest to the file.
    /// Empty secrets keep what is stored. Where anything fails nothing is saved.
    pub async fn profile_save(&self, draft: ProfileDraft) -> Result<ProfileView, Failure> {
        let _turn = self.inner.turn.lock().await;
        let refused: Vec<FindingCode> = self
            .profile_check(&draft)
            .await
            .findings
            .into_iter()
            .filter(|it| !(it.acceptable && draft.accepted.contains(&it.code)))
            .map(|it| it.code)
            .collect();
        if !refused.is_empty() {
            return Err(Failure::of(FailureCode::ProfileRejected, format!("not saved: {refused:?}")));
        }
        let id = match &draft.id {
            Some(id) if self.kept().get(id).is_none() => return Err(unknown(id)),
            Some(id) => id.clone(),
            None => ulid::Ulid::generate().to_string().to_ascii_lowercase(),
        };
        let known = self.kept().get(&id).cloned();
        let server_url = normalised_url(&draft.server_url)
            .ok_or_else(|| Failure::of(FailureCode::AddressInvalid, "the server's address cannot be read"))?;
        let stripe_url =
            profile::typed(draft.stripe_url.as_ref()).and_then(normalised_url).filter(|url| url != profile::STRIPE_URL);
        let mut saved = Profile {
            id: id.clone(),
            name: draft.name.trim().to_owned(),
            mode: draft.mode,
            write_mode: draft.write_mode,
            // Who the token was says nothing of another token or another server.
            caller: known
                .as_ref()
                .filter(|it| it.server_url == server_url && profile::typed(draft.server_token.as_ref()).is_none())
                .and_then(|it| it.caller.clone()),
            server_url,
            server_token: known.as_ref().and_then(|it| it.server_token.clone()),
            stripe_url,
            stripe_key: known.as_ref().and_then(|it| it.stripe_key.clone()),
            reporting: known.map(|it| it.reporting).unwrap_or_default(),
        };
        let token = profile::typed(draft.server_token.as_ref());
        let stripe_key = profile::typed(draft.stripe_key.as_ref());
        if draft.session_only {
            self.save_for_session(&mut saved, token, stripe_key).await?;
        } else {
            self.save_in_keyring(&mut saved, token, stripe_key).await?;
        }
        if self.opened().is_some_and(|open| open.profile == id) {
            // What is open goes on with the new credentials.
            self.close_open().await;
            self.open_profile(&id).await?;
        }
        self.view(&id).await
    }

    async fn save_in_keyring(
        &self,
        saved: &mut Profile,
        token: Option<&str>,
        stripe_key: Option<&str>,
    ) -> Result<(), Failure> {
        let vault = &self.inner.vault;
        let mut replaced: Vec<(SecretName, Option<SecretString>)> = Vec::new();
        let work = async {
            for (name, text) in [(SecretName::ServerToken, token), (SecretName::StripeKey, stripe_key)] {
                let Some(text) = text else { continue };
                let before = vault.get(&saved.id, name).await?;
                vault.set(&saved.id, name, &SecretString::from(text.to_owned())).await?;
                replaced.push((name, before));
                let view = SecretView { hint: hint(text), added_at: now(), store: SecretStore::Keyring };
                match name {
                    SecretName::ServerToken => saved.server_token = Some(view),
                    _ => saved.stripe_key = Some(view),
                }
            }
            let saved = saved.clone();
            self.keep(|kept| kept.put(saved)).await
        };
        let done: Result<(), Failure> = work.await;
        if let Err(failure) = done {
            for (name, before) in replaced {
                let undone = match before {
                    Some(secret) => vault.set(&saved.id, name, &secret).await,
                    None => vault.remove(&saved.id, name).await,
                };
                if let Err(error) = undone {
                    tracing::warn!(%error, "a secret was not put back after saving failed");
                }
            }
            return Err(failure);
        }
        for (name, _) in replaced {
            guard(&self.inner.session_views).remove(&(saved.id.clone(), name));
        }
        Ok(())
    }

    async fn save_for_session(
        &self,
        saved: &mut Profile,
        token: Option<&str>,
        stripe_key: Option<&str>,
    ) -> Result<(), Failure> {
        let kept = saved.clone();
        self.keep(|it| it.put(kept)).await?;
        for (name, text) in [(SecretName::ServerToken, token), (SecretName::StripeKey, stripe_key)] {
            let Some(text) = text else { continue };
            self.inner.vault.set_for_session(&saved.id, name, SecretString::from(text.to_owned()));
            let view = SecretView { hint: hint(text), added_at: now(), store: SecretStore::Session };
            guard(&self.inner.session_views).insert((saved.id.clone(), name), view);
        }
        Ok(())
    }

    /// Removes a profile with its secrets and its copy. Where the keyring cannot be used and holds
    /// secrets of it, nothing is removed.
    pub async fn profile_remove(&self, id: &str) -> Result<(), Failure> {
        let _turn = self.inner.turn.lock().await;
        let Some(profile) = self.kept().get(id).cloned() else { return Err(unknown(id)) };
        let in_keyring =
            profile.server_token.is_some() || profile.stripe_key.is_some() || self.inner.home.cache_file(id).exists();
        for name in SecretName::ALL {
            match self.inner.vault.remove(id, name).await {
                Err(error) if in_keyring => return Err(error.into()),
                Err(error) => tracing::info!(%error, "the keyring was not asked: it holds nothing of this profile"),
                Ok(()) => {}
            }
            guard(&self.inner.session_views).remove(&(id.to_owned(), name));
        }
        if self.opened().is_some_and(|open| open.profile == id) {
            self.close_open().await;
        }
        let home = self.inner.home.clone();
        let folder = home.profile_folder(id);
        let copy = home.cache_file(id);
        let owner = id.to_owned();
        blocking(move || {
            remove_session_copy(&home, &owner);
            Cache::wipe(&copy)?;
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(io_failure(&error, "the profile's folder"))
                }
                _ => Ok(()),
            }
        })
        .await?;
        self.keep(|kept| {
            kept.profiles.retain(|it| it.id != id);
            kept.last_open.take_if(|it| it == id);
        })
        .await
    }

    /// Tries what is typed, step by step; `on_step` hears each as it ends. Nothing is saved.
    pub async fn connection_test(
        &self,
        draft: &ProfileDraft,
        on_step: &(dyn Fn(TestStep) + Send + Sync),
    ) -> Result<ConnectionReport, Failure> {
        let stripe_url = profile::typed(draft.stripe_url.as_ref()).unwrap_or(profile::STRIPE_URL);
        let saved = draft.id.as_deref().and_then(|id| self.kept().get(id).cloned());
        // What is stored goes to the address that it was stored for, and nowhere else.
        let same =
            |known: Option<&str>, typed: &str| known.is_some_and(|it| normalised_url(typed).as_deref() == Some(it));
        let to_server = same(saved.as_ref().map(|it| it.server_url.as_str()), &draft.server_url);
        let to_stripe = same(saved.as_ref().map(Profile::stripe_url), stripe_url);
        let token = self.secret_to_try(draft, SecretName::ServerToken, draft.server_token.as_ref(), to_server).await?;
        let stripe_key = self.secret_to_try(draft, SecretName::StripeKey, draft.stripe_key.as_ref(), to_stripe).await?;
        let subject = connection::Subject {
            server_url: &draft.server_url,
            token: token.as_ref(),
            stripe_url,
            stripe_key: stripe_key.as_ref(),
            live: draft.mode == Mode::Live,
            changes: draft.write_mode == WriteMode::Review,
        };
        Ok(connection::test(&subject, on_step).await)
    }

    /// What is typed, else what is stored, where that is `allowed`.
    async fn secret_to_try(
        &self,
        draft: &ProfileDraft,
        name: SecretName,
        text: Option<&String>,
        allowed: bool,
    ) -> Result<Option<SecretString>, Failure> {
        match (profile::typed(text), draft.id.as_deref()) {
            (Some(text), _) if profile::is_mask(text) => {
                Err(Failure::of(FailureCode::ProfileRejected, "a mask stands for a stored secret and is none"))
            }
            (Some(text), _) => Ok(Some(SecretString::from(text.to_owned()))),
            (None, Some(id)) if allowed => Ok(self.inner.vault.get(id, name).await?),
            (None, _) => Ok(None),
        }
    }

    /// Makes the profile of the sample world, or tells it where its servers are this time. Its copy stays.
    /// Its secrets go the way of any other's: to the keyring, or where that cannot be used, to memory.
    pub async fn sample_profile(&self, addresses: SampleAddresses) -> Result<ProfileView, Failure> {
        let turn = self.inner.turn.lock().await;
        let known = self.kept().get(SAMPLE_PROFILE).cloned();
        let mut profile = Profile {
            id: SAMPLE_PROFILE.to_owned(),
            name: known.as_ref().map_or_else(|| "Sample data".to_owned(), |it| it.name.clone()),
            mode: Mode::Sample,
            write_mode: known.as_ref().map_or(WriteMode::Review, |it| it.write_mode),
            server_url: addresses.server_url.trim_end_matches('/').to_owned(),
            server_token: known.as_ref().and_then(|it| it.server_token.clone()),
            stripe_url: Some(addresses.stripe_url.trim_end_matches('/').to_owned()),
            stripe_key: known.as_ref().and_then(|it| it.stripe_key.clone()),
            caller: known.as_ref().and_then(|it| it.caller.clone()),
            reporting: known.map(|it| it.reporting).unwrap_or_default(),
        };
        let (token, key) = (Some(addresses.server_token.as_str()), Some(addresses.stripe_key.as_str()));
        if let Err(failure) = self.save_in_keyring(&mut profile, token, key).await {
            tracing::info!(code = ?failure.code, "the sample's credentials are kept for this session only");
            self.save_for_session(&mut profile, token, key).await?;
        }
        if self.opened().is_some_and(|open| open.profile == SAMPLE_PROFILE) {
            self.close_open().await;
            self.open_profile(SAMPLE_PROFILE).await?;
        }
        drop(turn);
        self.view(SAMPLE_PROFILE).await
    }

    /// The profile as the window shows it.
    pub(super) async fn view(&self, id: &str) -> Result<ProfileView, Failure> {
        let Some(profile) = self.kept().get(id).cloned() else { return Err(unknown(id)) };
        let open = self.opened().filter(|open| open.profile == id);
        let cache = match open {
            Some(open) => CacheView {
                tenants: Some(open.cache.tenant_total().await?),
                bytes: Some(open.cache.bytes()),
                full_sync_at: open.cache.server_as_of().await?,
                encrypted: true,
            },
            None => CacheView {
                tenants: None,
                bytes: cache::bytes(&self.inner.home.cache_file(id)),
                full_sync_at: None,
                encrypted: true,
            },
        };
        let views = guard(&self.inner.session_views);
        let view = |name, stored: &Option<SecretView>| views.get(&(id.to_owned(), name)).or(stored.as_ref()).cloned();
        Ok(ProfileView {
            server_token: view(SecretName::ServerToken, &profile.server_token),
            stripe_key: view(SecretName::StripeKey, &profile.stripe_key),
            stripe_url: profile.stripe_url().to_owned(),
            sample_running: (profile.mode == Mode::Sample).then(|| self.inner.sample_running.load(Ordering::Relaxed)),
            id: profile.id,
            name: profile.name,
            mode: profile.mode,
            write_mode: profile.write_mode,
            server_url: profile.server_url,
            caller: profile.caller,
            cache,
        })
    }

    /// How the keyring is now.
    pub async fn keyring_state(&self) -> KeyringState {
        self.inner.vault.state().await
    }
}

pub(super) fn unknown(id: &str) -> Failure {
    Failure::of(FailureCode::UnknownProfile, format!("there is no profile {id}"))
}

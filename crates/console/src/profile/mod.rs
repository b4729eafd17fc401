//! Profiles: which environments there are, and how they are kept. No secret is in their file.

mod check;
mod hint;

use std::io;
use std::path::PathBuf;

use paywall_domain::Timestamp;
use serde::{Deserialize, Serialize};

pub use check::{Known, STRIPE_URL, check, normalised_url, stripe_key_kind, stripe_key_live};
pub use hint::{hint, is_mask};

pub(crate) use check::{readable_on_the_way, typed};

use crate::home::{Home, replace_file};
use crate::ipc::{CallerView, Failure, FailureCode, Mode, Reporting, SecretView, Settings, WriteMode};

/// The id of the one profile of the sample world.
pub const SAMPLE_PROFILE: &str = "sample";

/// The layout of the file that this version writes.
const VERSION: u32 = 1;

/// An environment: a paywall server, a Stripe account, and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Stable id; names its folder and its secrets.
    pub id: String,
    /// As its user named it.
    pub name: String,
    /// Which environment.
    pub mode: Mode,
    /// What it lets its user change.
    pub write_mode: WriteMode,
    /// Base address of the paywall server, without a slash at its end.
    pub server_url: String,
    /// What may be shown of the token; `None` = none stored.
    #[serde(default)]
    pub server_token: Option<SecretView>,
    /// Base address of Stripe's API; `None` = Stripe's own.
    #[serde(default)]
    pub stripe_url: Option<String>,
    /// What may be shown of the Stripe key; `None` = none stored.
    #[serde(default)]
    pub stripe_key: Option<SecretView>,
    /// Who the server last said the token is.
    #[serde(default)]
    pub caller: Option<CallerView>,
    /// How its revenue is reported.
    #[serde(default)]
    pub reporting: Reporting,
}

impl Profile {
    /// Stripe's address, its own unless set.
    pub fn stripe_url(&self) -> &str {
        self.stripe_url.as_deref().unwrap_or(STRIPE_URL)
    }
}

/// Everything that is kept between starts beside secrets and copies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profiles {
    #[serde(default)]
    version: u32,
    /// What holds for the whole app.
    #[serde(default)]
    pub settings: Settings,
    /// The profile that was open last.
    #[serde(default)]
    pub last_open: Option<String>,
    /// Every profile, in the order of making.
    #[serde(default)]
    pub profiles: Vec<Profile>,
}

/// What can go wrong with the file of profiles.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    /// It cannot be read or written; it is as it was.
    #[error("the list of profiles ({path}): {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A newer version of the app wrote it. It is left untouched.
    #[error("the list of profiles has layout {found}, this version knows up to {VERSION}: update the app")]
    Newer {
        /// The file's layout.
        found: u32,
    },
}

impl From<ProfilesError> for Failure {
    fn from(error: ProfilesError) -> Self {
        let code = match &error {
            ProfilesError::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => FailureCode::DiskFull,
            _ => FailureCode::Internal,
        };
        Self::of(code, error.to_string())
    }
}

/// The file as it was found.
#[derive(Debug)]
pub struct Loaded {
    /// What it says; nothing where there is none or it could not be read.
    pub profiles: Profiles,
    /// Where a file that could not be read was put aside, whole.
    pub put_aside: Option<PathBuf>,
}

impl Profiles {
    /// Reads the file of `home`. One that cannot be understood is put aside, not overwritten.
    pub fn load(home: &Home, now: Timestamp) -> Result<Loaded, ProfilesError> {
        let path = home.profiles_file();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Loaded { profiles: Self::default(), put_aside: None });
            }
            Err(error) => return Err(ProfilesError::Io { path, error }),
        };
        if let Ok(Layout { version }) = serde_json::from_slice::<Layout>(&bytes)
            && version > VERSION
        {
            return Err(ProfilesError::Newer { found: version });
        }
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(profiles) => Ok(Loaded { profiles, put_aside: None }),
            Err(error) => {
                tracing::error!(%error, "the list of profiles cannot be understood");
                let aside = path.with_file_name(format!("profiles.unreadable-{}.json", now.0));
                std::fs::rename(&path, &aside).map_err(|error| ProfilesError::Io { path, error })?;
                Ok(Loaded { profiles: Self::default(), put_aside: Some(aside) })
            }
        }
    }

    /// Writes the file of `home` as a whole.
    pub fn store(&self, home: &Home) -> Result<(), ProfilesError> {
        let path = home.profiles_file();
        let kept = Self { version: VERSION, ..self.clone() };
        let written = serde_json::to_vec_pretty(&kept).map_err(io::Error::other).and_then(|mut text| {
            text.push(b'\n');
            replace_file(&path, &text)
        });
        written.map_err(|error| ProfilesError::Io { path, error })
    }

    /// The profile of that id.
    pub fn get(&self, id: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.id == id)
    }

    /// The profile of that id, to change it.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Profile> {
        self.profiles.iter_mut().find(|profile| profile.id == id)
    }

    /// Puts the profile in the place of the one with its id, or at the end.
    pub fn put(&mut self, profile: Profile) {
        match self.get_mut(&profile.id) {
            Some(present) => *present = profile,
            None => self.profiles.push(profile),
        }
    }
}

#[derive(Deserialize)]
struct Layout {
    #[serde(default)]
    version: u32,
}

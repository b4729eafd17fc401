//! Settings: a TOML file named by `PAYWALL_CONFIG`, and `PAYWALL_…` environment variables, which win.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use paywall_domain::{Limit, Meter, Plan};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::private;
use crate::store::{is_postgres, shown};

/// Everything that can be set of a server.
#[derive(Clone)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// `sqlite://…` or `postgres://…`. It may hold a password: [`Config::database`] is for people.
    pub database_url: String,
    /// The address at which callers reach it, where that is known: for its `OpenAPI` document.
    pub public_url: Option<String>,
    /// The key under which access tokens are hashed. Another key makes every token unknown.
    pub token_key: SecretString,
    /// The plans; `None` leaves those that the database holds, or begins with the built-in ones.
    pub plans: Option<Vec<Plan>>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {error}")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// A value cannot be taken.
    #[error("{key}: {reason}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The platform has no folder for this user's data.
    #[error("no data folder is known for this user; set PAYWALL_DATABASE_URL and PAYWALL_TOKEN_KEY")]
    NoDataFolder,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    listen: Option<String>,
    database_url: Option<String>,
    public_url: Option<String>,
    token_key: Option<String>,
    plan: Option<Vec<PlanSettings>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanSettings {
    id: String,
    name: String,
    #[serde(default)]
    limits: std::collections::BTreeMap<Meter, i64>,
    #[serde(default)]
    stripe_prices: Vec<String>,
    #[serde(default)]
    trial_days: u32,
}

impl From<PlanSettings> for Plan {
    fn from(it: PlanSettings) -> Self {
        Self {
            id: it.id.as_str().into(),
            name: it.name,
            limits: it.limits.into_iter().map(|(meter, most)| (meter, Limit::AtMost(most))).collect(),
            stripe_prices: it.stripe_prices,
            trial_days: it.trial_days,
        }
    }
}

impl Config {
    /// Reads the settings of this process.
    pub fn load() -> Result<Self, ConfigError> {
        Self::from_environment(|key| std::env::var(key).ok().filter(|value| !value.is_empty()))
    }

    /// Reads the settings with `variable` as the environment.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let settings = match variable("PAYWALL_CONFIG") {
            Some(path) => read_settings(Path::new(&path))?,
            None => Settings::default(),
        };
        let listen = variable("PAYWALL_LISTEN").or(settings.listen).unwrap_or_else(|| "127.0.0.1:8787".to_owned());
        let listen = listen.parse().map_err(|_| ConfigError::Value {
            key: "listen",
            reason: format!("{listen:?} is not an address and port such as 127.0.0.1:8787"),
        })?;
        let database_url = match variable("PAYWALL_DATABASE_URL").or(settings.database_url) {
            Some(url) if url.starts_with("sqlite:") || is_postgres(&url) => url,
            Some(_) => {
                return Err(ConfigError::Value {
                    key: "database_url",
                    reason: "write sqlite:///path/to/server.db, or postgres://user:password@host/database".to_owned(),
                });
            }
            None => sqlite_url(&made_data_folder()?.join("server.db")),
        };
        let token_key = match (variable("PAYWALL_TOKEN_KEY"), variable("PAYWALL_TOKEN_KEY_FILE"), settings.token_key) {
            (None, Some(path), _) => {
                let path = PathBuf::from(path);
                let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::File { path, error })?;
                SecretString::from(text.trim().to_owned())
            }
            (Some(key), ..) | (None, None, Some(key)) => SecretString::from(key),
            (None, None, None) => kept_token_key(&made_data_folder()?.join("token.key"))?,
        };
        if token_key.expose_secret().len() < 16 {
            return Err(ConfigError::Value {
                key: "token_key",
                reason: "it must have at least 16 characters".to_owned(),
            });
        }
        let public_url = variable("PAYWALL_PUBLIC_URL").or(settings.public_url);
        if public_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err(ConfigError::Value {
                key: "public_url",
                reason: "it must begin with http:// or https://".to_owned(),
            });
        }
        let plans: Option<Vec<Plan>> = settings.plan.map(|plans| plans.into_iter().map(Plan::from).collect());
        check_plans(plans.as_deref().unwrap_or_default())?;
        Ok(Self { listen, database_url, public_url, token_key, plans })
    }

    /// A server inside another program: its database in `file`, its token key beside it.
    pub fn embedded(file: impl AsRef<Path>, listen: SocketAddr) -> Self {
        // A key made per start would make the tokens of the last start unknown, so it is kept; where
        // it cannot be, opening the database beside it fails with the reason.
        let file = file.as_ref();
        let token_key = kept_token_key(&file.with_extension("key"))
            .unwrap_or_else(|_| SecretString::from(hex::encode(rand::random::<[u8; 32]>())));
        Self { listen, database_url: sqlite_url(file), public_url: None, token_key, plans: None }
    }
}

impl Config {
    /// Where its database lies, without a password.
    pub fn database(&self) -> String {
        shown(&self.database_url)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, database_url: _, public_url, token_key: _, plans } = self;
        f.debug_struct("Config")
            .field("listen", listen)
            .field("database", &self.database())
            .field("public_url", public_url)
            .field("plans", plans)
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    /// Loopback, a database in the system's folder for temporary files, a key for this start only.
    fn default() -> Self {
        let name = format!("paywall-{}.db", hex::encode(rand::random::<[u8; 8]>()));
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
            database_url: sqlite_url(&std::env::temp_dir().join(name)),
            public_url: None,
            token_key: SecretString::from(hex::encode(rand::random::<[u8; 32]>())),
            plans: None,
        }
    }
}

/// The plans that an unconfigured server begins with.
pub fn built_in_plans() -> Vec<Plan> {
    let limited = |amounts: [i64; 7]| Meter::ALL.into_iter().zip(amounts.map(Limit::AtMost)).collect();
    let plan = |id: &str, name: &str, limits, trial_days| Plan {
        id: id.into(),
        name: name.to_owned(),
        limits,
        stripe_prices: Vec::new(),
        trial_days,
    };
    let gib = 1 << 30;
    vec![
        plan("starter", "Starter", limited([500, 1_000_000, 1_000, 100, gib, 3, 3]), 14),
        plan("pro", "Pro", limited([10_000, 20_000_000, 50_000, 5_000, 50 * gib, 50, 20]), 14),
        plan("enterprise", "Enterprise", Meter::ALL.into_iter().map(|it| (it, Limit::Unlimited)).collect(), 30),
    ]
}

fn check_plans(plans: &[Plan]) -> Result<(), ConfigError> {
    let wrong = |reason: String| Err(ConfigError::Value { key: "plan", reason });
    for (index, plan) in plans.iter().enumerate() {
        if plan.id.as_str().trim().is_empty() {
            return wrong(format!("plan {} has no id", index + 1));
        }
        if plans[..index].iter().any(|earlier| earlier.id == plan.id) {
            return wrong(format!("two plans have the id {:?}", plan.id.as_str()));
        }
        if plan.limits.values().any(|limit| matches!(limit, Limit::AtMost(most) if *most < 0)) {
            return wrong(format!("{:?} has a limit below zero; leave a meter out for no limit", plan.id.as_str()));
        }
    }
    Ok(())
}

fn read_settings(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File { path: path.to_owned(), error })?;
    toml::from_str(&text).map_err(|error| ConfigError::Syntax { path: path.to_owned(), error: Box::new(error) })
}

/// The platform's folder for this user's data of the server, made where it is not there. It is the only place
/// that is made unasked, and its owner's alone.
fn made_data_folder() -> Result<PathBuf, ConfigError> {
    let folders =
        directories::ProjectDirs::from("dev", "paywall", "paywall-server").ok_or(ConfigError::NoDataFolder)?;
    let path = folders.data_dir().to_owned();
    private::make_folder(&path).map_err(|error| ConfigError::File { path: path.clone(), error })?;
    private::close_to_others(&path);
    Ok(path)
}

fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// The key kept in this file, which only its owner may read; made where there is none.
fn kept_token_key(path: &Path) -> Result<SecretString, ConfigError> {
    let failed = |error| ConfigError::File { path: path.to_owned(), error };
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= 16 => return Ok(SecretString::from(text.trim().to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    if let Some(folder) = path.parent() {
        private::make_folder(folder).map_err(failed)?;
    }
    let key = hex::encode(rand::random::<[u8; 32]>());
    private::write(path, &key).map_err(failed)?;
    Ok(SecretString::from(key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_environment(|key| {
            pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("paywall.toml");
        std::fs::write(
            &file,
            "listen = \"127.0.0.1:1\"\ndatabase_url = \"sqlite://a.db\"\n[[plan]]\nid = \"p\"\nname = \"P\"\nlimits = { messages = 0 }\n",
        )
        .unwrap();
        let config = environment(&[
            ("PAYWALL_CONFIG", file.to_str().unwrap()),
            ("PAYWALL_LISTEN", "127.0.0.1:2"),
            ("PAYWALL_TOKEN_KEY", "0123456789abcdef"),
        ])
        .unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.database_url, "sqlite://a.db");
        let plan = &config.plans.unwrap()[0];
        assert_eq!(plan.limit(Meter::Messages), Limit::AtMost(0));
        assert_eq!(plan.limit(Meter::Tokens), Limit::Unlimited);
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let error = environment(&[("PAYWALL_LISTEN", "here"), ("PAYWALL_TOKEN_KEY", "0123456789abcdef")]);
        assert!(error.unwrap_err().to_string().starts_with("listen:"));
        let error = environment(&[("PAYWALL_DATABASE_URL", "mysql://x"), ("PAYWALL_TOKEN_KEY", "k")]);
        assert!(error.unwrap_err().to_string().starts_with("database_url:"));
        let config = environment(&[
            ("PAYWALL_DATABASE_URL", "postgresql://me:hidden@db/paywall"),
            ("PAYWALL_TOKEN_KEY", "0123456789abcdef"),
        ]);
        let shown = format!("{:?}", config.unwrap());
        assert!(shown.contains("postgresql://me@db/paywall") && !shown.contains("hidden"), "{shown}");
    }

    #[cfg(unix)]
    #[test]
    fn the_kept_key_is_its_owners_and_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.key");
        let first = kept_token_key(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(kept_token_key(&path).unwrap().expose_secret(), first.expose_secret());
    }
}

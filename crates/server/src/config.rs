//! Settings: a TOML file named by `PAYWALL_CONFIG`, and `PAYWALL_…` environment variables, which win.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Uri;
use ipnet::IpNet;
use paywall_domain::{Limit, Meter, Plan, PlanId};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::directory::{RagflowDatabase, TrialStart};
use crate::enforcement::FailOpen;
use crate::listener::Limits;
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
    /// Where `RAGFlow` answers, `http://…`; `None` = there is none yet.
    pub ragflow_url: Option<Uri>,
    /// `RAGFlow`'s own database, `mysql://…` or `postgres://…`, read and never written; `None` = its tenants
    /// are known by their calls alone.
    pub ragflow_database_url: Option<SecretString>,
    /// When the trial of a new tenant begins.
    pub trial_start: TrialStart,
    /// The plan that new tenants try; `None` = the first one.
    pub trial_plan: Option<PlanId>,
    /// Proxies of one's own, which are believed whom they have before them and may ask `/authz`.
    pub trusted_proxies: Vec<IpNet>,
    /// What connections may take.
    pub limits: Limits,
    /// Whose requests pass while nobody can tell what is left.
    pub fail_open: FailOpen,
    /// Whether `/authz` refuses callers that nobody knows; else `RAGFlow` does.
    pub authz_refuses_anonymous: bool,
    /// Where customers turn to, a `mailto:` or `https:` address: stands on their page.
    pub support_contact: Option<String>,
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
    ragflow_url: Option<String>,
    ragflow_database_url: Option<String>,
    trial_start: Option<String>,
    trial_plan: Option<String>,
    plan: Option<Vec<PlanSettings>>,
    trusted_proxies: Option<Vec<String>>,
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    header_bytes: Option<usize>,
    header_timeout_seconds: Option<u64>,
    idle_timeout_seconds: Option<u64>,
    stall_timeout_seconds: Option<u64>,
    drain_timeout_seconds: Option<u64>,
    fail_open: Option<String>,
    authz_anonymous: Option<String>,
    support_contact: Option<String>,
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
        let mut settings = match variable("PAYWALL_CONFIG") {
            Some(path) => read_settings(Path::new(&path))?,
            None => Settings::default(),
        };
        let listen =
            variable("PAYWALL_LISTEN").or(settings.listen.take()).unwrap_or_else(|| "127.0.0.1:8787".to_owned());
        let listen = listen.parse().map_err(|_| ConfigError::Value {
            key: "listen",
            reason: format!("{listen:?} is not an address and port such as 127.0.0.1:8787"),
        })?;
        let database_url = match variable("PAYWALL_DATABASE_URL").or(settings.database_url.take()) {
            Some(url) if url.starts_with("sqlite:") || is_postgres(&url) => url,
            Some(_) => {
                return Err(ConfigError::Value {
                    key: "database_url",
                    reason: "write sqlite:///path/to/server.db, or postgres://user:password@host/database".to_owned(),
                });
            }
            None => sqlite_url(&made_data_folder()?.join("server.db")),
        };
        let token_key =
            match (variable("PAYWALL_TOKEN_KEY"), variable("PAYWALL_TOKEN_KEY_FILE"), settings.token_key.take()) {
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
        let public_url = variable("PAYWALL_PUBLIC_URL").or(settings.public_url.take());
        if public_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err(ConfigError::Value {
                key: "public_url",
                reason: "it must begin with http:// or https://".to_owned(),
            });
        }
        let plans: Option<Vec<Plan>> = settings.plan.take().map(|plans| plans.into_iter().map(Plan::from).collect());
        check_plans(plans.as_deref().unwrap_or_default())?;
        let ragflow_url = variable("PAYWALL_RAGFLOW_URL").or(settings.ragflow_url.take());
        let ragflow_url = ragflow_url.as_deref().map(ragflow_url_of).transpose()?;
        let ragflow_database_url = ragflow_database_url(&variable, settings.ragflow_database_url.take())?;
        let trial_start = match variable("PAYWALL_TRIAL_START").or(settings.trial_start.take()).as_deref() {
            None => TrialStart::default(),
            Some(word) => TrialStart::parse(word).ok_or_else(|| ConfigError::Value {
                key: "trial_start",
                reason: format!("{word:?} is neither \"registration\" nor \"first_use\""),
            })?,
        };
        let trial_plan =
            variable("PAYWALL_TRIAL_PLAN").or(settings.trial_plan.take()).map(|id| PlanId::from(id.as_str()));
        if let (Some(plan), Some(plans)) = (&trial_plan, &plans)
            && !plans.iter().any(|it| it.id == *plan)
        {
            return Err(ConfigError::Value {
                key: "trial_plan",
                reason: format!("there is no plan {:?} among those configured", plan.as_str()),
            });
        }
        let listed =
            |list: String| list.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
        let trusted = variable("PAYWALL_TRUSTED_PROXIES").map(listed).or(settings.trusted_proxies.take());
        let trusted_proxies = trusted.unwrap_or_default().iter().map(|it| network(it)).collect::<Result<_, _>>()?;
        let limits = limits(&settings, &variable)?;
        let fail_open = match variable("PAYWALL_FAIL_OPEN").or(settings.fail_open.take()) {
            None => FailOpen::default(),
            Some(list) => FailOpen::parse(&list).map_err(|word| ConfigError::Value {
                key: "fail_open",
                reason: format!("{word:?} is neither a status such as active nor \"unknown\""),
            })?,
        };
        let authz_refuses_anonymous =
            match variable("PAYWALL_AUTHZ_ANONYMOUS").or(settings.authz_anonymous.take()).as_deref() {
                None | Some("pass") => false,
                Some("refuse") => true,
                Some(word) => {
                    let reason = format!("{word:?} is neither \"pass\" nor \"refuse\"");
                    return Err(ConfigError::Value { key: "authz_anonymous", reason });
                }
            };
        let support_contact = variable("PAYWALL_SUPPORT_CONTACT").or(settings.support_contact.take());
        if support_contact.as_ref().is_some_and(|it| !it.starts_with("mailto:") && !it.starts_with("https://")) {
            let reason = "it must begin with mailto: or https://".to_owned();
            return Err(ConfigError::Value { key: "support_contact", reason });
        }
        Ok(Self {
            listen,
            database_url,
            public_url,
            token_key,
            plans,
            ragflow_url,
            ragflow_database_url,
            trial_start,
            trial_plan,
            trusted_proxies,
            limits,
            fail_open,
            authz_refuses_anonymous,
            support_contact,
        })
    }

    /// A server inside another program: its database in `file`, its token key beside it.
    pub fn embedded(file: impl AsRef<Path>, listen: SocketAddr) -> Self {
        // A key made per start would make the tokens of the last start unknown, so it is kept; where
        // it cannot be, opening the database beside it fails with the reason.
        let file = file.as_ref();
        let token_key = kept_token_key(&file.with_extension("key"))
            .unwrap_or_else(|_| SecretString::from(hex::encode(rand::random::<[u8; 32]>())));
        Self { listen, database_url: sqlite_url(file), token_key, ..Self::default() }
    }
}

impl Config {
    /// The address of the page that customers see; without a public address, on the host that they are on.
    pub fn page_url(&self) -> String {
        let host = self.public_url.as_deref().unwrap_or_default();
        format!("{}/paywall/", host.trim_end_matches('/'))
    }

    /// Where its database lies, without a password.
    pub fn database(&self) -> String {
        shown(&self.database_url)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, database_url: _, public_url, token_key: _, plans, .. } = self;
        f.debug_struct("Config")
            .field("listen", listen)
            .field("database", &self.database())
            .field("public_url", public_url)
            .field("plans", plans)
            .field("ragflow_url", &self.ragflow_url)
            .field("trial_start", &self.trial_start)
            .field("trial_plan", &self.trial_plan)
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
            ragflow_url: None,
            ragflow_database_url: None,
            trial_start: TrialStart::default(),
            trial_plan: None,
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            fail_open: FailOpen::default(),
            authz_refuses_anonymous: false,
            support_contact: None,
        }
    }
}

/// Where `RAGFlow` is. A path would move its routes away from where they are looked for.
fn ragflow_url_of(text: &str) -> Result<Uri, ConfigError> {
    let wrong = |reason: &str| ConfigError::Value { key: "ragflow_url", reason: format!("{text:?} {reason}") };
    let url: Uri = text.parse().map_err(|_| wrong("is not an address such as http://127.0.0.1:9380"))?;
    let authority = url.authority().map(axum::http::uri::Authority::as_str).unwrap_or_default();
    match (url.scheme_str(), url.path_and_query().map_or("/", |it| it.as_str())) {
        _ if authority.contains('@') => Err(wrong("must not hold a password")),
        (Some("http"), "/") => Ok(url),
        (Some("http"), _) => Err(wrong("must end after host and port")),
        (Some("https"), _) => Err(wrong("must begin with http://: RAGFlow belongs onto a network of its own")),
        _ => Err(wrong("must begin with http://")),
    }
}

/// A network, or a single address.
fn network(text: &str) -> Result<IpNet, ConfigError> {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| ConfigError::Value {
        key: "trusted_proxies",
        reason: format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"),
    })
}

fn limits(settings: &Settings, variable: &impl Fn(&str) -> Option<String>) -> Result<Limits, ConfigError> {
    let number = |key: &'static str, set: Option<u64>, least: u64, otherwise: u64| {
        let wrong = |found: &str| ConfigError::Value {
            key,
            reason: format!("{found:?} is not a whole number of {least} or more"),
        };
        let value = match variable(&format!("PAYWALL_{}", key.to_uppercase())) {
            Some(text) => text.parse().map_err(|_| wrong(&text))?,
            None => set.unwrap_or(otherwise),
        };
        if value < least { Err(wrong(&value.to_string())) } else { Ok(value) }
    };
    let count = |key, set: Option<usize>, least, otherwise: usize| {
        number(key, set.map(|it| it as u64), least, otherwise as u64).map(|it| it as usize)
    };
    let seconds = |key, set, otherwise: Duration| number(key, set, 1, otherwise.as_secs()).map(Duration::from_secs);
    let usual = Limits::default();
    Ok(Limits {
        connections: count("connections", settings.connections, 1, usual.connections)?,
        connections_per_address: count(
            "connections_per_address",
            settings.connections_per_address,
            1,
            usual.connections_per_address,
        )?,
        header_bytes: count("header_bytes", settings.header_bytes, 1024, usual.header_bytes)?,
        header_timeout: seconds("header_timeout_seconds", settings.header_timeout_seconds, usual.header_timeout)?,
        idle_timeout: seconds("idle_timeout_seconds", settings.idle_timeout_seconds, usual.idle_timeout)?,
        stall_timeout: seconds("stall_timeout_seconds", settings.stall_timeout_seconds, usual.stall_timeout)?,
        drain_timeout: seconds("drain_timeout_seconds", settings.drain_timeout_seconds, usual.drain_timeout)?,
    })
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

/// From the environment, else from the file that it names, else from the settings: it holds a password.
fn ragflow_database_url(
    variable: &impl Fn(&str) -> Option<String>,
    setting: Option<String>,
) -> Result<Option<SecretString>, ConfigError> {
    let named = variable("PAYWALL_RAGFLOW_DATABASE_URL_FILE");
    let url = match (variable("PAYWALL_RAGFLOW_DATABASE_URL"), named) {
        (Some(url), _) => Some(url),
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::File { path, error })?;
            Some(text.trim().to_owned())
        }
        (None, None) => setting,
    };
    let url = url.map(SecretString::from);
    if let Some(url) = &url {
        // Here and not at the first question: a slip of typing is seen at the start.
        RagflowDatabase::check_url(url).map_err(|error| ConfigError::Value {
            key: "ragflow_database_url",
            reason: error.to_string().trim_start_matches("ragflow_database_url: ").to_owned(),
        })?;
    }
    Ok(url)
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

    #[test]
    fn what_is_said_of_ragflow_is_checked_and_its_password_is_not_repeated() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let mut all = vec![("PAYWALL_TOKEN_KEY", "0123456789abcdef"), ("PAYWALL_DATABASE_URL", "sqlite://a.db")];
            all.extend(pairs);
            environment(&all)
        };
        let config = of(&[
            ("PAYWALL_RAGFLOW_DATABASE_URL", "mysql://paywall:s3cret@db:3306/rag_flow"),
            ("PAYWALL_TRIAL_START", "first_use"),
        ])
        .unwrap();
        assert_eq!(config.trial_start, TrialStart::FirstUse);
        assert!(!format!("{config:?}").contains("s3cret"));
        for (key, value, named) in [
            ("PAYWALL_RAGFLOW_DATABASE_URL", "oracle://paywall:s3cret@db/rag_flow", "ragflow_database_url:"),
            ("PAYWALL_RAGFLOW_DATABASE_URL", "mysql://paywall:s3cret@db", "ragflow_database_url:"),
            ("PAYWALL_RAGFLOW_URL", "ragflow:9380", "ragflow_url:"),
            ("PAYWALL_TRIAL_START", "sometimes", "trial_start:"),
        ] {
            let error = of(&[(key, value)]).unwrap_err().to_string();
            assert!(error.starts_with(named) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn where_ragflow_is_and_whom_to_believe() {
        let with = |key, value| environment(&[("PAYWALL_TOKEN_KEY", "0123456789abcdef"), (key, value)]);
        let config = with("PAYWALL_RAGFLOW_URL", "http://127.0.0.1:9380/").unwrap();
        assert_eq!(config.ragflow_url.unwrap().authority().unwrap(), "127.0.0.1:9380");
        for wrong in ["127.0.0.1:9380", "https://a", "http://a/b", "http://a/?b", "http://u:p@a", "http://", "a b"] {
            let error = with("PAYWALL_RAGFLOW_URL", wrong).unwrap_err().to_string();
            assert!(error.starts_with("ragflow_url:"), "{error}");
        }
        let config = with("PAYWALL_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,::1").unwrap();
        let networks: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]);
        assert!(with("PAYWALL_TRUSTED_PROXIES", "nginx").is_err());
        let config = with("PAYWALL_IDLE_TIMEOUT_SECONDS", "9").unwrap();
        assert_eq!(config.limits, Limits { idle_timeout: Duration::from_secs(9), ..Limits::default() });
        for wrong in ["0", "-1", "x", "1.5"] {
            let error = with("PAYWALL_CONNECTIONS", wrong).unwrap_err().to_string();
            assert!(error.starts_with("connections:"), "{error}");
        }
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

//! Settings: a TOML file named by `PAYWALL_CONFIG`, and `PAYWALL_…` environment variables, which win.

mod environment;
mod secret;
mod stripe;

use std::fmt;
use std::io::ErrorKind;
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

use self::secret::secret;
pub use self::stripe::{CheckoutSettings, StripeSettings};

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
    /// For how many months usage events are kept; 0 = for ever. What they add up to is kept anyway.
    pub keep_usage_months: u32,
    /// How the server bills; `None` = it does not.
    pub stripe: Option<StripeSettings>,
}

/// For how many months usage events are kept unless told otherwise: a year, and the month in which it is looked at.
const USAGE_MONTHS: u32 = 13;

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
    #[error("{path}, line {line}: {reason}")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Why. Never with the line itself, which may hold a password.
        reason: String,
    },
    /// A value cannot be taken.
    #[error("{key}: {reason}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The file of the kept token key does not hold one. It is not made anew: that would end every token.
    #[error(
        "{path}: this is no token key, which has at least 16 characters; put the key back from its backup, or \
         remove the file to begin with a new key, which makes every token worthless"
    )]
    DamagedKey {
        /// Which.
        path: PathBuf,
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
    database_url_file: Option<PathBuf>,
    public_url: Option<String>,
    token_key: Option<String>,
    token_key_file: Option<PathBuf>,
    ragflow_url: Option<String>,
    ragflow_database_url: Option<String>,
    ragflow_database_url_file: Option<PathBuf>,
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
    stop_delay_seconds: Option<u64>,
    drain_timeout_seconds: Option<u64>,
    fail_open: Option<String>,
    authz_anonymous: Option<String>,
    support_contact: Option<String>,
    keep_usage_months: Option<u32>,
    stripe_url: Option<String>,
    stripe_key: Option<String>,
    stripe_key_file: Option<PathBuf>,
    stripe_webhook_secret: Option<String>,
    stripe_webhook_secret_file: Option<PathBuf>,
    stripe_poll_seconds: Option<u64>,
    stripe_reconcile_hour: Option<u64>,
    grace_days: Option<u64>,
    checkout_automatic_tax: Option<bool>,
    checkout_promotion_codes: Option<bool>,
    checkout_tax_ids: Option<bool>,
    checkout_billing_address: Option<bool>,
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
    /// Reads the settings of this process. Variables that look like settings and are none are told to the log.
    pub fn load() -> Result<Self, ConfigError> {
        let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        for variable in environment::unknown(names) {
            tracing::warn!(variable, "this variable is no setting of the server and has no effect; is it misspelled?");
        }
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
        let (value, file) = (settings.database_url.take(), settings.database_url_file.take());
        let database_url = match secret(&variable, "database_url", value, file)? {
            Some(url) if url.starts_with("sqlite:") || is_postgres(&url) => url,
            Some(_) => {
                return Err(ConfigError::Value {
                    key: "database_url",
                    reason: "write sqlite:///path/to/server.db, or postgres://user:password@host/database".to_owned(),
                });
            }
            None => sqlite_url(&made_data_folder()?.join("server.db")),
        };
        let (value, file) = (settings.token_key.take(), settings.token_key_file.take());
        let token_key = match secret(&variable, "token_key", value, file)? {
            Some(key) => SecretString::from(key),
            None => kept_token_key(&made_data_folder()?.join("token.key"))?,
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
        let (value, file) = (settings.ragflow_database_url.take(), settings.ragflow_database_url_file.take());
        let ragflow_database_url = secret(&variable, "ragflow_database_url", value, file)?.map(SecretString::from);
        if let Some(url) = &ragflow_database_url {
            // Here and not at the first question: a slip of typing is seen at the start.
            RagflowDatabase::check_url(url).map_err(|error| ConfigError::Value {
                key: "ragflow_database_url",
                reason: error.to_string().trim_start_matches("ragflow_database_url: ").to_owned(),
            })?;
        }
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
        let keep_usage_months = match variable("PAYWALL_KEEP_USAGE_MONTHS") {
            None => settings.keep_usage_months.unwrap_or(USAGE_MONTHS),
            Some(text) => text.parse().map_err(|_| ConfigError::Value {
                key: "keep_usage_months",
                reason: format!("{text:?} is not a whole number of months; 0 keeps them for ever"),
            })?,
        };
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
            keep_usage_months,
            stripe: stripe::read(&mut settings, &variable)?,
        })
    }

    /// A server inside another program: its database in `file`, its token key beside it.
    pub fn embedded(file: impl AsRef<Path>, listen: SocketAddr) -> Self {
        // A key made per start would make the tokens of the last start unknown, so it is kept; where
        // it cannot be, it lasts until the next start.
        let file = file.as_ref();
        let token_key = kept_token_key(&file.with_extension("key")).unwrap_or_else(|error| {
            tracing::error!(%error, "the token key could not be kept; tokens are unknown until it is");
            SecretString::from(hex::encode(rand::random::<[u8; 32]>()))
        });
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
            keep_usage_months: USAGE_MONTHS,
            stripe: None,
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
    let at_least =
        |least, key, set, otherwise: Duration| number(key, set, least, otherwise.as_secs()).map(Duration::from_secs);
    let seconds = |key, set, otherwise| at_least(1, key, set, otherwise);
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
        stop_delay: at_least(0, "stop_delay_seconds", settings.stop_delay_seconds, usual.stop_delay)?,
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

fn read_settings(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Value {
        key: "PAYWALL_CONFIG",
        reason: format!("the file {} cannot be read: {error}", path.display()),
    })?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|it| text.get(..it.start)).unwrap_or_default();
        let line = before.bytes().filter(|it| *it == b'\n').count() + 1;
        ConfigError::Syntax { path: path.to_owned(), line, reason: error.message().to_owned() }
    })
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

/// How often a key is read that another process may be writing at this moment, and the time between.
const KEY_LOOKS: u32 = 10;
const KEY_PAUSE: Duration = Duration::from_millis(20);

/// The key kept in this file, which only its owner may read; made where there is no file, and nowhere else.
fn kept_token_key(path: &Path) -> Result<SecretString, ConfigError> {
    let failed = |error| ConfigError::File { path: path.to_owned(), error };
    for look in 1.. {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().len() >= 16 => return Ok(SecretString::from(text.trim().to_owned())),
            Ok(_) if look < KEY_LOOKS => std::thread::sleep(KEY_PAUSE),
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::InvalidData => break,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Some(folder) = path.parent() {
                    private::make_folder(folder).map_err(failed)?;
                }
                let key = hex::encode(rand::random::<[u8; 32]>());
                match private::write_new(path, &key) {
                    Ok(()) => return Ok(SecretString::from(key)),
                    // Another process was first: its key it is.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists && look < KEY_LOOKS => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(ConfigError::DamagedKey { path: path.to_owned() })
}

#[cfg(test)]
mod tests;

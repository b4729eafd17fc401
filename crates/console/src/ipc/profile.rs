//! Profiles, credentials and the connection test.

use paywall_contract::ServerHealth;
use paywall_domain::{Role, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::FailureCode;

/// Which environment a profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum Mode {
    /// Real customers, real money.
    Live,
    /// A test or staging environment.
    Test,
    /// The sample world inside the app.
    Sample,
}

/// What a profile lets its user change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum WriteMode {
    /// Every change is blocked in the core, not only hidden.
    ReadOnly,
    /// Changes go through a dialog with a preview.
    Review,
}

/// Whether the operating system's keyring can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum KeyringState {
    /// It can.
    Available,
    /// It is there but locked.
    Locked,
    /// It asks its user something and waits for the answer.
    Waiting,
    /// There is none.
    Missing,
    /// It refuses this app.
    Denied,
}

/// Where a secret is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum SecretStore {
    /// In the operating system's keyring.
    Keyring,
    /// In this process's memory, until it ends.
    Session,
}

/// What may be shown of a stored secret. Never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SecretView {
    /// Its public prefix and last four characters, such as `rk_live_…9xQ2`.
    pub hint: String,
    /// When it was saved.
    pub added_at: Timestamp,
    /// Where it is kept.
    pub store: SecretStore,
}

/// What kind of Stripe key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum StripeKeyKind {
    /// `rk_`: may do what it was given.
    Restricted,
    /// `sk_`: may do everything.
    Secret,
    /// `pk_`: made for browsers; reads nothing.
    Publishable,
    /// None of these.
    Unknown,
}

/// The local copy of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CacheView {
    /// Tenants in it; `null` = not open, so not known.
    pub tenants: Option<i64>,
    /// Bytes on disk; `null` = no file yet.
    pub bytes: Option<i64>,
    /// When the last full pass over the server ended.
    pub full_sync_at: Option<Timestamp>,
    /// Whether the file is encrypted. Always true for a file that exists.
    pub encrypted: bool,
}

/// A profile as the window shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ProfileView {
    /// Stable id.
    pub id: String,
    /// As its user named it.
    pub name: String,
    /// Which environment.
    pub mode: Mode,
    /// What it lets its user change.
    pub write_mode: WriteMode,
    /// Base address of the paywall server.
    pub server_url: String,
    /// The server's token; `null` = none stored.
    pub server_token: Option<SecretView>,
    /// Base address of Stripe's API; Stripe's own unless set.
    pub stripe_url: String,
    /// The Stripe key; `null` = none stored, money is not shown.
    pub stripe_key: Option<SecretView>,
    /// The token's role and name, as the server last said.
    pub caller: Option<CallerView>,
    /// The local copy.
    pub cache: CacheView,
    /// For the sample profile: whether its server runs. `null` for others.
    pub sample_running: Option<bool>,
}

/// Who the server says the token is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CallerView {
    /// The token's name: the actor of this person's adjustments.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The server's version.
    pub server_version: String,
    /// When the server said so.
    pub at: Timestamp,
}

/// A profile as typed, to check, test or save.
#[derive(Clone, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ProfileDraft {
    /// The profile to change; `null` = a new one.
    pub id: Option<String>,
    /// As its user names it.
    pub name: String,
    /// Which environment.
    pub mode: Mode,
    /// What it lets its user change.
    pub write_mode: WriteMode,
    /// Base address of the paywall server.
    pub server_url: String,
    /// A new token; `null` or empty = keep the stored one.
    pub server_token: Option<String>,
    /// Base address of Stripe's API; `null` or empty = Stripe's own.
    pub stripe_url: Option<String>,
    /// A new Stripe key; `null` or empty = keep the stored one.
    pub stripe_key: Option<String>,
    /// Keep secrets for this session only, in memory.
    pub session_only: bool,
    /// Findings that the user has seen and takes on: only those that [`Finding::acceptable`] says.
    pub accepted: Vec<FindingCode>,
}

/// What is odd about a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum FindingCode {
    /// No name.
    NameMissing,
    /// Another profile has this name.
    NameTaken,
    /// The server's address cannot be read, or is neither http nor https.
    ServerUrlInvalid,
    /// Plain http to another machine: the token would be readable on the way.
    ServerUrlInsecure,
    /// The Stripe address cannot be read, or is plain http to another machine.
    StripeUrlInvalid,
    /// A live Stripe key in a profile that is not live.
    LiveKeyInTest,
    /// A test Stripe key in a live profile.
    TestKeyInLive,
    /// A full secret key where a restricted one is enough.
    FullSecretKey,
    /// A publishable key: it reads nothing.
    PublishableKey,
    /// No Stripe key at all by its look.
    StripeKeyUnknown,
    /// Not a paywall token by its look, or one with a typing error (its checksum is off).
    TokenMalformed,
    /// No token typed, none stored.
    TokenMissing,
    /// What was pasted is the mask that stands for a stored secret.
    SecretIsMask,
}

/// Something odd about a draft, before it is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct Finding {
    /// What.
    pub code: FindingCode,
    /// Whether the user may take it on and save all the same.
    pub acceptable: bool,
}

/// What the check of a draft found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ProfileCheck {
    /// What is odd. Empty = nothing.
    pub findings: Vec<Finding>,
    /// What kind of Stripe key was typed; `null` = none was.
    pub stripe_key_kind: Option<StripeKeyKind>,
    /// Whether the typed Stripe key is live; `null` = none typed or cannot be told.
    pub stripe_key_live: Option<bool>,
}

/// A step of the connection test, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum StepName {
    /// The address can be read and its host is found.
    Address,
    /// Something accepts connections there, over TLS where the address says so.
    Connect,
    /// What answers is a paywall server.
    Identity,
    /// It speaks a version that this console speaks.
    Version,
    /// It takes the token.
    Token,
    /// What the token may do.
    Role,
    /// This machine's clock against the server's.
    Clock,
    /// The Stripe key's kind.
    StripeKey,
    /// The Stripe key is live or test as the profile is.
    StripeMode,
    /// One of the lists that the mirror reads; `subject` names it.
    StripePermission,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum StepState {
    /// Well.
    Ok,
    /// Well enough, with a remark.
    Warning,
    /// Not at all.
    Failed,
    /// Not tried, since an earlier one failed or nothing was given.
    Skipped,
}

/// One step of the connection test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TestStep {
    /// Which step.
    pub name: StepName,
    /// What it is about: a host, a list, a role, a version, a skew in milliseconds.
    pub subject: String,
    /// How it went.
    pub state: StepState,
    /// Why it failed or warns.
    pub failure: Option<FailureCode>,
    /// Technical detail in English, without secrets.
    pub detail: String,
}

/// The connection test's result. Nothing has been saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ConnectionReport {
    /// Every step, in order.
    pub steps: Vec<TestStep>,
    /// Whether the server's steps all went well enough to save.
    pub server_ok: bool,
    /// The same for Stripe; `null` = no key given.
    pub stripe_ok: Option<bool>,
    /// How the server says that it is; `null` = it was not reached, or is too old to say.
    pub health: Option<ServerHealth>,
}

/// Light, dark, or as the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum Theme {
    /// As the desktop says.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

/// What holds for the whole app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export_to = "ipc.ts")]
pub struct Settings {
    /// Light, dark, or as the system.
    pub theme: Theme,
    /// Whether E, C, N and the other single keys act on the focused tenant.
    pub single_keys: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { theme: Theme::System, single_keys: true }
    }
}

/// The app as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct AppState {
    /// The app's version.
    pub version: String,
    /// Every profile. Empty = first run.
    pub profiles: Vec<ProfileView>,
    /// The profile that is open.
    pub open: Option<String>,
    /// Why the last profile could not be opened at the start.
    pub open_failure: Option<Failure>,
    /// Whether the keyring can be used.
    pub keyring: KeyringState,
    /// What holds for the whole app.
    pub settings: Settings,
    /// The desktop's own colour scheme where it says so (the webview's word is not to be trusted
    /// everywhere); `null` = it does not say.
    pub system_dark: Option<bool>,
}

use super::Failure;

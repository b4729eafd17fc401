//! Failures as the window sees them: a stable code and its facts. The window makes the sentence.

use paywall_contract::Problem;
use paywall_domain::{Role, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{KeyringState, RateLineFault, Source, SqlRefusal};

/// What went wrong, by a stable code with the facts that the next step needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "code", rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum FailureCode {
    /// No profile is open.
    NoProfile,
    /// No such profile.
    UnknownProfile,
    /// The text is no address, or its scheme is not http or https.
    AddressInvalid,
    /// Plain http to another machine: a secret sent there could be read on the way.
    AddressInsecure,
    /// The host name cannot be resolved.
    AddressUnknown {
        /// Which host.
        host: String,
    },
    /// Nothing accepts connections there, or the network is away.
    Unreachable {
        /// Which side.
        source: Source,
    },
    /// The connection stood, but no answer came in time.
    TimedOut {
        /// Which side.
        source: Source,
    },
    /// The certificate is not trusted, expired, or for another host.
    TlsFailed,
    /// Something answers there, but it is no paywall server.
    NotPaywallServer,
    /// A paywall server, of an API version this console does not speak.
    ServerVersion {
        /// What it speaks.
        server: String,
        /// What this console speaks.
        console: String,
    },
    /// Another database than the one the local copy came from.
    ServerChanged,
    /// The token is not known to the server.
    TokenRefused,
    /// The token's time is over.
    TokenExpired,
    /// No token is stored for this profile.
    TokenMissing,
    /// The token's role is too low for this.
    RoleTooLow {
        /// The least role that may.
        required: Role,
    },
    /// The server refused the request; its problem document says why.
    Refused {
        /// As the server sent it.
        problem: Box<Problem>,
    },
    /// The server had a fault of its own.
    ServerFault,
    /// This profile only reads.
    ReadOnly,
    /// The change was sent, but whether it was made is not known yet; it is settled by its key.
    Unsettled {
        /// The change's idempotency key.
        key: String,
    },
    /// The change was not made and will not be: its answer was lost, and its key is void since. A new attempt
    /// needs a new key.
    NotMade,
    /// Stripe does not know the key.
    StripeKeyRefused,
    /// The Stripe key lacks a permission.
    StripePermission {
        /// Stripe's name of it, such as `rak_subscription_read`; `null` where Stripe did not name it.
        permission: Option<String>,
        /// The list that needs it, such as `subscriptions`.
        stream: String,
    },
    /// Stripe, or what answers there, does not offer this list.
    StripeMissing {
        /// Which list.
        stream: String,
    },
    /// Stripe asks to slow down, and kept doing so.
    StripeRateLimited,
    /// Stripe's answer cannot be used.
    StripeFault,
    /// The keyring cannot be used now.
    Keyring {
        /// Why.
        state: KeyringState,
    },
    /// The local copy was written by a newer version of this app.
    CacheNewer,
    /// The local copy was broken, or its key gone. It was removed and is being fetched again.
    CacheBroken,
    /// Another process has the local copy open.
    CacheInUse,
    /// The disk is full.
    DiskFull,
    /// The list of profiles could not be read. It was put aside whole, and an empty one begun.
    ProfilesUnreadable {
        /// Where it lies now.
        kept_as: String,
    },
    /// Something is saved that must not be: see the findings of the check.
    ProfileRejected,
    /// A file of exchange rates has lines that cannot be read; nothing of it was taken in.
    RatesUnreadable {
        /// The first of them, at most 20.
        faults: Vec<RateLineFault>,
    },
    /// There is no zone of that name.
    ZoneUnknown,
    /// A question in SQL was not asked.
    SqlRefused {
        /// Why.
        reason: SqlRefusal,
    },
    /// A question in SQL cannot be answered.
    SqlFailed {
        /// What the database says.
        message: String,
    },
    /// A question in SQL took too long and was stopped.
    SqlTimedOut {
        /// After how many seconds.
        seconds: u32,
    },
    /// The saved queries could not be read. Their file was put aside whole; an empty one is begun.
    QueriesUnreadable {
        /// Where it lies now.
        kept_as: String,
    },
    /// Nothing by that id in the local copy.
    NotFound,
    /// The work was cancelled.
    Cancelled,
    /// A fault of this app; its log tells more.
    Internal,
}

/// A failure: its code, and what a person can copy for support.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct Failure {
    /// The stable code with its facts.
    #[serde(flatten)]
    pub code: FailureCode,
    /// Technical detail in English, without secrets; for a "details" fold, never the headline.
    pub detail: String,
    /// The request's name in the server's or Stripe's log.
    pub request_id: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Failure {
    /// A failure of this moment.
    pub fn of(code: FailureCode, detail: impl Into<String>) -> Self {
        let at = Timestamp(chrono::Utc::now().timestamp_millis());
        Self { code, detail: detail.into(), request_id: None, at }
    }
}

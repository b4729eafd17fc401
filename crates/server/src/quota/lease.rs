//! What a replica and the store say to each other about the units of one allotment.

use std::future::Future;

use paywall_domain::{Meter, TenantId, Timestamp};

use crate::metering::UsageEvent;

/// A meter that starts from zero in each period: what leases are for. The other meters are levels
/// ([`super::Levels`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// [`Meter::Messages`]
    Messages,
    /// [`Meter::Tokens`]
    Tokens,
    /// [`Meter::ApiRequests`]
    ApiRequests,
}

impl Counter {
    /// Every counter.
    pub const ALL: [Self; 3] = [Self::Messages, Self::Tokens, Self::ApiRequests];

    /// The counter of a meter; `None` for a gauge.
    pub fn of(meter: Meter) -> Option<Self> {
        match meter {
            Meter::Messages => Some(Self::Messages),
            Meter::Tokens => Some(Self::Tokens),
            Meter::ApiRequests => Some(Self::ApiRequests),
            Meter::Documents | Meter::StorageBytes | Meter::Datasets | Meter::Seats => None,
        }
    }

    /// The meter that it counts.
    pub fn meter(self) -> Meter {
        match self {
            Self::Messages => Meter::Messages,
            Self::Tokens => Meter::Tokens,
            Self::ApiRequests => Meter::ApiRequests,
        }
    }

    /// Its place in [`Counter::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A stretch of time over which counters add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountingPeriod {
    /// Its first instant; it names the period.
    pub start: Timestamp,
    /// The first instant after it, at which the counters start from zero.
    pub end: Timestamp,
}

/// What a limit applies to: one counter of one tenant in one period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllotmentKey {
    /// Whose.
    pub tenant: TenantId,
    /// What.
    pub counter: Counter,
    /// When.
    pub period: CountingPeriod,
}

/// A process that holds leases, by a name that no other process ever had: the fencing token of all that it
/// says is this name together with [`Claim::revision`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId(pub String);

impl HolderId {
    /// A name for this process.
    pub fn generate() -> Self {
        Self(hex::encode(rand::random::<[u8; 16]>()))
    }
}

/// What a holder says of its lease on an allotment. Every number is absolute, so that saying it twice is the
/// same as saying it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Grows with each claim of this holder on this allotment; an older one that arrives late is ignored.
    pub revision: i64,
    /// Whether the store has confirmed a lease before; if it has none now, the holder was away for so long
    /// that the lease was written off.
    pub known: bool,
    /// Units that stay covered whatever the answer: the holder may be using them while this claim travels.
    pub hold: i64,
    /// Units in use and units that callers wait for.
    pub need: i64,
    /// `need`, and what the holder would like to have ahead of need.
    pub wish: i64,
    /// The limit in force.
    pub limit: i64,
}

/// What the store answers to a [`Claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Units of the limit that are the holder's to use, those already in use included.
    pub covered: i64,
    /// Units of the limit that nobody uses or holds.
    pub left: i64,
    /// Units that other holders have ahead of their need and are asked to return.
    pub held: i64,
    /// Units used, and held where they are.
    pub used: i64,
    /// The lease was written off ([`Claim::known`]): what it covered is counted as used.
    pub lost: bool,
}

/// One transaction's worth of what a replica has to say.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Usage to be counted. Events whose `(source, id)` is known change nothing.
    pub events: Vec<UsageEvent>,
    /// Claims, at most one for each allotment. A claim no longer contains the units that `events` settle.
    pub claims: Vec<(AllotmentKey, Claim)>,
}

/// The store did not do it, or it is unknown whether it did.
#[derive(Debug, thiserror::Error)]
pub enum LeaseStoreError {
    /// The database is away, busy or full.
    #[error("the database: {0}")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It did not answer in time; it may still do it.
    #[error("the database did not answer in time")]
    TimedOut,
}

/// Where leases and usage are kept, for all replicas.
pub trait LeaseStore: Send + Sync + 'static {
    /// Counts the events and answers the claims, all in one transaction that is durable once this returns.
    /// The grants come in the order of the claims. Also says that `holder` is alive for another while.
    fn commit(
        &self,
        holder: &HolderId,
        batch: &Batch,
    ) -> impl Future<Output = Result<Vec<Grant>, LeaseStoreError>> + Send;

    /// The allotments of which others want back what `holder` has ahead of its need.
    fn wanted(&self, holder: &HolderId) -> impl Future<Output = Result<Vec<AllotmentKey>, LeaseStoreError>> + Send;

    /// Counts as used what replicas held that have been gone for long; answers how many leases that were.
    fn write_off(&self) -> impl Future<Output = Result<usize, LeaseStoreError>> + Send;
}

//! What a quota counts, and how a level stands against its limit.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{Plan, TenantFacts, Timestamp};

/// What a quota counts.
///
/// The order is the order in which exhausted quotas are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Meter {
    /// Questions answered (chat, agent, search), per period.
    Messages,
    /// Model tokens, per period.
    Tokens,
    /// Requests made with an API key, per period.
    ApiRequests,
    /// Documents stored now.
    Documents,
    /// Bytes stored now.
    StorageBytes,
    /// Datasets that exist now.
    Datasets,
    /// Members of the tenant now, its owner included.
    Seats,
}

/// Whether a meter restarts with each period or holds a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum MeterKind {
    /// Starts from zero in each period.
    Counter,
    /// A level now; it falls when things are deleted.
    Gauge,
}

impl Meter {
    /// Every meter, in reporting order.
    pub const ALL: [Self; 7] = [
        Self::Messages,
        Self::Tokens,
        Self::ApiRequests,
        Self::Documents,
        Self::StorageBytes,
        Self::Datasets,
        Self::Seats,
    ];

    /// The word for this meter on the wire, in storage and in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Tokens => "tokens",
            Self::ApiRequests => "api_requests",
            Self::Documents => "documents",
            Self::StorageBytes => "storage_bytes",
            Self::Datasets => "datasets",
            Self::Seats => "seats",
        }
    }

    /// The meter of that word, if there is one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|meter| meter.as_str() == word)
    }

    /// Whether it counts per period or holds a level.
    pub fn kind(self) -> MeterKind {
        match self {
            Self::Messages | Self::Tokens | Self::ApiRequests => MeterKind::Counter,
            Self::Documents | Self::StorageBytes | Self::Datasets | Self::Seats => MeterKind::Gauge,
        }
    }
}

/// How much a meter may reach. On the wire a number, or `null` for no limit; zero is a limit that
/// is always reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "Option<i64>")]
#[cfg_attr(feature = "describe", derive(ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(as = "Option<i64>", export_to = "domain.ts"))]
pub enum Limit {
    /// No limit. Not zero.
    Unlimited,
    /// Exhausted once usage is at or above this.
    AtMost(i64),
}

#[cfg(feature = "describe")]
impl utoipa::PartialSchema for Limit {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <Option<i64> as utoipa::PartialSchema>::schema()
    }
}
#[cfg(feature = "describe")]
impl utoipa::ToSchema for Limit {}

impl<'de> Deserialize<'de> for Limit {
    /// Takes a number or `null`. A field that is absent is an error, since a limit that was forgotten
    /// must not become no limit; serde lets every type made from an `Option` be absent.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrNull;
        impl de::Visitor<'_> for NumberOrNull {
            type Value = Limit;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or null for no limit")
            }
            fn visit_i64<E: de::Error>(self, most: i64) -> Result<Limit, E> {
                Ok(Limit::AtMost(most))
            }
            fn visit_u64<E: de::Error>(self, most: u64) -> Result<Limit, E> {
                i64::try_from(most)
                    .map(Limit::AtMost)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(most), &self))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Limit, E> {
                Ok(Limit::Unlimited)
            }
        }
        deserializer.deserialize_any(NumberOrNull)
    }
}

impl From<Option<i64>> for Limit {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::Unlimited, Self::AtMost)
    }
}

impl From<Limit> for Option<i64> {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Unlimited => None,
            Limit::AtMost(most) => Some(most),
        }
    }
}

impl Limit {
    /// Whether `used` leaves no room under this limit. Unlimited is never exhausted.
    pub fn exhausted_by(self, used: i64) -> bool {
        match self {
            Self::Unlimited => false,
            Self::AtMost(most) => used >= most,
        }
    }
}

/// Levels known of one tenant. A meter that is absent is unknown, which is not zero: an unknown
/// level never blocks and is never shown as 0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Usage {
    /// Used so far (counters: in the running period; gauges: now), by meter.
    pub used: BTreeMap<Meter, i64>,
    /// When the running period of the counters ends, and they start from zero.
    pub resets_at: Option<Timestamp>,
}

/// One meter of a tenant against the limit in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Reading {
    /// Which meter.
    pub meter: Meter,
    /// The level, `null` when unknown.
    pub used: Option<i64>,
    /// The limit in force: the override's while it is in force, else the plan's; `null` = no limit.
    pub limit: Limit,
    /// The plan's own limit; differs from `limit` while an override is in force.
    pub plan_limit: Limit,
    /// Whether an override sets `limit`.
    pub overridden: bool,
    /// Until when the override holds; `null` with `overridden` = until removed.
    pub override_expires_at: Option<Timestamp>,
    /// When the counter restarts; `null` for gauges.
    pub resets_at: Option<Timestamp>,
    /// Whether this meter blocks the operations that need it.
    pub exhausted: bool,
}

/// Every meter of a tenant against the limit in force at `now`, in reporting order. `plan` is the
/// plan in force (a comp's plan while the comp is in force).
pub fn readings(facts: &TenantFacts, plan: &Plan, usage: &Usage, now: Timestamp) -> Vec<Reading> {
    Meter::ALL
        .into_iter()
        .map(|meter| {
            let plan_limit = plan.limit(meter);
            let in_force = facts.overrides.get(&meter).filter(|it| it.in_force(now));
            let limit = in_force.map_or(plan_limit, |it| it.limit);
            let used = usage.used.get(&meter).copied();
            Reading {
                meter,
                used,
                limit,
                plan_limit,
                overridden: in_force.is_some(),
                override_expires_at: in_force.and_then(|it| it.expires_at),
                resets_at: match meter.kind() {
                    MeterKind::Counter => usage.resets_at,
                    MeterKind::Gauge => None,
                },
                exhausted: used.is_some_and(|used| limit.exhausted_by(used)),
            }
        })
        .collect()
}

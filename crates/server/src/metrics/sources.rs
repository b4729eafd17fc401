//! Figures that somebody else keeps: asked for when they are read.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::clock::Clock;
use crate::directory::{Directory, Mirror};
use crate::quota::Quota;

/// Where to ask, in a server that stands in front of `RAGFlow`.
pub(crate) struct Sources {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) quota: Quota,
    pub(crate) directory: Arc<Directory>,
    /// Weak: it holds the server's state, which holds this.
    pub(crate) mirror: Weak<Mirror>,
}

/// The sources, once there are any. Until then, and without a `RAGFlow`, their figures are missing: unknown is
/// not zero.
#[derive(Clone, Default)]
pub(super) struct Known(pub(super) Arc<OnceLock<Sources>>);

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Known").field(&self.0.get().is_some()).finish()
    }
}

impl Collector for Known {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(Sources { clock, quota, directory, mirror }) = self.0.get() else { return Ok(()) };
        let mut gauge = |name, help, value: f64| {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        let spooled = quota.spooled() as f64;
        gauge("paywall_quota_spooled_events", "Usage events that wait for the database.", spooled)?;
        let away = f64::from(u8::from(quota.store_is_away()));
        gauge("paywall_quota_store_away", "1 while usage cannot be written, else 0.", away)?;
        if let Some(at) = mirror.upgrade().and_then(|it| it.freshness().last_success_at) {
            let age = clock.now().ms_since(at).max(0) as f64 / 1000.0;
            let help = "Seconds since RAGFlow was last mirrored; missing until it was.";
            gauge("paywall_directory_last_success_age_seconds", help, age)?;
        }
        let help = "Requests whose admission had to wait for the database.";
        let waits = encoder.encode_descriptor("paywall_quota_waits", help, None, MetricType::Counter)?;
        ConstCounter::new(quota.waits()).encode(waits)?;
        let help = "Failures to ask RAGFlow, or to mirror it, by the code of the reason.";
        let mut failures = encoder.encode_descriptor("paywall_directory_failures", help, None, MetricType::Counter)?;
        for (code, count) in directory.failures() {
            ConstCounter::new(count).encode(failures.encode_family(&[("code", code)])?)?;
        }
        Ok(())
    }
}

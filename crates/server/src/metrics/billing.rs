//! Figures of billing: read from the database when somebody reads the figures.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use paywall_domain::billing::DriftKind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::billing::duties::{self, Duty};
use crate::billing::{Billing, drifts, health};
use crate::server::State;
use crate::store::{StoreError, with_patience};

/// What is so at the moment.
#[derive(Debug, Clone, PartialEq)]
struct Figures {
    pending: i64,
    parked: i64,
    failed: i64,
    oldest_s: Option<f64>,
    drifts: Vec<(&'static str, i64)>,
    ages_s: Vec<(&'static str, f64)>,
    stripe_up: bool,
}

/// The figures as they were last read; none where there is no billing, or the database did not answer: unknown is
/// not zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Latest(Arc<Mutex<Option<Figures>>>);

impl Latest {
    /// Reads them anew.
    pub(super) async fn read(&self, state: &State) {
        let Some(billing) = &state.billing else { return };
        let read = with_patience(figures(state, billing)).await.ok();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = read;
    }
}

async fn figures(state: &State, billing: &Billing) -> Result<Figures, StoreError> {
    let now = state.clock.now();
    let age_s = |at: paywall_domain::Timestamp| now.ms_since(at).max(0) as f64 / 1000.0;
    let mut read = state.store.read().await?;
    let waiting = health::waiting(&mut read).await?;
    let sums = drifts::sums(&mut read).await?;
    let count = |kind: DriftKind| sums.iter().filter(|it| it.kind == kind.as_str()).map(|it| it.count).sum();
    let mut ages_s = Vec::new();
    for duty in [Duty::Poll, Duty::Reconcile] {
        ages_s.extend(duties::get(&mut read, duty).await?.done_at.map(|at| (duty.word(), age_s(at))));
    }
    Ok(Figures {
        pending: waiting.pending,
        parked: waiting.parked,
        failed: waiting.failed,
        oldest_s: waiting.oldest.map(age_s),
        drifts: DriftKind::ALL.into_iter().map(|kind| (kind.as_str(), count(kind))).collect(),
        ages_s,
        stripe_up: billing.failure().is_none(),
    })
}

impl Collector for Latest {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(it) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(()) };
        let help = "Events of Stripe that are not done, by how far they have come.";
        let mut family = encoder.encode_descriptor("paywall_billing_inbox", help, None, MetricType::Gauge)?;
        for (state, count) in [("pending", it.pending), ("parked", it.parked), ("failed", it.failed)] {
            ConstGauge::new(count).encode(family.encode_family(&[("state", state)])?)?;
        }
        let help = "Age of the oldest event that waits; 0 where none does.";
        let name = "paywall_billing_oldest_pending_seconds";
        ConstGauge::new(it.oldest_s.unwrap_or(0.0)).encode(encoder.encode_descriptor(
            name,
            help,
            None,
            MetricType::Gauge,
        )?)?;
        let help = "Differences between Stripe and the paywall, by kind.";
        let mut family = encoder.encode_descriptor("paywall_billing_drifts", help, None, MetricType::Gauge)?;
        for (kind, count) in it.drifts {
            ConstGauge::new(count).encode(family.encode_family(&[("kind", kind)])?)?;
        }
        if !it.ages_s.is_empty() {
            let help = "Seconds since Stripe was last asked for events (poll), or compared as a whole (reconcile).";
            let name = "paywall_billing_duty_age_seconds";
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (duty, age) in it.ages_s {
                ConstGauge::new(age).encode(family.encode_family(&[("duty", duty)])?)?;
            }
        }
        let help = "1 if Stripe answered when this server last asked it, else 0.";
        let up = encoder.encode_descriptor("paywall_stripe_up", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(it.stripe_up)).encode(up)
    }
}

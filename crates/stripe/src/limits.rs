//! Pacing on this side, so that Stripe rarely has to refuse a request.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use crate::operations::Method;

/// How many requests per second are sent at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Per endpoint; `None` = as fast as answers come.
    pub per_endpoint: Option<NonZeroU32>,
    /// In all; `None` = as fast as answers come.
    pub overall: Option<NonZeroU32>,
}

impl Limits {
    /// What Stripe documents: 25 per second and endpoint, 100 in all.
    pub const STRIPE: Self = Self { per_endpoint: NonZeroU32::new(25), overall: NonZeroU32::new(100) };
    /// No pacing: for measurements against a double on this machine.
    pub const NONE: Self = Self { per_endpoint: None, overall: None };
}

impl Default for Limits {
    fn default() -> Self {
        Self::STRIPE
    }
}

/// A method and a path's template: what Stripe counts as one endpoint.
pub(crate) type Endpoint = (Method, &'static str);

/// Holds requests back until they may go.
#[derive(Debug)]
pub(crate) struct Pacer {
    limits: Limits,
    overall: Option<DefaultDirectRateLimiter>,
    endpoints: Mutex<HashMap<Endpoint, std::sync::Arc<DefaultDirectRateLimiter>>>,
    /// Until when Stripe asked everybody to wait.
    held_until: Mutex<Option<Instant>>,
    /// What each endpoint has been slowed down to.
    slowed: Mutex<HashMap<Endpoint, Slowed>>,
}

/// An endpoint that Stripe refused a request to: somebody else uses the account's limit as well.
#[derive(Debug, Clone, Copy)]
struct Slowed {
    /// The pause between two requests.
    gap: Duration,
    /// When the next one may go.
    next: Instant,
    /// When the gap was last widened.
    since: Instant,
}

/// The gap after the first refusal: as many a second as Stripe takes of one endpoint.
const FIRST_GAP: Duration = Duration::from_millis(40);
/// The widest gap.
const WIDEST_GAP: Duration = Duration::from_secs(1);
/// Refusals of requests that were under way together widen the gap once.
const TOGETHER: Duration = Duration::from_millis(500);

impl Pacer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            overall: limits.overall.map(limiter),
            endpoints: Mutex::default(),
            held_until: Mutex::default(),
            slowed: Mutex::default(),
        }
    }

    /// Waits until a request to `endpoint` may go.
    pub(crate) async fn wait(&self, endpoint: Endpoint) {
        loop {
            let held = *self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
            match held {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => break,
            }
        }
        if let Some(turn) = self.turn(endpoint) {
            tokio::time::sleep_until(turn).await;
        }
        if let Some(rate) = self.limits.per_endpoint {
            let own = {
                let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
                endpoints.entry(endpoint).or_insert_with(|| std::sync::Arc::new(limiter(rate))).clone()
            };
            own.until_ready().await;
        }
        if let Some(overall) = &self.overall {
            overall.until_ready().await;
        }
    }

    /// When the next request to an endpoint that was slowed down may go.
    fn turn(&self, endpoint: Endpoint) -> Option<Instant> {
        let mut slowed = self.slowed.lock().unwrap_or_else(PoisonError::into_inner);
        let slowed = slowed.get_mut(&endpoint)?;
        let turn = slowed.next.max(Instant::now());
        slowed.next = turn + slowed.gap;
        Some(turn)
    }

    /// Learns from an answer: a refusal doubles the gap between requests to its endpoint, each other answer makes
    /// it a little narrower again.
    pub(crate) fn answered(&self, endpoint: Endpoint, refused: bool) {
        let now = Instant::now();
        let mut all = self.slowed.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&endpoint) {
            Some(slowed) if refused && now >= slowed.since + TOGETHER => {
                slowed.gap = (slowed.gap * 2).min(WIDEST_GAP);
                slowed.since = now;
            }
            Some(_) if refused => {}
            Some(slowed) => {
                slowed.gap = slowed.gap.mul_f64(0.98);
                if slowed.gap < FIRST_GAP / 4 {
                    all.remove(&endpoint);
                }
            }
            None if refused => {
                all.insert(endpoint, Slowed { gap: FIRST_GAP, next: now + FIRST_GAP, since: now });
            }
            None => {}
        }
    }

    /// Holds every request back for `pause`, since Stripe asked one of them to wait.
    pub(crate) fn hold(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut held = self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none_or(|present| present < until) {
            *held = Some(until);
        }
    }
}

/// Evenly spaced; the small burst makes up for timers that fire late.
fn limiter(rate: NonZeroU32) -> DefaultDirectRateLimiter {
    let burst = NonZeroU32::new((rate.get() / 10).clamp(1, 10)).unwrap_or(NonZeroU32::MIN);
    RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_slows_its_endpoint_down_until_answers_come_again() {
        let pacer = Pacer::new(Limits::NONE);
        let (charges, invoices) = ((Method::Get, "/v1/charges"), (Method::Get, "/v1/invoices"));
        assert_eq!(pacer.turn(charges), None);
        // Requests that were under way together are refused together: that is one sign, not eight.
        for _ in 0..8 {
            pacer.answered(charges, true);
        }
        let turns: Vec<Instant> = (0..5).filter_map(|_| pacer.turn(charges)).collect();
        let gaps: Vec<Duration> = turns.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps, [FIRST_GAP; 4]);
        assert_eq!(pacer.turn(invoices), None, "another endpoint has a limit of its own");
        for _ in 0..100 {
            pacer.answered(charges, false);
        }
        assert_eq!(pacer.turn(charges), None, "as fast as before");
    }
}

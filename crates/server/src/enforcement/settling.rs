//! Watches an answer, and settles at its end what it used.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use paywall_domain::{Meter, TenantId};

use super::credentials::Credentials;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::gate::{Answer, Effect};
use crate::metering::{self, Amounts, Head, Observer, Outcome, UsageEvent};
use crate::proxy::{End, Watch};
use crate::quota::{Counter, CountingPeriod, LevelReservation, Quota, Reservation};

/// Says of events that they were seen here.
const SOURCE: &str = "gate";

/// What a request is charged, once its answer has ended.
pub(super) struct Charge {
    pub(super) quota: Quota,
    pub(super) clock: Arc<dyn Clock>,
    /// Names the event: the request's id.
    pub(super) id: String,
    pub(super) payer: TenantId,
    pub(super) period: CountingPeriod,
    pub(super) meters: Vec<Meter>,
    pub(super) answer: Answer,
    /// Tokens of the question, about.
    pub(super) asked: i64,
    /// `None` where the store was away and the policy let it pass: counted all the same.
    pub(super) reservation: Option<Reservation>,
    pub(super) levels: Vec<(LevelReservation, Meter)>,
}

/// Whom to tell that something changed.
pub(super) struct Tells {
    pub(super) directory: Arc<Directory>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) effect: Option<(Effect, TenantId)>,
    /// Tenants whose levels changed.
    pub(super) touched: Vec<TenantId>,
}

/// Watches one answer.
pub(crate) struct Settling {
    charge: Option<Box<Charge>>,
    tells: Option<Tells>,
    observer: Option<Box<Observer>>,
    status: Option<StatusCode>,
}

impl Settling {
    /// Nothing to settle.
    pub(super) fn nothing() -> Self {
        Self { charge: None, tells: None, observer: None, status: None }
    }

    /// A free request whose success changes what is known.
    pub(super) fn telling(tells: Tells) -> Self {
        Self { tells: Some(tells), ..Self::nothing() }
    }

    /// A request that is charged.
    pub(super) fn charging(charge: Charge, tells: Tells) -> Self {
        Self { charge: Some(Box::new(charge)), tells: Some(tells), ..Self::nothing() }
    }
}

impl Watch for Settling {
    fn response(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status);
        if let Some(charge) = &self.charge {
            let head = Head {
                status: status.as_u16(),
                content_type: headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()),
                encoded: headers.contains_key(CONTENT_ENCODING),
            };
            self.observer = Some(Box::new(Observer::new(charge.answer, charge.asked, head)));
        }
    }

    fn data(&mut self, chunk: &Bytes) {
        if let Some(observer) = &mut self.observer {
            observer.feed(chunk);
        }
    }

    fn end(self, end: End) {
        let succeeded = self.status.is_none_or(|it| it.is_success() || it.is_redirection());
        let outcome = match (self.observer, end) {
            // A front answers it: what is not seen is counted as one answer, without tokens.
            (None, End::Unseen) => Outcome { billable: true, messages: 1, documents: None, ..Outcome::NOTHING },
            (None, _) => Outcome::NOTHING,
            (Some(observer), End::Complete) => observer.finish(metering::End::Complete),
            (Some(observer), _) => observer.finish(metering::End::Broken),
        };
        if let Some(charge) = self.charge {
            charge.settle(&outcome);
        }
        if let Some(tells) = self.tells
            && succeeded
            && end != End::UpstreamFailed
            && outcome.failure.is_none()
        {
            tells.tell(end == End::Unseen);
        }
    }
}

impl Charge {
    fn settle(self, outcome: &Outcome) {
        let now = self.clock.now();
        for (level, meter) in self.levels {
            // What an upload brought in bytes is what the caller sent; the next measurement knows better.
            match (meter, outcome.billable) {
                (_, false) => drop(level),
                (Meter::Documents, true) => level.settle(outcome.documents.unwrap_or(1), now),
                (_, true) => level.keep(now),
            }
        }
        let amounts: Amounts = outcome.amounts(self.meters.iter().copied());
        if amounts.is_none() {
            return;
        }
        let tokens_from = (amounts.get(Counter::Tokens) > 0).then_some(outcome.tokens.source);
        let event = UsageEvent {
            source: SOURCE.into(),
            id: self.id,
            tenant: self.payer,
            period: self.period,
            at: now,
            amounts,
            tokens_from,
        };
        if let Some(reservation) = self.reservation {
            drop(reservation.settle(event));
            return;
        }
        let (id, tenant) = (event.id.clone(), event.tenant.clone());
        if self.quota.count(event).is_err() {
            tracing::error!(id, %tenant, "usage was not counted: too many events wait for the database");
        }
    }
}

impl Tells {
    fn tell(self, unseen: bool) {
        for tenant in &self.touched {
            self.directory.touch(tenant);
        }
        if let Some((effect, tenant)) = self.effect {
            tokio::spawn(async move { self.credentials.changed(effect, &tenant, unseen).await });
        }
    }
}

//! What is told of a request for `RAGFlow`: one line in the log, and figures. In neither is there anything that
//! a caller could use: no credential, no query, no path as it came.

use std::sync::Arc;
use std::time::Instant;

use axum::http::{HeaderMap, Method, StatusCode};
use paywall_domain::TenantId;

use crate::gate::{Route, Via};
use crate::metrics::{Metrics, Purpose, Verdict, way_word};

/// One request, from its head to its answer's.
pub(super) struct Told<'a> {
    metrics: &'a Arc<Metrics>,
    via: Via,
    id: &'a str,
    method: Method,
    started: Instant,
    route: &'static str,
    purpose: Purpose,
}

impl<'a> Told<'a> {
    pub(super) fn begin(metrics: &'a Arc<Metrics>, via: Via, id: &'a str, method: Method) -> Self {
        let (route, purpose) = ("(unread)", Purpose::UNREAD);
        Self { metrics, via, id, method, started: Instant::now(), route, purpose }
    }

    /// It is known what it asks for.
    pub(super) fn is_for(&mut self, method: &Method, route: &Route) {
        // By `/authz` it is the method of the request that the front holds.
        if self.method != *method {
            self.method = method.clone();
        }
        (self.route, self.purpose) = (route.pattern, Purpose::of(route.kind.work));
    }

    /// It does not pass, for a reason that the engine was not asked about.
    pub(super) fn is_odd(&self, status: StatusCode) {
        self.metrics.judged(self.via, self.purpose, Verdict::REFUSED);
        self.line(Verdict::REFUSED, None, status);
    }

    /// The engine refused it.
    pub(super) fn is_refused(&self, asked: Instant, payer: Option<&TenantId>, status: StatusCode, headers: &HeaderMap) {
        let verdict = Verdict::of_refusal(headers);
        self.metrics.admission(self.via, asked.elapsed());
        self.metrics.judged(self.via, self.purpose, verdict);
        self.line(verdict, payer, status);
    }

    /// The engine let it pass.
    pub(super) fn passes(&self, asked: Instant) {
        self.metrics.admission(self.via, asked.elapsed());
        self.metrics.judged(self.via, self.purpose, Verdict::PASSED);
    }

    /// `RAGFlow` answers, or does not: then `status` is what the caller gets instead.
    pub(super) fn is_answered(&self, payer: Option<&TenantId>, status: StatusCode, by_ragflow: bool) {
        self.metrics.answered(self.purpose, Some(status).filter(|_| by_ragflow), self.started.elapsed());
        self.line(Verdict::PASSED, payer, status);
    }

    /// The front that asked was told that it passes.
    pub(super) fn is_allowed(&self, payer: Option<&TenantId>, status: StatusCode) {
        self.line(Verdict::PASSED, payer, status);
    }

    fn line(&self, verdict: Verdict, payer: Option<&TenantId>, status: StatusCode) {
        tracing::debug!(
            request_id = self.id,
            way = way_word(self.via),
            method = %self.method,
            route = self.route,
            payer = payer.map(TenantId::as_str),
            verdict = verdict.word(),
            status = status.as_u16(),
            ms = self.started.elapsed().as_millis() as u64,
            "request"
        );
    }
}

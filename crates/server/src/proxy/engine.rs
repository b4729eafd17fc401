//! What the ways in ask of whatever decides.

use std::future::{Future, ready};
use std::net::IpAddr;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use paywall_domain::TenantId;

use super::Peek;
use crate::gate::{Refusal, Route, UnknownRoutes, Via};

/// Decides about requests, and watches the answers to those that it let pass.
pub trait Engine: Send + Sync + 'static {
    /// What watches an answer.
    type Watch: Watch;

    /// What becomes of routes that the table does not name.
    fn unknown_routes(&self) -> UnknownRoutes {
        UnknownRoutes::default()
    }

    /// May this request pass? Asked before any of its body is read. Where the payer is named in the body
    /// ([`Named::read`](super::Named::read)), `body` can be looked into within bounds; what was looked at
    /// is still forwarded unchanged.
    ///
    /// Dropped where the caller goes away meanwhile: what it reserved by then it must give back itself.
    fn admit(&self, arrival: Arrival<'_>, body: &mut Peek) -> impl Future<Output = Admission<Self::Watch>> + Send;
}

/// A request that asks to pass.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Its method, target and headers as `RAGFlow` gets them.
    pub head: &'a Parts,
    /// What its method and path stand for.
    pub route: &'a Route,
    /// Which way it came.
    pub via: Via,
    /// The caller's own address, behind whatever trusted proxies there are.
    pub peer: IpAddr,
    /// Names it in logs, here, in `RAGFlow` and at the caller.
    pub id: &'a str,
}

/// What is to become of a request.
#[derive(Debug)]
pub enum Admission<W> {
    /// It passes.
    Pass {
        /// Who pays, where somebody does. `/authz` tells its front.
        payer: Option<TenantId>,
        /// Whether the watch reads the answer's text, so that `RAGFlow` must not compress it.
        plain: bool,
        /// Sees the answer.
        watch: W,
    },
    /// It does not.
    Refuse {
        /// Who would have paid, where that is known: for the log.
        payer: Option<TenantId>,
        /// Its answer.
        refusal: Refusal,
    },
}

/// Sees one answer go by, and settles at its end. Nothing here may block or take long: the stream waits.
pub trait Watch: Send + Unpin + 'static {
    /// The answer's head. Not called where there is no answer.
    fn response(&mut self, status: StatusCode, headers: &HeaderMap) {
        let _ = (status, headers);
    }

    /// A piece of its body, as `RAGFlow` framed it or smaller; never several frames in one.
    fn data(&mut self, chunk: &Bytes) {
        let _ = chunk;
    }

    /// How it ended. Called exactly once, also where the task around it is dropped or panics.
    fn end(self, end: End);
}

/// How an admitted request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The answer went by whole.
    Complete,
    /// The caller went away first.
    ClientGone,
    /// `RAGFlow` could not be reached, or broke off.
    UpstreamFailed,
    /// The caller's own body broke off or could not be read; `RAGFlow` got no whole request.
    ClientFailed,
    /// It came by `/authz`: the front answers it, and nothing of that is seen here.
    Unseen,
}

/// The engine of a server that enforces nothing: everything well-formed passes. What enforcement costs is
/// measured against it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unenforced;

/// Looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn end(self, _: End) {}
}

impl Engine for Unenforced {
    type Watch = Unwatched;

    fn admit(&self, _: Arrival<'_>, _: &mut Peek) -> impl Future<Output = Admission<Unwatched>> + Send {
        ready(Admission::Pass { payer: None, plain: false, watch: Unwatched })
    }
}

//! The gate's rules: what a request asks of `RAGFlow`, whose credential it carries, and how a refusal
//! looks to its caller.
//!
//! Pure: data in, decision out. No I/O, no clock, nothing async. The proxy and the `/authz` endpoint
//! call the same functions, so that both ways in judge alike:
//!
//! 1. [`classify`] reads method and path into a [`Route`]: which operation, which meters, where the
//!    resource is named that decides who pays.
//! 2. [`identify`] reads the headers into [`Candidates`]: whom the caller claims to be. `RAGFlow`
//!    itself checks the claim.
//! 3. [`relevant`] keeps of the domain's decision what concerns this route and this caller.
//! 4. [`refuse`] makes the whole answer of what is left.

mod classify;
mod credentials;
mod operations;
mod path;
mod refusal;
mod routes;
mod words;

use paywall_domain::{Decision, Denial, Meter};

pub use classify::{PathId, Route, UnknownRoutes, classify, classify_with};
pub use credentials::{
    CacheKey, Candidates, Credential, CredentialError, Front, identify, is_reserved, strip_reserved,
};
pub use operations::{Answer, Asked, Effect, Field, Kind, Methods, Place, Resource, Row, Streams, Verb, Work, table};
pub use path::Malformed;
pub use refusal::{Blocked, Caller, Refusal, Via, refuse};
pub(crate) use refusal::{CODE, header_text};
pub use words::Language;
pub(crate) use words::{amount, why};

/// What of `decision` concerns this route and this caller.
///
/// The domain decides by operation; a route may cost less than its operation can (a mind map is no
/// message, a new chat is no dataset), and `api_requests` counts requests made with an API key alone.
/// A rule that shuts the tenant out of everything always stays.
#[must_use]
pub fn relevant(decision: &Decision, route: &Route, caller: Caller) -> Decision {
    let concerns = |denial: &&Denial| match denial {
        Denial::QuotaExhausted { meter, .. } => costs(route, caller).any(|it| it == *meter),
        _ => true,
    };
    Decision { denials: decision.denials.iter().filter(concerns).cloned().collect() }
}

/// The meters that a request to `route` counts on when `caller` makes it.
pub fn costs(route: &Route, caller: Caller) -> impl Iterator<Item = Meter> {
    let counted = move |meter: &Meter| *meter != Meter::ApiRequests || caller == Caller::Key;
    route.kind.meters.iter().copied().filter(counted)
}

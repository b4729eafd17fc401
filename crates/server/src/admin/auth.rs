//! Who calls: bearer tokens and their roles.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use paywall_contract::{ProblemCode, token::looks_valid};
use paywall_domain::Role;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::problem::Fault;
use crate::server::State;
use crate::store::{TokenRow, with_patience};
use crate::token;

/// How old the note of a token's last use may become, in milliseconds.
const LAST_USED_PRECISION_MS: i64 = 60_000;

/// The holder of a known token whose time is not over.
pub(crate) struct Caller(pub(crate) TokenRow);

/// Who made something, as it is recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Actor {
    pub(super) name: String,
    pub(super) role: Role,
}

impl Caller {
    /// The caller, as it is recorded.
    pub(super) fn actor(&self) -> Actor {
        Actor { name: self.0.name.clone(), role: self.0.role }
    }

    /// Refuses a caller of a lower role.
    pub(crate) fn needs(&self, role: Role) -> Result<(), Fault> {
        if self.0.role >= role { Ok(()) } else { Err(Fault::role_too_low(role)) }
    }
}

impl FromRequestParts<Arc<State>> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Fault> {
        let unknown = |detail: &str| Fault::new(ProblemCode::Unauthenticated, detail);
        let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(|| {
            unknown("send a token: Authorization: Bearer pwt_…; paywall-server token create makes one")
        })?;
        let secret = header
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, secret)| secret.trim())
            .ok_or_else(|| unknown("the Authorization header must be: Bearer and a token"))?;
        if !looks_valid(secret) {
            return Err(unknown("this is not a whole access token; copy it again"));
        }
        let hash = token::hash(&state.config.token_key, secret);
        let row = state.store.token(&hash).await?;
        let row = row
            .filter(|row| bool::from(row.hash.ct_eq(&hash)))
            .ok_or_else(|| unknown("this server does not know the token; make a new one"))?;
        if row.revoked_at.is_some() {
            return Err(unknown("the token was revoked; make a new one"));
        }
        let now = state.clock.now();
        if row.expires_at.is_some_and(|end| end <= now) {
            return Err(Fault::new(ProblemCode::TokenExpired, "the token's time is over; make a new one"));
        }
        if row.last_used_at.is_none_or(|last| now.ms_since(last) >= LAST_USED_PRECISION_MS) {
            // Reading goes on when the database cannot be written to, or not soon.
            let noted = with_patience(state.store.token_used(&row.id, now)).await;
            state.noted(noted.map(|()| true), "the token's last use was not noted");
        }
        Ok(Self(row))
    }
}

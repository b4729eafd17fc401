//! What the routes share: bodies, pages and cursors.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paywall_contract::ProblemCode;
use paywall_domain::TenantId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Fault;

/// A JSON body; what is wrong with it is told by field.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let bytes = Bytes::from_request(request, state).await?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            Fault::field(if path == "." { "body".to_owned() } else { path }, error.inner().to_string())
        })?;
        json.end().map_err(|error| Fault::field("body", error.to_string()))?;
        Ok(Self(value))
    }
}

/// A query string.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let Query(value) = Query::<T>::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// The tenant id of a path.
pub(crate) fn tenant_id(text: &str) -> Result<TenantId, Fault> {
    TenantId::parse(text).map_err(|error| Fault::field("id", error.to_string()))
}

/// Rows per page: asked for, within bounds, or the default.
pub(crate) fn page_size(asked: Option<u32>, default: u32, most: u32) -> Result<usize, Fault> {
    match asked.unwrap_or(default) {
        size if (1..=most).contains(&size) => Ok(size as usize),
        _ => Err(Fault::field("limit", format!("between 1 and {most}"))),
    }
}

/// A cursor as callers carry it.
pub(crate) fn cursor<T: Serialize>(place: &T) -> Result<String, Fault> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(place)?))
}

/// The place that a cursor names.
pub(crate) fn place<T: DeserializeOwned>(cursor: &str) -> Result<T, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    serde_json::from_slice(&bytes).map_err(|_| bad_cursor())
}

/// A cursor that cannot be taken here.
pub(crate) fn bad_cursor() -> Fault {
    Fault::new(ProblemCode::InvalidCursor, "this server did not make the cursor for this list; start without one")
}

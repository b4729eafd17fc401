//! What the routes share: bodies, queries, pages and cursors.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paywall_contract::ProblemCode;
use paywall_domain::TenantId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, ToSchema};

use super::expected;
use super::problem::Fault;

/// A JSON body. What is wrong with it is told by field, and a field that its type does not have is refused:
/// whoever misspells the end of a gift must not give it for ever.
pub(crate) struct Body<T>(pub(crate) T);

/// Like [`Body`], where no body at all, or `null`, says the same as one without fields.
pub(crate) struct BodyOrDefault<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + ToSchema> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let bytes = Bytes::from_request(request, state).await?;
        body(&bytes).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + ToSchema + Default> FromRequest<S> for BodyOrDefault<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let bytes = Bytes::from_request(request, state).await?;
        if matches!(bytes.trim_ascii(), b"" | b"null") { Ok(Self(T::default())) } else { body(&bytes).map(Self) }
    }
}

fn body<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Result<T, Fault> {
    if bytes.trim_ascii().is_empty() {
        return Err(Fault::field("body", format!("is empty; expected {}", expected::body(&T::name()))));
    }
    let sent: Value = serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Fault::field("body", format!("is not JSON; look at line {line}, column {column}"))
    })?;
    let wrong = expected::check_body(&T::name(), &sent);
    if !wrong.is_empty() {
        return Err(Fault::fields(wrong));
    }
    // From the bytes: in `sent`, of a field that stands twice only the last is left.
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(bytes)).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "body".to_owned() } else { path };
        Fault::field(field, "cannot be taken: a field stands twice in it, or a number is too large")
    })
}

/// A query string. Parameters that a route does not know are left to newer servers where it only reads. Where it
/// changes something they are refused: whoever misspells `dry_run` must not make the change.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for Params<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let unreadable =
            |_| Fault::field("query", "cannot be taken: a parameter stands twice in it, or a number is too large");
        let Query(sent) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(unreadable)?;
        let known = T::into_params(|| Some(ParameterIn::Query));
        let mut wrong = expected::check_query(&known, &sent);
        if !parts.method.is_safe() {
            wrong.extend(expected::unknown_in_query(&known, &sent));
        }
        if !wrong.is_empty() {
            return Err(Fault::fields(wrong));
        }
        Query::<T>::try_from_uri(&parts.uri).map(|Query(value)| Self(value)).map_err(unreadable)
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

//! What a request's body and query name: the resource whose owner pays, and how it wants its answer.

use std::borrow::Cow;

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use paywall_domain::Meter;
use serde_json::Value;

use super::form::{self, Found};
use super::{Arrival, Peek, PeekError};
use crate::gate::{Asked, PathId, Place, Resource};
use crate::metering::estimate;

/// As much of a body as is looked at. A question with its history is some kilobytes.
const MOST: usize = 1024 * 1024;

/// What a request names outside its path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// The resources under the first of the route's fields that is there; several where it is a list.
    pub ids: Vec<PathId>,
    /// What its JSON body says about the answer. The default where that was not looked at.
    pub asked: Asked,
    /// Tokens of the question in its JSON body, about. 0 where that was not looked at.
    pub tokens: i64,
}

impl Named {
    /// Reads the places where `arrival`'s route says that the payer is named. Where its path names the
    /// payer, or the body is out of reach, none of them is read. The body of what costs tokens is looked at in
    /// any case, for what it says of the answer, as far as it can be read.
    ///
    /// `RAGFlow` takes JSON whatever the content type says, and a form where it is no JSON; so does this,
    /// so that a spelling cannot hide who pays. What can be read in two ways is refused.
    pub async fn read(arrival: &Arrival<'_>, body: &mut Peek) -> Result<Self, PeekError> {
        let (head, route) = (arrival.head, arrival.route);
        let mut named = Self::default();
        let counts = route.kind.stops || route.kind.meters.contains(&Meter::Tokens);
        if route.payer().is_some() {
            if counts && let Some(json) = glance(&head.headers, body).await {
                named.take(&json);
            }
            return Ok(named);
        }
        let mut json = None;
        if !body.is_empty() && route.fields.iter().any(|it| it.place == Place::Body) {
            json = read_json(&head.headers, body).await?;
        } else if counts {
            json = glance(&head.headers, body).await;
        }
        if let Some(json) = &json {
            named.take(json);
        }
        for field in route.fields {
            let texts = match (field.place, &json) {
                // What searches memories takes several, and lists of them.
                (Place::Query, _) if field.resource == Resource::Memory => {
                    listed(head.uri.query().unwrap_or_default(), field.name)
                }
                (Place::Query, _) => in_pairs(head.uri.query().unwrap_or_default().as_bytes(), field.name),
                (Place::Body, Some(json)) => texts(json.get(field.name)),
                _ if body.is_empty() => Vec::new(),
                _ => read_form(&head.headers, body, field.name).await?,
            };
            named.ids = texts.into_iter().map(|id| PathId { resource: field.resource, id }).collect();
            if !named.ids.is_empty() {
                break;
            }
        }
        Ok(named)
    }

    /// How the request wants its answer, as far as its body says so readably: for the shape of a refusal,
    /// which must not fail.
    pub async fn asked(headers: &HeaderMap, body: &mut Peek) -> Asked {
        glance(headers, body).await.as_ref().map(Asked::read).unwrap_or_default()
    }

    fn take(&mut self, json: &Value) {
        self.asked = Asked::read(json);
        self.tokens = QUESTIONS.iter().filter_map(|name| json.get(name)).map(tokens).fold(0, i64::saturating_add);
    }
}

/// Under which names `RAGFlow`'s routes take what their models are to read.
const QUESTIONS: [&str; 7] = ["question", "query", "messages", "text", "content", "inputs", "params"];

/// Tokens of the texts in it, about.
fn tokens(value: &Value) -> i64 {
    match value {
        Value::String(text) => estimate(text),
        Value::Array(list) => list.iter().map(tokens).fold(0, i64::saturating_add),
        Value::Object(map) => map.values().map(tokens).fold(0, i64::saturating_add),
        _ => 0,
    }
}

/// The body as JSON, where it is JSON and can be read.
async fn glance(headers: &HeaderMap, body: &mut Peek) -> Option<Value> {
    if body.is_empty() {
        return None;
    }
    read_json(headers, body).await.ok().flatten()
}

/// The body as JSON; `None` where it is a form instead.
async fn read_json(headers: &HeaderMap, body: &mut Peek) -> Result<Option<Value>, PeekError> {
    refuse_compressed(headers)?;
    // A form may be a large upload, which has no business in memory.
    if form::boundary(headers)?.is_some() {
        return Ok(None);
    }
    match serde_json::from_slice(body.whole(MOST).await?) {
        Ok(json) => Ok(Some(json)),
        Err(_) if is_pairs(headers) => Ok(None),
        Err(error) => Err(PeekError::Unreadable(error.to_string())),
    }
}

async fn read_form(headers: &HeaderMap, body: &mut Peek, field: &'static str) -> Result<Vec<String>, PeekError> {
    refuse_compressed(headers)?;
    if let Some(boundary) = form::boundary(headers)? {
        let found = body.beginning(MOST, |bytes, whole| match form::find(bytes, &boundary, field) {
            Found::Value(value) => Some(Ok(Some(value))),
            Found::Odd(reason) => Some(Err(PeekError::Unreadable(reason.to_owned()))),
            Found::NotYet => whole.then_some(Ok(None)),
        });
        return match found.await?.transpose()? {
            Some(value) => Ok(value.into_iter().filter(|it| !it.is_empty()).collect()),
            None => Err(PeekError::TooLate { field, most: MOST }),
        };
    }
    if is_pairs(headers) {
        return Ok(in_pairs(body.whole(MOST).await?, field));
    }
    Ok(Vec::new())
}

fn refuse_compressed(headers: &HeaderMap) -> Result<(), PeekError> {
    let plain = |value: &[u8]| value.trim_ascii().is_empty() || value.eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(|it| plain(it.as_bytes())) {
        Ok(())
    } else {
        Err(PeekError::Compressed)
    }
}

fn is_pairs(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The first value under `name`, as `RAGFlow` takes it.
fn in_pairs(pairs: &[u8], name: &str) -> Vec<String> {
    let first = form_urlencoded::parse(pairs).find(|(key, _)| key == name).map(|(_, value)| value);
    first.filter(|it| !it.is_empty()).map(Cow::into_owned).into_iter().collect()
}

/// Every value under `name`, and what commas part in them.
fn listed(query: &str, name: &str) -> Vec<String> {
    let values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let split = |(_, value): (_, Cow<'_, str>)| value.split(',').map(str::to_owned).collect::<Vec<_>>();
    values.flat_map(split).filter(|it| !it.is_empty()).collect()
}

/// A text, or a list of texts; anything else names nothing.
fn texts(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

//! Stripe's read API over a [`StripeHistory`].

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;

use crate::expand::{Account, Included, unexpandable};
use crate::history::{Cursor, Filter, NoSuch, SUBSCRIPTION_STATUSES, StripeHistory};
use crate::ids::Kind;
use crate::keys::{Access, Keys};
use crate::render;
use crate::wire::{Failure, Gate, Params, Rules, answer, around};

struct Api {
    history: Arc<StripeHistory>,
    gate: Arc<Gate>,
}

/// Stripe's read API for an account, under `/v1`.
pub fn router(history: Arc<StripeHistory>, rules: Rules) -> Router {
    let keys = Keys::new(history.seed(), &history.account());
    let gate = Arc::new(Gate::new(keys, history.account(), rules));
    let api = Arc::new(Api { history, gate: gate.clone() });
    let mut router = Router::new();
    for kind in Kind::LISTED {
        let list = move |State(api): State<Arc<Api>>, headers: HeaderMap, RawQuery(query): RawQuery| async move {
            api.admit(&headers, kind.plural(), kind)?;
            api.list(kind, query.as_deref().unwrap_or(""))
        };
        let retrieve = move |State(api): State<Arc<Api>>,
                             headers: HeaderMap,
                             Path(id): Path<String>,
                             RawQuery(query): RawQuery| async move {
            api.admit(&headers, kind.singular(), kind)?;
            api.retrieve(kind, &id, query.as_deref().unwrap_or(""))
        };
        router = router
            .route(&format!("/v1/{}", kind.plural()), get(list))
            .route(&format!("/v1/{}/{{id}}", kind.plural()), get(retrieve));
    }
    let lines = |State(api): State<Arc<Api>>, headers: HeaderMap, Path(id): Path<String>, RawQuery(query): RawQuery| async move {
        api.admit(&headers, "invoice_lines", Kind::Invoice)?;
        let params = Params::read(query.as_deref().unwrap_or(""), &[])?;
        let parts = api.history.parts(Kind::Invoice, &id);
        let parts = parts.ok_or_else(|| Failure::missing(Kind::Invoice, &id, "invoice").with(StatusCode::NOT_FOUND))?;
        params.page_of(&parts, Kind::InvoiceLine, &format!("/v1/invoices/{id}/lines"))
    };
    let note_lines = |State(api): State<Arc<Api>>,
                      headers: HeaderMap,
                      Path(id): Path<String>,
                      RawQuery(query): RawQuery| async move {
        api.admit(&headers, "credit_note_lines", Kind::CreditNote)?;
        let params = Params::read(query.as_deref().unwrap_or(""), &[])?;
        let parts = api.history.parts(Kind::CreditNote, &id);
        let parts = parts.ok_or_else(|| Failure::missing(Kind::CreditNote, &id, "id").with(StatusCode::NOT_FOUND))?;
        params.page_of(&parts, Kind::CreditNoteLine, &format!("/v1/credit_notes/{id}/lines"))
    };
    let items = |State(api): State<Arc<Api>>, headers: HeaderMap, RawQuery(query): RawQuery| async move {
        api.admit(&headers, "subscription_items", Kind::Subscription)?;
        let params = Params::read(query.as_deref().unwrap_or(""), &["subscription"])?;
        let Some(id) = params.one("subscription").map(str::to_owned) else {
            return Err(Failure::invalid(
                "Missing required param: subscription.".to_owned(),
                Some("subscription"),
                Some("parameter_missing"),
            ));
        };
        let parts = api.history.parts(Kind::Subscription, &id);
        let parts = parts
            .ok_or_else(|| Failure::missing(Kind::Subscription, &id, "subscription").with(StatusCode::NOT_FOUND))?;
        params.page_of(&parts, Kind::SubscriptionItem, "/v1/subscription_items")
    };
    router
        .route("/v1/invoices/{id}/lines", get(lines))
        .route("/v1/credit_notes/{id}/lines", get(note_lines))
        .route("/v1/subscription_items", get(items))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn_with_state(gate, around))
        .with_state(api)
}

async fn unknown(State(api): State<Arc<Api>>, headers: HeaderMap, method: Method, uri: axum::http::Uri) -> Response {
    if let Err(failure) = api.admit(&headers, "unknown", Kind::Product) {
        return failure.into_response();
    }
    let message =
        format!("Unrecognized request URL ({method}: {}). This sandbox serves Stripe's read API only.", uri.path());
    Failure::invalid(message, None, None).with(StatusCode::NOT_FOUND).into_response()
}

impl Api {
    fn admit(&self, headers: &HeaderMap, endpoint: &'static str, kind: Kind) -> Result<(), Failure> {
        self.gate.admit(headers, endpoint, kind, Access::Read)
    }

    fn list(&self, kind: Kind, query: &str) -> Result<Response, Failure> {
        let params = Params::read(query, allowed(kind))?;
        let filter = filter(&params, kind)?;
        let limit = params.limit()?;
        let cursor = params.cursor()?;
        let (mut data, has_more) =
            self.history.list(kind, &filter, cursor, limit).map_err(|NoSuch { kind: missing, id }| {
                let param = match cursor {
                    Cursor::After(it) if it == id => "starting_after",
                    Cursor::Before(it) if it == id => "ending_before",
                    _ => missing.singular(),
                };
                Failure::missing(missing, &id, param)
            })?;
        for path in params.all("expand") {
            let Some(rest) = path.strip_prefix("data.") else {
                let message = format!(
                    "This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' instead."
                );
                return Err(Failure::invalid(message, Some("expand"), None));
            };
            for object in &mut data {
                self.expand(object, rest)?;
            }
        }
        Ok(answer(&render::list(data, has_more, format!("/v1/{}", kind.plural()))))
    }

    fn retrieve(&self, kind: Kind, id: &str, query: &str) -> Result<Response, Failure> {
        let params = Params::read(query, &[])?;
        let found = self.history.retrieve(kind, id);
        let mut object = found.ok_or_else(|| Failure::missing(kind, id, "id").with(StatusCode::NOT_FOUND))?;
        for path in params.all("expand") {
            self.expand(&mut object, path)?;
        }
        Ok(answer(&object))
    }
}

impl Account for Api {
    fn object(&self, kind: Kind, id: &str) -> Option<Value> {
        self.history.retrieve(kind, id)
    }

    fn include(&self, object: &mut Value, field: &str, rest: Option<&str>) -> Result<Included, Failure> {
        if field == "tiers" && object["object"] == "price" {
            // Only tiered prices have any, and the catalogue sells none; Stripe takes the path for every price.
            return Ok(Included::Done);
        }
        if field == "payments" && rest.is_none() && object["object"] == "invoice" {
            let id = object["id"].as_str().unwrap_or_default().to_owned();
            object["payments"] = self.history.payments(&id);
            return Ok(Included::Done);
        }
        if field != "discounts" {
            return Ok(Included::No);
        }
        let kind = match object["object"].as_str() {
            // Items are discounted through their subscription alone, so that there is nothing to put in place.
            Some("subscription_item") => return Ok(Included::Done),
            Some("subscription") => Kind::Subscription,
            Some("invoice") => Kind::Invoice,
            _ => return Err(unexpandable(field)),
        };
        let id = object["id"].as_str().unwrap_or_default().to_owned();
        object["discounts"] = Value::Array(self.history.discounts(kind, &id, rest == Some("source.coupon")));
        Ok(Included::Done)
    }
}

/// What a kind's list can be narrowed down by, beside the page itself.
fn allowed(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Customer => &["email"],
        Kind::Product => &["active"],
        Kind::Price => &["active", "product"],
        Kind::Subscription => &["customer", "status"],
        Kind::Invoice => &["customer", "subscription", "status"],
        Kind::Charge => &["customer"],
        Kind::Refund | Kind::Dispute => &["charge"],
        Kind::InvoicePayment => &["invoice"],
        Kind::CreditNote => &["customer", "invoice"],
        Kind::Event => &["type", "types"],
        _ => &[],
    }
}

fn filter(params: &Params, kind: Kind) -> Result<Filter, Failure> {
    let (from, to) = params.created()?;
    let status = params.one("status").map(str::to_owned);
    if let Some(word) = &status {
        let fits = match kind {
            Kind::Subscription => {
                matches!(word.as_str(), "all" | "ended") || SUBSCRIPTION_STATUSES.iter().any(|it| it.0 == word)
            }
            _ => crate::books::InvoiceStatus::ALL.iter().any(|it| it.word() == word),
        };
        if !fits {
            return Err(Failure::invalid(format!("Invalid status: {word}"), Some("status"), None));
        }
    }
    let text = |name: &str| params.one(name).map(str::to_owned);
    Ok(Filter {
        from,
        to,
        customer: text("customer"),
        subscription: text("subscription"),
        charge: text("charge"),
        invoice: text("invoice"),
        status,
        types: params.all("type").chain(params.all("types")).map(str::to_owned).collect(),
        email: text("email"),
        product: text("product"),
        active: params.boolean("active")?,
    })
}

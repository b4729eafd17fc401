//! Requests: idempotency keys, lists, and answers that go wrong.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::form::Form;
use super::routes::{Operation, Run};
use super::state::{Cause, Fields, State};
use crate::calendar::DAY;
use crate::expand::{Account, Included};
use crate::ids::Kind;
use crate::render::list;
use crate::wire::{Failure, Params, page};

/// An answer that was given under an idempotency key.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    at: i64,
    fingerprint: String,
    status: StatusCode,
    body: String,
    request: String,
}

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// 500, and nothing was done. The answer is kept under the key, as Stripe does.
    Fails,
    /// It is done, and the connection breaks before the answer is through.
    AnswerLost,
    /// 409: another request under the key is still running. Nothing was done.
    Conflict,
    /// 429. Nothing was done.
    TooMany,
}

/// Trouble that was planned for requests of a method to paths that begin like this.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) trouble: Trouble,
}

/// A request as it came.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) request: &'a str,
}

impl Asked<'_> {
    /// The same for two requests of the same parameters, in whatever order.
    fn fingerprint(&self) -> String {
        let pairs: BTreeSet<(String, String)> =
            form_urlencoded::parse(self.body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        format!("{} {} {pairs:?}", self.method, self.path)
    }
}

fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl State {
    /// Answers an admitted request by Stripe's rules of idempotency.
    pub(crate) fn answer(&mut self, operation: &Operation<'_>, asked: &Asked<'_>) -> Response {
        let key = asked
            .headers
            .get("Idempotency-Key")
            .and_then(|it| it.to_str().ok())
            .filter(|_| *asked.method == Method::POST);
        let key = key.map(str::to_owned);
        if key.as_ref().is_some_and(|key| key.len() > 255) {
            let message = "Idempotency-Key can be at most 255 characters long.";
            return Failure::invalid(message, None, None).into_response();
        }
        if let Some(saved) = key.as_ref().and_then(|key| self.saved.get(key)).filter(|it| it.at + DAY > self.now) {
            if saved.fingerprint != asked.fingerprint() {
                let key = key.unwrap_or_default();
                let message = format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a \
                     key other than '{key}' if you meant to execute a different request."
                );
                let body = json!({"error": {"message": message, "type": "idempotency_error"}});
                return Failure { status: StatusCode::BAD_REQUEST, body, retry: None }.into_response();
            }
            let mut response = json_response(saved.status, saved.body.clone());
            response.headers_mut().insert("Idempotent-Replayed", HeaderValue::from_static("true"));
            if let Ok(first) = HeaderValue::from_str(&saved.request) {
                response.headers_mut().insert("Original-Request", first);
            }
            return response;
        }
        let trouble = self.trouble(asked);
        match trouble {
            Some(Trouble::TooMany) => return Failure::too_many().into_response(),
            Some(Trouble::Conflict) => {
                let message = "There is currently another in-progress request using this Idempotent Key (that probably means you \
                               submitted twice, and the other request is still going through). Please try again later.";
                let error = json!({"code": "idempotency_key_in_use", "message": message, "type": "idempotency_error"});
                let body = json!({"error": error});
                return Failure { status: StatusCode::CONFLICT, body, retry: Some(true) }.into_response();
            }
            _ => {}
        }
        let result = if trouble == Some(Trouble::Fails) {
            let message = "An unknown error occurred";
            let body = json!({"error": {"message": message, "type": "api_error"}});
            Err(Failure { status: StatusCode::INTERNAL_SERVER_ERROR, body, retry: None })
        } else {
            self.caused(operation, asked, key.clone())
        };
        let (status, body, retry) = match result {
            Ok(value) => (StatusCode::OK, value.to_string(), None),
            Err(failure) => (failure.status, failure.body.to_string(), failure.retry),
        };
        // What never began to be done is not kept: parameters that were refused may be sent corrected.
        let began = status == StatusCode::OK || status == StatusCode::PAYMENT_REQUIRED || status.is_server_error();
        if let Some(key) = key.filter(|_| began) {
            let (at, fingerprint, request) = (self.now, asked.fingerprint(), asked.request.to_owned());
            self.saved.insert(key, Saved { at, fingerprint, status, body: body.clone(), request });
        }
        if trouble == Some(Trouble::AnswerLost) {
            let broken =
                futures::stream::iter([Ok(body[..1].to_owned()), Err(std::io::Error::other("the connection broke"))]);
            return Response::new(Body::from_stream(broken));
        }
        let mut response = json_response(status, body);
        if let Some(retry) = retry {
            response
                .headers_mut()
                .insert("Stripe-Should-Retry", HeaderValue::from_static(if retry { "true" } else { "false" }));
        }
        response
    }

    /// Does what a request asks for; the events of it name the request.
    fn caused(&mut self, operation: &Operation<'_>, asked: &Asked<'_>, key: Option<String>) -> Result<Value, Failure> {
        self.cause = Cause { request: Some(asked.request.to_owned()), key };
        let result = self.perform(operation, asked);
        self.cause = Cause::default();
        result
    }

    /// Does what the script asks for by the API's own paths.
    pub(crate) fn act(&mut self, operation: &Operation<'_>, asked: &Asked<'_>) -> Result<Value, Failure> {
        self.caused(operation, asked, None)
    }

    fn trouble(&mut self, asked: &Asked<'_>) -> Option<Trouble> {
        let meets = |it: &Planned| it.method == *asked.method && asked.path.starts_with(&it.path);
        let at = self.planned.iter().position(meets)?;
        Some(self.planned.remove(at).trouble)
    }

    fn perform(&mut self, operation: &Operation<'_>, asked: &Asked<'_>) -> Result<Value, Failure> {
        match operation.run {
            Run::List(kind) => self.list_of(kind, asked.query),
            Run::Get(kind, id) => {
                let params = Params::read(asked.query, &[])?;
                let gone = || Failure::missing(kind, id, "id").with(StatusCode::NOT_FOUND);
                let mut object = self.visible(kind, id).ok_or_else(gone)?;
                params.all("expand").try_for_each(|path| self.expand(&mut object, path))?;
                Ok(object)
            }
            Run::Lines(id) => {
                let params = Params::read(asked.query, &[])?;
                let invoice = self.get(Kind::Invoice, id);
                let invoice = invoice
                    .ok_or_else(|| Failure::missing(Kind::Invoice, id, "invoice").with(StatusCode::NOT_FOUND))?;
                let lines = invoice.list("lines/data").to_vec();
                self.page(&lines, Kind::InvoiceLine, &params, &format!("/v1/invoices/{id}/lines"), |_, _| true)
            }
            Run::LineItems(id) => {
                let params = Params::read(asked.query, &[])?;
                let items = self.line_items(id).map_err(|it| it.with(StatusCode::NOT_FOUND))?;
                let url = format!("/v1/checkout/sessions/{id}/line_items");
                self.page(&items, Kind::CheckoutSession, &params, &url, |_, _| true)
            }
            Run::Items => {
                let params = Params::read(asked.query, &["subscription"])?;
                let Some(id) = params.one("subscription") else {
                    return Err(Failure::invalid(
                        "Missing required param: subscription.",
                        Some("subscription"),
                        Some("parameter_missing"),
                    ));
                };
                let subscription = self.get(Kind::Subscription, id);
                let gone = || Failure::missing(Kind::Subscription, id, "subscription").with(StatusCode::NOT_FOUND);
                let items = subscription.ok_or_else(gone)?.list("items/data").to_vec();
                self.page(&items, Kind::SubscriptionItem, &params, "/v1/subscription_items", |_, _| true)
            }
            Run::Act(act, id) => {
                let pairs = form_urlencoded::parse(asked.query.as_bytes()).chain(form_urlencoded::parse(asked.body));
                let mut form = Form::of(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())))?;
                let paths = form.texts("expand")?.unwrap_or_default();
                let mut object = act(self, id, form).map_err(|failure| not_found(failure, operation.kind, id))?;
                paths.iter().try_for_each(|path| self.expand(&mut object, path))?;
                Ok(object)
            }
        }
    }

    /// An object as the API shows it.
    pub(crate) fn visible(&self, kind: Kind, id: &str) -> Option<Value> {
        let object = self.get(kind, id)?;
        match kind {
            Kind::Event if object.int("created") <= self.now - 30 * DAY => None,
            Kind::Event => Some(self.shown_event(object)),
            Kind::WebhookEndpoint | Kind::Coupon if object.flag("deleted") => None,
            _ => Some(object.clone()),
        }
    }

    fn list_of(&self, kind: Kind, query: &str) -> Result<Value, Failure> {
        let params = Params::read(query, narrowing(kind))?;
        let status = params.one("status");
        if let Some(word) = status.filter(|word| !statuses(kind).contains(word)) {
            return Err(Failure::invalid(format!("Invalid status: {word}"), Some("status"), None));
        }
        for (param, kind) in [
            ("customer", Kind::Customer),
            ("subscription", Kind::Subscription),
            ("charge", Kind::Charge),
            ("invoice", Kind::Invoice),
        ] {
            if let Some(id) = params.one(param)
                && self.get(kind, id).is_none()
            {
                return Err(Failure::missing(kind, id, param));
            }
        }
        let types: Vec<&str> = params.all("type").chain(params.all("types")).collect();
        if types.len() > 20 {
            return Err(Failure::invalid("You can filter by up to 20 event types.", Some("types"), None));
        }
        let (active, delivered) = (params.boolean("active")?, params.boolean("delivery_success")?);
        let oldest = self.now - 30 * DAY;
        let objects: Vec<Value> = self.table(kind).rev().cloned().collect();
        let same = ["customer", "charge", "payment_intent", "email", "product", "currency", "invoice"];
        let url = format!("/v1/{}", kind.plural());
        self.page(&objects, kind, &params, &url, |state, it| {
            let same = same.iter().all(|field| params.one(field).is_none_or(|wanted| it.is(field, wanted)));
            let subscription = params.one("subscription").is_none_or(|wanted| {
                it.is("subscription", wanted) || it.is("parent/subscription_details/subscription", wanted)
            });
            let status = match (kind, status) {
                (Kind::Subscription, None) => !it.is("status", "canceled"),
                (Kind::Subscription, Some("ended")) => matches!(it.text("status"), "canceled" | "incomplete_expired"),
                (_, None | Some("all")) => true,
                (_, Some(word)) => it.is("status", word),
            };
            let event = kind != Kind::Event || {
                let wanted = types.is_empty() || types.iter().any(|name| matches_type(name, it.text("type")));
                let success = state.pending_webhooks(it.text("id")) == 0;
                it.int("created") > oldest && wanted && delivered.is_none_or(|asked| asked == success)
            };
            let price = params
                .one("price")
                .is_none_or(|wanted| it.list("items/data").iter().any(|item| item.is("price/id", wanted)));
            !it.flag("deleted")
                && same
                && subscription
                && status
                && event
                && price
                && active.is_none_or(|asked| it.flag("active") == asked)
        })
    }

    /// A page of objects given in their list's order.
    fn page(
        &self,
        objects: &[Value],
        kind: Kind,
        params: &Params,
        url: &str,
        keep: impl Fn(&Self, &Value) -> bool,
    ) -> Result<Value, Failure> {
        let ((from, to), limit, cursor) = (params.created()?, params.limit()?, params.cursor()?);
        let within = |it: &Value| {
            let created = it.int("created");
            from.is_none_or(|from| created >= from) && to.is_none_or(|to| created < to)
        };
        let kept = |it: &Value| within(it) && keep(self, it);
        let (chosen, more) = page(objects, Fields::id, kept, cursor, limit).map_err(|it| it.failure(kind))?;
        let show = |it: &Value| if kind == Kind::Event { self.shown_event(it) } else { it.clone() };
        let mut data: Vec<Value> = chosen.into_iter().map(show).collect();
        for path in params.all("expand") {
            let Some(rest) = path.strip_prefix("data.") else {
                let message = format!(
                    "This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' instead."
                );
                return Err(Failure::invalid(message, Some("expand"), None));
            };
            data.iter_mut().try_for_each(|object| self.expand(object, rest))?;
        }
        Ok(list(data, more, url.to_owned()))
    }
}

/// An object that the path names and that is not there is 404; one that a parameter names is 400.
fn not_found(failure: Failure, kind: Kind, id: &str) -> Failure {
    let about_path =
        !id.is_empty() && failure.body["error"]["message"] == format!("No such {}: '{id}'", kind.singular());
    if about_path { failure.with(StatusCode::NOT_FOUND) } else { failure }
}

/// Whether an event is of a type, which may end in `.*`.
fn matches_type(wanted: &str, kind: &str) -> bool {
    wanted == kind || wanted.strip_suffix('*').is_some_and(|prefix| kind.starts_with(prefix))
}

/// What a kind's list can be narrowed down by, beside the page itself.
fn narrowing(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Customer => &["email"],
        Kind::Product => &["active"],
        Kind::Price => &["active", "product", "currency"],
        Kind::Subscription => &["customer", "status", "price"],
        Kind::Invoice | Kind::CheckoutSession => &["customer", "subscription", "status"],
        Kind::Charge => &["customer", "payment_intent"],
        Kind::Refund | Kind::Dispute => &["charge", "payment_intent"],
        Kind::Event => &["type", "types", "delivery_success"],
        Kind::PaymentIntent | Kind::PaymentMethod => &["customer"],
        Kind::InvoicePayment => &["invoice", "status"],
        Kind::CreditNote => &["customer", "invoice"],
        _ => &[],
    }
}

/// The words that a list's `status` may be.
fn statuses(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Subscription => &[
            "all",
            "ended",
            "incomplete",
            "incomplete_expired",
            "trialing",
            "active",
            "past_due",
            "unpaid",
            "canceled",
            "paused",
        ],
        Kind::Invoice => &["draft", "open", "paid", "uncollectible", "void"],
        Kind::CheckoutSession => &["open", "complete", "expired"],
        Kind::InvoicePayment => &["open", "paid", "canceled"],
        _ => &[],
    }
}

impl Account for State {
    fn object(&self, kind: Kind, id: &str) -> Option<Value> {
        self.get(kind, id).cloned()
    }

    fn include(&self, object: &mut Value, field: &str, _: Option<&str>) -> Result<Included, Failure> {
        let (kind, id) = (object.text("object").to_owned(), object.id());
        match (kind.as_str(), field) {
            ("price", "tiers") => return Ok(Included::Done),
            ("invoice", "payments") => {
                object["payments"] = list(self.payments_of(&id), false, format!("/v1/invoice_payments?invoice={id}"));
            }
            ("checkout.session", "line_items") => object["line_items"] = self.session_lines(&id),
            ("charge", "refunds") => {
                let refunds = self.table(Kind::Refund).rev().filter(|it| it.is("charge", &id)).cloned().collect();
                object["refunds"] = list(refunds, false, format!("/v1/charges/{id}/refunds"));
            }
            ("subscription" | "invoice" | "subscription_item" | "line_item", "discounts") => {
                let ids = object.list("discounts").iter().filter_map(Value::as_str);
                object["discounts"] = ids.map(|id| self.known(Kind::Discount, id)).collect();
            }
            _ => return Ok(Included::No),
        }
        Ok(Included::Descend)
    }
}

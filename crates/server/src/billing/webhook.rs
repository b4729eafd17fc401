//! Where Stripe delivers what happened.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{MethodRouter, post};
use paywall_contract::ProblemCode;
use paywall_domain::Timestamp;
use paywall_domain::billing::{StripeMode, WEBHOOK_EVENTS};
use paywall_stripe::shapes::Event;
use paywall_stripe::webhook::{self, SIGNATURE_HEADER, TOLERANCE};

use super::inbox::{Source, Told, Work};
use crate::admin::Fault;
use crate::metrics::Delivery;
use crate::server::State;
use paywall_stripe::facts::at;

/// The largest delivery that is read, in bytes. Stripe's largest objects are some hundred kilobytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Why an event of the other half of the account is not acted on.
pub(crate) const MODE_MIXED: &str = "mode_mixed";

/// The route. It authenticates by signature alone.
pub(crate) fn route() -> MethodRouter<Arc<State>> {
    post(deliver).layer(DefaultBodyLimit::max(BODY_LIMIT))
}

/// Takes a delivery: kept once it is answered with 200, and not before. Whatever else is answered, Stripe sends
/// it again.
async fn deliver(
    Extract(state): Extract<Arc<State>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<&'static str, Fault> {
    let Some(billing) = &state.billing else { return Err(Fault::of_status(StatusCode::NOT_FOUND)) };
    let body = body?;
    let now = state.clock.now();
    let header = headers.get(SIGNATURE_HEADER).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let secrets = &billing.settings.webhook_secrets;
    let refused = |code: &'static str, why: String| {
        tracing::warn!(code, "a delivery to the webhook was refused");
        state.metrics.delivered(Delivery::Refused);
        billing.refused();
        Fault::new(ProblemCode::InvalidRequest, why)
    };
    webhook::verify(&body, header, secrets, now.0.div_euclid(1000), TOLERANCE)
        .map_err(|error| refused(error.code(), error.to_string()))?;
    let event = webhook::event(&body).map_err(|_| refused("unreadable", "this is no event of Stripe's".to_owned()))?;
    let told = told(&event, billing.settings.mode, Source::Webhook, now);
    match state.store.take_event(&told, now).await {
        Ok(0) => {
            state.metrics.delivered(Delivery::Taken);
            state.metrics.webhook_lag(now.ms_since(told.created));
            billing.wake();
        }
        Ok(_) => state.metrics.delivered(Delivery::Repeated),
        Err(error) => {
            state.metrics.delivered(Delivery::Failed);
            return Err(error.into());
        }
    }
    Ok("ok")
}

/// What an event asks for.
pub(crate) fn told(event: &Event, mode: StripeMode, source: Source, now: Timestamp) -> Told {
    let object = event.object();
    let id = object.and_then(|it| it.id.as_deref()).unwrap_or_default();
    let kind = event.r#type.clone().unwrap_or_default();
    let livemode = event.livemode.unwrap_or(mode == StripeMode::Live);
    let subject = object.and_then(|it| {
        let whose = it.customer_id().or_else(|| it.subscription_id()).or_else(|| it.charge_id());
        whose.or(it.id.as_deref())
    });
    let work = if StripeMode::of(livemode) != mode {
        Work::Refused(MODE_MIXED)
    } else if subject.is_some() && WEBHOOK_EVENTS.contains(&kind.as_str()) {
        Work::Due
    } else {
        Work::None
    };
    Told {
        id: event.id.clone(),
        kind,
        object: id.to_owned(),
        subject: subject.unwrap_or(id).to_owned(),
        of_customer: object.is_some_and(|it| it.customer_id().is_some()),
        created: at(event.created).unwrap_or(now),
        api_version: event.api_version.clone(),
        livemode,
        source,
        work,
    }
}

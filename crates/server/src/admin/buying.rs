//! Links for a customer, which staff copy or open: to Checkout, and to Stripe's portal.

// The macro that describes the routes names its parameters by paths.
#![allow(unused_qualifications)]

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Extract};
use paywall_contract::{CheckoutLink, CheckoutRequest, PortalLink, ProblemCode};
use paywall_domain::Role;

use super::auth::Caller;
use super::billing::not_configured;
use super::document::ChangeProblems;
use super::problem::Fault;
use super::read::{Body, tenant_id};
use super::repair::away;
use crate::billing::checkout::{self, BuyError, Want};
use crate::billing::portal as stripe_portal;
use crate::server::State;

/// A link to Checkout for a tenant. Asked again at the same terms it is the same link.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/checkout", tag = "billing", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    request_body = CheckoutRequest,
    responses((status = 200, body = CheckoutLink), ChangeProblems))]
pub(crate) async fn checkout(
    Extract(state): Extract<Arc<State>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<CheckoutRequest>,
) -> Result<Json<CheckoutLink>, Fault> {
    caller.needs(Role::Support)?;
    let tenant = tenant_id(&id)?;
    let billing = state.billing.as_ref().ok_or_else(not_configured)?;
    let want = Want { tenant, plan: request.plan, price: request.price, locale: None };
    let link = checkout::open(&state, billing, &want).await.map_err(fault)?;
    tracing::info!(tenant = want.tenant.as_str(), by = caller.0.name, "a link to Checkout was given to staff");
    Ok(Json(CheckoutLink { url: link.url, expires_at: link.expires_at }))
}

/// A link to Stripe's portal for a tenant. It works once and for minutes, and lets whoever has it act as the customer.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/portal", tag = "billing", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses((status = 200, body = PortalLink), ChangeProblems))]
pub(crate) async fn portal(
    Extract(state): Extract<Arc<State>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<PortalLink>, Fault> {
    caller.needs(Role::Support)?;
    let tenant = tenant_id(&id)?;
    let billing = state.billing.as_ref().ok_or_else(not_configured)?;
    let url = stripe_portal::open(&state, billing, &tenant, None, state.config.page_url()).await.map_err(fault)?;
    tracing::info!(tenant = tenant.as_str(), by = caller.0.name, "a link to Stripe's portal was given to staff");
    Ok(Json(PortalLink { url }))
}

fn fault(error: BuyError) -> Fault {
    match error {
        BuyError::NoTenant => Fault::not_found("tenant"),
        BuyError::NoPlan => Fault::field("plan", "there is no such plan"),
        BuyError::Refused(refusal) if refusal.portal() => {
            Fault::new(ProblemCode::ChangeRefused, format!("{refusal}; it goes on in Stripe's portal"))
        }
        // That a subscription cannot be read does not pass by itself.
        BuyError::NoAddress
        | BuyError::NoCustomer
        | BuyError::Refused(_)
        | BuyError::Paid { .. }
        | BuyError::Unreadable(_) => Fault::new(ProblemCode::ChangeRefused, error.to_string()),
        BuyError::Busy | BuyError::Another(_) => Fault::new(ProblemCode::StripeUnavailable, error.to_string()),
        BuyError::Stripe(error) => away(&error),
        BuyError::Store(error) => error.into(),
    }
}

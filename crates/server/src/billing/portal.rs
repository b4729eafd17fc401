//! Leads a tenant to Stripe's portal, where it changes its plan or card, pays what is open, cancels or resumes.

use paywall_domain::TenantId;
use paywall_stripe::parameters::NewPortalSession;

use super::checkout::{BuyError, key};
use super::{Billing, customers, reading};
use crate::server::State;

/// A link to the portal, which leads back to `return_url`. It works once and for minutes, so each is a new one.
pub(crate) async fn open(
    state: &State,
    billing: &Billing,
    tenant: &TenantId,
    locale: Option<&'static str>,
    return_url: String,
) -> Result<String, BuyError> {
    let customer = customers::known(state, tenant).await?.ok_or(BuyError::NoCustomer)?;
    let new = NewPortalSession {
        customer,
        return_url: Some(return_url),
        locale: locale.map(str::to_owned),
        ..NewPortalSession::default()
    };
    let this = state.store.next_id(state.clock.now());
    let opened = match billing.client.create_portal_session(&new, &key(&["portal", &this])?).await {
        Err(error) if reading::is_missing(&error) => Err(BuyError::NoCustomer),
        opened => opened.map_err(BuyError::from),
    };
    billing.note_asked(opened.as_ref().err(), state.clock.now());
    opened?.url.ok_or(BuyError::Busy)
}

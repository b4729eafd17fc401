//! The customer in Stripe that stands for a tenant.

use paywall_domain::TenantId;
use paywall_stripe::parameters::NewCustomer;
use paywall_stripe::shapes::Metadata;

use super::checkout::{BuyError, under_key};
use super::{Billing, subscriptions};
use crate::server::State;
use crate::store::tenants;
use paywall_stripe::facts::TENANT;

/// The tenant's customer; made where it has none.
pub(crate) async fn of(state: &State, billing: &Billing, tenant: &TenantId) -> Result<String, BuyError> {
    match known(state, tenant).await? {
        Some(customer) => Ok(customer),
        None => make(state, billing, tenant, None).await,
    }
}

/// Another customer in the place of one that Stripe does not have any more.
pub(super) async fn replace(
    state: &State,
    billing: &Billing,
    tenant: &TenantId,
    gone: &str,
) -> Result<String, BuyError> {
    make(state, billing, tenant, Some(gone)).await
}

/// The tenant's customer, where it has one.
pub(super) async fn known(state: &State, tenant: &TenantId) -> Result<Option<String>, BuyError> {
    let mut read = state.store.read().await?;
    let row = tenants::get(&mut read, tenant).await?.ok_or(BuyError::NoTenant)?;
    Ok(row.stripe_customer)
}

/// Makes a customer and keeps whose it is, before anything is sold to it: what Stripe tells of it then leads here.
async fn make(
    state: &State,
    billing: &Billing,
    tenant: &TenantId,
    instead_of: Option<&str>,
) -> Result<String, BuyError> {
    let mut read = state.store.read().await?;
    let row = tenants::get(&mut read, tenant).await?.ok_or(BuyError::NoTenant)?;
    drop(read);
    if row.deleted_at.is_some() {
        return Err(paywall_domain::billing::CheckoutRefusal::Deleted.into());
    }
    let new = NewCustomer {
        email: Some(row.email.clone()).filter(|it| !it.is_empty()),
        name: Some(row.name.clone()).filter(|it| !it.is_empty()),
        metadata: Metadata::from([(TENANT.to_owned(), tenant.as_str().to_owned())]),
    };
    // The same each time for the same tenant; under one key Stripe takes the same name and address only.
    let parts = [state.store.instance(), tenant.as_str(), instead_of.unwrap_or_default(), &row.name, &row.email];
    let (client, new) = (&billing.client, &new);
    let made = under_key(&parts, |key| async move { client.create_customer(new, &key).await }).await?.id;
    let mut write = state.store.write().await?;
    let mut row = tenants::get(&mut write, tenant).await?.ok_or(BuyError::NoTenant)?;
    if row.stripe_customer.as_deref() != instead_of {
        // Another server was faster.
        return Ok(row.stripe_customer.unwrap_or(made));
    }
    row.stripe_customer = Some(made.clone());
    subscriptions::set_customer(&mut write, &row).await?;
    write.commit().await?;
    tracing::info!(tenant = tenant.as_str(), customer = made, "a customer in Stripe stands for the tenant");
    Ok(made)
}

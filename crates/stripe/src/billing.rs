//! The operations of billing: what the server reads and writes.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::Call;
use crate::client::{PAGE, list_of, looping};
use crate::object::{self, Unreadable};
use crate::operations;
use crate::parameters::{
    Cancellation, CheckoutTrial, Collection, EndpointChange, EventsQuery, InvoicesQuery, NewCheckoutSession,
    NewCustomer, NewPortalSession, SubscriptionChange, SubscriptionsQuery, TrialEnd,
};
use crate::shapes::{
    Charge, CheckoutSession, Customer, Dispute, Event, Invoice, InvoicePayment, PortalSession, Price, Subscription,
    WebhookEndpoint,
};
use crate::{Client, Error, ErrorKind, IdempotencyKey, Stream};

/// A page of a list, or all of its pages.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What could be read, in Stripe's order: newest first.
    pub items: Vec<T>,
    /// The id of the last element, readable or not: where the next page starts.
    pub last_id: Option<String>,
    /// Whether there is more.
    pub has_more: bool,
    /// What was left out.
    pub unreadable: Vec<Unreadable>,
}

/// Every write is sent again under its idempotency key by the same rules as a read, and made once.
impl Client {
    /// Makes a customer.
    pub async fn create_customer(&self, new: &NewCustomer, key: &IdempotencyKey) -> Result<Customer, Error> {
        let call = Call::keyed(&operations::CREATE_CUSTOMER, &[], key)?
            .with_some("email", new.email.as_ref())
            .with_some("name", new.name.as_ref())
            .with_entries("metadata", &new.metadata);
        self.typed(call).await
    }

    /// Reads a customer with its way to pay. A deleted one is answered with [`Customer::deleted`].
    pub async fn retrieve_customer(&self, id: &str) -> Result<Customer, Error> {
        self.typed(Call::new(&operations::RETRIEVE_CUSTOMER, &[id])?).await
    }

    /// Opens Checkout for a subscription.
    pub async fn create_checkout_session(
        &self,
        new: &NewCheckoutSession,
        key: &IdempotencyKey,
    ) -> Result<CheckoutSession, Error> {
        let mut call = Call::keyed(&operations::CREATE_CHECKOUT_SESSION, &[], key)?
            .with("customer", &new.customer)
            .with("client_reference_id", &new.client_reference_id)
            .with("line_items[0][price]", &new.price)
            .with_some("line_items[0][quantity]", new.quantity)
            .with("success_url", &new.success_url)
            .with("cancel_url", &new.cancel_url)
            .with_some("expires_at", new.expires_at)
            .with_some("locale", new.locale.as_ref())
            .with_some("allow_promotion_codes", new.allow_promotion_codes.then_some(true))
            .with_some("automatic_tax[enabled]", new.automatic_tax.then_some(true))
            .with_some("tax_id_collection[enabled]", new.tax_id_collection.then_some(true))
            .with_some("billing_address_collection", new.billing_address.then_some("required"))
            // Stripe refuses to compute taxes, or to ask for a tax number, where it may not keep on the customer
            // what these need.
            .with_some("customer_update[address]", (new.automatic_tax || new.billing_address).then_some("auto"))
            .with_some("customer_update[name]", new.tax_id_collection.then_some("auto"))
            .with_entries("metadata", &new.metadata)
            .with_entries("subscription_data[metadata]", &new.metadata);
        call = match new.trial {
            Some(CheckoutTrial::Until(seconds)) => call.with("subscription_data[trial_end]", seconds),
            Some(CheckoutTrial::Days(days)) => call.with("subscription_data[trial_period_days]", days),
            None => call,
        };
        self.typed(call).await
    }

    /// Reads a Checkout session.
    pub async fn retrieve_checkout_session(&self, id: &str) -> Result<CheckoutSession, Error> {
        self.typed(Call::new(&operations::RETRIEVE_CHECKOUT_SESSION, &[id])?).await
    }

    /// Closes a Checkout session.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where it is no longer open: somebody may have paid.
    pub async fn expire_checkout_session(&self, id: &str, key: &IdempotencyKey) -> Result<CheckoutSession, Error> {
        self.typed(Call::keyed(&operations::EXPIRE_CHECKOUT_SESSION, &[id], key)?).await
    }

    /// Reads a price.
    pub async fn retrieve_price(&self, id: &str) -> Result<Price, Error> {
        self.typed(Call::new(&operations::RETRIEVE_PRICE, &[id])?).await
    }

    /// Opens the customer portal.
    pub async fn create_portal_session(
        &self,
        new: &NewPortalSession,
        key: &IdempotencyKey,
    ) -> Result<PortalSession, Error> {
        let call = Call::keyed(&operations::CREATE_PORTAL_SESSION, &[], key)?
            .with("customer", &new.customer)
            .with_some("return_url", new.return_url.as_ref())
            .with_some("configuration", new.configuration.as_ref())
            .with_some("locale", new.locale.as_ref());
        self.typed(call).await
    }

    /// Reads a subscription with all that its standing depends on: its customer, its latest invoice with what
    /// pays it, its way to pay, its discounts, every item.
    pub async fn retrieve_subscription(&self, id: &str) -> Result<Subscription, Error> {
        self.subscription(Call::new(&operations::RETRIEVE_SUBSCRIPTION, &[id])?).await
    }

    /// A page of subscriptions, each as [`Client::retrieve_subscription`] reads it.
    pub async fn list_subscriptions(&self, query: &SubscriptionsQuery) -> Result<Page<Subscription>, Error> {
        let call = Call::new(&operations::LIST_BILLING_SUBSCRIPTIONS, &[])?
            .with_some("customer", query.customer.as_ref())
            .with("limit", query.limit.unwrap_or(PAGE).clamp(1, PAGE))
            .with_some("starting_after", query.starting_after.as_ref());
        self.page(call, Some(Stream::Subscriptions)).await
    }

    /// Every subscription that a customer has or had.
    pub async fn customer_subscriptions(&self, customer: &str) -> Result<Page<Subscription>, Error> {
        let call =
            Call::new(&operations::LIST_BILLING_SUBSCRIPTIONS, &[])?.with("customer", customer).with("limit", PAGE);
        self.every_page(&call, Some(Stream::Subscriptions)).await
    }

    /// Changes a subscription. No prorations are made.
    pub async fn update_subscription(
        &self,
        id: &str,
        change: &SubscriptionChange,
        key: &IdempotencyKey,
    ) -> Result<Subscription, Error> {
        let mut call = Call::keyed(&operations::UPDATE_SUBSCRIPTION, &[id], key)?
            .with_some("cancel_at_period_end", change.cancel_at_period_end)
            .with_entries("metadata", &change.metadata);
        call = match change.trial_end {
            Some(TrialEnd::Now) => call.with("trial_end", "now"),
            Some(TrialEnd::At(seconds)) => call.with("trial_end", seconds),
            None => call,
        };
        call = match change.collection {
            // An empty value takes a field away.
            Some(Collection::Resumed) => call.with("pause_collection", ""),
            Some(Collection::Paused { invoices, resumes_at }) => call
                .with("pause_collection[behavior]", invoices.as_str())
                .with_some("pause_collection[resumes_at]", resumes_at),
            None => call,
        };
        self.subscription(call).await
    }

    /// Ends a subscription at once.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] also where it has ended already, be it by this very call, whose first answer was lost.
    pub async fn cancel_subscription(&self, id: &str, how: &Cancellation) -> Result<Subscription, Error> {
        let call = Call::new(&operations::CANCEL_SUBSCRIPTION, &[id])?
            .with_some("cancellation_details[comment]", how.comment.as_ref());
        self.subscription(call).await
    }

    /// Reads an invoice with its payments and why the last one failed.
    pub async fn retrieve_invoice(&self, id: &str) -> Result<Invoice, Error> {
        self.typed(Call::new(&operations::RETRIEVE_INVOICE, &[id])?).await
    }

    /// A page of invoices with their payments.
    pub async fn list_invoices(&self, query: &InvoicesQuery) -> Result<Page<Invoice>, Error> {
        let call = Call::new(&operations::LIST_BILLING_INVOICES, &[])?
            .with_some("subscription", query.subscription.as_ref())
            .with_some("customer", query.customer.as_ref())
            .with_some("status", query.status.as_ref())
            .with("limit", query.limit.unwrap_or(PAGE).clamp(1, PAGE))
            .with_some("starting_after", query.starting_after.as_ref());
        self.page(call, None).await
    }

    /// The payments of invoices that were made by a payment intent, with these invoices.
    pub async fn invoice_payments(&self, payment_intent: &str) -> Result<Page<InvoicePayment>, Error> {
        let call = Call::new(&operations::LIST_INVOICE_PAYMENTS, &[])?.with("payment[payment_intent]", payment_intent);
        self.every_page(&call, None).await
    }

    /// Reads a charge with its refunds.
    pub async fn retrieve_charge(&self, id: &str) -> Result<Charge, Error> {
        self.typed(Call::new(&operations::RETRIEVE_CHARGE, &[id])?).await
    }

    /// Reads a dispute.
    pub async fn retrieve_dispute(&self, id: &str) -> Result<Dispute, Error> {
        self.typed(Call::new(&operations::RETRIEVE_DISPUTE, &[id])?).await
    }

    /// Every dispute of a charge.
    pub async fn charge_disputes(&self, charge: &str) -> Result<Page<Dispute>, Error> {
        let call = Call::new(&operations::LIST_CHARGE_DISPUTES, &[])?.with("charge", charge);
        self.every_page(&call, None).await
    }

    /// A page of events.
    pub async fn list_events(&self, query: &EventsQuery) -> Result<Page<Event>, Error> {
        let mut call = Call::new(&operations::POLL_EVENTS, &[])?
            .with_some("delivery_success", query.delivery_success)
            .with_some("created[gte]", query.created_gte)
            .with("limit", query.limit.unwrap_or(PAGE).clamp(1, PAGE))
            .with_some("starting_after", query.starting_after.as_ref());
        for kind in &query.types {
            call = call.with("types[]", kind);
        }
        self.page(call, None).await
    }

    /// Every webhook endpoint of the account.
    pub async fn list_webhook_endpoints(&self) -> Result<Page<WebhookEndpoint>, Error> {
        self.every_page(&Call::new(&operations::LIST_WEBHOOK_ENDPOINTS, &[])?, None).await
    }

    /// Changes a webhook endpoint.
    pub async fn update_webhook_endpoint(
        &self,
        id: &str,
        change: &EndpointChange,
        key: &IdempotencyKey,
    ) -> Result<WebhookEndpoint, Error> {
        let mut call = Call::keyed(&operations::UPDATE_WEBHOOK_ENDPOINT, &[id], key)?
            .with_some("disabled", change.enabled.map(|enabled| !enabled));
        for event in change.enabled_events.iter().flatten() {
            call = call.with("enabled_events[]", event);
        }
        self.typed(call).await
    }

    async fn typed<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        object::typed(&self.request(&call).await?)
    }

    async fn subscription(&self, call: Call) -> Result<Subscription, Error> {
        let mut body = self.request(&call).await?;
        self.complete(Stream::Subscriptions, &mut body).await?;
        object::typed(&body)
    }

    /// A page; with embedded lists completed where `stream` says what its elements are.
    async fn page<T: DeserializeOwned>(&self, call: Call, stream: Option<Stream>) -> Result<Page<T>, Error> {
        let (elements, has_more) = list_of(self.request(&call).await.map_err(Error::of_list)?)?;
        let mut page = Page { items: Vec::new(), last_id: None, has_more, unreadable: Vec::new() };
        for mut element in elements {
            let id = element.get("id").and_then(Value::as_str).map(str::to_owned);
            let whole = match stream {
                Some(stream) => self.complete(stream, &mut element).await,
                None => Ok(()),
            };
            let read = whole.and_then(|()| object::typed(&element));
            let unreadable = |path: String, error: String| {
                let id = id.clone().unwrap_or_else(|| "?".into());
                Unreadable { id, path, error }
            };
            match read {
                Ok(item) => page.items.push(item),
                Err(Error { kind: ErrorKind::Unreadable { path, error }, .. }) => {
                    page.unreadable.push(unreadable(path, error));
                }
                // Another time, or with another key, all can be read.
                Err(error) if error.passing() || error.forbids() => return Err(error),
                // What cannot be completed is this one's, and keeps nobody from the others.
                Err(error) => page.unreadable.push(unreadable(".".to_owned(), error.to_string())),
            }
            page.last_id = id.or(page.last_id);
        }
        Ok(page)
    }

    async fn every_page<T: DeserializeOwned>(&self, call: &Call, stream: Option<Stream>) -> Result<Page<T>, Error> {
        let mut all = self.page(call.clone(), stream).await?;
        let mut cursors = HashSet::new();
        while all.has_more {
            // A page that ends where one has ended before would be read for ever.
            let Some(cursor) = all.last_id.take().filter(|id| cursors.insert(id.clone())) else {
                return Err(looping(call.operation.name));
            };
            let next = self.page(call.clone().with("starting_after", cursor), stream).await?;
            all.items.extend(next.items);
            all.unreadable.extend(next.unreadable);
            all.last_id = next.last_id;
            all.has_more = next.has_more;
        }
        Ok(all)
    }
}

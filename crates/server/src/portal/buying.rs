//! The ways to Stripe and back: the page's forms, and where Stripe leads who has paid.
//!
//! Where a browser comes back to says nothing of what was paid: that is asked of Stripe, by what was kept when the
//! customer left.

use axum::extract::{Form, Query, State};
use axum::http::header::{ACCEPT, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Redirect, Response};
use paywall_domain::{AccessLevel, TenantId};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::looks::At;
use super::notice::{self, Notice};
use super::routes::{Portal, Wish, page_of};
use super::ticket::{self, Purpose};
use crate::billing::checkout::{self, BuyError, Want};
use crate::billing::{Billing, attempts, checkouts, portal as stripe_portal, reading, worker};
use crate::gate::Language;
use crate::server;
use crate::store::time::rolled;
use crate::store::{plans, tenants};

/// How often the page looks again, soon and then more rarely, before it leaves that to its reader.
const SOON: (u32, u32) = (20, 3);
const LATER: (u32, u32) = (60, 10);

/// A form of the page.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    ticket: Option<String>,
    plan: Option<String>,
    price: Option<String>,
    lang: Option<String>,
}

/// Leads to Checkout for a plan; to the portal where there is a subscription already.
pub(super) async fn checkout(State(portal): State<Portal>, headers: HeaderMap, Form(asked): Form<Asked>) -> Response {
    let caller = Buyer { portal: &portal, headers: &headers, language: language(&asked, &headers) };
    let (billing, tenant) = match caller.who(&asked).await {
        Ok(who) => who,
        Err(answer) => return *answer,
    };
    let want = Want {
        tenant: tenant.clone(),
        plan: asked.plan.as_deref().unwrap_or_default().into(),
        price: asked.price,
        locale: Some(locale(caller.language)),
    };
    // One after the other, and not without end: each asks Stripe for several things.
    let Some(turn) = portal.buys.turn(&tenant).await else {
        return caller.answer(StatusCode::TOO_MANY_REQUESTS, Notice::Away);
    };
    let opened = checkout::open(&portal.state, billing, &want).await;
    drop(turn);
    match opened {
        Ok(link) => caller.leave(&link.url),
        Err(BuyError::Paid { session }) => {
            Redirect::to(&format!("/paywall/return?session_id={session}")).into_response()
        }
        Err(BuyError::Refused(refusal)) if refusal.portal() => caller.to_portal(billing, &tenant).await,
        Err(error) => caller.sorry(&tenant, &error),
    }
}

/// Leads to Stripe's portal.
pub(super) async fn portal(State(portal): State<Portal>, headers: HeaderMap, Form(asked): Form<Asked>) -> Response {
    let caller = Buyer { portal: &portal, headers: &headers, language: language(&asked, &headers) };
    match caller.who(&asked).await {
        Ok((billing, tenant)) => caller.to_portal(billing, &tenant).await,
        Err(answer) => *answer,
    }
}

/// Who buys.
struct Buyer<'a> {
    portal: &'a Portal,
    headers: &'a HeaderMap,
    language: Language,
}

impl Buyer<'_> {
    /// Whose form it is: of this page, and by its ticket or by whoever is signed in. A key is no person.
    async fn who(&self, asked: &Asked) -> Result<(&Billing, TenantId), Box<Response>> {
        let state = &self.portal.state;
        let Some(billing) = &state.billing else { return Err(Box::new(StatusCode::NOT_FOUND.into_response())) };
        if !is_own_form(self.headers, state.config.public_url.as_deref()) {
            return Err(Box::new(self.answer(StatusCode::FORBIDDEN, Notice::Stale)));
        }
        let now = state.clock.now();
        let ticket = asked.ticket.as_deref();
        if let Some(tenant) = ticket.and_then(|it| ticket::read(&state.config.token_key, Purpose::Buy, it, now)) {
            return Ok((billing, tenant));
        }
        match self.portal.enforcement.visitor(self.headers).await {
            Ok(Some(visitor)) if visitor.in_person => Ok((billing, visitor.standing.row.id.clone())),
            Ok(_) => Err(Box::new(self.answer(StatusCode::UNAUTHORIZED, Notice::Stale))),
            Err(_) => Err(Box::new(self.answer(StatusCode::SERVICE_UNAVAILABLE, Notice::Away))),
        }
    }

    async fn to_portal(&self, billing: &Billing, tenant: &TenantId) -> Response {
        let state = &self.portal.state;
        let ticket = ticket::issue(&state.config.token_key, Purpose::Return, tenant, state.clock.now());
        let back = format!("{}return?of={ticket}", state.config.page_url());
        match stripe_portal::open(state, billing, tenant, Some(locale(self.language)), back).await {
            Ok(url) => self.leave(&url),
            Err(error) => self.sorry(tenant, &error),
        }
    }

    /// Leads to Stripe: by a page and not by a redirect, so that the page's policy need not allow forms to go
    /// anywhere else than here.
    fn leave(&self, url: &str) -> Response {
        if wants_json(self.headers) {
            return Json(json!({"url": url})).into_response();
        }
        let page = notice::html(Notice::Leaving, Some((0, url)), None, self.language);
        page_of(StatusCode::OK, page)
    }

    fn sorry(&self, tenant: &TenantId, error: &BuyError) -> Response {
        tracing::warn!(%error, tenant = tenant.as_str(), "a customer could not be led to Stripe");
        match error {
            BuyError::Stripe(error) if error.passing() => self.answer(StatusCode::SERVICE_UNAVAILABLE, Notice::Away),
            BuyError::Store(_) | BuyError::Busy | BuyError::Another(_) => {
                self.answer(StatusCode::SERVICE_UNAVAILABLE, Notice::Away)
            }
            _ => self.answer(StatusCode::CONFLICT, Notice::Refused),
        }
    }

    fn answer(&self, status: StatusCode, what: Notice) -> Response {
        if wants_json(self.headers) {
            return (status, Json(json!({"code": what.code()}))).into_response();
        }
        let contact = self.portal.state.config.support_contact.as_deref();
        page_of(status, notice::html(what, None, contact, self.language))
    }
}

/// Where Stripe leads back to.
#[derive(Debug, Deserialize)]
pub(super) struct Back {
    session_id: Option<String>,
    of: Option<String>,
    lang: Option<String>,
    /// How often the page looked.
    look: Option<u32>,
}

/// Looks at Stripe at once, and says how it is.
pub(super) async fn back(State(portal): State<Portal>, Query(back): Query<Back>, headers: HeaderMap) -> Response {
    let state = &portal.state;
    let to_page = || Redirect::to("/paywall/").into_response();
    if state.billing.is_none() {
        return to_page();
    }
    let wish = Wish { lang: back.lang.clone() };
    let language = wish.language(&headers);
    if let Some(ticket) = &back.of {
        if let Some(tenant) = ticket::read(&state.config.token_key, Purpose::Return, ticket, state.clock.now()) {
            portal.looks.wait(&portal, At::Tenant(tenant)).await;
        }
        return to_page();
    }
    let Some(session) = back.session_id.as_deref() else { return to_page() };
    let found = async {
        let mut read = state.store.read().await?;
        attempts::of_session(&mut read, session).await
    };
    let tenant = match found.await {
        Ok(Some((tenant, _))) => tenant,
        // Nobody left here for it.
        Ok(None) => return to_page(),
        Err(_) => return confirming(&portal, session, &back, language),
    };
    // Whoever can work need not be looked at, however often the address is asked for.
    if !matches!(came_of(&portal, &tenant, session).await, Ok(CameOf::Access)) {
        portal.looks.wait(&portal, At::Session(session.to_owned())).await;
    }
    match came_of(&portal, &tenant, session).await {
        Ok(CameOf::Access) => page_of(StatusCode::OK, notice::html(Notice::Paid, None, None, language)),
        Ok(CameOf::Payment) | Err(_) => confirming(&portal, session, &back, language),
        Ok(CameOf::Nothing) => to_page(),
    }
}

/// What is in force after Checkout.
enum CameOf {
    Access,
    Payment,
    Nothing,
}

async fn came_of(portal: &Portal, tenant: &TenantId, session: &str) -> Result<CameOf, crate::store::StoreError> {
    let state = &portal.state;
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let completed = attempts::of_session(&mut read, session).await?.is_some_and(|(_, completed)| completed);
    let Some(row) = tenants::get(&mut read, tenant).await? else { return Ok(CameOf::Nothing) };
    let row = rolled(&mut read, row, now).await?;
    let plans = plans::all(&mut read).await?;
    let subscribed = row.facts.subscription.as_ref().is_some_and(|it| it.gives_access(now));
    let level = row.snapshot(&row.facts, &plans, now).access.level;
    Ok(match (completed, subscribed && level != AccessLevel::Locked) {
        (true, true) => CameOf::Access,
        // What else blocks it stands on its page.
        (true, false) if subscribed => CameOf::Nothing,
        (true, false) => CameOf::Payment,
        (false, _) => CameOf::Nothing,
    })
}

/// Says that it is being confirmed, and looks again.
fn confirming(portal: &Portal, session: &str, back: &Back, language: Language) -> Response {
    let looks = back.look.unwrap_or(0);
    let lang = back.lang.as_deref().map(|it| format!("&lang={it}")).unwrap_or_default();
    let encoded: String = form_urlencoded::byte_serialize(session.as_bytes()).collect();
    let again = format!("/paywall/return?session_id={encoded}&look={}{lang}", looks.saturating_add(1));
    let contact = portal.state.config.support_contact.as_deref();
    let (what, pause) = match looks {
        _ if looks < SOON.0 => (Notice::Confirming, SOON.1),
        _ if looks < LATER.0 => (Notice::Confirming, LATER.1),
        _ => (Notice::StillConfirming, 0),
    };
    page_of(StatusCode::OK, notice::html(what, Some((pause, &again)), contact, language))
}

/// Looks at what somebody comes back from.
pub(super) async fn look(state: &server::State, billing: &Billing, at: &At) -> Result<(), BuyError> {
    match at {
        At::Session(session) => look_at_session(state, billing, session).await,
        At::Tenant(tenant) => look_at_tenant(state, billing, tenant).await,
    }
}

async fn look_at_session(state: &server::State, billing: &Billing, session: &str) -> Result<(), BuyError> {
    let found = match billing.client.retrieve_checkout_session(session).await {
        Ok(found) => found,
        Err(error) if reading::is_missing(&error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    checkout::note(state, &checkouts::Seen::of(&found)).await?;
    if let (Some(customer), Some("complete")) = (&found.customer, found.status.as_deref()) {
        worker::look_now(state, billing, customer.id()).await?;
    }
    Ok(())
}

async fn look_at_tenant(state: &server::State, billing: &Billing, tenant: &TenantId) -> Result<(), BuyError> {
    let mut read = state.store.read().await?;
    let customer = tenants::get(&mut read, tenant).await?.and_then(|it| it.stripe_customer);
    drop(read);
    if let Some(customer) = customer {
        worker::look_now(state, billing, &customer).await?;
    }
    Ok(())
}

/// Whether a form was sent by this page: what a browser says of where it comes from. A program that says nothing
/// is told from a form by what it has to bring along.
fn is_own_form(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).map(|it| it.to_str().unwrap_or("unreadable"));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(ORIGIN.as_str()) else { return true };
    let Ok(origin) = Url::parse(origin) else { return false };
    let is_public = public_url.and_then(|it| Url::parse(it).ok()).is_some_and(|it| it.origin() == origin.origin());
    let authority = origin.host_str().map(|host| match origin.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    });
    is_public || (authority.is_some() && authority.as_deref() == text(HOST.as_str()))
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|it| it.to_str().ok()).is_some_and(|it| it.starts_with("application/json"))
}

fn language(asked: &Asked, headers: &HeaderMap) -> Language {
    Wish { lang: asked.lang.clone() }.language(headers)
}

/// Stripe's word for a language.
fn locale(language: Language) -> &'static str {
    match language {
        Language::En => "en",
        Language::Es => "es",
        Language::Zh => "zh",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn forms_of_other_sites_are_told_by_what_the_browser_says() {
        let own = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            is_own_form(&headers.collect::<HeaderMap>(), Some("https://rag.example/"))
        };
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!own(&[("sec-fetch-site", site), ("origin", "https://rag.example")]), "{site}");
        }
        // Browsers that say only whence.
        assert!(own(&[("origin", "https://rag.example")]));
        assert!(own(&[("origin", "http://10.0.0.7:8787"), ("host", "10.0.0.7:8787")]));
        for origin in ["https://rag.example.evil", "https://evil", "null", "", "http://rag.example:81"] {
            assert!(!own(&[("origin", origin), ("host", "rag.example:80")]), "{origin}");
        }
        // No browser: what it brings along is asked for.
        assert!(own(&[]));
    }
}

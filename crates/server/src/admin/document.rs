//! The API's own document, `OpenAPI` 3.1.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use paywall_contract::{API_VERSION, Problem, TenantSort};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response,
    ResponseBuilder, Server,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::server::State;

/// The errors that every route can answer.
pub(crate) struct ReadProblems;

/// The errors that a route can answer that changes something.
pub(crate) struct ChangeProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "The request cannot be read, or its cursor is not valid here"),
            ("401", "No known token, or its time is over"),
            ("404", "Nothing by that id"),
            ("500", "A fault of the server"),
            ("503", "The database is away, busy or full; or Stripe cannot be asked now"),
        ])
    }
}

impl IntoResponses for ChangeProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = ReadProblems::responses();
        all.extend(problems(&[
            ("403", "The token's role is too low"),
            ("409", "The adjustment cannot be undone, or the change in doubt was sent to another database"),
            ("412", "The tenant changed since"),
            ("413", "The body is too large"),
            ("422", "The change cannot be made, or its key was used or is void"),
            ("428", "A change needs If-Match"),
        ]));
        all
    }
}

fn problems(cases: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    cases
        .iter()
        .map(|(status, meaning)| {
            let response =
                ResponseBuilder::new().description(*meaning).content("application/problem+json", content.clone());
            ((*status).to_owned(), RefOr::T(response.build()))
        })
        .collect()
}

/// The document before its routes: what it is, and how to authenticate.
pub(crate) fn frame() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("pwt_…")
        .description(Some("An access token, made by `paywall-server token create`."))
        .build();
    let info = InfoBuilder::new()
        .title("Paywall server: admin API")
        .version(API_VERSION)
        .description(Some("Tenants, their access and why, and what staff change of them."))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components(SecurityScheme::Http(bearer)))).build()
}

fn components(bearer: SecurityScheme) -> Components {
    let mut schemas = Vec::new();
    Problem::schemas(&mut schemas);
    schemas.push((Problem::name().into_owned(), <Problem as PartialSchema>::schema()));
    // Only query parameters name this one, and those do not bring their types along.
    schemas.push((TenantSort::name().into_owned(), <TenantSort as PartialSchema>::schema()));
    ComponentsBuilder::new().schemas_from_iter(schemas).security_scheme("token", bearer).build()
}

/// This document. It needs no token.
#[utoipa::path(get, path = "/admin/v1/openapi.json", tag = "document", responses((status = 200, body = Object)))]
pub(crate) async fn get(Extract(state): Extract<Arc<State>>) -> Json<OpenApi> {
    let mut document = super::openapi();
    document.servers = state.config.public_url.as_ref().map(|url| vec![Server::new(url)]);
    Json(document)
}

//! The API's document is committed, and is what the server serves.

use std::path::Path;

use crate::app::Database;

on_each_database! {
    the_committed_document_is_the_servers_own,
}

async fn the_committed_document_is_the_servers_own(on: Database) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contract/openapi.json");
    let document = paywall_server::openapi();
    let mut committed = std::fs::read_to_string(&path).unwrap_or_default();
    if committed != document && std::env::var_os("PAYWALL_WRITE_OPENAPI").is_some() {
        // In one step: the other database's test reads it meanwhile.
        let whole = path.with_extension(format!("{on:?}"));
        std::fs::write(&whole, &document).unwrap();
        std::fs::rename(&whole, &path).unwrap();
        committed.clone_from(&document);
    }
    assert!(
        committed == document,
        "the API changed: PAYWALL_WRITE_OPENAPI=1 cargo test -p paywall-server --test routes writes it anew"
    );
    let app = on.start().await;
    let served = app.get("/admin/v1/openapi.json").await;
    assert_eq!(served, serde_json::from_str::<serde_json::Value>(&document).unwrap());
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
    app.stop().await;
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document: serde_json::Value = serde_json::from_str(&paywall_server::openapi()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for rest in text.split("#/components/schemas/").skip(1) {
        let name = rest.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is not declared");
    }
}

#[test]
fn the_document_says_how_many_rows_a_page_may_have() {
    let document: serde_json::Value = serde_json::from_str(&paywall_server::openapi()).unwrap();
    let mut most = Vec::new();
    for (path, route) in document["paths"].as_object().unwrap() {
        let parameters = route["get"]["parameters"].as_array().into_iter().flatten();
        for limit in parameters.filter(|it| it["name"] == "limit") {
            assert_eq!(limit["schema"]["minimum"], 1, "{path}");
            most.push((path.as_str(), limit["schema"]["maximum"].as_u64().unwrap()));
        }
    }
    let expected = [
        ("/admin/v1/adjustments", 500),
        ("/admin/v1/billing/conversions", 500),
        ("/admin/v1/billing/drifts", 500),
        ("/admin/v1/billing/events", 500),
        ("/admin/v1/changes", 1_000),
        ("/admin/v1/tenants", 500),
        ("/admin/v1/tenants/{id}/timeline", 500),
        ("/admin/v1/usage/days", 5_000),
    ];
    assert_eq!(most, expected);
}

//! Who pays.

use std::collections::BTreeSet;
use std::sync::Arc;

use paywall_server::gate::Resource;

use crate::on_both;
use crate::ragflow::{Engine, Ragflow, THEN, bearing, id, key, owner, who};

async fn a_member_of_a_team_is_charged_to_the_teams_owner(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "boss@example.com", THEN);
    ragflow.register(2, "member@example.com", THEN);
    ragflow.join(2, 1, "normal", THEN);
    ragflow.dataset("kb1", 1, THEN);
    let directory = Arc::new(ragflow.directory());
    assert_eq!(who(&directory, bearing(&key(2))).await.unwrap(), Some(id(2)), "calls as itself");
    assert_eq!(owner(&directory, Resource::Dataset, "kb1").await, Some(id(1)), "pays nothing");
}

async fn every_resource_leads_to_its_owner(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    for number in 1..=2 {
        ragflow.register(number, &format!("u{number}@example.com"), THEN);
        ragflow.dataset(&format!("kb{number}"), number, THEN);
        ragflow.upload(&format!("doc{number}"), &format!("kb{number}"), number, 10, THEN);
        ragflow.sql(&format!(
            "INSERT INTO dialog VALUES ('chat{number}', '{id}', 'c', '1', 1, NULL, 1, NULL);
             INSERT INTO user_canvas VALUES ('agent{number}', '{id}', 'a', 1, NULL, 1, NULL);
             INSERT INTO conversation VALUES ('talk{number}', 'chat{number}', '{id}', 1, NULL, 1, NULL);
             INSERT INTO api_4_conversation VALUES ('call{number}', 'chat{number}', 'x', 0, 'dialog', 1, NULL, 1, NULL);
             INSERT INTO api_4_conversation VALUES ('run{number}', 'agent{number}', 'x', 0, 'agent', 1, NULL, 1, NULL);
             INSERT INTO search VALUES ('find{number}', '{id}', 's', 1, NULL, 1, NULL);
             INSERT INTO memory VALUES ('mem{number}', '{id}', 'm', 1, NULL, 1, NULL);",
            id = id(number)
        ));
    }
    let directory = Arc::new(ragflow.directory());
    directory.database().unwrap().check().await.unwrap();
    for (resource, name) in [
        (Resource::Dataset, "kb"),
        (Resource::Document, "doc"),
        (Resource::Dialog, "chat"),
        (Resource::Agent, "agent"),
        (Resource::Session, "talk"),
        (Resource::Session, "call"),
        (Resource::Session, "run"),
        (Resource::Search, "find"),
        (Resource::Memory, "mem"),
    ] {
        for number in 1..=2 {
            assert_eq!(
                owner(&directory, resource, &format!("{name}{number}")).await,
                Some(id(number)),
                "{name}{number}"
            );
        }
        for unknown in [format!("{name}9"), String::new(), "a\0b".to_owned(), "x".repeat(10_000)] {
            assert_eq!(owner(&directory, resource, &unknown).await, None, "{name}: {unknown:.10}");
        }
    }
    assert_eq!(owner(&directory, Resource::Tenant, id(7).as_str()).await, Some(id(7)));
    assert_eq!(owner(&directory, Resource::Other, "kb1").await, None);
    let owners = directory.owners(Resource::Dataset, ["kb1", "kb2", "kb1", "none"]).await.unwrap();
    assert_eq!(owners, BTreeSet::from([id(1), id(2)]));
}

async fn tables_of_newer_versions_may_be_missing(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.sql("DROP TABLE memory; DROP TABLE search");
    let directory = Arc::new(ragflow.directory());
    directory.database().unwrap().check().await.unwrap();
    assert_eq!(owner(&directory, Resource::Memory, "mem1").await, None);
    ragflow.sql("DROP TABLE dialog");
    let error = directory.owner(Resource::Dialog, "chat1").await.unwrap_err();
    assert_eq!(error.code(), "ragflow_database_schema");
    assert!(error.to_string().contains("dialog"), "{error}");
}

on_both!(
    a_member_of_a_team_is_charged_to_the_teams_owner,
    every_resource_leads_to_its_owner,
    tables_of_newer_versions_may_be_missing,
);

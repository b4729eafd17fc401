//! Who a credential is.

use axum::http::header::{AUTHORIZATION, COOKIE};
use paywall_server::gate::{Credential, Effect};

use crate::on_both;
use crate::ragflow::{Engine, Ragflow, THEN, bearing, beta, candidates, cookie, id, key, session, who};

async fn every_credential_leads_to_its_tenant(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    for number in 1..=3 {
        ragflow.register(number, &format!("u{number}@example.com"), THEN);
    }
    let directory = ragflow.directory();
    for number in 1..=3 {
        for headers in [bearing(&key(number)), bearing(&session(number)), bearing(&beta(number)), cookie(number)] {
            assert_eq!(who(&directory, headers.clone()).await.unwrap(), Some(id(number)), "{headers:?}");
        }
    }
    for stranger in ["ragflow-key9", &session(9), &beta(9), "' OR '1'='1", "%"] {
        assert_eq!(who(&directory, bearing(stranger)).await.unwrap(), None, "{stranger}");
    }
    assert_eq!(who(&directory, cookie(9)).await.unwrap(), None);
    assert_eq!(who(&directory, axum::http::HeaderMap::new()).await.unwrap(), None);
}

async fn the_first_that_leads_somewhere_is_the_caller(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "one@example.com", THEN);
    ragflow.register(2, "two@example.com", THEN);
    let directory = ragflow.directory();
    let mut headers = bearing(&key(1));
    headers.extend([(COOKIE, cookie(2).remove(COOKIE).unwrap())]);
    let both = candidates(&headers);
    let found = directory.identify(&both, &headers).await.unwrap().unwrap();
    assert_eq!(found.tenant, id(1));
    assert!(matches!(found.credential, Credential::ApiKey(_)));
    // A word that is no key hides no cookie.
    headers.insert(AUTHORIZATION, "Bearer nonsense".parse().unwrap());
    assert_eq!(who(&directory, headers).await.unwrap(), Some(id(2)));
}

async fn who_is_shut_out_of_ragflow_is_nobody(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    for number in 1..=3 {
        ragflow.register(number, &format!("u{number}@example.com"), THEN);
    }
    // Deleted in RAGFlow's sense; signed out for good; deactivated as RAGFlow itself does it.
    ragflow.sql(&format!("UPDATE {{user}} SET status = '0' WHERE id = '{}'", id(1)));
    ragflow.sql(&format!("UPDATE {{user}} SET access_token = NULL WHERE id = '{}'", id(2)));
    ragflow.sql(&format!("UPDATE {{user}} SET is_active = '0', access_token = 'INVALID_x' WHERE id = '{}'", id(3)));
    let directory = ragflow.directory();
    let found = async |number: u32| {
        let mut found = Vec::new();
        for headers in [bearing(&key(number)), bearing(&session(number)), bearing(&beta(number)), cookie(number)] {
            found.push(who(&directory, headers).await.unwrap().is_some());
        }
        found
    };
    assert_eq!(found(1).await, [false, false, false, false]);
    assert_eq!(found(2).await, [false, false, true, true], "RAGFlow lets an embed key in without an access token");
    assert_eq!(found(3).await, [true, false, true, true], "RAGFlow's own deactivation does not stop keys");
    // A key whose user is gone.
    ragflow.delete(3);
    directory.after(Effect::Keys, &id(3)).await;
    assert_eq!(found(3).await, [false, false, false, false]);
}

async fn what_was_learned_is_kept_until_it_is_taken_back(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "one@example.com", THEN);
    ragflow.register(2, "two@example.com", THEN);
    let directory = ragflow.directory();
    assert_eq!(who(&directory, bearing(&key(1))).await.unwrap(), Some(id(1)));
    ragflow.sql("DELETE FROM api_token");
    assert_eq!(who(&directory, bearing(&key(1))).await.unwrap(), Some(id(1)), "kept for a minute");
    assert_eq!(who(&directory, bearing(&key(2))).await.unwrap(), None, "never learned");
    directory.after(Effect::Keys, &id(2)).await;
    assert_eq!(who(&directory, bearing(&key(1))).await.unwrap(), Some(id(1)), "another tenant's keys changed");
    directory.after(Effect::Keys, &id(1)).await;
    assert_eq!(who(&directory, bearing(&key(1))).await.unwrap(), None);
}

on_both!(
    every_credential_leads_to_its_tenant,
    the_first_that_leads_somewhere_is_the_caller,
    who_is_shut_out_of_ragflow_is_nobody,
    what_was_learned_is_kept_until_it_is_taken_back,
);

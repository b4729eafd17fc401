//! While the database is away, and while it does not let the paywall read.

use std::time::{Duration, Instant};

use paywall_server::directory::{Directory, DirectoryError, RagflowDatabase};
use paywall_server::gate::{Effect, Resource};
use secrecy::SecretString;

use crate::mirror::eventually;
use crate::on_both;
use crate::paywall::Paywall;
use crate::ragflow::{Engine, Ragflow, THEN, bearing, id, key, who};

async fn an_outage_is_an_error_and_ends_by_itself(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "one@example.com", THEN);
    ragflow.register(2, "two@example.org", THEN);
    let directory = ragflow.directory();
    let paywall = Paywall::start().await;
    let mirror = paywall.mirror(ragflow.directory());
    mirror.pass().await.unwrap();
    assert_eq!(who(&directory, bearing(&key(1))).await.unwrap(), Some(id(1)));

    ragflow.stop();
    let error = who(&directory, bearing(&key(2))).await.unwrap_err();
    assert_eq!(error.code(), "ragflow_database_away", "{error}");
    let started = Instant::now();
    for _ in 0..100 {
        assert!(directory.owner(Resource::Dataset, "kb1").await.is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(5), "nobody waits for what was just seen to be away");
    assert_eq!(who(&directory, bearing(&key(1))).await.unwrap(), Some(id(1)), "known from before");
    directory.after(Effect::SignOut, &id(1)).await;
    assert!(who(&directory, bearing(&key(1))).await.is_err(), "but not once it was taken back");
    let error = mirror.pass().await.unwrap_err();
    assert_eq!(error.code(), "ragflow_database_away");
    let failure = mirror.freshness().failure.unwrap();
    assert_eq!(failure.code, "ragflow_database_away");
    assert!(failure.remedy.contains("ragflow_database_url"));

    ragflow.restart();
    ragflow.register(3, "three@example.net", THEN + 1);
    eventually(async || who(&directory, bearing(&key(3))).await.ok().flatten() == Some(id(3))).await;
    assert_eq!(who(&directory, bearing(&key(1))).await.unwrap(), Some(id(1)));
    eventually(async || mirror.pass().await.is_ok()).await;
    assert_eq!(mirror.freshness().failure, None);
    assert!(paywall.find(&id(3)).await.is_some());
}

async fn a_missing_grant_is_named_with_the_statement_that_gives_it(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    let url = ragflow.stranger();
    let database = RagflowDatabase::new(&SecretString::from(url.clone())).unwrap();
    // MySQL does not let a user without any grant connect to the database at all.
    if engine == Engine::MariaDb {
        let error = database.check().await.unwrap_err();
        assert_eq!(error.code(), "ragflow_database_login", "{error}");
        let name = url.rsplit('/').next().unwrap();
        ragflow.sql(&format!("GRANT SELECT ON `{name}`.`tenant` TO 'paywall'@'%'"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // Each statement that an error tells is run, until nothing is missing.
    let mut granted = 0;
    loop {
        match database.check().await {
            Ok(()) => break,
            Err(error) => {
                let DirectoryError::Permission { grant, .. } = &error else { panic!("{error:?}") };
                assert!(error.remedy().ends_with(grant.as_str()) && !error.to_string().contains("s3cret"), "{error}");
                ragflow.sql(grant);
                granted += 1;
            }
        }
        assert!(granted < 20, "the statements that are told do not help");
    }
    assert!(granted >= 12, "{granted}");
    ragflow.register(1, "one@example.com", THEN);
    assert!(database.tenant(&id(1)).await.unwrap().is_some());
}

/// The columns that the documentation grants, table by table.
fn documented_columns() -> Vec<(String, String)> {
    let text = include_str!("../../../../docs/operations.md");
    let (_, table) = text.split_once("| table | columns |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut columns = Vec::new();
    for row in rows {
        let [tables, named] = row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>()[..] else { panic!() };
        for table in tables.split(", ") {
            columns.push((table.trim_matches('`').to_owned(), named.to_owned()));
        }
    }
    columns
}

async fn the_documented_columns_are_enough(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    let url = ragflow.stranger();
    let name = url.rsplit('/').next().unwrap().to_owned();
    let columns = documented_columns();
    assert_eq!(columns.len(), 14);
    for (table, columns) in &columns {
        ragflow.sql(&match engine {
            Engine::MariaDb => format!("GRANT SELECT ({columns}) ON `{name}`.`{table}` TO 'paywall'@'%'"),
            Engine::Postgres => format!("GRANT SELECT ({columns}) ON \"{table}\" TO paywall_reader"),
        });
    }
    let database = RagflowDatabase::new(&SecretString::from(url.clone())).unwrap();
    database.check().await.unwrap();
    ragflow.register(1, "one@example.com", THEN);
    ragflow.dataset("kb1", 1, THEN);
    ragflow.upload("doc1", "kb1", 1, 10, THEN);
    assert!(database.tenant(&id(1)).await.unwrap().is_some());
    let paywall = Paywall::start().await;
    paywall.mirror(Directory::from_database(database)).pass().await.unwrap();

    // Fewer are not, and the error names the table.
    ragflow.sql(&match engine {
        Engine::MariaDb => format!("REVOKE SELECT (size) ON `{name}`.document FROM 'paywall'@'%'"),
        Engine::Postgres => "REVOKE SELECT (size) ON document FROM paywall_reader".to_owned(),
    });
    let database = RagflowDatabase::new(&SecretString::from(url)).unwrap();
    let error = database.check().await.unwrap_err();
    assert_eq!(error.code(), "ragflow_database_permission");
    assert!(error.remedy().contains("document"), "{}", error.remedy());
}

async fn what_is_wrong_with_the_address_is_told(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    let check = async |url: String| RagflowDatabase::new(&SecretString::from(url)).unwrap().check().await.unwrap_err();
    let missing = ragflow.url.replace("/test_", "/other_");
    assert_eq!(check(missing).await.code(), "ragflow_database_missing");
    ragflow.sql("DROP TABLE tenant");
    let error = check(ragflow.url.clone()).await;
    assert_eq!(error.code(), "ragflow_database_schema");
    assert!(error.remedy().contains("RAGFlow's own database"));
    if engine == Engine::MariaDb {
        let wrong = ragflow.stranger().replace("s3cret", "wr0ng");
        let error = check(wrong).await;
        assert_eq!(error.code(), "ragflow_database_login");
        assert!(!format!("{error:?}").contains("wr0ng"));
    }
}

on_both!(
    an_outage_is_an_error_and_ends_by_itself,
    a_missing_grant_is_named_with_the_statement_that_gives_it,
    the_documented_columns_are_enough,
    what_is_wrong_with_the_address_is_told,
);

//! Names and what they stand for, against the documentation.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use paywall_domain::Timestamp;

use super::*;
use crate::directory::{Directory, Mirror, Pace, RagflowApi};
use crate::quota::{Quota, Settings, SqlLeaseStore};
use crate::{Config, Server, StripeSettings, TestClock};

/// The names of the series that a text holds: those of histograms without their parts.
fn names(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let named = types.map(|line| {
        let (name, kind) = line.split_once(' ').unwrap();
        match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        }
    });
    named.collect()
}

/// The first cell of each row of the table in the section about metrics, and its labels from the second.
fn documented() -> Vec<(String, BTreeSet<String>)> {
    let text = include_str!("../../../../docs/operations.md");
    let (_, section) = text.split_once("\n## Metrics\n").unwrap();
    let rows = section.split("\n## ").next().unwrap().lines().filter(|it| it.starts_with("| `paywall_"));
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let row = |row: &str| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        (words(cells[0]).remove(0), words(cells[1]).into_iter().collect())
    };
    rows.map(row).collect()
}

/// The labels of a series in a text.
fn labels(text: &str, name: &str) -> BTreeSet<String> {
    let is_one = |line: &&str| {
        let rest = line.strip_prefix(name).unwrap_or_default();
        rest.starts_with(['{', ' ']) || rest.starts_with("_bucket{")
    };
    let line = text.lines().find(is_one).unwrap_or_else(|| panic!("{name} has no value"));
    let inside = line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
    let names = inside.split(',').filter_map(|it| it.split_once('=')).map(|(name, _)| name.to_owned());
    names.filter(|it| it != "le").collect()
}

#[tokio::test]
async fn what_is_documented_is_what_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::embedded(folder.path().join("server.db"), ([127, 0, 0, 1], 0).into());
    config.stripe = Some(StripeSettings::new("http://127.0.0.1:1", "rk_test_1", "").unwrap());
    let clock = Arc::new(TestClock::at(Timestamp(1_781_524_800_000)));
    let server = Server::open(config, clock.clone()).await.unwrap();
    let state = server.state();
    let without = read(state).await;
    assert!(!without.contains("paywall_quota") && !without.contains("paywall_directory"), "unknown is not zero");
    assert!(!without.contains("paywall_billing_duty"), "nothing was asked of Stripe yet");
    let asked = "INSERT INTO billing_duties (name, due_at, fence, leased_until, done_at)
         VALUES ('poll', 0, 1, 0, 1781524790000)";
    let mut write = state.store.write_beside().await.unwrap();
    sqlx::query(asked).execute(&mut *write).await.unwrap();
    write.commit().await.unwrap();

    let api = RagflowApi::new("http://127.0.0.1:1").unwrap();
    let directory = Arc::new(Directory::from_api(api));
    let mirror = Arc::new(Mirror::new(&server, Arc::clone(&directory), Pace::default()));
    let leases = SqlLeaseStore::new(Arc::clone(&state.store), state.clock.clone());
    let (quota, task) = Quota::start(leases, Settings::default());
    let (sources, kept) = (Arc::downgrade(&mirror), quota.clone());
    state.metrics.ask(Sources { clock: clock.clone(), quota, directory, mirror: sources });
    assert!(!read(state).await.contains("paywall_directory_last_success_age_seconds"), "it never succeeded");
    mirror.pass().await.unwrap();
    clock.advance_ms(7_500);
    let text = read(state).await;
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("\npaywall_directory_last_success_age_seconds 7.5\n"), "{text}");
    assert!(text.contains("\npaywall_store_up 1\n") && text.contains("\npaywall_quota_store_away 0.0\n"), "{text}");

    let documented = documented();
    assert_eq!(documented.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(), names(&text));
    for (name, documented) in documented {
        assert_eq!(labels(&text, &name), documented, "{name}");
    }
    kept.close();
    task.await.unwrap();
}

#[test]
fn each_of_a_familys_handles_is_its_own() {
    let mut registry = Registry::default();
    let labels = [("a", &["x", "y"][..]), ("b", &["1", "2", "3"][..])];
    let handles: Handles<Counter, 2> = Handles::register(&mut registry, "f", "F", labels, Counter::default);
    for (x, y) in (0..2).flat_map(|x| (0..3).map(move |y| (x, y))) {
        handles.at([x, y]).inc_by((10 * (x + 1) + y + 1) as u64);
    }
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    for expected in ["x\",b=\"1\"} 11", "x\",b=\"2\"} 12", "x\",b=\"3\"} 13", "y\",b=\"1\"} 21", "y\",b=\"3\"} 23"] {
        assert!(text.contains(&format!("f_total{{a=\"{expected}\n")), "{text}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_shows() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::embedded(folder.path().join("server.db"), ([127, 0, 0, 1], 0).into());
    let clock = Arc::new(TestClock::at(Timestamp(1_781_524_800_000)));
    let server = Server::open(config, clock).await.unwrap();
    server.state().store.close().await;
    assert!(read(server.state()).await.contains("\npaywall_store_up 0\n"));
}

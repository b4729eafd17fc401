//! Several servers on one database: each change is made once, and every server tells the same of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_contract::{AdjustmentOutcome, ChangeRecord};
use paywall_domain::{DAY_MS, Status};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::Executor;
use tokio::time::timeout;

use crate::app::{Database, NOW, TestApp, extend, trying};
use crate::changes::{Mirror, refused};

on_each_database! {
    a_change_made_by_another_server_is_known_within_a_second,
    a_cursor_holds_at_every_server_and_through_every_start,
    a_key_sent_to_two_servers_at_once_makes_one_change,
    of_two_changes_of_one_version_at_two_servers_one_is_made,
    what_time_ends_is_noted_once_by_two_servers,
}

async fn two(on: Database, tenants: u32, days_left: i64) -> (Arc<TestApp>, Arc<TestApp>) {
    let one = on.with((1..=tenants).map(|n| trying(n, "T", days_left)).collect()).await;
    let other = one.replica().await;
    (Arc::new(one), Arc::new(other))
}

async fn a_change_made_by_another_server_is_known_within_a_second(on: Database) {
    let (one, other) = two(on, 1, 5).await;
    let mut known = other.server.changes();
    known.mark_unchanged();
    let before = *known.borrow();
    let outcome: AdjustmentOutcome = one.change(1, "k", extend(1)).await.json().await.unwrap();
    let made = Instant::now();
    timeout(Duration::from_secs(5), known.wait_for(|seq| *seq > before)).await.unwrap().unwrap();
    assert!(*known.borrow() >= outcome.seq);
    // A second is the longest between two looks; a busy machine may add to it.
    let limit = if on == Database::Postgres { Duration::from_secs(1) } else { Duration::from_millis(1_500) };
    assert!(made.elapsed() < limit, "{:?}", made.elapsed());
    assert_eq!(*one.server.changes().borrow(), *known.borrow());
}

async fn a_cursor_holds_at_every_server_and_through_every_start(on: Database) {
    let (one, other) = two(on, 2, 5).await;
    let mut cursors = Vec::new();
    for round in 0..6 {
        let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        assert_eq!(writer.change(round % 2 + 1, &format!("k{round}"), extend(1)).await.status(), StatusCode::OK);
        cursors.push(reader.changes(None, 3).await.cursor);
        cursors.push(writer.changes(None, 100).await.cursor);
        if round == 3 {
            one.replica().await.stop().await;
        }
    }
    for cursor in &cursors {
        assert!(!refused(&one, cursor).await && !refused(&other, cursor).await);
    }
    let mut mirror = Mirror::default();
    mirror.read_on(&one, 2).await;
    one.change(1, "last", extend(1)).await;
    mirror.read_on(&other, 2).await;
    assert_eq!(mirror.entries.len(), 7);
}

async fn a_key_sent_to_two_servers_at_once_makes_one_change(on: Database) {
    let (one, other) = two(on, 1, 5).await;
    let version = one.tenant(1).await.version;
    let sent: Vec<_> = (0..20)
        .map(|number| {
            let app = Arc::clone(if number % 2 == 0 { &one } else { &other });
            tokio::spawn(async move {
                let response = app.change_at(1, "key", version, extend(1)).await;
                (response.status(), response.json::<serde_json::Value>().await.unwrap())
            })
        })
        .collect();
    let mut answers = Vec::new();
    for answer in sent {
        let (status, answer) = answer.await.unwrap();
        assert_eq!(status, StatusCode::OK, "{answer}");
        answers.push(answer);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(other.tenant(1).await.facts.trial.unwrap().extensions, 1);
}

async fn of_two_changes_of_one_version_at_two_servers_one_is_made(on: Database) {
    let (one, other) = two(on, 1, 5).await;
    for round in 0..8 {
        let version = one.tenant(1).await.version;
        let keys = [format!("one {round}"), format!("other {round}")];
        let (first, second) = tokio::join!(
            one.change_at(1, &keys[0], version, extend(1)),
            other.change_at(1, &keys[1], version, extend(1)),
        );
        let mut statuses = [first.status().as_u16(), second.status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
    }
    assert_eq!(one.tenant(1).await.facts.trial.unwrap().extensions, 8);
}

async fn what_time_ends_is_noted_once_by_two_servers(on: Database) {
    let (one, other) = two(on, 60, 2).await;
    let start = one.changes(None, 1_000).await.cursor;
    one.clock.set(NOW.plus_ms(3 * DAY_MS));
    // The tickers of both go on meanwhile.
    let reads: Vec<_> = (0..12)
        .map(|number| {
            let app = Arc::clone(if number % 2 == 0 { &one } else { &other });
            tokio::spawn(async move { app.get("/admin/v1/tenants?status=expired&limit=500").await })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap()["items"].as_array().unwrap().len(), 60);
    }
    let page = other.changes(Some(&start), 1_000).await;
    let tenants = page.changes.iter().filter_map(|it| match it {
        ChangeRecord::Tenant(tenant) => Some(tenant),
        _ => None,
    });
    assert!(tenants.clone().all(|tenant| tenant.status == Status::Expired));
    assert_eq!((tenants.count(), page.changes.len()), (60, 120), "a tenant and an entry for each");
    assert_eq!(other.changes(Some(&page.cursor), 1_000).await.changes, []);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(one.changes(Some(&page.cursor), 1_000).await.changes, [], "nothing is written again");
}

/// Every commit takes a time of its own, so that transactions would end in another order than they took their
/// numbers in. With numbers from a bare sequence of the database this fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_feed_misses_nothing_however_long_commits_take() {
    let (one, other) = two(Database::Postgres, 32, 5).await;
    let servers = [Arc::new(one.replica().await), Arc::new(one.replica().await), one, other];
    let delay = "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN PERFORM pg_sleep(random() * 0.02); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT OR UPDATE ON entries DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION dawdle();";
    servers[0].intruder().await.execute(delay).await.unwrap();
    let writers: Vec<_> = (0..8_u32)
        .map(|writer| {
            let app = Arc::clone(&servers[writer as usize % servers.len()]);
            tokio::spawn(async move {
                for round in 0..8_u32 {
                    let number = writer * 4 + round % 4 + 1;
                    let key = format!("{writer}-{round}");
                    let response = app.change_at(number, &key, 1, json!({"kind": "note"})).await;
                    assert_eq!(response.status(), StatusCode::OK);
                }
            })
        })
        .collect();
    let mut mirror = Mirror::default();
    for server in servers.iter().cycle() {
        mirror.read_on(server, 100).await;
        if writers.iter().all(tokio::task::JoinHandle::is_finished) {
            break;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    mirror.read_on(&servers[0], 100).await;
    assert_eq!((mirror.entries.len(), mirror.tenants.len()), (64, 32));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_are_heard_of_again_after_the_listening_connection_is_lost() {
    let (one, other) = two(Database::Postgres, 1, 5).await;
    let mut intruder = one.intruder().await;
    for round in 0..2 {
        let lost = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        intruder.execute(lost).await.unwrap();
        let mut known = other.server.changes();
        let before = *known.borrow();
        assert_eq!(one.change(1, &format!("k{round}"), extend(1)).await.status(), StatusCode::OK);
        let asked = Instant::now();
        timeout(Duration::from_secs(5), known.wait_for(|seq| *seq > before)).await.unwrap().unwrap();
        assert!(asked.elapsed() < Duration::from_millis(1_500), "{:?}", asked.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_put_back_under_running_servers_is_another_history() {
    let (one, other) = two(Database::Postgres, 2, 5).await;
    let backed_up = one.changes(None, 100).await.cursor;
    one.place.back_up();
    for key in ["k1", "k2", "k3"] {
        assert_eq!(one.change(1, key, extend(1)).await.status(), StatusCode::OK);
    }
    let lost = other.changes(None, 100).await.cursor;
    one.place.put_back();
    assert!(refused(&one, &lost).await && refused(&other, &lost).await, "the feed has not come there yet");
    // The server that wrote nothing before, and has seen less than the backup holds.
    for key in 0..4 {
        assert_eq!(other.change(2, &format!("other {key}"), extend(1)).await.status(), StatusCode::OK);
    }
    for app in [&one, &other] {
        assert!(refused(app, &lost).await, "the feed came there another way");
        assert!(!refused(app, &backed_up).await);
    }
    let mut known = one.server.changes();
    let last = *other.server.changes().borrow();
    timeout(Duration::from_secs(5), known.wait_for(|seq| *seq == last)).await.unwrap().unwrap();
}

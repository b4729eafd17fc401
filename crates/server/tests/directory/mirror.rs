//! What comes from `RAGFlow` into the paywall's store.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use paywall_contract::{MemberRole, Tag};
use paywall_domain::{Meter, Status};
use paywall_server::directory::{Pace, Sight};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::on_both;
use crate::paywall::{NOW, Paywall, level};
use crate::ragflow::{Engine, Ragflow, THEN, id};

const HOUR_MS: i64 = 3_600_000;

async fn tenants_come_in_with_members_and_gauges(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "Ada@Example.com", THEN);
    ragflow.register(2, "bob@gmail.com", THEN);
    ragflow.register(3, "eve@gmail.com", THEN);
    ragflow.join(2, 1, "normal", THEN);
    ragflow.join(3, 1, "invite", THEN);
    ragflow.dataset("kb1", 1, THEN);
    ragflow.dataset("kb2", 1, THEN);
    ragflow.upload("doc1", "kb1", 1, 1_000, THEN);
    ragflow.upload("doc2", "kb2", 1, 5_000_000_000, THEN);
    ragflow.store("file1", 1, 70, THEN);
    ragflow.link("file1", "kb1", 70, THEN);
    // A dataset that is gone in RAGFlow's sense counts for nothing.
    ragflow.dataset("kb3", 1, THEN);
    ragflow.upload("doc3", "kb3", 1, 9, THEN);
    ragflow.sql("UPDATE knowledgebase SET status = '0' WHERE id = 'kb3'");
    let paywall = Paywall::beside(&ragflow).await;
    paywall.mirror(ragflow.directory()).pass().await.unwrap();

    let tenant = paywall.tenant(&id(1)).await;
    assert_eq!((tenant.name.as_str(), tenant.email.as_str()), ("User 1’s Kingdom", "Ada@Example.com"));
    assert_eq!((tenant.domain.as_str(), tenant.created_at.0), ("example.com", THEN));
    let trial = tenant.facts.trial.clone().unwrap();
    assert_eq!((tenant.facts.plan.as_str(), trial.started_at, trial.ends_at), ("starter", NOW, NOW.plus_days(14)));
    assert_eq!(tenant.status, Status::Trial);
    let members: Vec<_> = tenant.members.iter().map(|it| (it.email.as_str(), it.role)).collect();
    assert_eq!(
        members,
        [
            ("Ada@Example.com", MemberRole::Owner),
            ("bob@gmail.com", MemberRole::Normal),
            ("eve@gmail.com", MemberRole::Invite)
        ]
    );
    assert_eq!(level(&tenant, Meter::Seats), Some(2), "an invitation takes no seat");
    assert_eq!(level(&tenant, Meter::Datasets), Some(2));
    assert_eq!(level(&tenant, Meter::Documents), Some(3));
    assert_eq!(level(&tenant, Meter::StorageBytes), Some(5_000_001_070), "each byte once");
    assert_eq!(level(&tenant, Meter::Messages), Some(0), "counted from now on");
    let other = paywall.tenant(&id(2)).await;
    assert_eq!(level(&other, Meter::Documents), Some(0));
    let (_, timeline) =
        paywall.request(Request::get(format!("/admin/v1/tenants/{}/timeline", id(1))), &json!(null)).await;
    assert_eq!(timeline["items"][0]["body"]["kind"], "trial_started");
}

async fn what_changes_follows_and_what_staff_set_stays(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "ada@example.com", THEN);
    let paywall = Paywall::beside(&ragflow).await;
    let mirror = paywall.mirror(ragflow.directory());
    mirror.pass().await.unwrap();
    let before = paywall.tenant(&id(1)).await;
    for _ in 0..3 {
        mirror.pass().await.unwrap();
    }
    assert_eq!(paywall.tenant(&id(1)).await.seq, before.seq, "no news is not written");

    let change = Request::post(format!("/admin/v1/tenants/{}/adjustments", id(1)))
        .header("Idempotency-Key", "k1")
        .header("If-Match", before.etag());
    let extension = json!({"change": {"kind": "extend_trial", "target": {"days": 7}}, "reason": "asked"});
    let (status, body) = paywall.request(change, &extension).await;
    assert!(status.is_success(), "{body}");

    let at = THEN + 60_000;
    ragflow.sql(&format!("UPDATE {{user}} SET email = 'ada@new.example', update_time = {at} WHERE id = '{}'", id(1)));
    ragflow.sql(&format!("UPDATE tenant SET name = 'Ada', update_time = {at} WHERE id = '{}'", id(1)));
    ragflow.register(2, "bob@example.com", at);
    ragflow.join(2, 1, "normal", at);
    ragflow.dataset("kb1", 1, at);
    ragflow.upload("doc1", "kb1", 1, 10, at);
    mirror.pass().await.unwrap();
    let after = paywall.tenant(&id(1)).await;
    assert_eq!((after.name.as_str(), after.email.as_str()), ("Ada", "ada@new.example"));
    assert_eq!(after.facts.trial.as_ref().unwrap().ends_at, NOW.plus_days(21), "staff's extension stays");
    assert_eq!(after.version, before.version + 1, "and only staff's change counts as one");
    assert_eq!(level(&after, Meter::Documents), Some(1));
    assert_eq!(level(&after, Meter::Seats), Some(2));
    assert!(after.tags.contains(&Tag::Extended));
    assert!(paywall.find(&id(2)).await.is_some());

    // A member renames itself: the team shows it.
    ragflow.sql(&format!("UPDATE {{user}} SET nickname = 'Bobby', update_time = {} WHERE id = '{}'", at + 1, id(2)));
    mirror.pass().await.unwrap();
    assert!(paywall.tenant(&id(1)).await.members.iter().any(|it| it.name == "Bobby"));
}

async fn rows_that_are_committed_late_are_not_missed(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "one@example.com", THEN);
    ragflow.register(2, "two@example.com", THEN);
    ragflow.dataset("kb1", 1, THEN);
    ragflow.dataset("kb2", 2, THEN);
    let paywall = Paywall::beside(&ragflow).await;
    let mirror = paywall.mirror(ragflow.directory());
    mirror.pass().await.unwrap();
    // Stamped earlier, committed later; and one clock that is an hour ahead.
    ragflow.upload("doc1", "kb1", 1, 10, THEN + 20_000);
    mirror.pass().await.unwrap();
    ragflow.upload("doc2", "kb2", 2, 20, THEN + 5_000);
    mirror.pass().await.unwrap();
    assert_eq!(level(&paywall.tenant(&id(1)).await, Meter::StorageBytes), Some(10));
    assert_eq!(level(&paywall.tenant(&id(2)).await, Meter::StorageBytes), Some(20));
    let present = chrono::Utc::now().timestamp_millis();
    ragflow.upload("doc3", "kb1", 1, 10, present + HOUR_MS);
    mirror.pass().await.unwrap();
    ragflow.upload("doc4", "kb2", 2, 20, present);
    mirror.pass().await.unwrap();
    assert_eq!(level(&paywall.tenant(&id(1)).await, Meter::StorageBytes), Some(20));
    assert_eq!(level(&paywall.tenant(&id(2)).await, Meter::StorageBytes), Some(40));
    // Rows of one instant, more than a page: told apart by their ids.
    let rows: Vec<String> = (0..1_203)
        .map(|n| format!("('many{n:05}', 'kb1', 'd', 1, 0, 0, '0', '1', {present}, NULL, {present}, NULL)"))
        .collect();
    ragflow.sql(&format!("INSERT INTO document VALUES {}", rows.join(",")));
    ragflow.upload("zlast", "kb2", 2, 100, present);
    mirror.pass().await.unwrap();
    assert_eq!(level(&paywall.tenant(&id(1)).await, Meter::Documents), Some(1_205));
    assert_eq!(level(&paywall.tenant(&id(2)).await, Meter::StorageBytes), Some(140));
}

async fn a_deleted_tenant_is_closed_and_not_lost(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    for number in 1..=30 {
        ragflow.register(number, &format!("u{number}@mail{number}.example"), THEN);
    }
    let paywall = Paywall::beside(&ragflow).await;
    let mirror = paywall.mirror(ragflow.directory());
    mirror.pass().await.unwrap();
    ragflow.delete(3);
    ragflow.sql(&format!("DELETE FROM {{user}} WHERE id = '{}'", id(4)));
    mirror.pass().await.unwrap();
    assert_eq!(paywall.tenant(&id(3)).await.deleted_at, None, "the next comparison finds it");
    paywall.clock.advance_ms(HOUR_MS);
    mirror.pass().await.unwrap();
    let closed = paywall.tenant(&id(3)).await;
    assert_eq!(closed.deleted_at, Some(NOW.plus_ms(HOUR_MS)));
    assert!(closed.tags.contains(&Tag::Deleted) && closed.facts.trial.is_some(), "all that is known of it stays");
    assert!(paywall.tenant(&id(4)).await.deleted_at.is_some(), "nobody can use a tenant without its owner");
    assert_eq!(paywall.tenant(&id(5)).await.deleted_at, None);
    assert_eq!(mirror.freshness().compared_at, Some(NOW.plus_ms(HOUR_MS)));

    // It comes back from a backup. (RAGFlow leaves keys of the deleted behind.)
    ragflow.sql("DELETE FROM api_token");
    ragflow.register(3, "u3@mail3.example", THEN + 1);
    paywall.clock.advance_ms(HOUR_MS);
    mirror.pass().await.unwrap();
    assert_eq!(paywall.tenant(&id(3)).await.deleted_at, None);

    // The wrong database, or one that was emptied: nobody is closed, and it is said.
    for number in 5..=30 {
        ragflow.delete(number);
    }
    paywall.clock.advance_ms(HOUR_MS);
    for _ in 0..2 {
        let error = mirror.pass().await.unwrap_err();
        assert_eq!(error.code(), "ragflow_mass_deletion");
    }
    assert_eq!(paywall.tenant(&id(9)).await.deleted_at, None);
    let freshness = mirror.freshness();
    assert_eq!(freshness.failure.unwrap().code, "ragflow_mass_deletion");
    assert_eq!(freshness.last_success_at, Some(NOW.plus_ms(3 * HOUR_MS)), "all else is still read");
}

async fn a_tenant_is_read_at_once_where_somebody_waits(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    let paywall = Paywall::beside(&ragflow).await;
    let directory = Arc::new(ragflow.directory());
    let mirror = paywall.mirror_of(&directory);
    ragflow.register(1, "one@example.com", THEN);
    assert_eq!(mirror.see(&id(1)).await.unwrap(), Sight::Known);
    assert_eq!(paywall.tenant(&id(1)).await.status, Status::Trial);
    assert_eq!(mirror.see(&id(2)).await.unwrap(), Sight::Unknown);
    mirror.pass().await.unwrap();

    // A deletion leaves no trace to follow: whoever made room is looked at again.
    ragflow.dataset("kb1", 1, THEN);
    ragflow.store("file1", 1, 70, THEN);
    mirror.pass().await.unwrap();
    assert_eq!(level(&paywall.tenant(&id(1)).await, Meter::StorageBytes), Some(70));
    ragflow.sql("DELETE FROM file WHERE id = 'file1'");
    mirror.pass().await.unwrap();
    assert_eq!(level(&paywall.tenant(&id(1)).await, Meter::StorageBytes), Some(70));
    directory.touch(&id(1));
    mirror.pass().await.unwrap();
    assert_eq!(level(&paywall.tenant(&id(1)).await, Meter::StorageBytes), Some(0));
}

async fn two_replicas_take_turns_and_a_restart_goes_on(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "one@example.com", THEN);
    let paywall = Paywall::beside(&ragflow).await;
    let (one, other) = (paywall.mirror(ragflow.directory()), paywall.mirror(ragflow.directory()));
    one.pass().await.unwrap();
    ragflow.register(2, "two@example.org", THEN + 1);
    other.pass().await.unwrap();
    assert!(paywall.find(&id(2)).await.is_none(), "it is the first one's turn");
    assert_eq!(other.freshness(), one.freshness(), "whose freshness the other shows");
    // The first one dies.
    drop(one);
    paywall.clock.advance_ms(61_000);
    other.pass().await.unwrap();
    assert!(paywall.find(&id(2)).await.is_some());
    assert_eq!(other.freshness().compared_at, Some(NOW), "it goes on where the first one was");
}

async fn it_runs_by_itself(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    let paywall = Paywall::beside(&ragflow).await;
    let directory = Arc::new(ragflow.directory());
    let mirror = Arc::new(paywall.mirror_of(&directory));
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (mirror, stop) = (Arc::clone(&mirror), stop.clone());
        async move { mirror.run(stop).await }
    });
    ragflow.register(1, "one@example.com", THEN);
    eventually(async || paywall.find(&id(1)).await.is_some()).await;
    stop.cancel();
    running.await.unwrap();
    assert!(Pace::default().overlap > Duration::from_secs(5));
    // Whoever serves next need not wait until the turn of the one that stopped is over.
    ragflow.register(2, "two@example.org", THEN + 1);
    paywall.mirror(ragflow.directory()).pass().await.unwrap();
    assert!(paywall.find(&id(2)).await.is_some());
}

pub(crate) async fn eventually(mut is: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not happen within ten seconds");
}

on_both!(
    tenants_come_in_with_members_and_gauges,
    what_changes_follows_and_what_staff_set_stays,
    rows_that_are_committed_late_are_not_missed,
    a_deleted_tenant_is_closed_and_not_lost,
    a_tenant_is_read_at_once_where_somebody_waits,
    two_replicas_take_turns_and_a_restart_goes_on,
    it_runs_by_itself,
);

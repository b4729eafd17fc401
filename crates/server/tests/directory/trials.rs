//! New tenants' trials.

use paywall_contract::Tag;
use paywall_domain::Status;
use paywall_server::directory::{FirstUse, TrialStart};

use crate::on_both;
use crate::paywall::{NOW, Paywall};
use crate::ragflow::{Engine, Ragflow, THEN, id};

async fn a_second_trial_is_flagged_and_not_refused(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "ada.lovelace@gmail.com", THEN);
    ragflow.register(2, "bob@gmail.com", THEN);
    ragflow.register(3, "cy@company.example", THEN);
    let paywall = Paywall::beside(&ragflow).await;
    let mirror = paywall.mirror(ragflow.directory());
    mirror.pass().await.unwrap();
    ragflow.register(4, "AdaLovelace+2@googlemail.com", THEN + 1);
    ragflow.register(5, "di@Company.example", THEN + 1);
    // One that registered before, and is seen after.
    ragflow.register(6, "eve@company.example", THEN - 1);
    ragflow.sql(&format!("UPDATE tenant SET update_time = {} WHERE id = '{}'", THEN + 2, id(6)));
    mirror.pass().await.unwrap();
    let flagged = async |number| paywall.tenant(&id(number)).await.tags.contains(&Tag::TrialTwin);
    for (number, twin) in [(1, false), (2, false), (3, true), (4, true), (5, true), (6, false)] {
        assert_eq!(flagged(number).await, twin, "{number}");
        assert_eq!(paywall.tenant(&id(number)).await.status, Status::Trial);
    }
    // Another address afterwards does not take it back.
    ragflow.sql(&format!(
        "UPDATE {{user}} SET email = 'x@y.example', update_time = {} WHERE id = '{}'",
        THEN + 3,
        id(4)
    ));
    mirror.pass().await.unwrap();
    assert_eq!(paywall.tenant(&id(4)).await.email, "x@y.example");
    assert!(flagged(4).await);
}

async fn a_trial_may_begin_with_the_first_use(engine: Engine) {
    let ragflow = Ragflow::start(engine);
    ragflow.register(1, "one@example.com", THEN);
    let paywall = Paywall::start_with(|config| {
        config.trial_start = TrialStart::FirstUse;
        config.trial_plan = Some("pro".into());
        config.database_url = ragflow.beside().unwrap_or(config.database_url.clone());
    })
    .await;
    let mirror = paywall.mirror(ragflow.directory());
    mirror.pass().await.unwrap();
    let tenant = paywall.tenant(&id(1)).await;
    assert_eq!((tenant.facts.plan.as_str(), &tenant.facts.trial), ("pro", &None));
    paywall.clock.advance_ms(60_000);
    assert_eq!(mirror.first_use(&id(1)).await.unwrap(), FirstUse::Began);
    assert_eq!(mirror.first_use(&id(1)).await.unwrap(), FirstUse::Nothing, "once");
    assert_eq!(mirror.first_use(&id(9)).await.unwrap(), FirstUse::Nothing);
    let trial = paywall.tenant(&id(1)).await.facts.trial.unwrap();
    assert_eq!((trial.started_at, trial.ends_at), (NOW.plus_ms(60_000), NOW.plus_ms(60_000).plus_days(14)));

    let paywall = Paywall::beside(&ragflow).await;
    let mirror = paywall.mirror(ragflow.directory());
    mirror.pass().await.unwrap();
    assert_eq!(mirror.first_use(&id(1)).await.unwrap(), FirstUse::Nothing, "the policy is another");
}

on_both!(a_second_trial_is_flagged_and_not_refused, a_trial_may_begin_with_the_first_use);

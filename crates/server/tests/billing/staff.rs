//! Staff who look at drifts and repair them, by the admin API alone.

use paywall_contract::{KnownDrift, RepairOutcome};

use crate::world::{World, outcome};

/// Every drift that they see.
pub(crate) async fn drifts(world: &World) -> Vec<KnownDrift> {
    world.drifts().await
}

/// They look at what a repair would do, and make it.
pub(crate) async fn repair(world: &World, drift: &KnownDrift) -> RepairOutcome {
    let shown = outcome(world.repair(&drift.id, None).await).await;
    assert!(!shown.gone && shown.adjustment.is_none(), "{shown:?}");
    let key = format!("{}.{}", drift.id, world.stripe.world().asked.len());
    let made = outcome(world.repair(&drift.id, Some(&key)).await).await;
    assert_eq!(made.stripe_writes, shown.stripe_writes);
    // The same again gives the same answer.
    assert_eq!(outcome(world.repair(&drift.id, Some(&key)).await).await, made);
    made
}

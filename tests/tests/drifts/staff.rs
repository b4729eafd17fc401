//! Staff at the console: what they see is the copy's, what they repair goes through its desk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_console::admin_client::AdminClient;
use paywall_console::cache::{Cache, CacheKey};
use paywall_console::change::Desk;
use paywall_console::ipc::{DriftQuery, RepairDone, RepairOrder, WriteMode};
use paywall_console::observer::Unobserved;
use paywall_console::sync::{SyncEngine, SyncOptions};
use paywall_contract::{KnownDrift, RepairOutcome};
use paywall_domain::Role;
use secrecy::SecretString;
use tempfile::TempDir;

use crate::world::{LONG, World};

/// A console that has just read everything.
struct Console {
    cache: Cache,
    engine: SyncEngine,
    admin: AdminClient,
    _folder: TempDir,
}

impl Console {
    async fn open(world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("copy.db"), &CacheKey::generate().unwrap()).await.unwrap();
        let token = SecretString::from(world.app.token(Role::Owner).to_owned());
        let admin = AdminClient::new(&world.app.url, token).unwrap();
        let options = SyncOptions { interval: Duration::from_mins(30), ..SyncOptions::default() };
        let engine =
            SyncEngine::start(cache.clone(), Some(admin.clone()), None, Arc::new(Unobserved), options).await.unwrap();
        let begun = Instant::now();
        while engine.freshness().sources[0].next_try_at.is_none() {
            assert!(begun.elapsed() < LONG, "{:#?}", engine.freshness());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { cache, engine, admin, _folder: folder }
    }

    async fn drifts(&self) -> Vec<KnownDrift> {
        let query = DriftQuery { kind: None, cursor: None, limit: 500 };
        self.cache.drifts_page(&query).await.unwrap().rows
    }

    async fn close(self) {
        self.engine.stop().await;
        self.cache.close().await;
    }
}

/// Every drift that they see.
pub(crate) async fn drifts(world: &World) -> Vec<KnownDrift> {
    let console = Box::pin(Console::open(world)).await;
    let seen = console.drifts().await;
    console.close().await;
    seen
}

/// They look at what a repair would do, and make it.
pub(crate) async fn repair(world: &World, drift: &KnownDrift) -> RepairOutcome {
    let console = Box::pin(Console::open(world)).await;
    let desk = Desk::new(console.cache.clone(), Some(console.admin.clone()), WriteMode::Review);
    let shown = Box::pin(desk.preview_repair(&drift.id)).await.unwrap().outcome;
    assert!(!shown.gone && shown.adjustment.is_none(), "{shown:?}");
    let key = format!("{}.{}", drift.id, world.stripe.world().asked.len());
    let order = RepairOrder { drift_id: drift.id.clone(), reason: "it differs".to_owned(), ticket: None, key };
    let RepairDone::Made { repair: Some(made) } = Box::pin(desk.repair(&order)).await.unwrap() else {
        panic!("{:?} was not repaired", drift.drift.kind());
    };
    assert_eq!(made.stripe_writes, shown.stripe_writes);
    assert_eq!(console.drifts().await, [], "it is still listed");
    assert!(console.cache.unsettled_repairs().await.unwrap().is_empty());
    console.close().await;
    *made
}

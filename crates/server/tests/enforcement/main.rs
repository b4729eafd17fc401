//! The whole server between a caller and `RAGFlow`: real HTTP on both sides, real databases behind.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../directory/ragflow.rs"]
mod ragflow;

#[allow(dead_code, unused_macros)]
#[path = "../app/place.rs"]
#[macro_use]
mod place;

mod authz;
mod billing;
mod buying;
mod counting;
mod credentials;
mod hooks;
mod levels;
mod limits;
mod outages;
mod page;
mod relay;
mod replicas;
mod stopping;
mod strangers;
mod teams;
mod trials;
mod upstream;
mod world;

/// Makes a test of each case, once with `RAGFlow`'s tables in `MariaDB` and the paywall's own in `SQLite`,
/// once with both in `PostgreSQL`.
macro_rules! on_each_pair {
    ($($case:ident),+ $(,)?) => { $(
        mod $case {
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn mariadb_and_sqlite() {
                super::$case(crate::world::World::start(crate::world::On::MariaDbAndSqlite)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn postgres() {
                super::$case(crate::world::World::start(crate::world::On::Postgres)).await;
            }
        }
    )+ };
}
use on_each_pair;

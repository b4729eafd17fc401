//! The directory against real databases with `RAGFlow`'s tables.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod api;
mod callers;
mod health;
mod mirror;
mod outage;
mod owners;
mod paywall;
mod ragflow;
mod ready;
mod trials;

/// Makes a test of each `async fn name(engine: Engine)`, once per database.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_mariadb {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::ragflow::Engine::MariaDb).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::ragflow::Engine::Postgres).await;
                }
            )+
        }
    };
}
use on_both;

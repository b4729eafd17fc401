//! Two servers on one `PostgreSQL`, and far more callers at once than a limit lets through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_databases::Postgres;
use tokio::sync::Barrier;

use crate::field::{Books, Caller, Field, Told};
use crate::server::Process;
use crate::{Again, size};

/// After how long a caller comes again that nobody could tell anything.
const AGAIN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_callers_at_once_exactly_as_many_pass_as_the_limit_says() {
    let callers = size(1_000, 10_000) as usize;
    let limit = callers / 10;
    let _again = Again { part: "limit", seed: 0, size: callers as u64 };
    let server = Postgres::start().unwrap();
    let url = server.database().unwrap();
    let field = Field::start().await;
    let tenant = field.tenant();
    let settings = field.settings(&url, limit as i64);
    // The first makes the tables.
    let mut replicas = vec![Process::program(&settings)];
    let mut addresses = vec![replicas[0].address()];
    replicas.push(Process::program(&settings));
    addresses.push(replicas[1].address());

    let begin = Arc::new(Barrier::new(callers + 1));
    let caller = Caller::of(tenant);
    let asking: Vec<_> = (0..callers)
        .map(|number| {
            let (caller, begin, address) = (caller.clone(), Arc::clone(&begin), addresses[number % 2].clone());
            tokio::spawn(async move {
                begin.wait().await;
                let mut again = 0_u64;
                loop {
                    match caller.ask(&address).await.0 {
                        // The databases of a machine that has much else to do: it is told when to come again.
                        Told::Untold => again += 1,
                        told => return (told, again),
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            })
        })
        .collect();
    begin.wait().await;
    let began = Instant::now();
    let (mut passed, mut refused, mut again) = (0, 0, 0);
    for answer in asking {
        let (told, more) = answer.await.unwrap();
        again += more;
        match told {
            Told::Passed => passed += 1,
            Told::Refused => refused += 1,
            other => panic!("{other:?}: {}", field.log()),
        }
    }
    let took = began.elapsed();
    eprintln!(
        "{callers} callers at two servers, limit {limit}: {passed} passed, {refused} refused, {again} \
         told to come again, {took:.1?} in all"
    );
    assert_eq!((passed, refused), (limit, callers - limit));
    assert_eq!(field.upstream.count(tenant), limit, "nothing else came through");
    for replica in replicas {
        replica.stop();
    }
    let books = Books::read(&url, tenant).await.unwrap();
    assert_eq!((books.counted, books.covered, books.sum()), (limit as i64, 0, limit as i64));
}

//! What the gate costs: against nginx that asks for leave, against our own proxy that decides nothing, and
//! admissions against a database that is asked each time.

mod admissions;
mod load;
mod programs;
mod unenforced;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use paywall_databases::Postgres;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use self::load::Load;
use self::programs::{Program, Upstream};
use self::ragflow::{Engine, Ragflow};
use crate::figures::{Sample, short, table};

#[allow(dead_code, clippy::unwrap_used, reason = "the tables of the server's own tests")]
#[path = "../../../../../crates/server/tests/directory/ragflow.rs"]
mod ragflow;

pub(crate) use unenforced::Unenforced;

/// Requests of one program in a round, one after the other on each connection.
const REQUESTS: u32 = 20_000;

/// Seconds of one program in a round at a set pace.
const PACED_SECONDS: u32 = 6;

/// What the reports are about, in the order of a round.
#[derive(Default)]
struct Figures {
    name: &'static str,
    /// Seconds of processor time for 1,000 requests.
    cpu: Sample,
    peak: Sample,
    p50: Sample,
    p99: Sample,
}

/// The folder that cargo builds into.
fn target_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    folder.map(Path::to_owned).context("this program lies in no folder of cargo's")
}

pub(crate) async fn measure(folder: &Path, rounds: u32) -> anyhow::Result<String> {
    let load = Load::install().await?;
    programs::move_aside()?;
    let text = requests(&load, folder, rounds).await?;
    Ok(format!("{text}\n{}", admissions::measure(rounds).await?))
}

async fn requests(load: &Load, folder: &Path, rounds: u32) -> anyhow::Result<String> {
    let nginx = Path::new("/usr/sbin/nginx");
    let upstream = Upstream::start(folder, nginx).await?;
    let ragflow = Ragflow::start(Engine::Postgres);
    let hour_ago = chrono::Utc::now().timestamp_millis() - 3_600_000;
    let tenant = ragflow.register(1, "founder@example.com", hour_ago);
    let times = format!("{hour_ago}, NULL, {hour_ago}, NULL");
    ragflow.sql(&format!("INSERT INTO dialog VALUES ('d1', '{tenant}', 'd', '1', {times});"));

    let postgres = Postgres::durable()?;
    let store = postgres.database()?;
    let file = folder.join("paywall.db");
    let programs = [
        programs::plain(folder, nginx, &upstream).await?,
        programs::asking(folder, nginx, &upstream).await?,
        programs::unenforced(folder, &upstream).await?,
        programs::paywall(folder, "paywall, SQLite", &upstream, &format!("sqlite://{}", file.display()), &ragflow.url)
            .await?,
        programs::paywall(folder, "paywall, PostgreSQL", &upstream, &store, &ragflow.url).await?,
    ];
    let key = ragflow::key(1);
    let address = |program: &Program| format!("{}/api/v1/chats/d1/completions", program.url);
    let mut figures: Vec<Figures> =
        programs.iter().map(|program| Figures { name: program.name, ..Figures::default() }).collect();
    let mut sent = 0;
    for round in 0..=rounds {
        for (program, figures) in programs.iter().zip(&mut figures) {
            eprintln!("round {round} of {rounds}: {}", program.name);
            let before = program.cpu();
            let told = load.requests(&address(program), &key, REQUESTS).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            // The first warms up.
            if round > 0 {
                figures.cpu.push((program.cpu() - before) / f64::from(REQUESTS) * 1e3);
                figures.peak.push(told.requests_per_second);
            }
        }
        sent += u64::from(REQUESTS);
    }
    check_counts(sent, &file, &store).await?;
    let slowest = figures.iter().skip(1).map(|it| it.peak.median()).fold(f64::INFINITY, f64::min);
    let pace = (slowest / 2.0) as u32;
    for round in 1..=rounds {
        for (program, figures) in programs.iter().zip(&mut figures) {
            eprintln!("at {pace}/s, round {round} of {rounds}: {}", program.name);
            let told = load.paced(&address(program), &key, pace, PACED_SECONDS).await?;
            figures.p50.push(told.p50_ms);
            figures.p99.push(told.p99_ms);
        }
    }
    Ok(report(&figures, pace))
}

/// What is measured must have happened: each request of a paywall is a usage event in its database.
async fn check_counts(sent: u64, file: &Path, store: &str) -> anyhow::Result<()> {
    let query = "SELECT count(*) FROM usage_events";
    for _ in 0..100 {
        let mut sqlite = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await?;
        let (in_file,): (i64,) = sqlx::query_as(AssertSqlSafe(query)).fetch_one(&mut sqlite).await?;
        let mut postgres = PgConnection::connect(store).await?;
        let (in_postgres,): (i64,) = sqlx::query_as(AssertSqlSafe(query)).fetch_one(&mut postgres).await?;
        if [in_file, in_postgres].into_iter().all(|it| it as u64 == sent) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("not every request of the {sent} was counted")
}

fn report(figures: &[Figures], pace: u32) -> String {
    let ratio = |of: &Sample, to: &Sample| format!("{}x", short(of.median() / to.median()));
    let (asking, unenforced) = (&figures[1], &figures[2]);
    let rows: Vec<Vec<String>> = figures
        .iter()
        .map(|it| {
            vec![
                it.name.to_owned(),
                it.cpu.spread("s"),
                ratio(&asking.cpu, &it.cpu),
                ratio(&it.cpu, &unenforced.cpu),
                it.peak.spread("/s"),
                it.p50.spread("ms"),
                it.p99.spread("ms"),
                ratio(&it.p99, &asking.p99),
            ]
        })
        .collect();
    let table = table(
        &[
            "in front of the same upstream",
            "CPU for 1,000 requests",
            "requests per CPU second against nginx `auth_request`",
            "CPU against the proxy without enforcement",
            "peak",
            "p50",
            "p99",
            "p99 against nginx `auth_request`",
        ],
        &rows,
    );
    format!(
        "{table}\nA question (`POST /api/v1/chats/…/completions`) with an API key, answered at once. The program under test has a core of \
         its own; load (oha {}, {} connections), upstream and databases have the other. The paywalls identify, decide and count: each \
         request is a row of `usage_events` at the end (checked). Peak: as fast as answers come. p50 and p99: {pace} requests per \
         second by the clock, half of the slowest one's peak. Median (least – greatest) of the rounds.\n",
        Load::version(),
        Load::connections()
    )
}

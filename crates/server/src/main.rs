//! `paywall-server`: serves the admin API, migrates, makes tokens, brings tenants in.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use paywall_domain::{Role, Timestamp};
use paywall_server::{Clock, Config, RefusedRecord, Revocation, Server, SystemClock, Token, openapi, read_record};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The paywall server. Settings come from the TOML file named by `PAYWALL_CONFIG` and from `PAYWALL_…` variables.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers requests until it is told to stop
    Serve,
    /// Brings the database to this version
    Migrate,
    /// Prints the admin API's `OpenAPI` document
    Openapi,
    /// Access tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Brings tenants and plans in: one JSON record per line
    Import {
        /// The file; `-` for the standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Makes a token and prints it, once
    Create {
        /// What it may do
        #[arg(long)]
        role: RoleWord,
        /// Who holds it: stands on every adjustment that it makes
        #[arg(long)]
        name: String,
        /// After how many days it stops working, 1 to 36500; never without this
        #[arg(long, value_parser = days)]
        expires_in_days: Option<u32>,
    },
    /// Shows every token that was made, never the token itself
    List,
    /// Makes a token worthless at once, also for a server that runs
    Revoke {
        /// Its id, as `token list` shows it
        id: String,
    },
}

fn days(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(days @ 1..=36_500) => Ok(days),
        Ok(0) => Err("a token lives for a day at least; leave this out for one that does not expire".to_owned()),
        _ => Err("a whole number from 1 to 36500".to_owned()),
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleWord {
    Owner,
    Support,
    Viewer,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Owner => Self::Owner,
            RoleWord::Support => Self::Support,
            RoleWord::Viewer => Self::Viewer,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match log() {
        Ok(()) => run(Arguments::parse().command).await,
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "paywall-server: {}", told(&error));
        ExitCode::FAILURE
    })
}

/// The error and its causes in one line. Many an error's text ends with that of its cause, which then need not
/// be said again.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|it| !it.is_empty()) {
        if told.is_empty() {
            told = cause;
        } else if !told.ends_with(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// Begins the log, as `PAYWALL_LOG` and `PAYWALL_LOG_FORMAT` say.
fn log() -> anyhow::Result<()> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let filter = variable("PAYWALL_LOG").unwrap_or_else(|| "info,sqlx=warn".to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(&filter)
        .with_context(|| format!("PAYWALL_LOG: {filter:?} is not a filter such as info or paywall_server=debug"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match variable("PAYWALL_LOG_FORMAT").as_deref() {
        None | Some("text") => {
            let plain = variable("NO_COLOR").is_some();
            log.with_ansi(!plain && std::io::stderr().is_terminal()).init();
        }
        // An object per line, with the fields at its top: what collectors of logs read without being told how.
        Some("json") => log.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
        Some(other) => anyhow::bail!("PAYWALL_LOG_FORMAT: {other:?} is neither \"text\" nor \"json\""),
    }
    Ok(())
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let clock = Arc::new(SystemClock);
    let load = || -> anyhow::Result<_> {
        let config = Config::load().context("settings")?;
        let opening = format!("opening {}", config.database());
        Ok((config, opening))
    };
    let open = async || -> anyhow::Result<Server> {
        let (config, opening) = load()?;
        Server::open(config, Arc::new(SystemClock)).await.context(opening)
    };
    // Where there is no database there are no tokens in it, and none is made to say so.
    let open_existing = async || -> anyhow::Result<Server> {
        let (config, opening) = load()?;
        Server::open_existing(config, Arc::new(SystemClock)).await.context(opening)
    };
    match command {
        Command::Serve => serve().await?,
        Command::Migrate => drop(open().await?),
        Command::Openapi => print(&openapi())?,
        Command::Token { command: TokenCommand::Create { role, name, expires_in_days } } => {
            let expires_at = expires_in_days.map(|days| clock.now().plus_days(days));
            let token = open().await?.create_token(&name, role.into(), expires_at).await?;
            print(&format!("{token}\n"))?;
        }
        Command::Token { command: TokenCommand::List } => {
            print(&table(&open_existing().await?.tokens().await?, clock.now()))?;
        }
        Command::Token { command: TokenCommand::Revoke { id } } => {
            print(&match open_existing().await?.revoke_token(&id).await? {
                Revocation::Revoked => format!("{id} is revoked\n"),
                Revocation::Already(at) => format!("{id} was revoked before, at {}\n", instant(at)),
            })?;
        }
        Command::Import { file } => return import(&open().await?, &file).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve() -> anyhow::Result<()> {
    let config = Config::load().context("settings")?;
    let (listen, url) = (config.listen, config.database());
    let server = Server::open(config, Arc::new(SystemClock)).await.with_context(|| format!("opening {url}"))?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            told_to_stop().await;
            stop.cancel();
        }
    });
    // At once: whoever started it may read one line and go.
    print(&format!("listening on http://{}\ndatabase {}\n", listener.local_addr()?, server.database()))?;
    server.serve(listener, stop).await?;
    Ok(())
}

#[cfg(unix)]
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn told_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}

/// Every line is checked by itself: a bad one is named with the reason, the good ones are kept.
async fn import(server: &Server, file: &PathBuf) -> anyhow::Result<ExitCode> {
    let input: Box<dyn BufRead + Send> = if file.as_os_str() == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::new(std::fs::File::open(file).with_context(|| file.display().to_string())?))
    };
    let mut bad: Vec<RefusedRecord> = Vec::new();
    let mut failed = None;
    let records = input.lines().enumerate().filter_map(|(index, line)| {
        let number = index + 1;
        match line {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => match read_record(&line) {
                Ok(record) => Some((number, record)),
                Err(reason) => {
                    bad.push(RefusedRecord { number, reason });
                    None
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                bad.push(RefusedRecord { number, reason: "not UTF-8".to_owned() });
                None
            }
            Err(error) => {
                failed.get_or_insert(error);
                None
            }
        }
    });
    let summary = server.import_numbered(records).await?;
    bad.extend(summary.refused);
    bad.sort_by_key(|it| it.number);
    let mut log = std::io::stderr().lock();
    for RefusedRecord { number, reason } in &bad {
        writeln!(log, "line {number}: {reason}")?;
    }
    drop(log);
    print(&format!(
        "{} tenants added, {} changed, {} records unchanged, {} plans written, {} lines refused\n",
        summary.added,
        summary.changed,
        summary.unchanged,
        summary.plans,
        bad.len()
    ))?;
    if let Some(error) = failed {
        return Err(error).context("reading the records");
    }
    Ok(if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line per token under a line of headings. The name comes last: it may have any width.
fn table(tokens: &[Token], now: Timestamp) -> String {
    let headings = ["ID", "ROLE", "STATE", "CREATED", "EXPIRES", "LAST USED", "NAME"].map(str::to_owned);
    let row = |token: &Token| {
        let state = match token {
            Token { revoked_at: Some(_), .. } => "revoked",
            Token { expires_at: Some(end), .. } if *end <= now => "expired",
            _ => "valid",
        };
        let when = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), instant);
        [
            token.id.clone(),
            token.role.as_str().to_owned(),
            state.to_owned(),
            instant(token.created_at),
            when(token.expires_at),
            when(token.last_used_at),
            // A name with a line break in it must not look like another token.
            token.name.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect(),
        ]
    };
    let rows: Vec<_> = std::iter::once(headings).chain(tokens.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        cells.collect::<String>() + &row[6] + "\n"
    };
    rows.iter().map(line).collect()
}

fn instant(at: Timestamp) -> String {
    chrono::DateTime::from_timestamp_millis(at.0)
        .map_or_else(|| at.0.to_string(), |it| it.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

//! Servers as processes of their own.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_domain::Timestamp;
use paywall_server::{Clock, Config, Server, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// By how many milliseconds a server's clock is off.
const CLOCK: &str = "PAYWALL_TEST_CLOCK_MS";

/// How long a server may take to start while others start too.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server is told.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) database_url: String,
    pub(crate) ragflow_url: String,
    pub(crate) ragflow_database_url: String,
    /// A file with the rest.
    pub(crate) config: PathBuf,
    /// Where it writes its log.
    pub(crate) log: PathBuf,
}

/// A server that runs. It is killed when this is dropped, and by the system where this process ends before.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Process {
    /// The program itself.
    pub(crate) fn program(settings: &Settings) -> Self {
        Self::spawn(command(Path::new(env!("CARGO_BIN_EXE_paywall-server"))).arg("serve"), settings)
    }

    /// The same server with a clock that is off, which the program cannot be told: from this test's program.
    pub(crate) fn with_clock(settings: &Settings, off_ms: i64) -> Self {
        // This very program, also where its file was built anew meanwhile.
        let mut command = command(Path::new(&format!("/proc/{}/exe", std::process::id())));
        command.args(["server::replica", "--exact", "--nocapture"]).env(CLOCK, off_ms.to_string());
        Self::spawn(&mut command, settings)
    }

    /// To be called by a thread that lives on: the system kills the process when that ends.
    fn spawn(command: &mut Command, settings: &Settings) -> Self {
        let log = File::options().create(true).append(true).open(&settings.log).unwrap();
        let mut child = command
            .env("PAYWALL_DATABASE_URL", &settings.database_url)
            .env("PAYWALL_RAGFLOW_URL", &settings.ragflow_url)
            .env("PAYWALL_RAGFLOW_DATABASE_URL", &settings.ragflow_database_url)
            .env("PAYWALL_CONFIG", &settings.config)
            .env("PAYWALL_LISTEN", "127.0.0.1:0")
            .env("PAYWALL_TOKEN_KEY", TOKEN_KEY)
            .env("PAYWALL_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output, log: settings.log.clone() }
    }

    /// Waits until it listens; answers its address.
    pub(crate) fn address(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some((_, address)) = line.trim_end().split_once("listening on ") {
                return address.to_owned();
            }
            line.clear();
        }
        panic!("the server does not start: {}", std::fs::read_to_string(&self.log).unwrap_or_default());
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", std::fs::read_to_string(&self.log).unwrap_or_default());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The key of every server here.
pub(crate) const TOKEN_KEY: &str = "a key of this test, long enough to be one";

/// A command that the system kills with whoever started it, and that knows of no settings.
fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PAYWALL_")) {
        command.env_remove(name);
    }
    command
}

/// A clock that is off.
struct Off(i64);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0)
    }
}

/// Not a test: the server whose clock is off, in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica() {
    let Some(off) = std::env::var(CLOCK).ok().and_then(|it| it.parse().ok()) else { return };
    let filter = tracing_subscriber::EnvFilter::try_from_env("PAYWALL_LOG").unwrap();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let config = Config::load().unwrap();
    let began = Instant::now();
    // Its database may be away: what starts servers starts them again.
    let server = loop {
        match Server::open(config.clone(), Arc::new(Off(off))).await {
            Ok(server) => break server,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    writeln!(std::io::stdout(), "\nlistening on http://{}", listener.local_addr().unwrap()).unwrap();
    server.serve(listener, CancellationToken::new()).await.unwrap();
}

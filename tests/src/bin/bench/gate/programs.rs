//! What is measured, and what it stands between: each program under test has a core of its own, everything else
//! the other.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use paywall_tests::desktop::{free_port, program};

use crate::processes::{Running, cpu_seconds};

/// The core of the program under test.
const TESTED: &str = "0";
/// Everybody else's core.
const OTHERS: &str = "1";

/// A program under test.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    /// Its processes: nginx has a worker beside its master.
    pids: Vec<u32>,
    _running: Running,
}

impl Program {
    /// Seconds of processor time that it used so far.
    pub(crate) fn cpu(&self) -> f64 {
        self.pids.iter().copied().map(cpu_seconds).sum()
    }
}

/// Moves this process, with what it starts from now on, to the others' core.
pub(crate) fn move_aside() -> anyhow::Result<()> {
    let status = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", OTHERS, &std::process::id().to_string()])
        .stdout(Stdio::null())
        .status()
        .context("taskset is not here")?;
    if !status.success() {
        bail!("two cores are needed: one for the program under test, one for the load");
    }
    Ok(())
}

/// A command that runs on the core of the program under test.
fn tested(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", TESTED]).arg(program);
    command
}

async fn listening(port: u16, what: &str) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if Instant::now() > until {
            bail!("{what} does not listen");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// An nginx with these servers in its configuration.
async fn nginx(
    folder: &Path,
    name: &'static str,
    servers: &str,
    port: u16,
    mut command: Command,
) -> anyhow::Result<Program> {
    let home = folder.join(name.replace(' ', "-"));
    fs::create_dir(&home)?;
    let mut temporary = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(temporary, "  {kind}_temp_path {}/{kind};", home.display())?;
    }
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    let configuration = format!(
        "{user} daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log warn;\n\
         events {{ worker_connections 20000; }}\n\
         http {{\n{temporary}  access_log off; keepalive_timeout 75s; keepalive_requests 1000000;\n{servers}}}\n",
        home = home.display()
    );
    let file = home.join("nginx.conf");
    fs::write(&file, configuration)?;
    let running = Running::start(command.arg("-c").arg(&file).arg("-p").arg(&home))?;
    listening(port, name).await?;
    // The worker is the master's only child.
    let master = running.id();
    let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children"))?;
    let pids = children.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    Ok(Program { name, url: format!("http://127.0.0.1:{port}"), pids, _running: running })
}

/// What stands for `RAGFlow`: it answers every question at once, and a question for leave with 204.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    leave: u16,
    _nginx: Program,
}

impl Upstream {
    pub(crate) async fn start(folder: &Path, nginx_program: &Path) -> anyhow::Result<Self> {
        let (port, leave) = (free_port()?, free_port()?);
        let answer = r#"{"code":0,"data":{"answer":"Three months to the end of a quarter, in writing.","reference":{"chunks":[]},"session_id":"5e0f6b0e9d3c11ef8b1a0242ac120006"}}"#;
        let servers = format!(
            "  server {{ listen 127.0.0.1:{port}; default_type application/json; location / {{ return 200 '{answer}'; }} }}\n\
             \x20 server {{ listen 127.0.0.1:{leave}; location / {{ return 204; }} }}\n",
        );
        let nginx = nginx(folder, "upstream", &servers, port, Command::new(nginx_program)).await?;
        Ok(Self { port, leave, _nginx: nginx })
    }
}

/// nginx as a plain proxy.
pub(crate) async fn plain(folder: &Path, nginx_program: &Path, upstream: &Upstream) -> anyhow::Result<Program> {
    let port = free_port()?;
    let servers = format!(
        "{}  server {{ listen 127.0.0.1:{port};\n{} }}\n",
        pools(upstream),
        "    location / { proxy_pass http://ragflow; proxy_http_version 1.1; proxy_set_header Connection ''; }"
    );
    nginx(folder, "nginx", &servers, port, tested(nginx_program)).await
}

/// nginx that asks for leave before it passes a request on.
pub(crate) async fn asking(folder: &Path, nginx_program: &Path, upstream: &Upstream) -> anyhow::Result<Program> {
    let port = free_port()?;
    let servers = format!(
        "{}  server {{ listen 127.0.0.1:{port};\n{}\n{}  }}\n",
        pools(upstream),
        "    location / { auth_request /leave; proxy_pass http://ragflow; proxy_http_version 1.1; proxy_set_header Connection ''; }",
        "    location = /leave { internal; proxy_pass http://leave; proxy_pass_request_body off;\n\
         \x20     proxy_set_header Content-Length ''; proxy_http_version 1.1; proxy_set_header Connection ''; }\n"
    );
    nginx(folder, "nginx auth_request", &servers, port, tested(nginx_program)).await
}

fn pools(upstream: &Upstream) -> String {
    let pool = |name: &str, port| {
        format!("  upstream {name} {{ server 127.0.0.1:{port}; keepalive 64; keepalive_requests 1000000; }}\n")
    };
    pool("ragflow", upstream.port) + &pool("leave", upstream.leave)
}

/// Our own proxy, with nothing that decides.
pub(crate) async fn unenforced(folder: &Path, upstream: &Upstream) -> anyhow::Result<Program> {
    let port = free_port()?;
    let mut command = tested(&std::env::current_exe()?);
    command.args(["unenforced", "--port", &port.to_string(), "--upstream", &upstream.port.to_string()]);
    command.arg("--folder").arg(folder);
    let running = Running::start(&mut command)?;
    listening(port, "the proxy without enforcement").await?;
    Ok(Program {
        name: "unenforced",
        url: format!("http://127.0.0.1:{port}"),
        pids: vec![running.id()],
        _running: running,
    })
}

/// The paywall server as it is shipped.
pub(crate) async fn paywall(
    folder: &Path,
    name: &'static str,
    upstream: &Upstream,
    database_url: &str,
    ragflow_database_url: &str,
) -> anyhow::Result<Program> {
    let port = free_port()?;
    let settings = folder.join(format!("{port}.toml"));
    fs::write(
        &settings,
        "[[plan]]\nid = \"large\"\nname = \"Large\"\ntrial_days = 30\nstripe_prices = []\n\
         [plan.limits]\nmessages = 1000000000\ntokens = 1000000000000\napi_requests = 1000000000\n",
    )?;
    let mut command = tested(&program("paywall-server"));
    command.arg("serve").env("PAYWALL_CONFIG", settings).env("PAYWALL_LISTEN", format!("127.0.0.1:{port}"));
    command.env("PAYWALL_RAGFLOW_URL", format!("http://127.0.0.1:{}", upstream.port));
    command.env("PAYWALL_DATABASE_URL", database_url).env("PAYWALL_RAGFLOW_DATABASE_URL", ragflow_database_url);
    command.env("PAYWALL_TOKEN_KEY", "a key for one measurement").stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running::start(&mut command)?;
    listening(port, "the paywall server").await?;
    Ok(Program { name, url: format!("http://127.0.0.1:{port}"), pids: vec![running.id()], _running: running })
}

//! localstripe, a third party's imitation of Stripe: a process of its own, from `PyPI`.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// The version whose behaviour is known.
const VERSION: &str = "1.15";

/// Starts it on loopback only and without writing its data to a shared file, unlike its own command.
const WRAPPER: &str = "import sys
import aiohttp.web
import localstripe.resources as resources
import localstripe.server as server
resources.Store.dump_to_disk = lambda self: None
aiohttp.web.run_app(server.app, host='127.0.0.1', port=int(sys.argv[1]), print=None)
";

/// A running localstripe; it ends when this is dropped.
pub struct LocalStripe {
    child: Child,
    /// Its base address.
    pub address: String,
}

impl LocalStripe {
    /// Installs it under the target folder, once, and starts it.
    pub fn start() -> anyhow::Result<Self> {
        let home = install()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(home.join("bin/python"))
            .arg("-c")
            .arg(WRAPPER)
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut started = Self { child, address: format!("http://127.0.0.1:{port}") };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = started.child.try_wait()? {
                bail!("localstripe ended with {status} before it listened");
            }
            ensure!(begun.elapsed() < Duration::from_secs(30), "localstripe does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(started)
    }
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn install() -> anyhow::Result<PathBuf> {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target");
    let home = target.join(format!("localstripe-{VERSION}"));
    if home.join("installed").exists() {
        return Ok(home);
    }
    let _ = std::fs::remove_dir_all(&home);
    let run = |command: &mut Command| -> anyhow::Result<()> {
        let output = command.output().with_context(|| format!("{command:?}"))?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    run(Command::new(home.join("bin/pip")).args(["install", "--quiet", &format!("localstripe=={VERSION}")]))?;
    std::fs::write(home.join("installed"), VERSION)?;
    Ok(home)
}

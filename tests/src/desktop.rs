//! A desktop of a test's own: a display, a session bus with an unlocked keyring, and the real window
//! driven from outside. Everything is started here on names and folders of its own and stopped here
//! by its id.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use fantoccini::elements::Element;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything on a screen may take before the test gives up on it. The machine may be busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// A process that ends with the test.
pub(crate) struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // The drivers clean up after themselves on SIGTERM only.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let patience = Instant::now() + Duration::from_secs(3);
        while Instant::now() < patience {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A display, a session bus, a keyring and folders: what a logged-in person has.
pub struct Desktop {
    // In the order in which they have to stop.
    keyring: Option<Owned>,
    _bus: Owned,
    _display: Owned,
    environment: Vec<(String, String)>,
    folder: TempDir,
}

impl Desktop {
    /// Starts one, 1280 by 900 pixels, with the keyring unlocked.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut environment = Vec::new();
        for (variable, name) in [
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("PAYWALL_CONSOLE_HOME", "console"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
            environment.push((variable.to_owned(), path.to_string_lossy().into_owned()));
        }
        environment.push(("NO_AT_BRIDGE".into(), "1".into()));
        environment.push(("GSETTINGS_BACKEND".into(), "memory".into()));
        environment.push(("TZ".into(), "Europe/Berlin".into()));

        let mut display = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("Xvfb does not start")?;
        let number = first_line(&mut display)?;
        let display = Owned(display);
        environment.push(("DISPLAY".into(), format!(":{number}")));

        let mut bus = with(Command::new("dbus-daemon"), &environment)
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("dbus-daemon does not start")?;
        let address = first_line(&mut bus)?;
        let bus = Owned(bus);
        environment.push(("DBUS_SESSION_BUS_ADDRESS".into(), address));

        let mut desktop = Self { keyring: None, _bus: bus, _display: display, environment, folder };
        desktop.unlock_keyring()?;
        Ok(desktop)
    }

    /// Starts the keyring, or starts it anew, unlocked.
    pub fn unlock_keyring(&mut self) -> anyhow::Result<()> {
        self.keyring = None;
        let mut daemon = self
            .command("gnome-keyring-daemon")
            .args(["--foreground", "--unlock", "--components=secrets"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("gnome-keyring-daemon does not start")?;
        daemon.stdin.take().context("no input")?.write_all(b"ci-pass")?;
        self.keyring = Some(Owned(daemon));
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience {
            let mut probe = self.command("secret-tool");
            probe.args(["store", "--label=probe", "probe", "probe"]).stdin(Stdio::piped()).stderr(Stdio::null());
            let mut child = probe.spawn()?;
            child.stdin.take().context("no input")?.write_all(b"probe")?;
            if child.wait()?.success() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the keyring does not take a secret")
    }

    /// Locks the keyring, as a desktop does when its user goes away.
    pub fn lock_keyring(&self) -> anyhow::Result<()> {
        let status = self
            .command("gdbus")
            .args(["call", "--session", "--dest", "org.freedesktop.secrets"])
            .args(["--object-path", "/org/freedesktop/secrets"])
            .args(["--method", "org.freedesktop.Secret.Service.Lock"])
            .arg("['/org/freedesktop/secrets/collection/login']")
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "the keyring does not lock");
        Ok(())
    }

    /// What an independent program finds in the keyring under a service and a user.
    pub fn secret(&self, service: &str, user: &str) -> anyhow::Result<Option<String>> {
        let output = self.command("secret-tool").args(["lookup", "service", service, "username", user]).output()?;
        let text = String::from_utf8(output.stdout)?;
        Ok(output.status.success().then_some(text).filter(|text| !text.is_empty()))
    }

    /// A command with this desktop's environment and no input.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        with(Command::new(program), &self.environment)
    }

    /// The console's data folder.
    pub fn console_home(&self) -> PathBuf {
        self.folder.path().join("console")
    }

    /// Where everything on this desktop writes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Opens the console's window.
    pub async fn open(&self) -> anyhow::Result<Window> {
        self.open_program(&program("paywall-console")).await
    }

    /// Opens the window of the program at `path`.
    pub async fn open_program(&self, path: &Path) -> anyhow::Result<Window> {
        let (client, driver, log) = self.drive(&json!({ "binary": path, "args": [] })).await?;
        Ok(Window { client: Some(client), driver: Some(driver), log, environment: self.environment.clone() })
    }

    /// Opens a window of `WebKit`'s by a driver of its own; what either prints goes into the file.
    pub(crate) async fn drive(&self, options: &Value) -> anyhow::Result<(Client, Owned, PathBuf)> {
        let port = free_port()?;
        let log = self.folder.path().join(format!("window-{port}.log"));
        let file = std::fs::File::create(&log)?;
        let driver = self
            .command("WebKitWebDriver")
            .args([format!("--port={port}"), "--host=127.0.0.1".into()])
            .env("TAURI_AUTOMATION", "true")
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("WebKitWebDriver does not start")?;
        let driver = Owned(driver);
        wait_for_port(port)?;
        let mut capabilities = Capabilities::new();
        capabilities.insert("webkitgtk:browserOptions".into(), options.clone());
        let address = format!("http://127.0.0.1:{port}");
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(capabilities);
        let client = tokio::time::timeout(Duration::from_mins(2), builder.connect(&address))
            .await
            .context("the window does not open in time")?
            .context("the window does not open")?;
        Ok((client, driver, log))
    }

    /// Saves a picture of the screen under `PAYWALL_SCREENSHOTS`, where that names a folder. The driver's own
    /// pictures wait for a frame that never comes on a display without a graphics card.
    pub async fn picture(&self, name: &str) -> anyhow::Result<()> {
        picture(&self.environment, name).await
    }
}

async fn picture(environment: &[(String, String)], name: &str) -> anyhow::Result<()> {
    let Some(folder) = std::env::var_os("PAYWALL_SCREENSHOTS") else { return Ok(()) };
    // Lets what fades in arrive.
    tokio::time::sleep(Duration::from_millis(400)).await;
    std::fs::create_dir_all(&folder)?;
    let file = Path::new(&folder).join(format!("{name}.png"));
    let status = with(Command::new("import"), environment).args(["-window", "root"]).arg(file).status()?;
    ensure!(status.success(), "no picture of {name} is taken");
    Ok(())
}

/// The console's window.
pub struct Window {
    client: Option<Client>,
    driver: Option<Owned>,
    log: PathBuf,
    environment: Vec<(String, String)>,
}

impl Window {
    fn client(&self) -> &Client {
        self.client.as_ref().expect("the window is open")
    }

    /// Waits for the element with that `data-testid`, and answers it once it is shown.
    pub async fn find(&self, id: &str) -> anyhow::Result<Element> {
        let selector = format!("[data-testid=\"{id}\"]");
        let began = Instant::now();
        loop {
            for element in self.client().find_all(Locator::Css(&selector)).await? {
                if element.is_displayed().await.unwrap_or(false) {
                    return Ok(element);
                }
            }
            if began.elapsed() > PATIENCE {
                bail!("nothing is shown as {id}; the page says:\n{}", self.text().await.unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }

    /// Whether an element with that `data-testid` is shown now.
    pub async fn shows(&self, id: &str) -> anyhow::Result<bool> {
        let selector = format!("[data-testid=\"{id}\"]");
        for element in self.client().find_all(Locator::Css(&selector)).await? {
            if element.is_displayed().await.unwrap_or(false) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until no element with that `data-testid` is shown.
    pub async fn gone(&self, id: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.shows(id).await? {
            ensure!(began.elapsed() < PATIENCE, "{id} is still shown");
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
        Ok(())
    }

    /// Clicks what has that `data-testid`. The page may redraw it meanwhile.
    pub async fn click(&self, id: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            match self.find(id).await?.click().await {
                Ok(()) => return Ok(()),
                Err(_) if began.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => return Err(error).with_context(|| format!("{id} cannot be clicked")),
            }
        }
    }

    /// Types into the field with that `data-testid`, replacing what it holds.
    pub async fn fill(&self, id: &str, text: &str) -> anyhow::Result<()> {
        let field = self.find(id).await?;
        field.clear().await?;
        field.send_keys(text).await?;
        Ok(())
    }

    /// Sends keys to whatever has the focus. Special keys are WebDriver's code points.
    pub async fn keys(&self, keys: &str) -> anyhow::Result<()> {
        self.client().active_element().await?.send_keys(keys).await?;
        Ok(())
    }

    /// Waits until the text of `id` satisfies `holds`, and answers it. The page's own word for its text:
    /// the driver leaves out what an ellipsis could shorten.
    pub async fn text_of(&self, id: &str, holds: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        let began = Instant::now();
        let mut last = String::new();
        loop {
            if let Ok(element) = self.find(id).await
                && let Ok(Some(text)) = element.prop("innerText").await
            {
                if holds(&text) {
                    return Ok(text);
                }
                last = text;
            }
            ensure!(began.elapsed() < PATIENCE, "{id} does not come to say what it should; it says: {last}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everything that the page shows as text.
    pub async fn text(&self) -> anyhow::Result<String> {
        let text = self.client().execute("return document.body.innerText", vec![]).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The page's markup with the present values of its fields.
    pub async fn markup(&self) -> anyhow::Result<String> {
        let script = "return document.documentElement.outerHTML + '\\n' +
            Array.from(document.querySelectorAll('input,textarea')).map((field) => field.value).join('\\n')";
        let markup = self.client().execute(script, vec![]).await?;
        Ok(markup.as_str().unwrap_or_default().to_owned())
    }

    /// Calls a command of the console as the page does: what it answers, or the failure.
    pub async fn invoke(&self, command: &str, arguments: Value) -> anyhow::Result<Result<Value, Value>> {
        let script = "const [command, given, done] = arguments;
            window.__TAURI_INTERNALS__.invoke(command, given).then((ok) => done({ ok }), (err) => done({ err }))";
        let mut answer = self.client().execute_async(script, vec![json!(command), arguments]).await?;
        Ok(match answer.get_mut("err") {
            Some(failure) => Err(failure.take()),
            None => Ok(answer["ok"].take()),
        })
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        Ok(self.client().execute(script, vec![]).await?)
    }

    /// The window's title.
    pub async fn title(&self) -> anyhow::Result<String> {
        Ok(self.client().title().await?)
    }

    /// As [`Desktop::picture`].
    pub async fn picture(&self, name: &str) -> anyhow::Result<()> {
        picture(&self.environment, name).await
    }

    /// What the program wrote to its log so far.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Closes the window and waits until its program is gone: a program that is started before that only
    /// brings the old one to the front.
    pub async fn close(mut self) -> anyhow::Result<()> {
        let program = self.driver.as_ref().and_then(|it| child_of(it.0.id()));
        if let Some(client) = self.client.take() {
            client.close().await?;
        }
        // The driver closes the page, and ends the program only a while later.
        if let Some(program) = program
            && !is_gone(program, Duration::from_secs(10)).await
        {
            Command::new("kill").arg(program.to_string()).status()?;
            ensure!(is_gone(program, Duration::from_secs(10)).await, "the program does not end");
        }
        self.driver = None;
        Ok(())
    }
}

/// The process that a process started, if it runs.
fn child_of(parent: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Whether a process ends within `patience`. One that nobody waited for has ended too.
async fn is_gone(process: u32, patience: Duration) -> bool {
    let began = Instant::now();
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    };
    while runs() {
        if began.elapsed() > patience {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}

/// The path of a program that this workspace built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    // target/debug/deps/the_test → target/debug
    let folder = test.ancestors().find(|it| it.join(name).is_file()).map(Path::to_path_buf);
    folder.unwrap_or_else(|| PathBuf::from("target/debug")).join(name)
}

/// A loopback port that is free now.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for_port(port: u16) -> anyhow::Result<()> {
    let patience = Instant::now() + Duration::from_secs(15);
    while Instant::now() < patience {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("nothing listens on port {port}")
}

fn with(mut command: Command, environment: &[(String, String)]) -> Command {
    command.stdin(Stdio::null()).env_remove("WAYLAND_DISPLAY");
    for (name, value) in environment {
        command.env(name, value);
    }
    command
}

fn first_line(child: &mut Child) -> anyhow::Result<String> {
    let output = child.stdout.take().context("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(!line.trim().is_empty(), "it ended before it said anything");
    Ok(line.trim().to_owned())
}

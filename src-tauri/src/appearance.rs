//! What has to be known of the desktop before and beside the webview.

/// Sets what WebKitGTK reads from its environment. A process that is already running must not change
/// its environment, so the program starts itself anew once.
#[cfg(target_os = "linux")]
pub(crate) fn prepare_webview() {
    use std::os::unix::process::CommandExt as _;

    // Without this, some graphics drivers show a blank window; it also saves memory.
    const VARIABLE: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    // Returns only where it failed; then the window is tried as things are.
    let _ = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(VARIABLE, "1").exec();
}

/// Nothing to prepare here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn prepare_webview() {}

/// Whether the desktop asks for dark colours; `None` where it does not say. WebKitGTK often reports
/// the wrong scheme, so the desktop portal is asked itself.
#[cfg(target_os = "linux")]
pub(crate) fn system_dark() -> Option<bool> {
    let (send, receive) = std::sync::mpsc::channel();
    // A thread of its own: the bus may hang, and its blocking calls must not run on an async worker.
    std::thread::spawn(move || send.send(portal_colour_scheme()));
    match receive.recv_timeout(std::time::Duration::from_millis(400)).ok()?? {
        1 => Some(true),
        2 => Some(false),
        _ => None,
    }
}

/// The webview's own word is right on these systems.
#[cfg(not(target_os = "linux"))]
pub(crate) fn system_dark() -> Option<bool> {
    None
}

/// `org.freedesktop.appearance color-scheme`: 0 no preference, 1 dark, 2 light.
#[cfg(target_os = "linux")]
fn portal_colour_scheme() -> Option<u32> {
    let bus = zbus::blocking::Connection::session().ok()?;
    let answer = bus
        .call_method(
            Some("org.freedesktop.portal.Desktop"),
            "/org/freedesktop/portal/desktop",
            Some("org.freedesktop.portal.Settings"),
            "ReadOne",
            &("org.freedesktop.appearance", "color-scheme"),
        )
        .ok()?;
    let value: zbus::zvariant::OwnedValue = answer.body().deserialize().ok()?;
    u32::try_from(value).ok()
}

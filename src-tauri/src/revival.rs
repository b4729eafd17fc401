//! A page whose process died is loaded again. The webview would show nothing for ever, while the program runs
//! on and a second start only brings the empty window to the front.

/// Watches the window's page. Nothing is lost with it: what was being typed aside, it all lies in the core.
#[cfg(target_os = "linux")]
pub(crate) fn watch(window: &tauri::WebviewWindow) -> tauri::Result<()> {
    use webkit2gtk::{WebProcessTerminationReason, WebViewExt as _};
    window.with_webview(|webview| {
        webview.inner().connect_web_process_terminated(|page, reason| {
            tracing::warn!(?reason, "the page's process ended");
            // Whoever ended it by its interface wants it gone.
            if reason != WebProcessTerminationReason::TerminatedByApi {
                page.reload();
            }
        });
    })
}

/// The webviews of these systems bring their page back themselves.
#[cfg(not(target_os = "linux"))]
pub(crate) fn watch(_: &tauri::WebviewWindow) -> tauri::Result<()> {
    Ok(())
}

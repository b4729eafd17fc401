//! A window with a static page and nothing else: what the console's start is measured against.
//!
//! It has the console's tauri, with the same features, and a window of the same size.

fn main() -> tauri::Result<()> {
    tauri::Builder::default().run(tauri::generate_context!("examples/empty_window/tauri.conf.json"))
}

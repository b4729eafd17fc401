//! The menu of macOS. Elsewhere the window has none: its actions are on the screens.

use tauri::menu::{Menu, MenuItem, PredefinedMenuItem, Submenu};
use tauri::{AppHandle, Wry};

/// Every action with its shortcut. A menu of our own replaces the whole default one, so the Edit menu
/// has to be made too: without it, copy and paste do nothing in the page.
pub(crate) fn build(app: &AppHandle) -> tauri::Result<Menu<Wry>> {
    if !cfg!(target_os = "macos") {
        return Menu::new(app);
    }
    let item = |id: &str, text: &str, key: &str| MenuItem::with_id(app, id, text, true, Some(key));
    let application = Submenu::with_items(
        app,
        "Paywall Console",
        true,
        &[
            &PredefinedMenuItem::about(app, None, None)?,
            &PredefinedMenuItem::separator(app)?,
            &item("connections", "Settings…", "CmdOrCtrl+,")?,
            &PredefinedMenuItem::separator(app)?,
            &PredefinedMenuItem::hide(app, None)?,
            &PredefinedMenuItem::hide_others(app, None)?,
            &PredefinedMenuItem::show_all(app, None)?,
            &PredefinedMenuItem::separator(app)?,
            &PredefinedMenuItem::quit(app, None)?,
        ],
    )?;
    let edit = Submenu::with_items(
        app,
        "Edit",
        true,
        &[
            &PredefinedMenuItem::undo(app, None)?,
            &PredefinedMenuItem::redo(app, None)?,
            &PredefinedMenuItem::separator(app)?,
            &PredefinedMenuItem::cut(app, None)?,
            &PredefinedMenuItem::copy(app, None)?,
            &PredefinedMenuItem::paste(app, None)?,
            &PredefinedMenuItem::select_all(app, None)?,
            &PredefinedMenuItem::separator(app)?,
            &item("undo-adjustment", "Undo Last Change", "CmdOrCtrl+Alt+Z")?,
        ],
    )?;
    let view = Submenu::with_items(
        app,
        "View",
        true,
        &[
            &item("overview", "Overview", "CmdOrCtrl+1")?,
            &item("trials", "Trials", "CmdOrCtrl+2")?,
            &item("tenants", "Tenants", "CmdOrCtrl+3")?,
            &item("revenue", "Revenue", "CmdOrCtrl+4")?,
            &item("billing", "Billing Health", "CmdOrCtrl+5")?,
            &item("sql", "SQL", "CmdOrCtrl+6")?,
            &item("activity", "Activity", "CmdOrCtrl+7")?,
            &PredefinedMenuItem::separator(app)?,
            &item("search", "Search…", "CmdOrCtrl+K")?,
            &item("refresh", "Refresh", "CmdOrCtrl+R")?,
            &PredefinedMenuItem::fullscreen(app, None)?,
        ],
    )?;
    let window = Submenu::with_items(
        app,
        "Window",
        true,
        &[&PredefinedMenuItem::minimize(app, None)?, &PredefinedMenuItem::close_window(app, None)?],
    )?;
    Menu::with_items(app, &[&application, &edit, &view, &window])
}

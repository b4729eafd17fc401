//! Paywall Console: the window. Everything it shows and does lies in `paywall_console`; what is here
//! connects that to tauri.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod appearance;
#[cfg(test)]
mod command_names;
mod commands;
mod csv_file;
mod menu;
mod question_commands;
mod revenue_commands;
mod revival;
mod sample;
mod shell;

use std::sync::Arc;

use paywall_console::{Console, ConsoleOptions, Home};
use tauri::{Emitter, Manager};
use tauri_plugin_window_state::StateFlags;

use crate::shell::{Shell, WindowObserver};

fn main() -> anyhow::Result<()> {
    appearance::prepare_webview();
    shell::log();

    let app_id = if cfg!(debug_assertions) { "dev.paywall.console.dev" } else { "dev.paywall.console" };
    let mut context = tauri::generate_context!();
    // A development build beside an installed one is another app: its own window, its own state.
    app_id.clone_into(&mut context.config_mut().identifier);
    let app = tauri::Builder::default()
        // First, so that a second start finds the window before anything else happens.
        .plugin(tauri_plugin_single_instance::init(|app, _, _| shell::focus(app)))
        .plugin(
            tauri_plugin_window_state::Builder::new().with_state_flags(StateFlags::all() - StateFlags::VISIBLE).build(),
        )
        .plugin(tauri_plugin_opener::Builder::new().open_js_links_on_click(false).build())
        .plugin(tauri_plugin_clipboard_manager::init())
        .menu(menu::build)
        .on_menu_event(|app, event| {
            // The page decides what an entry means where it stands.
            let _ = app.emit("menu", event.id().as_ref());
        })
        .setup(move |app| {
            let home = Home::locate(app_id)?;
            let handle = app.handle().clone();
            let observer = Arc::new(WindowObserver::new(handle));
            let options = ConsoleOptions {
                home: home.clone(),
                app_id: app_id.to_owned(),
                version: app.package_info().version.to_string(),
                observer,
            };
            let console = tauri::async_runtime::block_on(Console::start(options));
            app.manage(Shell::new(console, &home));
            if let Some(window) = app.get_webview_window("main") {
                revival::watch(&window)?;
                // Made hidden and shown with its place restored, so that it does not jump.
                window.show()?;
                window.set_focus()?;
            }
            // The keyring may wait for its user to unlock it; the window is there meanwhile.
            let handle = app.handle().clone();
            tauri::async_runtime::spawn(async move { handle.state::<Shell>().resume().await });
            Ok(())
        })
        .invoke_handler(commands::handler())
        .build(context)?;
    app.run(|app, event| {
        if let tauri::RunEvent::Exit = event {
            let shell = app.state::<Shell>();
            tauri::async_runtime::block_on(shell.stop());
        }
    });
    Ok(())
}

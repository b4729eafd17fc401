//! The commands of questions in SQL.

use paywall_console::ipc::{SavedQuery, SqlAnswer, SqlView};
use tauri::State;

use crate::commands::Answer;
use crate::shell::Shell;

#[tauri::command]
pub(crate) async fn sql_views(shell: State<'_, Shell>) -> Answer<Vec<SqlView>> {
    Ok(shell.console()?.sql_views())
}

#[tauri::command]
pub(crate) async fn sql_run(shell: State<'_, Shell>, id: u64, text: String) -> Answer<SqlAnswer> {
    shell.console()?.sql_run(id, &text).await
}

#[tauri::command]
pub(crate) async fn sql_cancel(shell: State<'_, Shell>, id: u64) -> Answer<()> {
    shell.console()?.sql_cancel(id).await;
    Ok(())
}

#[tauri::command]
pub(crate) async fn saved_queries(shell: State<'_, Shell>) -> Answer<Vec<SavedQuery>> {
    shell.console()?.saved_queries().await
}

#[tauri::command]
pub(crate) async fn saved_query_put(shell: State<'_, Shell>, query: SavedQuery) -> Answer<Vec<SavedQuery>> {
    shell.console()?.saved_query_put(query).await
}

#[tauri::command]
pub(crate) async fn saved_query_delete(shell: State<'_, Shell>, name: String) -> Answer<Vec<SavedQuery>> {
    shell.console()?.saved_query_delete(&name).await
}

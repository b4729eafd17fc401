//! The commands of Revenue: one per operation of the console, each a few lines.

use paywall_console::ipc::{
    CohortRow, DifferencePage, DrillPage, DrillQuery, FailedPaymentsRow, InvoicePage, InvoiceQuery, LeftOutPage,
    LeftOutQuery, Preset, RatesView, Reporting, RevenueAhead, RevenueQuery, RevenueView, TrialConversion, TrialPage,
    TrialQuery,
};
use tauri::{AppHandle, Manager as _, State};

use crate::commands::Answer;
use crate::csv_file;
use crate::shell::Shell;

#[tauri::command]
pub(crate) async fn revenue(shell: State<'_, Shell>, query: RevenueQuery) -> Answer<RevenueView> {
    shell.console()?.revenue(query).await
}

#[tauri::command]
pub(crate) async fn revenue_drill(shell: State<'_, Shell>, query: DrillQuery) -> Answer<DrillPage> {
    shell.console()?.revenue_drill(&query).await
}

#[tauri::command]
pub(crate) async fn revenue_cohorts(
    shell: State<'_, Shell>,
    preset: Preset,
    currency: String,
) -> Answer<Vec<CohortRow>> {
    shell.console()?.revenue_cohorts(preset, &currency).await
}

#[tauri::command]
pub(crate) async fn trial_conversion(shell: State<'_, Shell>, months: u32) -> Answer<TrialConversion> {
    shell.console()?.trial_conversion(months).await
}

#[tauri::command]
pub(crate) async fn trials_page(shell: State<'_, Shell>, query: TrialQuery) -> Answer<TrialPage> {
    shell.console()?.trials_page(&query).await
}

#[tauri::command]
pub(crate) async fn left_out(shell: State<'_, Shell>, query: LeftOutQuery) -> Answer<LeftOutPage> {
    shell.console()?.left_out(&query).await
}

#[tauri::command]
pub(crate) async fn failed_payments(shell: State<'_, Shell>, months: u32) -> Answer<Vec<FailedPaymentsRow>> {
    shell.console()?.failed_payments(months).await
}

#[tauri::command]
pub(crate) async fn invoices_page(shell: State<'_, Shell>, query: InvoiceQuery) -> Answer<InvoicePage> {
    shell.console()?.invoices_page(&query).await
}

#[tauri::command]
pub(crate) async fn revenue_ahead(shell: State<'_, Shell>, preset: Preset) -> Answer<Vec<RevenueAhead>> {
    shell.console()?.revenue_ahead(preset).await
}

#[tauri::command]
pub(crate) async fn revenue_differences(
    shell: State<'_, Shell>,
    other: Preset,
    cursor: Option<String>,
) -> Answer<DifferencePage> {
    shell.console()?.revenue_differences(other, cursor.as_deref()).await
}

#[tauri::command]
pub(crate) async fn reporting(shell: State<'_, Shell>) -> Answer<Reporting> {
    shell.console()?.reporting().await
}

#[tauri::command]
pub(crate) async fn reporting_set(shell: State<'_, Shell>, reporting: Reporting) -> Answer<Reporting> {
    shell.console()?.reporting_set(reporting).await
}

#[tauri::command]
pub(crate) async fn rates(shell: State<'_, Shell>) -> Answer<RatesView> {
    shell.console()?.rates().await
}

#[tauri::command]
pub(crate) async fn rates_import(shell: State<'_, Shell>, csv: String) -> Answer<RatesView> {
    shell.console()?.rates_import(csv).await
}

#[tauri::command]
pub(crate) async fn rates_clear(shell: State<'_, Shell>) -> Answer<RatesView> {
    shell.console()?.rates_clear().await
}

/// Writes a table into the folder of downloads; answers where it lies.
#[tauri::command]
pub(crate) async fn csv_save(app: AppHandle, name: String, text: String) -> Answer<String> {
    let folder = app.path().download_dir().or_else(|_| app.path().home_dir());
    csv_file::save(folder, &name, &text).await
}

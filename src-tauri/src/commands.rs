//! The commands: one per operation of the console, each a few lines.

use paywall_console::ipc::{
    ActivityView, AppState, BillingView, ChangeDone, ChangeOrder, ChangePreview, CheckoutOrder, ConnectionReport,
    ConversionPage, DriftPage, DriftQuery, EntryPage, EventPage, EventQuery, Failure, FailureCode, Freshness, Overview,
    PreviewRequest, PriceRow, ProfileCheck, ProfileDraft, ProfileView, RepairDone, RepairOrder, RepairPreview,
    SearchResult, Settings, Settled, TenantBillingView, TenantDetail, TenantPage, TenantQuery, TestStep, UndoOrder,
    ViewCount,
};
use paywall_contract::{AdjustmentOutcome, CheckoutLink, InboxEvent, PortalLink};
use paywall_domain::{Plan, TenantId};
use tauri::ipc::{Channel, Invoke};
use tauri::{AppHandle, State, WebviewWindow, Wry};
use tauri_plugin_clipboard_manager::ClipboardExt as _;
use tauri_plugin_opener::OpenerExt as _;

use crate::appearance;
use crate::question_commands as of_questions;
use crate::revenue_commands as of_revenue;
use crate::shell::Shell;

pub(crate) type Answer<T> = Result<T, Failure>;

/// All commands. Their names are those of `command_names`.
pub(crate) fn handler() -> impl Fn(Invoke<Wry>) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        app_state,
        settings_set,
        profile_check,
        profile_save,
        profile_remove,
        profile_open,
        connection_test,
        cache_clear,
        sample_start,
        sample_pause,
        sample_resume,
        freshness,
        sync_now,
        sync_cancel,
        overview,
        tenants_page,
        tenant_counts,
        plans,
        tenant_detail,
        timeline_page,
        activity_page,
        search,
        search_server,
        change_preview,
        change_apply,
        undo_preview,
        undo_apply,
        settle,
        billing_health,
        drifts_page,
        events_page,
        conversions_page,
        tenant_billing,
        repair_preview,
        repair_apply,
        repair_settle,
        event_retry,
        checkout_link,
        portal_link,
        plan_prices,
        of_revenue::revenue,
        of_revenue::revenue_drill,
        of_revenue::revenue_cohorts,
        of_revenue::trial_conversion,
        of_revenue::trials_page,
        of_revenue::left_out,
        of_revenue::failed_payments,
        of_revenue::invoices_page,
        of_revenue::revenue_ahead,
        of_revenue::revenue_differences,
        of_revenue::reporting,
        of_revenue::reporting_set,
        of_revenue::rates,
        of_revenue::rates_import,
        of_revenue::rates_clear,
        of_revenue::csv_save,
        of_questions::sql_views,
        of_questions::sql_run,
        of_questions::sql_cancel,
        of_questions::saved_queries,
        of_questions::saved_query_put,
        of_questions::saved_query_delete,
        open_external,
        copy_text,
        set_title,
    ]
}

#[tauri::command]
async fn app_state(shell: State<'_, Shell>) -> Answer<AppState> {
    shell.resumed().await;
    let mut state = shell.console()?.app_state().await;
    let asked = tauri::async_runtime::spawn_blocking(appearance::system_dark).await;
    state.system_dark = asked.ok().flatten();
    Ok(state)
}

#[tauri::command]
async fn settings_set(shell: State<'_, Shell>, settings: Settings) -> Answer<Settings> {
    shell.console()?.settings_set(settings).await
}

#[tauri::command]
async fn profile_check(shell: State<'_, Shell>, draft: ProfileDraft) -> Answer<ProfileCheck> {
    Ok(shell.console()?.profile_check(&draft).await)
}

#[tauri::command]
async fn profile_save(shell: State<'_, Shell>, draft: ProfileDraft) -> Answer<ProfileView> {
    shell.console()?.profile_save(draft).await
}

#[tauri::command]
async fn profile_remove(shell: State<'_, Shell>, id: String) -> Answer<()> {
    let console = shell.console()?;
    console.profile_remove(&id).await?;
    if id == paywall_console::SAMPLE_PROFILE {
        shell.sample.discard().await?;
    }
    Ok(())
}

#[tauri::command]
async fn profile_open(shell: State<'_, Shell>, id: String) -> Answer<ProfileView> {
    if id == paywall_console::SAMPLE_PROFILE {
        return shell.sample.open(shell.console()?).await;
    }
    shell.console()?.profile_open(&id).await
}

#[tauri::command]
async fn connection_test(
    shell: State<'_, Shell>,
    draft: ProfileDraft,
    on_step: Channel<TestStep>,
) -> Answer<ConnectionReport> {
    let tell = move |step: TestStep| {
        // A page that went away no longer listens.
        let _ = on_step.send(step);
    };
    shell.console()?.connection_test(&draft, &tell).await
}

#[tauri::command]
async fn cache_clear(shell: State<'_, Shell>, id: String) -> Answer<()> {
    shell.console()?.cache_clear(&id).await
}

#[tauri::command]
async fn sample_start(shell: State<'_, Shell>) -> Answer<ProfileView> {
    shell.sample.start(shell.console()?).await
}

#[tauri::command]
async fn sample_pause(shell: State<'_, Shell>) -> Answer<()> {
    shell.sample.pause(shell.console()?).await
}

#[tauri::command]
async fn sample_resume(shell: State<'_, Shell>) -> Answer<()> {
    shell.sample.resume(shell.console()?).await
}

#[tauri::command]
async fn freshness(shell: State<'_, Shell>) -> Answer<Freshness> {
    shell.console()?.freshness().await
}

#[tauri::command]
async fn sync_now(shell: State<'_, Shell>) -> Answer<()> {
    shell.console()?.sync_now().await
}

#[tauri::command]
async fn sync_cancel(shell: State<'_, Shell>) -> Answer<()> {
    shell.console()?.sync_cancel().await
}

#[tauri::command]
async fn overview(shell: State<'_, Shell>) -> Answer<Overview> {
    shell.console()?.overview().await
}

#[tauri::command]
async fn tenants_page(shell: State<'_, Shell>, query: TenantQuery) -> Answer<TenantPage> {
    shell.console()?.tenants_page(&query).await
}

#[tauri::command]
async fn tenant_counts(shell: State<'_, Shell>) -> Answer<Vec<ViewCount>> {
    shell.console()?.tenant_counts().await
}

#[tauri::command]
async fn plans(shell: State<'_, Shell>) -> Answer<Vec<Plan>> {
    shell.console()?.plans().await
}

#[tauri::command]
async fn tenant_detail(shell: State<'_, Shell>, id: TenantId) -> Answer<TenantDetail> {
    shell.console()?.tenant_detail(&id).await
}

#[tauri::command]
async fn timeline_page(shell: State<'_, Shell>, id: TenantId, cursor: Option<String>) -> Answer<EntryPage> {
    shell.console()?.timeline_page(&id, cursor.as_deref()).await
}

#[tauri::command]
async fn activity_page(
    shell: State<'_, Shell>,
    view: ActivityView,
    text: String,
    cursor: Option<String>,
) -> Answer<EntryPage> {
    shell.console()?.activity_page(view, &text, cursor.as_deref()).await
}

#[tauri::command]
async fn search(shell: State<'_, Shell>, text: String) -> Answer<SearchResult> {
    shell.console()?.search(&text).await
}

#[tauri::command]
async fn search_server(shell: State<'_, Shell>, text: String) -> Answer<SearchResult> {
    shell.console()?.search_server(&text).await
}

#[tauri::command]
async fn change_preview(shell: State<'_, Shell>, request: PreviewRequest) -> Answer<ChangePreview> {
    shell.console()?.change_preview(&request).await
}

#[tauri::command]
async fn change_apply(shell: State<'_, Shell>, order: ChangeOrder) -> Answer<ChangeDone> {
    shell.console()?.change_apply(&order).await
}

#[tauri::command]
async fn undo_preview(shell: State<'_, Shell>, adjustment_id: String) -> Answer<AdjustmentOutcome> {
    shell.console()?.undo_preview(&adjustment_id).await
}

#[tauri::command]
async fn undo_apply(shell: State<'_, Shell>, order: UndoOrder) -> Answer<ChangeDone> {
    shell.console()?.undo_apply(&order).await
}

#[tauri::command]
async fn settle(shell: State<'_, Shell>, key: String) -> Answer<Settled> {
    shell.console()?.settle(&key).await
}

#[tauri::command]
async fn billing_health(shell: State<'_, Shell>) -> Answer<BillingView> {
    shell.console()?.billing_health().await
}

#[tauri::command]
async fn drifts_page(shell: State<'_, Shell>, query: DriftQuery) -> Answer<DriftPage> {
    shell.console()?.drifts_page(&query).await
}

#[tauri::command]
async fn events_page(shell: State<'_, Shell>, query: EventQuery) -> Answer<EventPage> {
    shell.console()?.events_page(&query).await
}

#[tauri::command]
async fn conversions_page(shell: State<'_, Shell>, cursor: Option<String>, limit: u32) -> Answer<ConversionPage> {
    shell.console()?.conversions_page(cursor.as_deref(), limit).await
}

#[tauri::command]
async fn tenant_billing(shell: State<'_, Shell>, id: TenantId, ask: bool) -> Answer<TenantBillingView> {
    shell.console()?.tenant_billing(&id, ask).await
}

#[tauri::command]
async fn repair_preview(shell: State<'_, Shell>, drift_id: String) -> Answer<RepairPreview> {
    shell.console()?.repair_preview(&drift_id).await
}

#[tauri::command]
async fn repair_apply(shell: State<'_, Shell>, order: RepairOrder) -> Answer<RepairDone> {
    shell.console()?.repair_apply(&order).await
}

#[tauri::command]
async fn repair_settle(shell: State<'_, Shell>, key: String) -> Answer<RepairDone> {
    shell.console()?.repair_settle(&key).await
}

#[tauri::command]
async fn event_retry(shell: State<'_, Shell>, id: String) -> Answer<InboxEvent> {
    shell.console()?.event_retry(&id).await
}

#[tauri::command]
async fn checkout_link(shell: State<'_, Shell>, order: CheckoutOrder) -> Answer<CheckoutLink> {
    shell.console()?.checkout_link(&order).await
}

#[tauri::command]
async fn portal_link(shell: State<'_, Shell>, id: TenantId) -> Answer<PortalLink> {
    shell.console()?.portal_link(&id).await
}

#[tauri::command]
async fn plan_prices(shell: State<'_, Shell>) -> Answer<Vec<PriceRow>> {
    shell.console()?.plan_prices().await
}

#[tauri::command]
async fn open_external(app: AppHandle, url: String) -> Answer<()> {
    let web = url::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !web {
        return Err(Failure::of(FailureCode::AddressInvalid, "only web addresses are opened"));
    }
    app.opener().open_url(url, None::<&str>).map_err(|error| Failure::of(FailureCode::Internal, error.to_string()))
}

#[tauri::command]
async fn copy_text(app: AppHandle, text: String) -> Answer<()> {
    app.clipboard().write_text(text).map_err(|error| Failure::of(FailureCode::Internal, error.to_string()))
}

#[tauri::command]
async fn set_title(window: WebviewWindow, title: String) -> Answer<()> {
    window.set_title(&title).map_err(|error| Failure::of(FailureCode::Internal, error.to_string()))
}

//! The names of the commands. build.rs makes a permission of each; the window's capability grants
//! them one by one.

/// Every command that the window may call.
pub(crate) const COMMANDS: &[&str] = &[
    "app_state",
    "settings_set",
    "profile_check",
    "profile_save",
    "profile_remove",
    "profile_open",
    "connection_test",
    "cache_clear",
    "sample_start",
    "sample_pause",
    "sample_resume",
    "freshness",
    "sync_now",
    "sync_cancel",
    "overview",
    "tenants_page",
    "tenant_counts",
    "plans",
    "tenant_detail",
    "timeline_page",
    "activity_page",
    "search",
    "search_server",
    "change_preview",
    "change_apply",
    "undo_preview",
    "undo_apply",
    "settle",
    "billing_health",
    "drifts_page",
    "events_page",
    "conversions_page",
    "tenant_billing",
    "repair_preview",
    "repair_apply",
    "repair_settle",
    "event_retry",
    "checkout_link",
    "portal_link",
    "plan_prices",
    "revenue",
    "revenue_drill",
    "revenue_cohorts",
    "trial_conversion",
    "trials_page",
    "left_out",
    "failed_payments",
    "invoices_page",
    "revenue_ahead",
    "revenue_differences",
    "reporting",
    "reporting_set",
    "rates",
    "rates_import",
    "rates_clear",
    "csv_save",
    "sql_views",
    "sql_run",
    "sql_cancel",
    "saved_queries",
    "saved_query_put",
    "saved_query_delete",
    "open_external",
    "copy_text",
    "set_title",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::COMMANDS;

    /// A command that is handled without being declared would be open to every window; one that is
    /// declared without being granted or handled would fail only when somebody needs it.
    #[test]
    fn every_command_is_declared_granted_and_handled() {
        let declared: BTreeSet<String> = COMMANDS.iter().map(|name| (*name).to_owned()).collect();

        let source = include_str!("commands.rs");
        let list = source.split("generate_handler![").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or("");
        let name = |path: &str| path.rsplit("::").next().unwrap_or(path).trim().to_owned();
        let handled: BTreeSet<String> = list.split(',').map(name).filter(|name| !name.is_empty()).collect();
        assert_eq!(declared, handled);

        let capability: serde_json::Value =
            serde_json::from_str(include_str!("../capabilities/main.json")).expect("the capability is JSON");
        let granted: BTreeSet<String> = capability["permissions"]
            .as_array()
            .expect("permissions are a list")
            .iter()
            .filter_map(|it| it.as_str()?.strip_prefix("allow-").map(|name| name.replace('-', "_")))
            .collect();
        assert_eq!(declared, granted);
        assert_eq!(capability["windows"], serde_json::json!(["main"]));
    }
}

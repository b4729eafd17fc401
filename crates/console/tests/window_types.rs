//! The window's TypeScript is generated from the Rust types; this fails when the two differ.
//! `cargo xtask types` writes it anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use paywall_console::ipc;
use ts_rs::{Config, TS};

fn export(out: &Path) {
    let config = Config::new().with_large_int("number").with_out_dir(out);
    macro_rules! export {
        ($($name:ty),* $(,)?) => { $(<$name>::export_all(&config).expect("types can be written");)* };
    }
    export!(
        ipc::AppState,
        ipc::ProfileDraft,
        ipc::ProfileCheck,
        ipc::ConnectionReport,
        ipc::Failure,
        ipc::Freshness,
        ipc::Overview,
        ipc::TenantQuery,
        ipc::TenantPage,
        ipc::ViewCount,
        ipc::TenantDetail,
        ipc::EntryPage,
        ipc::ActivityView,
        ipc::SearchResult,
        ipc::PreviewRequest,
        ipc::ChangePreview,
        ipc::ChangeOrder,
        ipc::UndoOrder,
        ipc::ChangeDone,
        ipc::Settled,
        ipc::SettledChange,
        ipc::BillingView,
        ipc::DriftQuery,
        ipc::DriftPage,
        ipc::EventQuery,
        ipc::EventPage,
        ipc::ConversionPage,
        ipc::TenantBillingView,
        ipc::RepairPreview,
        ipc::RepairOrder,
        ipc::RepairDone,
        ipc::CheckoutOrder,
        ipc::PriceRow,
        ipc::RevenueQuery,
        ipc::RevenueView,
        ipc::DrillQuery,
        ipc::DrillPage,
        ipc::CohortRow,
        ipc::TrialConversion,
        ipc::TrialQuery,
        ipc::TrialPage,
        ipc::LeftOutQuery,
        ipc::LeftOutPage,
        ipc::FailedPaymentsRow,
        ipc::InvoiceQuery,
        ipc::InvoicePage,
        ipc::RevenueAhead,
        ipc::DifferencePage,
        ipc::Reporting,
        ipc::RatesView,
        ipc::SqlView,
        ipc::SqlAnswer,
        ipc::SavedQuery,
        paywall_contract::CheckoutLink,
        paywall_contract::PortalLink,
    );
}

fn read(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeMap::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|it| it == "ts"))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(entry.path()).expect("a generated file can be read"))
        })
        .collect()
}

#[test]
fn generated_types_are_current() {
    let committed: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/host/generated");
    if std::env::var_os("PAYWALL_WRITE_TYPES").is_some() {
        std::fs::create_dir_all(&committed).expect("the folder can be made");
        export(&committed);
        return;
    }
    let fresh = tempfile::tempdir().expect("a temp folder");
    export(fresh.path());
    assert!(
        read(fresh.path()) == read(&committed),
        "the window's types differ from the Rust types: run `cargo xtask types` and commit the result"
    );
}

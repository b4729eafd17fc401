//! Questions in SQL in the real window, of the sample world's copy.

use paywall_tests::desktop::Desktop;

use super::{choose_theme, keeps_to_the_window};
use crate::{CONTROL, ENTER, RELEASE, headless};

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_asked_of_the_sample_world_refused_and_stopped() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let run = format!("{CONTROL}{ENTER}{RELEASE}");
    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    window.click("firstrun-sample").await?;
    window.text_of("chip", |text| text.contains("As of")).await?;
    for theme in ["light", "dark"] {
        choose_theme(&window, theme).await?;
        window.click("nav-sql").await?;
        window.fill("sql-text", "SELECT day, sum(messages) AS messages FROM usage_by_day GROUP BY day").await?;
        // Usage is read after everything else.
        let begun = std::time::Instant::now();
        loop {
            window.keys(&run).await?;
            let status = window.text_of("sql-status", |text| text.contains("row")).await?;
            if !status.starts_with('0') && !status.starts_with("1 ") {
                break;
            }
            anyhow::ensure!(begun.elapsed().as_secs() < 60, "no usage by day: {status}");
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        window.find("sql-table").await?;
        keeps_to_the_window(&window, "sql", theme).await?;
        window.click("sql-shape-chart").await?;
        window.find("sql-chart-0").await?;
        keeps_to_the_window(&window, "sql-chart", theme).await?;
        window.click("sql-shape-table").await?;

        window.fill("sql-text", "DELETE FROM tenants").await?;
        window.keys(&run).await?;
        window.find("sql-failure").await?;
        window.gone("sql-answer").await?;

        let endless = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        window.fill("sql-text", endless).await?;
        window.keys(&run).await?;
        window.click("sql-stop").await?;
        window.find("sql-stopped").await?;

        window.fill("sql-text", "SELECT month, currency, mrr, customers FROM mrr_by_month ORDER BY month").await?;
        window.click("sql-save").await?;
        window.fill("query-name", &format!("Revenue, {theme}")).await?;
        keeps_to_the_window(&window, "sql-save", theme).await?;
        window.click("query-save-confirm").await?;
        window.gone("query-name").await?;
        window.text_of("saved-query", |text| text.contains("Revenue")).await?;
        keeps_to_the_window(&window, "sql-saved", theme).await?;
    }
    window.close().await
}

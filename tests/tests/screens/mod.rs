//! Every screen of the real window in both themes: drawn by the styles that its policy lets in, and
//! nothing wider than the window.

mod billing;
mod revenue;
mod sql;

use paywall_tests::desktop::{Desktop, Window};
use serde_json::json;

use crate::{ENTER, find_tenant, headless, locked_out};

/// What a screen must keep to, as a script that answers what is wrong.
const WRONG: &str = "
    const wrong = [];
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    if (wide > 0) wrong.push(`the page is ${wide} px wider than the window`);
    const grounds = [document.body, document.documentElement].map((it) => getComputedStyle(it).backgroundColor);
    const painted = grounds.find((colour) => !colour.endsWith(', 0)')) ?? 'rgb(255, 255, 255)';
    const [red, green, blue] = painted.match(/[0-9]+/g).map(Number);
    const dark = red + green + blue < 384;
    if (dark !== (document.documentElement.dataset.theme === 'dark')) wrong.push('the colours are not the theme’s');
    for (const element of document.querySelectorAll('button, a, input, select')) {
        const box = element.getBoundingClientRect();
        const seen = box.width > 0 && box.height > 0 && getComputedStyle(element).visibility !== 'hidden';
        if (seen && (box.right > window.innerWidth + 1 || box.left < -1) && !element.closest('[role=grid], table, .scrolls'))
            wrong.push(`out of the window: ${element.outerHTML.slice(0, 120)}`);
    }
    return wrong.join('\\n')";

async fn keeps_to_the_window(window: &Window, screen: &str, theme: &str) -> anyhow::Result<()> {
    let wrong = window.run(WRONG).await?;
    anyhow::ensure!(wrong == json!(""), "{screen} in {theme}: {wrong}");
    window.picture(&format!("{screen}-{theme}")).await
}

async fn choose_theme(window: &Window, theme: &str) -> anyhow::Result<()> {
    window.click("nav-connections").await?;
    window
        .run(&format!(
            "const select = document.querySelector('#setting-theme');
             select.value = '{theme}';
             select.dispatchEvent(new Event('change', {{ bubbles: true }}))"
        ))
        .await?;
    let begun = std::time::Instant::now();
    while window.run("return document.documentElement.dataset.theme").await? != json!(theme) {
        anyhow::ensure!(begun.elapsed().as_secs() < 20, "the theme does not come");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_screen_is_drawn_in_both_themes_and_fits_the_window() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    window.click("firstrun-sample").await?;
    window.text_of("chip", |text| text.contains("As of")).await?;
    for theme in ["light", "dark"] {
        choose_theme(&window, theme).await?;
        window.find("screen-connections").await?;
        keeps_to_the_window(&window, "connections", theme).await?;
        window.click("profile-new").await?;
        window.find("profile-name").await?;
        keeps_to_the_window(&window, "profile-form", theme).await?;

        window.click("nav-overview").await?;
        window.text_of("tile-trials", |text| text.chars().any(|c| c.is_ascii_digit())).await?;
        keeps_to_the_window(&window, "overview", theme).await?;
        window.click("nav-trials").await?;
        window.find("found").await?;
        keeps_to_the_window(&window, "trials", theme).await?;
        window.click("nav-activity").await?;
        window.find("activity-row").await?;
        keeps_to_the_window(&window, "activity", theme).await?;
        window.run("document.querySelector('[data-testid=\"activity-row\"]').focus()").await?;
        window.keys(ENTER).await?;
        window.find("activity-detail").await?;
        keeps_to_the_window(&window, "activity-detail", theme).await?;

        find_tenant(&window, &locked_out()).await?;
        keeps_to_the_window(&window, "tenant", theme).await?;
        for (key, apply, name) in
            [("e", "extend-apply", "extend"), ("c", "change-apply", "comp"), ("n", "change-apply", "note")]
        {
            window.run("document.querySelector('[data-testid=\"verdict\"]').closest('[tabindex]')?.focus()").await?;
            window.keys(key).await?;
            window.find(apply).await?;
            keeps_to_the_window(&window, &format!("dialog-{name}"), theme).await?;
            window.keys("\u{E00C}").await?;
            window.gone(apply).await?;
        }
    }
    window.close().await
}

//! Billing health in the real window: well, in trouble, with the trouble repaired there, and with the server gone.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use paywall_sandbox::Kind;
use paywall_sandbox::scripted::Card;
use paywall_tests::desktop::{Desktop, Window};
use reqwest::Client;
use serde_json::{Value, json};

use super::{choose_theme, keeps_to_the_window};
use crate::headless;
use crate::selling::{Selling, now};
use crate::separate::{connect, serve};

const PATIENCE: Duration = Duration::from_secs(60);

const DAY_MS: i64 = 86_400_000;

/// Customers, with names in any script and of any length.
const NAMES: [&str; 6] = [
    "Acme GmbH",
    "東京データ株式会社",
    "مؤسسة النور للأبحاث",
    "Universidad Politécnica de San Cristóbal de las Casas, Departamento de Lingüística",
    "Ökobüro Süd",
    "Bright & Sons",
];

fn tenant(at: usize) -> String {
    format!("{at:032x}")
}

/// A tenant whose trial began a week ago, and ended where `days_left` is negative.
fn intake(at: usize, days_left: i64, now: i64) -> Value {
    let ends_at = now + days_left * DAY_MS;
    json!({"type": "tenant", "data": {
        "id": tenant(at), "name": NAMES[at], "email": format!("owner@customer{at}.example"),
        "created_at": ends_at - 14 * DAY_MS, "deleted_at": null, "stripe_customer": null,
        "facts": {"plan": "starter", "trial": {"started_at": ends_at - 14 * DAY_MS, "ends_at": ends_at,
            "extensions": 0, "extended_ms": 0}, "comp": null, "suspension": null, "subscription": null, "overrides": {}},
        "members": [{"user_id": tenant(at), "name": NAMES[at], "email": format!("owner@customer{at}.example"),
            "role": "owner"}],
        "gauges": {}, "usage": null, "period": null, "measured_at": now, "last_active_at": null, "last_refusal": null,
        "timeline": []}})
}

/// A server with these tenants, that sells.
struct Shop {
    selling: Selling,
    owner: String,
}

impl Shop {
    async fn open() -> anyhow::Result<Self> {
        let selling = Selling::with_messages(100).await?;
        let owner = selling.token("owner")?;
        let mut importing =
            selling.command().args(["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let mut lines = importing.stdin.take().context("no input")?;
        for at in 0..NAMES.len() {
            writeln!(lines, "{}", intake(at, if at == 5 { 9 } else { -2 }, now()?.0))?;
        }
        drop(lines);
        ensure!(importing.wait()?.success(), "the tenants do not go in");
        Ok(Self { selling, owner })
    }

    /// Opens Checkout for a tenant as staff do; the session's id.
    async fn checkout(&self, at: usize) -> anyhow::Result<String> {
        let request = Client::new().post(format!("{}/admin/v1/tenants/{}/checkout", self.selling.url, tenant(at)));
        let wanted = json!({"plan": "pro", "price": self.selling.price.id});
        request.bearer_auth(&self.owner).json(&wanted).send().await?.error_for_status()?;
        let sessions = self.selling.stripe.state(Kind::CheckoutSession);
        let own = sessions.iter().find(|it| it["client_reference_id"] == tenant(at)).context("no session")?;
        Ok(own["id"].as_str().context("a session without an id")?.to_owned())
    }

    async fn buys(&self, at: usize) -> anyhow::Result<()> {
        let session = self.checkout(at).await?;
        self.selling.stripe.complete_checkout(&session, Card::Good).map_err(anyhow::Error::msg)?;
        Ok(())
    }

    async fn health(&self) -> anyhow::Result<Value> {
        let request = Client::new().get(format!("{}/admin/v1/billing", self.selling.url)).bearer_auth(&self.owner);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Waits until the server says that billing is so.
    async fn until(&self, holds: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let health = self.health().await?;
            if holds(&health) {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "billing does not come to be so: {health:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Pictures of Billing health in both themes; what is asked for now is shown.
async fn seen_in_both_themes(window: &Window, state: &str) -> anyhow::Result<()> {
    for theme in ["light", "dark"] {
        choose_theme(window, theme).await?;
        window.click("nav-billing").await?;
        window.find("billing-verdict").await?;
        keeps_to_the_window(window, &format!("billing-{state}"), theme).await?;
    }
    Ok(())
}

fn kinds(health: &Value) -> Vec<&str> {
    health["drifts"].as_array().into_iter().flatten().filter_map(|it| it["kind"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn billing_health_is_seen_well_in_trouble_repaired_and_offline() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let shop = Shop::open().await?;
    let mut command = shop.selling.billing(shop.selling.stripe.url());
    let serving = serve(command.env("PAYWALL_STRIPE_POLL_SECONDS", "10"))?;
    for at in 0..4 {
        shop.buys(at).await?;
    }
    shop.until(|it| !it["reconciled_at"].is_null() && it["inbox"]["pending"] == 0).await?;
    shop.until(|it| it["deliveries"].as_array().is_some_and(|days| !days.is_empty())).await?;

    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    connect(&window, &shop.selling.url, &shop.owner, shop.selling.stripe.url(), shop.selling.stripe.key()).await?;
    window.click("nav-billing").await?;
    window.text_of("billing-verdict", |text| text.to_lowercase().contains("well")).await?;
    seen_in_both_themes(&window, "well").await?;

    // Somebody adds a second subscription by hand; somebody else switches the endpoint off; one does not get on.
    let first = shop.selling.stripe.state(Kind::Subscription).remove(0);
    let customer = first["customer"].as_str().context("a subscription of nobody")?.to_owned();
    let of = first["metadata"]["tenant_id"].as_str().context("sold to nobody")?.to_owned();
    let card = first["default_payment_method"].as_str().context("bought without a card")?.to_owned();
    let second = [
        ("customer", customer.as_str()),
        ("default_payment_method", &card),
        ("items[0][price]", &shop.selling.price.id),
        ("metadata[tenant_id]", &of),
    ];
    shop.selling.stripe.post("/v1/subscriptions", &second)?;
    shop.selling
        .stripe
        .post(&format!("/v1/webhook_endpoints/{}", shop.selling.endpoint.id), &[("disabled", "true")])?;
    shop.checkout(4).await?;
    shop.until(|it| {
        let kinds = kinds(it);
        kinds.contains(&"two_subscriptions") && kinds.contains(&"webhook_endpoint_disabled")
    })
    .await?;
    window.text_of("drift-kinds", |text| text.contains("Two subscriptions") && text.contains("endpoint")).await?;
    window.text_of("billing-verdict", |text| !text.to_lowercase().contains("well")).await?;
    seen_in_both_themes(&window, "in-trouble").await?;
    window.click("nav-overview").await?;
    window.picture("overview-in-trouble").await?;
    window.click("nav-billing").await?;
    window.click("billing-tab-drifts").await?;
    window.find("drift-repair").await?;
    window.picture("billing-drifts").await?;

    // Each is repaired where it is seen.
    for left in [1, 0] {
        window.click("drift-repair").await?;
        let apply = window.find("repair-apply").await?;
        let began = Instant::now();
        while apply.attr("aria-disabled").await?.as_deref() == Some("true") {
            ensure!(began.elapsed() < PATIENCE, "the preview does not arrive");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        window.picture("dialog-repair").await?;
        window.click("repair-apply").await?;
        window.gone("repair-apply").await?;
        shop.until(|it| kinds(it).len() == left).await?;
    }
    let running = |it: &&Value| it["status"] == "active" && it["customer"] == customer.as_str();
    ensure!(
        shop.selling.stripe.state(Kind::Subscription).iter().filter(running).count() == 1,
        "two are still paid for"
    );
    let endpoint = shop.selling.stripe.get(&format!("/v1/webhook_endpoints/{}", shop.selling.endpoint.id))?;
    assert_eq!(endpoint["status"], "enabled");
    window.click("billing-tab-health").await?;
    window.text_of("billing-verdict", |text| text.to_lowercase().contains("well")).await?;
    window.text_of("billing-line-endpoint", |text| text.contains("is on")).await?;

    drop(serving);
    window.text_of("chip", |text| text.contains("Offline")).await?;
    seen_in_both_themes(&window, "offline").await?;
    window.close().await
}

//! The program: what it prints, and that it serves.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use paywall_contract::IntakeRecord;

const WORLD: [&str; 6] = ["--tenants", "60", "--seed", "3", "--as-of", "2026-11-24T00:00:00Z"];

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paywall-sandbox"));
    command.env_remove("PAYWALL_SEED").env_remove("PAYWALL_SIZE");
    command
}

/// Ends the server, however the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn tenants_prints_plans_then_tenants_the_same_each_time() {
    let print = || program().arg("tenants").args(WORLD).output().unwrap();
    let (first, second) = (print(), print());
    assert!(first.status.success());
    assert_eq!(first.stdout, second.stdout);
    let records: Vec<IntakeRecord> =
        first.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let plans = records.iter().take_while(|it| matches!(it, IntakeRecord::Plan(_))).count();
    assert!(plans > 3 && records[plans..].iter().all(|it| matches!(it, IntakeRecord::Tenant(_))));
    assert_eq!(records.len(), plans + 60);
}

#[tokio::test]
async fn serve_prints_its_address_and_keys_and_answers() {
    let child = program().args(["serve", "--listen", "127.0.0.1:0"]).args(WORLD).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.next().unwrap().strip_prefix("listening ").unwrap().to_owned();
    let keys: BTreeMap<String, String> = lines
        .take(4)
        .map(|line| {
            let (name, key) = line.strip_prefix("key ").unwrap().split_once(' ').unwrap();
            (name.to_owned(), key.to_owned())
        })
        .collect();
    assert!(keys["restricted"].starts_with("rk_test_") && keys["secret"].starts_with("sk_test_"));
    assert!(keys["live"].starts_with("rk_live_") && keys["lacking"].starts_with("rk_test_"));
    let get = |key: &str| reqwest::Client::new().get(format!("{address}/v1/customers?limit=3")).bearer_auth(key).send();
    let page: serde_json::Value = get(&keys["restricted"]).await.unwrap().json().await.unwrap();
    assert_eq!(page["data"].as_array().unwrap().len(), 3);
    assert_eq!(get(&keys["live"]).await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_scripted_account_is_served_with_the_worlds_prices_and_a_webhook_endpoint() {
    let webhook = ["--webhook", "http://127.0.0.1:9/stripe/webhook"];
    let child = program().args(["serve", "--scripted", "--seed", "3"]).args(webhook).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.next().unwrap().strip_prefix("listening ").unwrap().to_owned();
    let key = lines.find_map(|line| line.strip_prefix("key writing ").map(str::to_owned)).unwrap();
    let endpoint = lines.next().unwrap();
    assert!(endpoint.starts_with("webhook we_") && endpoint.contains(" whsec_"), "{endpoint}");
    let http = reqwest::Client::new();
    let output = program().arg("tenants").args(WORLD).output().unwrap();
    let plan = output.stdout.lines().find_map(|line| match serde_json::from_str(&line.unwrap()).unwrap() {
        IntakeRecord::Plan(plan) if !plan.stripe_prices.is_empty() => Some(plan),
        _ => None,
    });
    let form = [
        ("mode", "subscription"),
        ("success_url", "https://paywall.example/return"),
        ("line_items[0][price]", &plan.unwrap().stripe_prices[0]),
    ];
    let session =
        http.post(format!("{address}/v1/checkout/sessions")).bearer_auth(&key).form(&form).send().await.unwrap();
    let session: serde_json::Value = session.json().await.unwrap();
    let page = http.get(session["url"].as_str().unwrap()).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("19.00 USD"));
    let wrong = program().args(["serve", "--webhook", "http://127.0.0.1:9/"]).output().unwrap();
    assert!(!wrong.status.success(), "a webhook needs a scripted account");
}

#[test]
fn a_world_smaller_than_its_cast_is_refused() {
    for count in ["5", "59"] {
        let asked = program().args(["tenants", "--tenants", count]).output().unwrap();
        let variable = program().arg("tenants").env("PAYWALL_SIZE", count).output().unwrap();
        for output in [asked, variable] {
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && output.stdout.is_empty());
            assert!(error.contains("at least 60 tenants"), "{error}");
        }
    }
}

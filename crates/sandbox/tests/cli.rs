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

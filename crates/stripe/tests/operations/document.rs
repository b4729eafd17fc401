//! `docs/stripe.md`, written from the table and from what was really sent.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use paywall_stripe::API_VERSION;
use paywall_stripe::operations::{self, Method, Operation, SentBy};

use crate::recorder::Sent;
use crate::{everything_sent, operations_of};

const INTRODUCTION: &str = "\
# What is sent to Stripe

Every request that the console and the server may send, so that it can be checked against Stripe's own description.
This page is written by a test (`crates/stripe/tests/operations`): from the table that requests are built from
(`crates/stripe/src/operations`), and from what a listener in the test received when every method was called. Another
request, or another parameter, cannot be sent without standing here.

- API version: `{version}`, as `Stripe-Version` with each request.
- Parameters of GET and DELETE stand in the query, those of POST in the body, form encoded.
- POST carries an `Idempotency-Key`. A request whose answer is lost, or is 409, 429 or 5xx, is sent again under the same
  key, unless `Stripe-Should-Retry` says otherwise. The same change is never made twice.
- `[*]` stands for any key, `[]` for one of several values.
- Permissions are what a restricted key must be allowed, in the names that Stripe's refusals use; what is expanded needs
  its own. Prices are `plan` there. Should Stripe ask for another, its refusal names it, and the console and the server
  show that name.
";

#[tokio::test]
async fn the_committed_page_is_what_is_sent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/stripe.md");
    let page = page(&everything_sent().await);
    if std::env::var_os("PAYWALL_WRITE_STRIPE_PAGE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "what is sent changed: PAYWALL_WRITE_STRIPE_PAGE=1 cargo test -p paywall-stripe --test operations writes it anew"
    );
}

fn page(sent: &[Sent]) -> String {
    let mut page = INTRODUCTION.replace("{version}", API_VERSION);
    page.push_str("\n## Permissions\n\n");
    for (program, sends) in
        [("console", SentBy::console as fn(SentBy) -> bool), ("server", SentBy::server as fn(SentBy) -> bool)]
    {
        let its = operations::ALL.iter().filter(|it| sends(it.sent_by));
        let permissions: BTreeSet<&str> = its.flat_map(|it| it.permissions.iter().copied()).collect();
        let names: Vec<String> = permissions.iter().map(|it| format!("`{it}`")).collect();
        writeln!(page, "- The {program}'s key: {}", names.join(", ")).unwrap();
    }
    for (title, sent_by) in [
        ("The console: the mirror of the account", SentBy::Console),
        ("Both: the rest of embedded lists", SentBy::Both),
        ("The server: billing", SentBy::Server),
    ] {
        writeln!(page, "\n## {title}\n").unwrap();
        let its = || operations::ALL.iter().filter(move |it| it.sent_by == sent_by);
        page.push_str("| operation | request | why |\n| --- | --- | --- |\n");
        for it in its() {
            writeln!(page, "| [{0}](#{0}) | `{1} {2}` | {3} |", it.name, it.method, it.path, it.purpose).unwrap();
        }
        for it in its() {
            describe(&mut page, it, sent);
        }
    }
    page
}

fn describe(page: &mut String, operation: &Operation, sent: &[Sent]) {
    writeln!(page, "\n### {}\n\n`{} {}`\n", operation.name, operation.method, operation.path).unwrap();
    for (name, value) in operation.fixed {
        writeln!(page, "- `{name}` = `{value}`").unwrap();
    }
    for name in operation.parameters {
        writeln!(page, "- `{name}`").unwrap();
    }
    if operation.fixed.is_empty() && operation.parameters.is_empty() {
        page.push_str("- no parameters\n");
    }
    let permissions: Vec<String> = operation.permissions.iter().map(|it| format!("`{it}`")).collect();
    writeln!(page, "- permissions: {}", permissions.join(", ")).unwrap();
    let once = match operation.method {
        Method::Get => "reads",
        Method::Post => "made once per `Idempotency-Key`",
        Method::Delete => "ended once; ended again it is not found",
    };
    writeln!(page, "- {once}").unwrap();
    // Of those that were sent, the one that says most.
    let its = sent.iter().filter(|it| operations_of(it).iter().any(|found| found.name == operation.name));
    let Some(fullest) = its.max_by_key(|it| it.parameters.len()) else { return };
    writeln!(page, "\nAs sent:\n\n```\n{} {}", fullest.method, fullest.path).unwrap();
    for (name, value) in &fullest.parameters {
        writeln!(page, "{name}={value}").unwrap();
    }
    page.push_str("```\n");
}

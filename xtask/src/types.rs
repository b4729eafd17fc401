//! `cargo xtask types`: what is generated from the Rust types and committed.

use crate::command::{cargo, check};

pub(crate) fn types() -> anyhow::Result<()> {
    check(
        cargo()
            .args(["test", "--quiet", "--package", "paywall-console", "--test", "window_types"])
            .env("PAYWALL_WRITE_TYPES", "1"),
    )?;
    check(
        cargo()
            .args(["test", "--quiet", "--package", "paywall-server", "--test", "routes", "the_committed_document"])
            .env("PAYWALL_WRITE_OPENAPI", "1"),
    )
}

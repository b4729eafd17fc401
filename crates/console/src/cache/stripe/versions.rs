//! Versions of Stripe's API, other than the one asked for, that something came in.

use paywall_domain::Timestamp;

use crate::cache::{Cache, Result};
use crate::ipc::{OtherVersion, VersionSeenIn};

/// What was not seen for so long is no longer told of: Stripe keeps events for 30 days.
const FORGOTTEN_MS: i64 = 31 * 24 * 60 * 60 * 1000;

fn word(seen_in: VersionSeenIn) -> &'static str {
    match seen_in {
        VersionSeenIn::Events => "events",
        VersionSeenIn::Answers => "answers",
    }
}

impl Cache {
    /// Notes that something came in another version.
    pub async fn note_stripe_version(&self, seen: &OtherVersion) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO stripe_versions (version, seen_in, example, seen_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (version, seen_in) DO UPDATE SET example = excluded.example, seen_at = excluded.seen_at",
        )
        .bind(&seen.version)
        .bind(word(seen.seen_in))
        .bind(&seen.example)
        .bind(seen.at.0)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM stripe_versions WHERE seen_at < ?1")
            .bind(seen.at.0 - FORGOTTEN_MS)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Every other version that something came in, the latest first.
    pub async fn stripe_versions(&self) -> Result<Vec<OtherVersion>> {
        let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
            "SELECT version, seen_in, example, seen_at FROM stripe_versions ORDER BY seen_at DESC, version, seen_in",
        )
        .fetch_all(self.readers())
        .await?;
        let seen = rows.into_iter().map(|(version, seen_in, example, at)| OtherVersion {
            version,
            seen_in: if seen_in == "events" { VersionSeenIn::Events } else { VersionSeenIn::Answers },
            example,
            at: Timestamp(at),
        });
        Ok(seen.collect())
    }
}

//! How raw objects are kept small: compressed against one object of the same list, which they resemble.
//!
//! A Stripe object is mostly field names and words that each object of its list has. Compressed alone it
//! shrinks to a third, against such a sample to a tenth; see docs/adr. The sample is part of the copy and
//! stays the same for as long as the copy holds rows of the list.

use std::io::Read;

use paywall_stripe::Stream;
use serde_json::Value;
use sqlx::SqliteConnection;
use zstd::bulk::Compressor;
use zstd::dict::DecoderDictionary;

use super::StripeRow;
use crate::cache::{CacheError, Result};

/// zstd's fastest: with a sample the slower levels gain 3 % and cost twice the time.
const LEVEL: i32 = 1;

/// What packs the objects of one list.
pub(super) struct Packing(Compressor<'static>);

impl Packing {
    /// That of a list. In a copy that has nothing of the list yet, the longest of `rows` is its sample from
    /// now on. There is nothing to pack, and `None`, without any row.
    pub(super) async fn of(tx: &mut SqliteConnection, stream: Stream, rows: &[&StripeRow]) -> Result<Option<Self>> {
        let found: Option<(String,)> = sqlx::query_as("SELECT sample FROM stripe_samples WHERE stream = ?1")
            .bind(stream.name())
            .fetch_optional(&mut *tx)
            .await?;
        let sample = if let Some((sample,)) = found {
            sample
        } else {
            let Some(sample) = rows.iter().map(|row| row.raw.to_string()).max_by_key(String::len) else {
                return Ok(None);
            };
            sqlx::query("INSERT INTO stripe_samples (stream, sample) VALUES (?1, ?2)")
                .bind(stream.name())
                .bind(&sample)
                .execute(tx)
                .await?;
            sample
        };
        Ok(Some(Self(Compressor::with_dictionary(LEVEL, sample.as_bytes())?)))
    }

    /// The object, packed.
    pub(super) fn pack(&mut self, raw: &Value) -> Result<Vec<u8>> {
        Ok(self.0.compress(raw.to_string().as_bytes())?)
    }
}

/// What reads the objects of one list back.
pub(in crate::cache) struct Unpacking(DecoderDictionary<'static>);

impl Unpacking {
    /// By the list's sample.
    pub(in crate::cache) fn by(sample: &str) -> Self {
        Self(DecoderDictionary::copy(sample.as_bytes()))
    }

    /// The object as it was packed; [`CacheError::Broken`] where it is not one.
    pub(in crate::cache) fn unpack(&self, packed: &[u8]) -> Result<Value> {
        let mut text = Vec::new();
        zstd::Decoder::with_prepared_dictionary(packed, &self.0)
            .and_then(|mut decoder| decoder.read_to_end(&mut text))
            .map_err(|error| CacheError::Broken(format!("an object of Stripe's: {error}")))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

//! Draws from a keyed stream of random words.
//!
//! The words come from `ChaCha8`, whose output is fixed by its definition; what is made of them is
//! written out here and uses integers only, so that a world never depends on a library's choice of
//! distribution or on a platform's floating point.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is drawn for. Each purpose has a stream of its own, so that drawing more for one
/// never shifts another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// Who a tenant is and how it pays.
    Story = 0,
    /// What it used.
    Usage = 1,
    /// Who works with it, and what staff did for it.
    People = 2,
    /// Keys of the Stripe account.
    Keys = 3,
    /// What it changed its mind about: seats, a smaller plan, leaving and coming back, not paying any more.
    Turns = 4,
}

/// One stream.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64, tenant: u32, purpose: Purpose) -> Self {
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..22].copy_from_slice(b"paywall sample");
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream((u64::from(tenant) << 8) | purpose as u64);
        Self(rng)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).max(0) as u64 + 1) as i64
    }

    /// True in `per_mille` of a thousand cases.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// `len` lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, len: usize) -> String {
        let mut text = String::with_capacity(len + 16);
        while text.len() < len {
            text.extend((0..16).rev().scan(self.word(), |word, _| {
                *word = word.rotate_left(4);
                char::from_digit((*word & 15) as u32, 16)
            }));
        }
        text.truncate(len);
        text
    }

    /// `len` letters and digits.
    pub(crate) fn alphanumeric(&mut self, len: usize) -> String {
        (0..len).map(|_| *self.pick(crate::ids::DIGITS) as char).collect()
    }
}

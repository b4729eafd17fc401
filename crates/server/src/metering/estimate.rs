//! How many tokens a text is, about.
//!
//! By script, close to what the tokenizers of current models make of running text: four letters of ASCII are
//! a token, two of an alphabet that takes two bytes a letter (Greek, Cyrillic, Arabic, Hebrew, accents), three
//! characters of Chinese, Japanese, Korean or an Indic script are two tokens, and an emoji is two. Code and
//! numbers take more tokens than this says, plain English prose slightly fewer.

/// Counts a text's tokens as its bytes come, wherever they are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    twelfths: u64,
    bytes: u64,
}

impl Tally {
    /// The next byte of a text in UTF-8. What a character weighs is known from its first byte.
    pub fn push(&mut self, byte: u8) {
        self.bytes += 1;
        self.twelfths += match byte {
            0x00..=0x7f => 3,
            // The rest of a character.
            0x80..=0xbf => 0,
            0xc0..=0xdf => 6,
            0xe0..=0xef => 8,
            0xf0..=0xff => 24,
        };
    }

    /// Both.
    pub fn add(&mut self, other: Self) {
        self.twelfths += other.twelfths;
        self.bytes += other.bytes;
    }

    /// Bytes so far.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// Tokens so far, rounded up.
    pub fn tokens(self) -> i64 {
        i64::try_from(self.twelfths.div_ceil(12)).unwrap_or(i64::MAX)
    }
}

/// About how many tokens a text is.
pub fn estimate(text: &str) -> i64 {
    let mut tally = Tally::default();
    text.bytes().for_each(|byte| tally.push(byte));
    tally.tokens()
}

//! How many tokens a text is, about.

use paywall_server::metering::{Tally, estimate};

#[test]
fn scripts_weigh_what_tokenizers_make_of_them() {
    for (text, tokens) in [
        ("", 0),
        ("a", 1),
        ("The quick brown fox jumps over the lazy dog.", 11),
        ("Съешь ещё этих мягких французских булок", 19),
        ("敏捷的棕色狐狸跳过了懒狗", 8),
        ("素早い茶色の狐", 5),
        ("\u{1F600}\u{1F680}", 4),
        ("Zürich", 2),
    ] {
        assert_eq!(estimate(text), tokens, "{text}");
    }
}

#[test]
fn a_text_weighs_the_same_in_pieces() {
    let text = "Gemischt: 混合, смешано \u{1F600}";
    let mut sum = Tally::default();
    for byte in text.bytes() {
        let mut one = Tally::default();
        one.push(byte);
        sum.add(one);
    }
    assert_eq!((sum.tokens(), sum.bytes()), (estimate(text), text.len() as u64));
}

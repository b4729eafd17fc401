//! Samples of what was measured, and how they are written.

use std::time::Duration;

/// Figures of one kind, in any unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn push_ms(&mut self, took: Duration) {
        self.push(took.as_secs_f64() * 1e3);
    }

    /// The value that `percent` of the figures do not exceed; nearest rank. 0 of nothing.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// Median, then the least and the greatest in brackets.
    pub(crate) fn spread(&self, unit: &str) -> String {
        let (least, most) = (self.percentile(0.0), self.percentile(100.0));
        format!("{} {unit} ({} – {})", short(self.median()), short(least), short(most))
    }

    fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    pub(crate) fn p50_p99(&self) -> String {
        format!("{} / {}", short(self.percentile(50.0)), short(self.percentile(99.0)))
    }
}

/// Two programs that were measured in turn, round by round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pair {
    /// Every figure of ours.
    pub(crate) ours: Sample,
    /// Every figure of the peer's.
    pub(crate) peer: Sample,
    /// Of each round the ratio of our median to the peer's.
    ratios: Sample,
    /// Of each round the ratio of our 99th percentile to the peer's.
    tails: Sample,
}

impl Pair {
    /// Adds a round of one figure each.
    pub(crate) fn round(&mut self, ours: f64, peer: f64) {
        self.rounds(&Sample(vec![ours]), &Sample(vec![peer]));
    }

    /// Adds a round of many figures each.
    pub(crate) fn rounds(&mut self, ours: &Sample, peer: &Sample) {
        self.ratios.push(ours.median() / peer.median());
        self.tails.push(ours.percentile(99.0) / peer.percentile(99.0));
        self.ours.extend(ours);
        self.peer.extend(peer);
    }

    /// How many times as much as the peer: the median of the rounds, the least and the greatest.
    pub(crate) fn ratio(&self) -> String {
        times(&self.ratios)
    }

    /// The same for the 99th percentiles.
    pub(crate) fn tail_ratio(&self) -> String {
        times(&self.tails)
    }

    /// The ratio written as one part in so many.
    pub(crate) fn fraction(&self) -> String {
        let part = |percent| format!("1/{}", short(1.0 / self.ratios.percentile(percent)));
        format!("{} ({} – {})", part(50.0), part(0.0), part(100.0))
    }
}

fn times(ratios: &Sample) -> String {
    let (least, most) = (ratios.percentile(0.0), ratios.percentile(100.0));
    format!("{}x ({} – {})", short(ratios.median()), short(least), short(most))
}

/// About three significant digits, none of them lost before the point.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        it if it >= 100.0 => grouped(value.round() as i64),
        it if it >= 10.0 => format!("{value:.1}"),
        it if it >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Thousands set apart.
pub(crate) fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// A Markdown table.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
    text += &line(&vec!["---".to_owned(); head.len()]);
    for row in rows {
        text += &line(row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_figures_that_were_measured() {
        let mut sample = Sample::default();
        for value in [5.0, 1.0, 4.0, 2.0, 3.0] {
            sample.push(value);
        }
        assert_eq!(sample.median().to_bits(), 3.0_f64.to_bits());
        assert_eq!(sample.percentile(99.0).to_bits(), 5.0_f64.to_bits());
        assert_eq!(sample.percentile(0.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(sample.spread("s"), "3.00 s (1.00 – 5.00)");
    }

    #[test]
    fn a_ratio_is_taken_within_its_round() {
        let mut pair = Pair::default();
        for (ours, peer) in [(1.0, 100.0), (2.0, 200.0), (10.0, 1000.0)] {
            pair.round(ours, peer);
        }
        assert_eq!(pair.fraction(), "1/100 (1/100 – 1/100)");
        assert_eq!(pair.ratio(), "0.010x (0.010 – 0.010)");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(-999), "-999");
        assert_eq!(short(12_345.6), "12,346");
        assert_eq!(short(0.01234), "0.012");
    }
}

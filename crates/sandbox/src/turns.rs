//! What tenants that pay change their minds about: seats, a smaller plan, leaving and coming back.

use crate::catalog::{Interval, Product};
use crate::draw::Draw;

/// What a tenant that pays changed its mind about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Turns {
    /// So many days after its start it takes a smaller plan, or has this many seats in a thousand of what it had.
    pub(crate) changes: [Option<(i64, i64)>; 2],
    /// It left after so many days, and stayed away for so many.
    pub(crate) away: Option<(i64, i64)>,
    /// It did not cancel, its last renewal just was never paid.
    pub(crate) lapses: bool,
}

impl Turns {
    /// Drawn from a stream of its own: whoever has none is as it would be without.
    pub(crate) fn of(draw: &mut Draw, product: Product, interval: Interval, age: i64) -> Self {
        let monthly = interval == Interval::Month;
        let change = |draw: &mut Draw| {
            let seats = if draw.chance(550) { draw.between(1100, 1500) } else { draw.between(500, 900) };
            (draw.between(40, age.max(41)), seats)
        };
        let often = match product {
            Product::Team => 700,
            Product::Pro => 110,
            _ => 0,
        };
        let changes = [(); 2].map(|()| draw.chance(often).then(|| change(draw)).filter(|_| monthly));
        let away = (draw.between(45, (age / 2).max(46)), draw.between(25, 100));
        let returns = draw.chance(300) && monthly && age > away.0 + away.1 + 75;
        Self { changes, away: returns.then_some(away), lapses: draw.chance(650) && monthly }
    }
}

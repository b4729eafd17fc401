//! Families whose labels are all known beforehand.

use std::fmt::Debug;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// One label's name with every word that it can have.
pub(super) type Label = (&'static str, &'static [&'static str]);

/// The metrics of a family, one per combination of its labels' words, found by the words' places. All of them
/// are there from the start, so that what never happened reads as 0, and counting looks nothing up.
pub(super) struct Handles<M, const N: usize> {
    sizes: [usize; N],
    handles: Vec<M>,
}

impl<M, const N: usize> Handles<M, N>
where
    M: EncodeMetric + TypedMetric + Clone + Debug + Send + Sync + 'static,
{
    pub(super) fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: [Label; N],
        make: fn() -> M,
    ) -> Self {
        let family = Family::<[(&'static str, &'static str); N], M, fn() -> M>::new_with_constructor(make);
        let sizes = labels.map(|(_, words)| words.len());
        let handles = (0..sizes.iter().product()).map(|number: usize| {
            let mut rest = number;
            let mut set = labels.map(|(name, _)| (name, ""));
            // The last label's words follow each other.
            for (place, (_, words)) in labels.iter().enumerate().rev() {
                set[place].1 = words[rest % words.len()];
                rest /= words.len();
            }
            family.get_or_create(&set).clone()
        });
        let handles = handles.collect();
        registry.register(name, help, family);
        Self { sizes, handles }
    }

    /// The metric of the words at these places.
    pub(super) fn at(&self, places: [usize; N]) -> &M {
        &self.handles[places.iter().zip(&self.sizes).fold(0, |sum, (place, size)| sum * size + place)]
    }
}

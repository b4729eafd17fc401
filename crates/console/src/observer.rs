//! Who is told when the local copy changes.

use crate::ipc::{Freshness, SettledChange};

/// Told what happened in the background. Called from tasks of the engine: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// Age, health or progress of a source changed.
    fn freshness(&self, freshness: &Freshness);
    /// Something that screens show changed in the local copy.
    fn data_changed(&self);
    /// A change that was in doubt has been settled.
    fn settled(&self, settled: &SettledChange);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn freshness(&self, _freshness: &Freshness) {}
    fn data_changed(&self) {}
    fn settled(&self, _settled: &SettledChange) {}
}

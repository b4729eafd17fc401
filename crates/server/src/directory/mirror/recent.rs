//! Rows that were read already and are read again, because reading starts a while before the last one.

use std::collections::HashMap;

use paywall_domain::TenantId;

use crate::directory::{Change, Stream};

/// Rows by table and id, with the `update_time` under which they were taken.
#[derive(Debug, Default)]
pub(super) struct Recent(HashMap<(Stream, String), i64>);

impl Recent {
    /// Whether the row was not taken yet, or written since.
    pub(super) fn is_news(&self, stream: Stream, change: &Change) -> bool {
        self.0.get(&(stream, change.id.clone())) != Some(&change.at)
    }

    /// Notes rows as taken.
    pub(super) fn took(&mut self, rows: impl IntoIterator<Item = (Stream, String, i64)>) {
        for (stream, id, at) in rows {
            self.0.insert((stream, id), at);
        }
    }

    /// Forgets what is too old to be read again.
    pub(super) fn forget_before(&mut self, stream: Stream, at: i64) {
        self.0.retain(|(of, _), taken| *of != stream || *taken >= at);
    }
}

/// What one reading of the tables found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) tenants: std::collections::BTreeSet<TenantId>,
    pub(super) rows: Vec<(Stream, String, i64)>,
}

impl Found {
    /// Takes a page in, leaving out what is no news.
    pub(super) fn add(&mut self, stream: Stream, page: &[Change], recent: &Recent) {
        for change in page.iter().filter(|it| recent.is_news(stream, it)) {
            self.tenants.extend(change.tenant.clone());
            self.rows.push((stream, change.id.clone(), change.at));
        }
    }
}

/// Up to where a table counts as read after a page: never past RAGFlow's present, or one clock that is
/// ahead would hide what the others write; never back.
pub(super) fn read_up_to(before: i64, last: i64, now: i64) -> i64 {
    before.max(last.min(now))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// Reads as the mirror does: from a while before the last place, in pages.
    fn read(
        table: &BTreeMap<(i64, String), TenantId>,
        place: &mut i64,
        recent: &mut Recent,
        now: i64,
        overlap: i64,
    ) -> BTreeSet<TenantId> {
        let from = *place - overlap;
        let page: Vec<Change> = table
            .range((from, String::new())..)
            .map(|((at, id), tenant)| Change { at: *at, id: id.clone(), tenant: Some(tenant.clone()) })
            .collect();
        let mut found = Found::default();
        found.add(Stream::Documents, &page, recent);
        if let Some(last) = page.last() {
            *place = read_up_to(*place, last.at, now);
        }
        recent.took(found.rows);
        recent.forget_before(Stream::Documents, *place - overlap);
        found.tenants
    }

    proptest! {
        /// Writers stamp a row, and commit it some time later, by clocks that differ: some are far ahead.
        #[test]
        fn no_row_is_missed_and_none_is_taken_twice(
            rows in prop::collection::vec((0_i64..200, 0_i64..20, prop_oneof![9 => -20_i64..20, 1 => 200_i64..900]), 1..60),
        ) {
            let overlap = 60;
            let tenant = |n: usize| TenantId::parse(&format!("{n:032x}")).unwrap();
            let (mut place, mut recent, mut taken) = (0, Recent::default(), Vec::new());
            let mut table = BTreeMap::new();
            for now in 0..300_i64 {
                for (index, (at, delay, skew)) in rows.iter().enumerate() {
                    if at + delay == now {
                        table.insert((at + skew, format!("{index:03}")), tenant(index));
                    }
                }
                taken.extend(read(&table, &mut place, &mut recent, now, overlap));
            }
            let all: BTreeSet<TenantId> = (0..rows.len()).map(tenant).collect();
            prop_assert_eq!(taken.len(), rows.len(), "none twice");
            prop_assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), all);
        }
    }
}

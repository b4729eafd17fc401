//! The reading of one list in windows of time: which requests to send next, and what their answers mean. Pure.

use std::collections::HashSet;

use paywall_stripe::{Error, ErrorKind, ListPage, ListParams};

use crate::cache::Window;

/// Nothing in Stripe is older, in Unix seconds: it opened in 2011. What is older all the same is read too.
const FIRST: i64 = 1_293_840_000;

/// A window is divided only where this many pages are to be expected in it still.
const WORTH_DIVIDING: f64 = 2.0;

/// A list that is being read.
pub(super) struct Reading {
    parts: Vec<Part>,
    /// The list cannot be narrowed by time: it is read in one window.
    whole: bool,
    page: u8,
}

/// One window and what is known of it beside its place.
struct Part {
    window: Window,
    /// A request of it is under way.
    busy: bool,
    /// It has changed since it was last written.
    moved: bool,
    /// Its objects have come newest first so far.
    ordered: bool,
    /// Seconds that its last page reached over, and how many objects that page had.
    density: Option<(i64, usize)>,
    seen: HashSet<String>,
    /// Where it was when its cursor was last refused.
    refused_at: Option<i64>,
    /// It began again from its newest object, since its cursor was refused.
    began_again: bool,
}

impl Part {
    fn of(window: Window) -> Self {
        Self {
            window,
            busy: false,
            moved: false,
            ordered: true,
            density: None,
            seen: HashSet::new(),
            refused_at: None,
            began_again: false,
        }
    }
}

/// A request for a page of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    part: usize,
    /// What to ask for.
    pub(super) params: ListParams,
}

/// What an answer means.
pub(super) enum Taken {
    /// It is to be written.
    Page(ListPage),
    /// The window's cursor is gone; it is asked for again from another place.
    Again,
    /// What answers does not narrow the list by time.
    NotNarrowed,
    /// The same page came again and again.
    Stuck,
    /// It failed.
    Failed(Error),
}

impl Reading {
    /// The reading that windows are the state of.
    pub(super) fn of(windows: Vec<Window>, whole: bool, page: u8) -> Self {
        Self { parts: windows.into_iter().map(Part::of).collect(), whole, page }
    }

    /// Whether every window is read.
    pub(super) fn ended(&self) -> bool {
        self.parts.iter().all(|part| part.window.closed)
    }

    /// The latest `created` seen, in Unix seconds.
    pub(super) fn newest(&self) -> i64 {
        self.parts.iter().map(|part| part.window.newest).max().unwrap_or(0)
    }

    /// Objects read so far.
    pub(super) fn done(&self) -> i64 {
        self.parts.iter().map(|part| part.window.done).sum()
    }

    /// The windows that have changed since they were last asked for here.
    pub(super) fn moved(&mut self) -> Vec<Window> {
        let moved = self.parts.iter_mut();
        moved.filter_map(|part| std::mem::take(&mut part.moved).then(|| part.window.clone())).collect()
    }

    /// The next request, where one may be sent: of a window that waits, or of one that is made by dividing the
    /// window in which the most is to be expected.
    pub(super) fn next(&mut self) -> Option<Request> {
        let idle = self.parts.iter().position(|part| !part.busy && !part.window.closed);
        let at = idle.or_else(|| self.divide())?;
        let part = &mut self.parts[at];
        part.busy = true;
        let params = ListParams {
            limit: Some(self.page),
            starting_after: part.window.after.clone(),
            created_gte: part.window.lower,
            created_lt: part.window.upper,
            ..ListParams::default()
        };
        Some(Request { part: at, params })
    }

    /// Takes the older half of a window away from it.
    fn divide(&mut self) -> Option<usize> {
        if self.whole {
            return None;
        }
        let expected = |part: &Part| {
            let (seconds, count) = part.density.filter(|_| part.ordered && !part.window.closed)?;
            let left = part.window.reached? - part.window.lower.unwrap_or(FIRST);
            (left >= 2).then(|| left as f64 * count as f64 / seconds.max(1) as f64)
        };
        let (at, expected) = self
            .parts
            .iter()
            .enumerate()
            .filter_map(|(at, part)| Some((at, expected(part)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        if expected < WORTH_DIVIDING * f64::from(self.page) {
            return None;
        }
        let num = self.parts.iter().map(|part| part.window.num).max().unwrap_or(0) + 1;
        let window = &mut self.parts[at].window;
        let lower = window.lower.unwrap_or(FIRST);
        let middle = lower + (window.reached? - lower) / 2;
        let older = Window { num, lower: window.lower, upper: Some(middle), ..Window::default() };
        window.lower = Some(middle);
        self.parts[at].moved = true;
        self.parts.push(Part { moved: true, ..Part::of(older) });
        Some(self.parts.len() - 1)
    }

    /// What the answer to a request means. A page that is to be written is here already.
    pub(super) fn take(&mut self, request: &Request, answer: Result<ListPage, Error>) -> Taken {
        let part = &mut self.parts[request.part];
        part.busy = false;
        let asked = &request.params;
        let narrowed = asked.created_gte.is_some() || asked.created_lt.is_some();
        let mut page = match answer {
            Ok(page) => page,
            Err(error) if !matches!(error.kind, ErrorKind::Refused { .. }) => return Taken::Failed(error),
            // The object that stood as the cursor is gone, unless that has been tried from the very same place.
            Err(_) if asked.starting_after.is_some() && part.may_go_round() => {
                part.go_round(self.whole);
                return Taken::Again;
            }
            Err(_) if narrowed => return Taken::NotNarrowed,
            Err(error) => return Taken::Failed(error),
        };
        let outside = |created: i64| {
            asked.created_gte.is_some_and(|it| created < it) || asked.created_lt.is_some_and(|it| created >= it)
        };
        if page.objects.iter().any(|object| !object.deleted && outside(object.created)) {
            return Taken::NotNarrowed;
        }
        if page.has_more && !brings_new(&page, &mut part.seen) {
            return Taken::Stuck;
        }
        part.move_on(&mut page);
        Taken::Page(page)
    }
}

impl Part {
    fn may_go_round(&self) -> bool {
        !self.began_again && (self.refused_at.is_none() || self.refused_at != self.window.reached)
    }

    /// Goes on without the object that stood as the cursor: by time, where the order tells what was read, else from
    /// the window's newest object.
    fn go_round(&mut self, whole: bool) {
        let window = &mut self.window;
        self.refused_at = window.reached;
        self.seen.clear();
        self.moved = true;
        window.after = None;
        match window.reached {
            Some(reached) if self.ordered && !whole => window.upper = Some(reached.saturating_add(1)),
            _ => {
                window.reached = None;
                window.done = 0;
                self.began_again = true;
            }
        }
    }

    /// Counts a page in, and leaves out of it what another window has taken over since it was asked for.
    fn move_on(&mut self, page: &mut ListPage) {
        let window = &mut self.window;
        let dated: Vec<i64> = page.objects.iter().filter(|it| !it.deleted).map(|it| it.created).collect();
        self.ordered &= dated.is_sorted_by(|newer, older| newer >= older)
            && dated.first().is_none_or(|first| window.reached.is_none_or(|reached| *first <= reached));
        if let (Some(first), Some(last)) = (dated.first(), dated.last()) {
            self.density = Some(((first - last).max(0), dated.len()));
            window.reached = Some(*last);
        }
        let count = page.objects.len();
        let lower = window.lower.unwrap_or(i64::MIN);
        page.objects.retain(|it| it.deleted || it.created >= lower);
        let passed = page.objects.len() < count;
        window.newest = page.objects.iter().map(|it| it.created).fold(window.newest, i64::max);
        window.done += (page.objects.len() + page.unreadable.len()) as i64;
        window.after = page.last_id.clone().or(window.after.take());
        window.closed = !page.has_more || passed && self.ordered;
        self.moved = true;
    }
}

/// Whether a page has anything that the pages before it had not.
pub(super) fn brings_new(page: &ListPage, seen: &mut HashSet<String>) -> bool {
    let mut new = false;
    for object in &page.objects {
        new |= seen.insert(object.id.clone());
    }
    for lost in &page.unreadable {
        new |= seen.insert(lost.id.clone());
    }
    new
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use paywall_stripe::Object;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A list as Stripe gives it.
    fn page_of(all: &[(i64, u32)], params: &ListParams) -> ListPage {
        let inside = |created: i64| {
            params.created_gte.is_none_or(|it| created >= it) && params.created_lt.is_none_or(|it| created < it)
        };
        let mut listed: Vec<(i64, u32)> = all.iter().copied().filter(|it| inside(it.0)).collect();
        listed.sort_unstable_by(|a, b| b.cmp(a));
        let id = |it: &(i64, u32)| format!("ch_{}", it.1);
        let start = params.starting_after.as_ref().map_or(0, |after| {
            let at = all.iter().find(|it| id(it) == *after).unwrap();
            listed.iter().filter(|it| *it >= at).count()
        });
        let rest = &listed[start..];
        let limit = usize::from(params.limit.unwrap());
        let objects: Vec<Object> = rest
            .iter()
            .take(limit)
            .map(|it| Object { id: id(it), created: it.0, deleted: false, raw: json!({}) })
            .collect();
        let last_id = objects.last().map(|it| it.id.clone());
        ListPage { last_id, has_more: rest.len() > limit, objects, unreadable: Vec::new() }
    }

    proptest! {
        /// Whatever the order in which answers come, and wherever the reading is cut off and taken up again from
        /// what was written: each object comes, and hardly one twice.
        #[test]
        fn every_object_arrives_in_any_order_of_answers(
            created in prop::collection::vec(FIRST..FIRST + 500_000_000, 0..400),
            clustered in any::<bool>(),
            width in 1_usize..6,
            page in 1_u8..20,
            choices in prop::collection::vec(any::<prop::sample::Index>(), 1..200),
            cut in prop::collection::vec(1_usize..15, 0..8),
        ) {
            let all: Vec<(i64, u32)> =
                created.iter().zip(0..).map(|(at, n)| (if clustered { FIRST + at % 50 } else { *at }, n)).collect();
            let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
            let mut written = BTreeMap::from([(0, Window::default())]);
            let mut choices = choices.iter().cycle();
            let mut cuts = cut.iter();
            let mut until_cut = cuts.next().copied();
            let mut reading = Reading::of(written.values().cloned().collect(), false, page);
            let mut under_way: Vec<Request> = Vec::new();
            let mut requests = 0;
            while !reading.ended() {
                while under_way.len() < width {
                    let Some(request) = reading.next() else { break };
                    under_way.push(request);
                    requests += 1;
                }
                prop_assert!(requests < 100 + 60 * (all.len() / usize::from(page) + 1), "it does not come to its end");
                let request = under_way.remove(choices.next().unwrap().index(under_way.len()));
                let Taken::Page(taken) = reading.take(&request, Ok(page_of(&all, &request.params))) else {
                    return Err(TestCaseError::fail("a page was not taken"));
                };
                for object in taken.objects {
                    *arrived.entry(object.id).or_default() += 1;
                }
                written.extend(reading.moved().into_iter().map(|window| (window.num, window)));
                if let Some(left) = &mut until_cut {
                    *left -= 1;
                    if *left == 0 {
                        until_cut = cuts.next().copied();
                        under_way.clear();
                        reading = Reading::of(written.values().cloned().collect(), false, page);
                    }
                }
            }
            prop_assert_eq!(arrived.len(), all.len());
            prop_assert!(arrived.values().all(|times| *times == 1), "{:?}", arrived);
            prop_assert_eq!(reading.newest(), all.iter().map(|it| it.0).max().unwrap_or(0));
            prop_assert_eq!(reading.done(), all.len() as i64);
        }
    }

    #[test]
    fn a_full_list_is_soon_read_in_as_many_windows_as_may_be() {
        let all: Vec<(i64, u32)> = (0..50_000).map(|n| (FIRST + 400_000_000 + i64::from(n) * 1_000, n)).collect();
        let mut reading = Reading::of(vec![Window::default()], false, 100);
        let mut under_way: Vec<Request> = Vec::new();
        let (mut rounds, mut requests) = (0, 0);
        while !reading.ended() {
            while under_way.len() < 8 {
                let Some(request) = reading.next() else { break };
                under_way.push(request);
            }
            requests += under_way.len();
            rounds += 1;
            for request in std::mem::take(&mut under_way) {
                assert!(matches!(reading.take(&request, Ok(page_of(&all, &request.params))), Taken::Page(_)));
            }
        }
        // 500 pages in eight windows are 63 rounds at least.
        assert!(rounds <= 75 && requests <= 560, "{rounds} rounds, {requests} requests");
    }
}

//! Lists of tenants: every view in every order, cut into pages, equals the whole list sorted.
#![allow(clippy::unwrap_used)]

mod cache_fixtures;

use std::collections::BTreeMap;

use cache_fixtures::{NOW, ago, facts, feed_of, filled, home, id, refused, tenant, tenant_at};
use paywall_console::cache::{Cache, fold};
use paywall_console::ipc::{TenantColumn, TenantQuery, TenantRow, TenantView};
use paywall_contract::Tenant;
use paywall_domain::{AccessLevel, DAY_MS, Denial, Status, Suspension, Timestamp};
use proptest::prelude::*;

const VIEWS: [TenantView; 15] = [
    TenantView::All,
    TenantView::Blocked,
    TenantView::Trial,
    TenantView::Active,
    TenantView::PastDue,
    TenantView::Expired,
    TenantView::Suspended,
    TenantView::TrialEnding,
    TenantView::TrialLapsed,
    TenantView::TrialExtended,
    TenantView::LockedOutActive,
    TenantView::QuotaBlocked,
    TenantView::Paying,
    TenantView::TrialCohort,
    TenantView::Deleted,
];
const COLUMNS: [TenantColumn; 5] = [
    TenantColumn::Name,
    TenantColumn::TrialEndsAt,
    TenantColumn::Used,
    TenantColumn::LastActiveAt,
    TenantColumn::CreatedAt,
];

/// What a view means, told from the tenant itself.
fn belongs(it: &Tenant, view: TenantView) -> bool {
    let within = |at: Option<Timestamp>, days: i64| at.is_some_and(|at| at.0 >= NOW.0 - days * DAY_MS);
    let trial_end = it.facts.trial.as_ref().map_or(i64::MAX, |trial| trial.ends_at.0);
    let running = it.status == Status::Trial && trial_end > NOW.0;
    let ended = it.access.denials.iter().any(|it| matches!(it, Denial::TrialEnded { .. }));
    let by_trial = it.facts.trial.is_some()
        && (it.status == Status::Trial
            || (it.status == Status::Expired && it.access.level == AccessLevel::Locked && ended));
    let lapsed = by_trial && trial_end <= NOW.0;
    let recently = trial_end > NOW.0 - 14 * DAY_MS;
    match view {
        TenantView::Deleted => return it.deleted_at.is_some(),
        TenantView::TrialCohort => {
            let began = it.facts.trial.as_ref().map(|trial| trial.started_at.0);
            return began.is_some_and(|at| (NOW.0 - 120 * DAY_MS..NOW.0 - 30 * DAY_MS).contains(&at));
        }
        // Stripe's part of this copy is empty.
        TenantView::Paying => return false,
        _ if it.deleted_at.is_some() => return false,
        _ => {}
    }
    match view {
        TenantView::All => true,
        TenantView::Blocked => within(it.last_refusal.as_ref().map(|it| it.at), 7),
        TenantView::Trial => running,
        TenantView::Active => it.status == Status::Active,
        TenantView::PastDue => it.status == Status::PastDue,
        TenantView::Expired => it.status == Status::Expired,
        TenantView::Suspended => it.status == Status::Suspended,
        TenantView::TrialEnding => running && trial_end <= NOW.0 + 3 * DAY_MS,
        TenantView::TrialLapsed => lapsed && recently,
        TenantView::TrialExtended => {
            by_trial && recently && it.facts.trial.as_ref().is_some_and(|trial| trial.extensions > 0)
        }
        TenantView::LockedOutActive => {
            let shut_out = it.status != Status::Suspended
                && it.access.level == AccessLevel::Locked
                && it.access.denials.iter().any(|it| {
                    matches!(
                        it,
                        Denial::TrialEnded { .. } | Denial::SubscriptionEnded { .. } | Denial::PaymentOverdue { .. }
                    )
                });
            (lapsed || shut_out) && within(it.last_active_at, 7)
        }
        TenantView::QuotaBlocked => {
            !it.access.denials.is_empty()
                && it.access.denials.iter().all(|it| matches!(it, Denial::QuotaExhausted { .. }))
        }
        TenantView::Deleted | TenantView::TrialCohort | TenantView::Paying => unreachable!(),
    }
}

/// The whole list in order: unknown last both ways, ties in the order of arrival, turned around with it.
fn expected(tenants: &[Tenant], rows: &BTreeMap<String, TenantRow>, query: &TenantQuery) -> Vec<String> {
    let mut listed: Vec<(usize, &Tenant)> =
        tenants.iter().enumerate().filter(|(_, it)| belongs(it, query.view)).collect();
    let number = |it: &Tenant| match query.sort {
        TenantColumn::Name => None,
        TenantColumn::TrialEndsAt => it.facts.trial.as_ref().map(|it| it.ends_at.0),
        TenantColumn::Used => rows[it.id.as_str()].used_percent,
        TenantColumn::LastActiveAt => it.last_active_at.map(|it| it.0),
        TenantColumn::CreatedAt => Some(it.created_at.0),
    };
    listed.sort_by(|(a_num, a), (b_num, b)| {
        let by_name = query.sort == TenantColumn::Name;
        let unknown = |it: &Tenant| !by_name && number(it).is_none();
        let order = if by_name { fold(&a.name).cmp(&fold(&b.name)) } else { number(a).cmp(&number(b)) };
        let order = order.then(a_num.cmp(b_num));
        unknown(a).cmp(&unknown(b)).then(if query.descending { order.reverse() } else { order })
    });
    listed.into_iter().map(|(_, it)| it.id.to_string()).collect()
}

async fn walked(cache: &Cache, query: &TenantQuery) -> (Vec<String>, Option<i64>) {
    let (mut ids, mut total, mut cursor) = (Vec::new(), None, None);
    loop {
        let page = cache.tenants_page(&TenantQuery { cursor: cursor.clone(), ..query.clone() }, NOW).await.unwrap();
        if cursor.is_none() {
            total = page.total;
        }
        ids.extend(page.rows.into_iter().map(|it| it.id.to_string()));
        cursor = page.next;
        if cursor.is_none() {
            return (ids, total);
        }
    }
}

fn any_tenant() -> impl Strategy<Value = (u8, i64, u8, Option<i64>, Option<i64>, Option<i64>, i64)> {
    let name = 0..6u8;
    let ends = -20..8i64;
    (name, ends, 0..8u8, prop::option::of(0..130i64), prop::option::of(0..12i64), prop::option::of(0..12i64), 0..4i64)
}

fn built(n: u32, from: (u8, i64, u8, Option<i64>, Option<i64>, Option<i64>, i64)) -> Tenant {
    let (name, ends, kind, used, active, refusal, created) = from;
    let names = ["Acme", "acme", "Ärger GmbH", "ärger gmbh", "株式会社", "zeta"];
    let mut facts = facts((kind != 0).then_some(ago(-ends)));
    if kind == 1 {
        facts.suspension = Some(Suspension { since: ago(1), by: "Mia".into(), reason: "abuse".into(), message: None });
    }
    if kind == 2
        && let Some(trial) = &mut facts.trial
    {
        trial.extensions = 1;
    }
    if kind == 3 {
        facts.comp = Some(paywall_domain::Comp { plan: facts.plan.clone(), since: ago(9), until: None });
    }
    // A copy made three weeks ago still calls trials running that have ended since.
    let as_of = if kind == 4 { ago(21) } else { NOW };
    let mut it = tenant_at(n, names[usize::from(name)], facts, used, as_of);
    it.created_at = ago(created);
    it.last_active_at = active.map(ago);
    it.last_refusal = refusal.map(|days| refused(ago(days)));
    it.deleted_at = (kind == 5).then(|| ago(1));
    it
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn pages_joined_are_the_whole_list_in_order(
        drawn in prop::collection::vec(any_tenant(), 1..60), limit in 1..9u32,
    ) {
        let tenants: Vec<Tenant> = drawn.into_iter().enumerate().map(|(n, it)| built(n as u32, it)).collect();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let home = home();
            let cache = filled(&home, &tenants).await;
            let mut rows = BTreeMap::new();
            for view in [TenantView::All, TenantView::Deleted] {
                let query = TenantQuery { view, limit: 500, ..TenantQuery::default() };
                for row in cache.tenants_page(&query, NOW).await.unwrap().rows {
                    rows.insert(row.id.to_string(), row);
                }
            }
            let counts = cache.tenant_counts(NOW).await.unwrap();
            for view in VIEWS {
                for sort in COLUMNS {
                    for descending in [false, true] {
                        let query = TenantQuery { view, sort, descending, limit, ..TenantQuery::default() };
                        let wanted = expected(&tenants, &rows, &query);
                        let (ids, total) = walked(&cache, &query).await;
                        assert_eq!(ids, wanted, "{view:?} {sort:?} descending {descending}");
                        assert_eq!(total, Some(wanted.len() as i64));
                        // Views without a tab are not counted beforehand.
                        let tab = counts.iter().find(|it| it.view == view).map(|it| it.count);
                        let tabless = [TenantView::Paying, TenantView::TrialCohort].contains(&view);
                        assert_eq!(tab, (!tabless).then_some(wanted.len() as i64), "{view:?}");
                    }
                }
                // The same with a text, by the index over texts and by walking.
                for text in ["acme", "ÄRGER", "株式", "%", "_", "\"", "company"] {
                    let query = TenantQuery { view, text: text.into(), limit, ..TenantQuery::default() };
                    let found = |it: &&Tenant| {
                        fold(&it.name).contains(&fold(text)) || it.email.contains(text)
                    };
                    let kept: Vec<Tenant> = tenants.clone();
                    let wanted: Vec<String> = expected(&kept, &rows, &query)
                        .into_iter()
                        .filter(|id| kept.iter().filter(found).any(|it| it.id.as_str() == id))
                        .collect();
                    assert_eq!(walked(&cache, &query).await.0, wanted, "{view:?} {text:?}");
                }
            }
        });
    }
}

#[tokio::test]
async fn a_cursor_of_another_order_is_refused() {
    let home = home();
    let tenants: Vec<Tenant> = (0..5).map(|n| tenant(n, "Acme", facts(None), None)).collect();
    let cache = filled(&home, &tenants).await;
    let query = TenantQuery { limit: 2, ..TenantQuery::default() };
    let next = cache.tenants_page(&query, NOW).await.unwrap().next.unwrap();
    for (sort, cursor) in [
        (TenantColumn::Used, next.clone()),
        (TenantColumn::Name, "name.up.x.zz".into()),
        (TenantColumn::Name, "’".into()),
    ] {
        let query = TenantQuery { sort, cursor: Some(cursor), limit: 2, ..TenantQuery::default() };
        assert!(cache.tenants_page(&query, NOW).await.is_err());
    }
    cache.close().await;
}

#[tokio::test]
async fn a_plan_narrows_and_the_count_says_so() {
    let home = home();
    let mut other = facts(None);
    other.plan = "team".into();
    let cache = filled(&home, &[tenant(1, "A", facts(None), None), tenant(2, "B", other, None)]).await;
    let query = TenantQuery { plan: Some("team".into()), limit: 5, ..TenantQuery::default() };
    let page = cache.tenants_page(&query, NOW).await.unwrap();
    assert_eq!((page.rows.len(), page.total), (1, Some(1)));
    assert_eq!(page.rows[0].plan_name, "team", "a plan that the copy does not have is named by its id");
    assert_eq!(page.rows[0].mrr, None, "without Stripe's data revenue is unknown, not zero");
    cache.close().await;
}

#[tokio::test]
async fn what_time_alone_changed_moves_to_its_tab_without_a_word_from_the_server() {
    let home = home();
    let hour = Timestamp(NOW.0 + 3_600_000);
    let mut ending = tenant(1, "Ending", facts(Some(hour)), Some(3));
    ending.last_active_at = Some(NOW);
    let running = tenant(2, "Running", facts(Some(Timestamp(NOW.0 + 30 * DAY_MS))), None);
    let cache = filled(&home, &[ending.clone(), running]).await;
    let count = async |view, at| {
        let counts = cache.tenant_counts(at).await.unwrap();
        counts.iter().find(|it| it.view == view).unwrap().count
    };
    assert_eq!(cache.pass_time(NOW).await.unwrap(), 0);
    assert_eq!(count(TenantView::Trial, NOW).await, 2);

    let later = Timestamp(hour.0 + 1);
    assert_eq!(cache.pass_time(later).await.unwrap(), 1);
    assert_eq!(cache.pass_time(later).await.unwrap(), 0, "once is enough");
    assert_eq!(count(TenantView::Trial, later).await, 1);
    assert_eq!(count(TenantView::Expired, later).await, 1);
    assert_eq!(count(TenantView::LockedOutActive, later).await, 1);
    let told = cache.tenant(&id(1)).await.unwrap().unwrap();
    assert_eq!((told.status, told.as_of), (Status::Trial, ending.as_of), "the server's own word stays as it was");

    // A clock that had run ahead and was set back takes it back.
    assert_eq!(cache.pass_time(Timestamp(later.0 - 7_200_000)).await.unwrap(), 1);
    assert_eq!(count(TenantView::Trial, NOW).await, 2);
    assert_eq!(cache.pass_time(later).await.unwrap(), 1);

    // Its next word counts again, also where nothing but its clock moved.
    cache.apply_feed_page(&feed_of(&[ending]), NOW).await.unwrap();
    assert_eq!(count(TenantView::Trial, NOW).await, 2);
    cache.close().await;
}

//! Tenants as `RAGFlow` has them, brought into the store.
//!
//! What `RAGFlow` says of a tenant (name, addresses, members, gauges, that it is gone) replaces what it said
//! before. What staff and billing set, and what the paywall itself counted, is never touched.

use std::collections::BTreeMap;

use paywall_contract::{Member, MemberRole, TenantIntake, TimelineBody, TimelineIntake};
use paywall_domain::{Mailbox, Meter, Plan, PlanId, TenantFacts, TenantId, Timestamp, Trial, status};

use super::intake::{bring_in, search_text};
use super::time::up_to;
use super::{Connection, NewEntry, Plans, Store, StoreError, TenantRow, entries, plans, storable, take_seq, tenants};
use crate::clock::Clock;

/// How old the time of the last measurement may get where nothing else changed: each change of it goes
/// to every console.
const MEASURED_AGAIN_MS: i64 = 24 * 3_600_000;

/// Later registrations of one address or company that are flagged at once.
const MOST_TWINS: i64 = 1_000;

/// A tenant as `RAGFlow` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: TenantId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) registered_at: Option<Timestamp>,
    /// `None` = not told.
    pub(crate) members: Option<Vec<Member>>,
    /// `None` = not told.
    pub(crate) gauges: Option<BTreeMap<Meter, i64>>,
    /// When reading it began: what was written here later is newer.
    pub(crate) read_at: Timestamp,
}

/// What a new tenant begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Of which plan its trial is; `None` = the first plan.
    pub(crate) plan: Option<PlanId>,
    /// Whether the trial begins when the tenant is first seen; else when it first does something.
    pub(crate) trial_at_sight: bool,
}

/// What bringing tenants in did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Brought {
    pub(crate) added: usize,
    pub(crate) changed: usize,
    pub(crate) unchanged: usize,
}

impl Seen {
    /// The tenant as it is kept, after this; `None` where this is no news.
    pub(crate) fn onto(&self, row: &TenantRow, now: Timestamp) -> Option<TenantRow> {
        // Two readings at once may be written the other way round. A time that is still to come says
        // nothing: the clock was put back.
        if row.measured_at.is_some_and(|at| self.read_at < at && at <= now) {
            return None;
        }
        let mut next = row.clone();
        (next.name, next.email) = (storable(&self.name), storable(&self.email));
        next.domain = domain_of(&next.email);
        next.mailbox = Mailbox::of(&next.email).map(|it| it.address());
        // What RAGFlow has is not deleted, whatever was thought before: it may come from a backup.
        next.deleted_at = None;
        if let Some(members) = &self.members {
            next.members.clone_from(members);
        }
        if let Some(gauges) = &self.gauges {
            next.gauges.clone_from(gauges);
        }
        let aged =
            self.gauges.is_some() && row.measured_at.is_none_or(|at| at > now || now.ms_since(at) >= MEASURED_AGAIN_MS);
        let news = aged
            || next.name != row.name
            || next.email != row.email
            || next.domain != row.domain
            || next.mailbox != row.mailbox
            || next.deleted_at != row.deleted_at
            || next.members != row.members
            || next.gauges != row.gauges;
        if self.gauges.is_some() {
            next.measured_at = Some(self.read_at);
        }
        news.then_some(next)
    }

    fn owner(&self) -> Member {
        let (user_id, name, email) = (self.id.as_str().to_owned(), self.name.clone(), self.email.clone());
        Member { user_id, name, email, role: MemberRole::Owner }
    }

    /// The same for a tenant that is new here.
    fn intake(&self, plan: &Plan, terms: &Terms, now: Timestamp) -> TenantIntake {
        let trial = terms.trial_at_sight.then(|| trial_of(plan, now)).flatten();
        let timeline = trial.as_ref().map(|trial| TimelineIntake {
            id: "trial_started".to_owned(),
            at: trial.started_at,
            body: TimelineBody::TrialStarted { plan: plan.id.clone(), ends_at: trial.ends_at },
        });
        TenantIntake {
            id: self.id.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            created_at: self.registered_at.filter(|it| *it <= now).unwrap_or(now),
            deleted_at: None,
            stripe_customer: None,
            facts: TenantFacts {
                plan: plan.id.clone(),
                trial,
                comp: None,
                suspension: None,
                subscription: None,
                overrides: BTreeMap::new(),
            },
            members: self.members.clone().unwrap_or_else(|| vec![self.owner()]),
            gauges: self.gauges.clone().unwrap_or_default(),
            // From now on the paywall counts: nothing yet, which is known.
            usage: Some(Vec::new()),
            period: None,
            measured_at: self.gauges.as_ref().map(|_| self.read_at),
            last_active_at: None,
            last_refusal: None,
            timeline: timeline.into_iter().collect(),
        }
    }
}

/// A trial of this plan from `now` on; `None` where the plan has none.
fn trial_of(plan: &Plan, now: Timestamp) -> Option<Trial> {
    (plan.trial_days > 0).then(|| Trial {
        started_at: now,
        ends_at: now.plus_days(plan.trial_days),
        extensions: 0,
        extended_ms: 0,
    })
}

fn domain_of(email: &str) -> String {
    email.rsplit_once('@').map(|(_, domain)| domain.to_lowercase()).unwrap_or_default()
}

impl Store {
    /// Brings in what `RAGFlow` has, and notes under `note` how far that is, in one transaction. The same
    /// again changes nothing.
    pub(crate) async fn mirror(
        &self,
        page: &[Seen],
        terms: &Terms,
        note: Option<(&str, &str)>,
        clock: &dyn Clock,
    ) -> Result<Brought, StoreError> {
        let mut write = self.write().await?;
        let now = clock.now();
        let known = plans::all(&mut write).await?;
        let mut brought = Brought::default();
        let mut added = Vec::new();
        for seen in page {
            let Some(row) = tenants::get(&mut write, &seen.id).await? else {
                if let Some(plan) = terms_plan(&known, terms) {
                    added.push(seen.intake(plan, terms, now));
                }
                continue;
            };
            if seen.onto(&row, now).is_none() {
                brought.unchanged += 1;
                continue;
            }
            brought.changed += 1;
            let row = up_to(&mut write, row, now).await?;
            if let Some(next) = seen.onto(&row, now) {
                put(&mut write, &next, now).await?;
                if next.mailbox != row.mailbox {
                    note_address(&mut write, &next).await?;
                }
            }
        }
        brought.added = added.len();
        let ids: Vec<TenantId> = added.iter().map(|it| it.id.clone()).collect();
        bring_in(&mut write, added, now).await?;
        for id in &ids {
            if let Some(row) = tenants::get(&mut write, id).await? {
                note_address(&mut write, &row).await?;
            }
        }
        if let Some((key, value)) = note {
            put_meta(&mut write, key, value).await?;
        }
        write.commit().await?;
        Ok(brought)
    }

    /// Marks tenants as deleted in `RAGFlow`; answers how many were not. Everything known of them stays.
    pub(crate) async fn close_tenants(&self, ids: &[TenantId], clock: &dyn Clock) -> Result<usize, StoreError> {
        let mut write = self.write().await?;
        let now = clock.now();
        let mut closed = 0;
        for id in ids {
            let Some(row) = tenants::get(&mut write, id).await?.filter(|row| row.deleted_at.is_none()) else {
                continue;
            };
            let row = up_to(&mut write, row, now).await?;
            put(&mut write, &TenantRow { deleted_at: Some(now), ..row }, now).await?;
            closed += 1;
        }
        write.commit().await?;
        Ok(closed)
    }

    /// Begins the trial of a tenant that never had one, where nothing else decides its access; answers
    /// whether it did.
    pub(crate) async fn begin_trial(&self, id: &TenantId, clock: &dyn Clock) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let now = clock.now();
        let known = plans::all(&mut write).await?;
        let Some(row) = tenants::get(&mut write, id).await? else { return Ok(false) };
        let facts = &row.facts;
        let comped = facts.comp.as_ref().is_some_and(|comp| comp.in_force(now));
        if facts.trial.is_some() || facts.subscription.is_some() || facts.suspension.is_some() || comped {
            return Ok(false);
        }
        let Some(trial) = known.get(&facts.plan).and_then(|plan| trial_of(plan, now)) else { return Ok(false) };
        let mut row = up_to(&mut write, row, now).await?;
        let body = TimelineBody::TrialStarted { plan: row.facts.plan.clone(), ends_at: trial.ends_at };
        row.facts.trial = Some(trial);
        row.version += 1;
        tenants::put(&mut write, &row, now).await?;
        // The id under which the intake writes it too: a trial begins once.
        let entry = NewEntry { id: format!("{id}.trial_started"), tenant_id: id, at: now, aspect: None, body: &body };
        entries::put(&mut write, &entry).await?;
        write.commit().await?;
        Ok(true)
    }

    /// Ids of tenants that are not deleted, in order, after one (`""` = from the start).
    pub(crate) async fn live_tenants(&self, after: &str, most: i64) -> Result<Vec<TenantId>, StoreError> {
        let mut read = self.read().await?;
        let ids: Vec<(String,)> =
            sqlx::query_as("SELECT id FROM tenants WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2")
                .bind(after)
                .bind(most)
                .fetch_all(&mut *read)
                .await?;
        Ok(ids.iter().filter_map(|(id,)| TenantId::parse(id).ok()).collect())
    }

    /// What is noted under a key.
    pub(crate) async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let mut read = self.read().await?;
        let row: Option<(String,)> =
            sqlx::query_as("SELECT value FROM meta WHERE key = $1").bind(key).fetch_optional(&mut *read).await?;
        Ok(row.map(|(value,)| value))
    }

    /// Notes something under a key.
    pub(crate) async fn note(&self, key: &str, value: &str) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        put_meta(&mut write, key, value).await?;
        write.commit().await?;
        Ok(())
    }

    /// Takes a turn at something that one process at a time should do, until an instant; answers whether it
    /// is this holder's. Whoever has it keeps it by taking it again in time.
    pub(crate) async fn take_turn(
        &self,
        key: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        // Thirteen digits, so that the order of texts is that of instants; then the holder.
        let instant = |at: Timestamp| format!("{:013}", at.0.max(0));
        let mut write = self.write_beside().await?;
        let done = sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value
             WHERE meta.value < $3 OR substr(meta.value, 15) = $4",
        )
        .bind(key)
        .bind(format!("{}|{holder}", instant(until)))
        .bind(instant(now))
        .bind(holder)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives back a turn that `holder` has, so that the next one need not wait for its end.
    pub(crate) async fn end_turn(&self, key: &str, holder: &str) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query("DELETE FROM meta WHERE key = $1 AND substr(value, 15) = $2")
            .bind(key)
            .bind(holder)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(())
    }
}

fn terms_plan<'a>(known: &'a Plans, terms: &Terms) -> Option<&'a Plan> {
    let wanted = terms.plan.as_ref().and_then(|id| known.get(id));
    wanted.or_else(|| known.first())
}

/// Writes what `RAGFlow` tells of a tenant, and what derives from it at `now`. It comes again in the feed.
async fn put(connection: &mut Connection, row: &TenantRow, now: Timestamp) -> Result<(), StoreError> {
    let seq = take_seq(connection, 1).await? + 1;
    sqlx::query(
        "UPDATE tenants SET seq = $2, name = $3, name_key = $4, email = $5, domain = $6, deleted_at = $7,
                members = $8, gauges = $9, measured_at = $10, search = $11, status = $12, derived_at = $13,
                next_transition_at = $14
         WHERE id = $1",
    )
    .bind(row.id.as_str())
    .bind(seq)
    .bind(&row.name)
    .bind(row.name.to_lowercase())
    .bind(&row.email)
    .bind(&row.domain)
    .bind(row.deleted_at.map(|it| it.0))
    .bind(serde_json::to_string(&row.members)?)
    .bind(serde_json::to_string(&row.gauges)?)
    .bind(row.measured_at.map(|it| it.0))
    .bind(search_text(row))
    .bind(status(&row.facts, now).as_str())
    .bind(now.0)
    .bind(row.next_transition(now).map(|it| it.0))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes a tenant's address, and who has one like it: the first to register is nobody's twin.
async fn note_address(connection: &mut Connection, row: &TenantRow) -> Result<(), StoreError> {
    let mailbox = Mailbox::of(&row.email);
    let (address, company) = (mailbox.as_ref().map(Mailbox::address), mailbox.as_ref().and_then(Mailbox::company));
    sqlx::query("UPDATE tenants SET mailbox = $2, company = $3 WHERE id = $1")
        .bind(row.id.as_str())
        .bind(&address)
        .bind(company)
        .execute(&mut *connection)
        .await?;
    let first: Option<(String,)> = sqlx::query_as(
        "SELECT id FROM tenants
         WHERE (mailbox = $2 OR company = $3) AND (created_at < $4 OR (created_at = $4 AND id < $1))
         ORDER BY created_at, id LIMIT 1",
    )
    .bind(row.id.as_str())
    .bind(&address)
    .bind(company)
    .bind(row.created_at.0)
    .fetch_optional(&mut *connection)
    .await?;
    let later: Vec<(String,)> = sqlx::query_as(
        "SELECT id FROM tenants
         WHERE (mailbox = $2 OR company = $3) AND (created_at > $4 OR (created_at = $4 AND id > $1))
               AND twin_of IS NULL
         ORDER BY created_at, id LIMIT $5",
    )
    .bind(row.id.as_str())
    .bind(&address)
    .bind(company)
    .bind(row.created_at.0)
    .bind(MOST_TWINS)
    .fetch_all(&mut *connection)
    .await?;
    let own = first.map(|(first,)| (row.id.as_str().to_owned(), first));
    let later = later.into_iter().map(|(id,)| (id, row.id.as_str().to_owned()));
    for (twin, first) in own.into_iter().chain(later) {
        let seq = take_seq(connection, 1).await? + 1;
        sqlx::query("UPDATE tenants SET twin_of = $2, seq = $3 WHERE id = $1 AND twin_of IS NULL")
            .bind(twin)
            .bind(first)
            .bind(seq)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn put_meta(connection: &mut Connection, key: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        .bind(key)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use paywall_domain::TenantFacts;
    use proptest::prelude::*;

    use super::*;

    fn seen() -> impl Strategy<Value = Seen> {
        let members = prop::option::of(prop::collection::vec("[a-c]", 0..3));
        let gauges =
            prop::option::of(prop::collection::btree_map(prop::sample::select(&Meter::ALL[3..]), 0_i64..3, 0..4));
        ("[a-b\0]{0,2}", "[a-b]{0,2}@[a-b]{0,2}", members, gauges, 0_i64..3_000).prop_map(
            |(name, email, members, gauges, read_at)| Seen {
                id: id(),
                name,
                email,
                registered_at: None,
                members: members.map(|all| all.into_iter().map(member).collect()),
                gauges,
                read_at: Timestamp(read_at),
            },
        )
    }

    #[allow(clippy::unwrap_used)]
    fn id() -> TenantId {
        TenantId::parse(&"1".repeat(32)).unwrap()
    }

    fn member(email: String) -> Member {
        Member { user_id: email.clone(), name: email.clone(), email, role: MemberRole::Normal }
    }

    fn row(measured_at: Option<i64>, deleted: bool) -> TenantRow {
        TenantRow {
            id: id(),
            seq: 7,
            version: 3,
            name: "a".to_owned(),
            email: "a@a".to_owned(),
            domain: "a".to_owned(),
            created_at: Timestamp(0),
            deleted_at: deleted.then_some(Timestamp(1)),
            stripe_customer: Some("cus_1".to_owned()),
            facts: TenantFacts {
                plan: "pro".into(),
                trial: None,
                comp: None,
                suspension: None,
                subscription: None,
                overrides: BTreeMap::new(),
            },
            derived_at: Timestamp(5),
            members: vec![member("a".to_owned())],
            gauges: BTreeMap::from([(Meter::Documents, 1)]),
            counters: Some(BTreeMap::from([(Meter::Messages, 40)])),
            period: None,
            measured_at: measured_at.map(Timestamp),
            last_active_at: Some(Timestamp(4)),
            last_passed_at: Some(Timestamp(4)),
            last_refusal: None,
            mailbox: None,
            twin_of: Some("other".to_owned()),
        }
    }

    /// What RAGFlow does not tell.
    fn own(row: &TenantRow) -> impl PartialEq + std::fmt::Debug + use<> {
        let (facts, counters) = (row.facts.clone(), row.counters.clone());
        let rest = (row.version, row.created_at, row.stripe_customer.clone(), row.last_active_at, row.twin_of.clone());
        (facts, counters, rest)
    }

    proptest! {
        #[test]
        fn what_is_said_again_is_no_news_and_what_staff_set_stays(
            seen in seen(), measured_at in prop::option::of(0_i64..3_000), deleted: bool, now in 0_i64..3_000,
        ) {
            let (row, now) = (row(measured_at, deleted), Timestamp(now));
            if let Some(next) = seen.onto(&row, now) {
                prop_assert_eq!(own(&next), own(&row));
                prop_assert!(next.deleted_at.is_none());
                if seen.read_at <= now {
                    prop_assert!(seen.onto(&next, now).is_none(), "twice");
                }
            }
        }

        #[test]
        fn of_two_readings_the_later_one_stays(one in seen(), other in seen(), apart in 1_i64..500) {
            let complete = |it: Seen| Seen { gauges: Some(it.gauges.unwrap_or_default()), ..it };
            let (one, other) = (complete(one), complete(other));
            let one = Seen { read_at: other.read_at.plus_ms(-apart), ..one };
            let now = Timestamp(3_000);
            let after = |row: TenantRow, seen: &Seen| seen.onto(&row, now).unwrap_or(row);
            let in_order = after(after(row(None, false), &one), &other);
            let turned = after(after(row(None, false), &other), &one);
            let told = |row: &TenantRow| (row.name.clone(), row.email.clone(), row.gauges.clone());
            prop_assert_eq!(told(&in_order), told(&turned));
        }
    }
}

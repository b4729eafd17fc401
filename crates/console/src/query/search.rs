//! One search for whatever was typed or pasted.

use std::collections::HashSet;

use paywall_domain::{TenantId, Timestamp};

use super::RECENT_MS;
use super::needle::{after_prefix, indexed, match_expression, normalise};
use super::row::{Found, columns};
use crate::cache::{Cache, Result, fold};
use crate::ipc::{SearchHit, SearchResult};

/// At most so many hits.
const HITS: usize = 20;

/// So many rows of each rank are looked at to put blocked tenants first.
const CANDIDATES: i64 = 64;

macro_rules! by {
    ($from:expr) => {
        concat!("SELECT ", columns!(), " FROM ", $from)
    };
}

/// Statements by rank. `?1` what to look for, `?2` the first text after its prefix, `?3` how many.
const BY_ID: &str =
    by!("tenants AS t LEFT JOIN plans AS p ON p.id = t.plan WHERE t.id = ?1 AND ?2 IS NOT NULL LIMIT ?3");
const BY_CUSTOMER: &str = by!("tenants AS t INDEXED BY tenants_by_customer LEFT JOIN plans AS p ON p.id = t.plan
     WHERE t.stripe_customer >= ?1 AND t.stripe_customer < ?2 ORDER BY t.stripe_customer, t.num LIMIT ?3");
const BY_SUBSCRIPTION: &str = by!(
    "stripe_subscriptions AS s CROSS JOIN tenants AS t INDEXED BY tenants_by_customer ON t.stripe_customer = s.customer
     LEFT JOIN plans AS p ON p.id = t.plan WHERE s.id >= ?1 AND s.id < ?2 ORDER BY s.id, t.num LIMIT ?3"
);
const BY_INVOICE: &str =
    by!("stripe_invoices AS i CROSS JOIN tenants AS t INDEXED BY tenants_by_customer ON t.stripe_customer = i.customer
     LEFT JOIN plans AS p ON p.id = t.plan WHERE i.id >= ?1 AND i.id < ?2 ORDER BY i.id, t.num LIMIT ?3");
const BY_INVOICE_NUMBER: &str = by!("stripe_invoices AS i INDEXED BY stripe_invoices_by_number
     CROSS JOIN tenants AS t INDEXED BY tenants_by_customer ON t.stripe_customer = i.customer
     LEFT JOIN plans AS p ON p.id = t.plan
     WHERE i.number_key >= ?1 AND i.number_key < ?2 ORDER BY i.number_key, t.num LIMIT ?3");
const BY_EMAIL: &str = by!("tenants AS t INDEXED BY tenants_by_email LEFT JOIN plans AS p ON p.id = t.plan
     WHERE t.email_key >= ?1 AND t.email_key < ?2 ORDER BY t.email_key, t.num LIMIT ?3");
const BY_DOMAIN: &str = by!("tenants AS t INDEXED BY tenants_by_domain LEFT JOIN plans AS p ON p.id = t.plan
     WHERE t.domain >= ?1 AND t.domain < ?2 ORDER BY t.domain, t.num LIMIT ?3");
const BY_NAME: &str = by!("tenants AS t INDEXED BY tenants_by_name LEFT JOIN plans AS p ON p.id = t.plan
     WHERE t.name_key >= ?1 AND t.name_key < ?2 ORDER BY t.name_key, t.num LIMIT ?3");
const ANYWHERE: &str = by!("(SELECT rowid AS num FROM tenant_search WHERE tenant_search MATCH ?1 LIMIT ?3) AS hit
     CROSS JOIN tenants AS t ON t.num = hit.num LEFT JOIN plans AS p ON p.id = t.plan WHERE ?2 IS NOT NULL");

/// Every statement of the search, for the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 9] =
    [BY_ID, BY_CUSTOMER, BY_SUBSCRIPTION, BY_INVOICE, BY_INVOICE_NUMBER, BY_EMAIL, BY_DOMAIN, BY_NAME, ANYWHERE];

/// Hits by rank, none twice.
struct Ranked {
    cutoff: i64,
    seen: HashSet<i64>,
    hits: Vec<(Found, String, Option<String>)>,
}

impl Ranked {
    /// Adds one rank: tenants that are not deleted first, then blocked ones, then by name.
    fn add(&mut self, mut found: Vec<Found>, matched: &str, value: impl Fn(&Found) -> Option<String>) {
        found.sort_by(|a, b| {
            let place = |it: &Found| (it.deleted, !it.blocked_since(self.cutoff));
            place(a).cmp(&place(b)).then_with(|| a.name_key.cmp(&b.name_key)).then_with(|| a.num.cmp(&b.num))
        });
        for one in found {
            if self.hits.len() < HITS && self.seen.insert(one.num) {
                let value = value(&one);
                self.hits.push((one, matched.to_owned(), value));
            }
        }
    }

    fn full(&self) -> bool {
        self.hits.len() >= HITS
    }
}

impl Cache {
    /// Finds tenants by whatever was typed or pasted: a name, an address (also a member's), a domain, an id
    /// of the tenant's, a Stripe id or address, an invoice's number. Empty text finds nothing.
    pub async fn search(&self, text: &str, now: Timestamp) -> Result<SearchResult> {
        let normalised = normalise(text);
        let mut ranked = Ranked { cutoff: now.0.saturating_sub(RECENT_MS), seen: HashSet::new(), hits: Vec::new() };
        if !fold(&normalised).is_empty() {
            self.rank(&normalised, &mut ranked).await?;
        }
        let (mut found, mut matches) = (Vec::new(), Vec::new());
        for (one, matched, value) in ranked.hits {
            found.push(one);
            matches.push((matched, value));
        }
        let rows = self.with_revenue(found).await?;
        let hits =
            rows.into_iter().zip(matches).map(|(row, (matched, value))| SearchHit { row, matched, value }).collect();
        Ok(SearchResult { normalised, hits, as_of: self.server_as_of().await? })
    }

    async fn rank(&self, typed: &str, ranked: &mut Ranked) -> Result<()> {
        let needle = fold(typed);
        let whole = format!("{needle}\u{0}");
        if let Ok(id) = TenantId::parse(typed) {
            ranked.add(self.find(BY_ID, id.as_str(), "").await?, "id", |_| None);
        }
        // Stripe's ids mind their case; whoever types one seldom gives more than its beginning.
        for (prefix, statement, matched) in [
            ("cus_", BY_CUSTOMER, "stripe_customer"),
            ("sub_", BY_SUBSCRIPTION, "subscription"),
            ("in_", BY_INVOICE, "invoice"),
        ] {
            if typed.starts_with(prefix) && typed.len() > prefix.len() {
                let found = self.find(statement, typed, &after_prefix(typed)).await?;
                ranked.add(found, matched, |one| match matched {
                    "stripe_customer" => one.customer.clone(),
                    _ => Some(typed.to_owned()),
                });
            }
        }
        let found = self.find(BY_INVOICE_NUMBER, &needle, &whole).await?;
        ranked.add(found, "invoice", |_| Some(typed.to_owned()));
        ranked.add(self.find(BY_EMAIL, &needle, &whole).await?, "email", |_| None);
        if needle.contains('@') && indexed(&needle) {
            let found = self.find(ANYWHERE, &match_expression(&needle), "").await?;
            let members = self.members(&found, |address| address == needle).await?;
            let known = |one: &Found| members.iter().find(|(num, _)| *num == one.num).map(|(_, it)| it.clone());
            ranked.add(found.into_iter().filter(|one| known(one).is_some()).collect(), "member", known);
        }
        let domain = needle.trim_start_matches('@');
        let found = self.find(BY_DOMAIN, domain, &format!("{domain}\u{0}")).await?;
        ranked.add(found, "domain", |_| Some(domain.to_owned()));
        ranked.add(self.find(BY_NAME, &needle, &after_prefix(&needle)).await?, "name", |_| None);
        if ranked.full() {
            return Ok(());
        }
        if indexed(&needle) {
            let found = self.find(ANYWHERE, &match_expression(&needle), "").await?;
            self.add_anywhere(found, &needle, ranked).await?;
            if needle.len() > 3 && !ranked.full() {
                let found = self.find(BY_INVOICE_NUMBER, &needle, &after_prefix(&needle)).await?;
                ranked.add(found, "invoice", |_| Some(typed.to_owned()));
            }
        } else {
            ranked.add(self.find(BY_EMAIL, &needle, &after_prefix(&needle)).await?, "email", |_| None);
            let found = self.find(BY_DOMAIN, &needle, &after_prefix(&needle)).await?;
            ranked.add(found, "domain", |one| one.row.email.split_once('@').map(|(_, domain)| domain.to_owned()));
        }
        Ok(())
    }

    /// Adds hits from anywhere in a tenant's texts, as one rank, each with what it matched.
    async fn add_anywhere(&self, found: Vec<Found>, needle: &str, ranked: &mut Ranked) -> Result<()> {
        let members = self.members(&found, |address| address.contains(needle)).await?;
        let before = ranked.hits.len();
        ranked.add(found, "name", |_| None);
        for (one, matched, value) in &mut ranked.hits[before..] {
            let customer = one.customer.as_deref().filter(|it| fold(it).contains(needle));
            let domain = one.row.email.split_once('@').map(|(_, domain)| fold(domain));
            let (what, which) = if one.name_key.contains(needle) {
                ("name", None)
            } else if fold(&one.row.email).contains(needle) {
                ("email", None)
            } else if let Some(domain) = domain.filter(|it| it.contains(needle)) {
                ("domain", Some(domain))
            } else if one.row.id.as_str().contains(needle) {
                ("id", Some(one.row.id.as_str().to_owned()))
            } else if let Some(customer) = customer {
                ("stripe_customer", Some(customer.to_owned()))
            } else {
                ("member", members.iter().find(|(num, _)| *num == one.num).map(|(_, it)| it.clone()))
            };
            what.clone_into(matched);
            *value = which;
        }
        Ok(())
    }

    async fn find(&self, statement: &'static str, from: &str, to: &str) -> Result<Vec<Found>> {
        Ok(sqlx::query_as::<_, Found>(statement).bind(from).bind(to).bind(CANDIDATES).fetch_all(self.readers()).await?)
    }

    /// Which of these tenants have a member whose address passes, and the first such address.
    async fn members(&self, found: &[Found], passes: impl Fn(&str) -> bool) -> Result<Vec<(i64, String)>> {
        let nums: Vec<i64> = found.iter().map(|it| it.num).collect();
        let lines: Vec<(i64, String)> = sqlx::query_as(
            "SELECT x.num, x.lines FROM json_each(?1) AS wanted CROSS JOIN tenant_texts AS x ON x.num = wanted.value",
        )
        .bind(serde_json::to_string(&nums)?)
        .fetch_all(self.readers())
        .await?;
        Ok(lines
            .into_iter()
            .filter_map(|(num, lines)| {
                // The first five lines are the tenant's own: name, address, domain, id, customer.
                let address = lines.lines().skip(5).find(|it| passes(it))?.to_owned();
                Some((num, address))
            })
            .collect())
    }
}

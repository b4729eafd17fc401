//! Trials and how many of them become customers.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use crate::ledger::Account;
use crate::mrr::DAY_MS;
use crate::{InvoiceFacts, InvoiceStatus, Ledger, Rate, RevenueError, Window};

/// A trial that is kept outside of Stripe, such as one that the paywall gave a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrialFacts {
    /// Its id.
    pub id: Arc<str>,
    /// Whose: the Stripe customer that would pay, else the tenant.
    pub customer: Arc<str>,
    /// When it began.
    pub started_at: i64,
    /// When it ends or ended, extensions counted.
    pub ends_at: i64,
}

/// What became of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialOutcome {
    /// An invoice above zero was paid, first at this instant.
    Converted(i64),
    /// It ended, and nothing was paid.
    Lost,
    /// It runs, or its first invoice still waits for its payment.
    Undecided,
}

/// A trial and what became of it by the lens's last instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Whose.
    pub customer: Arc<str>,
    /// The subscription that began with it, where it is Stripe's.
    pub subscription: Option<Arc<str>>,
    /// When it began.
    pub started_at: i64,
    /// When it ends or ended.
    pub ends_at: i64,
    /// What became of it.
    pub outcome: TrialOutcome,
}

/// The trials that began within a window: the headline of conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TrialCohort {
    /// When they began.
    pub window: Window,
    /// How many began.
    pub started: i64,
    /// How many of them converted.
    pub converted: i64,
    /// How many converted or were lost.
    pub decided: i64,
    /// How many are not decided; they are in no rate.
    pub undecided: i64,
    /// Converted / decided.
    pub conversion: Rate,
}

/// Conversion on Stripe's basis: what happened within a window, whenever the trials began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TrialsEnded {
    /// The window, which Stripe has end today and be 30 days long.
    pub window: Window,
    /// How many trials ended in it.
    pub ended: i64,
    /// How many converted in it.
    pub converted: i64,
    /// Converted / ended. It can be above one.
    pub conversion: Rate,
}

impl Ledger {
    /// Every trial that began by the lens's last instant, by customer. Where a customer has trials that
    /// are kept outside of Stripe, those are taken, and any invoice of the customer converts them; else
    /// the subscriptions' own are, each converted by the subscription's invoices.
    ///
    /// Stripe bills a trial's first period about an hour after its end, so that a trial is decided a day
    /// after it ended, or once no invoice above zero waits for its payment any more.
    pub fn trials(&self) -> Vec<Trial> {
        let Some(lens) = &self.lens else { return Vec::new() };
        let nothing = Account::default();
        let mut trials = Vec::new();
        let mut kept: BTreeSet<&Arc<str>> = BTreeSet::new();
        for (_, TrialFacts { customer, started_at, ends_at, .. }) in self.trials.values() {
            let account = self.accounts.get(customer).unwrap_or(&nothing);
            trials.push(account.trial(customer, None, (*started_at, *ends_at), lens.until));
            kept.insert(customer);
        }
        for (customer, account) in self.accounts.iter().filter(|it| !kept.contains(it.0)) {
            for (id, snapshots) in &account.subscriptions {
                let last = snapshots.last().map(|it| &it.facts);
                if let Some(times) = last.and_then(|facts| facts.trial_start.zip(facts.trial_end)) {
                    trials.push(account.trial(customer, Some(id), times, lens.until));
                }
            }
        }
        trials.retain(|trial| trial.started_at <= lens.until);
        trials.sort_by(|a, b| (&a.customer, a.started_at).cmp(&(&b.customer, b.started_at)));
        trials
    }

    /// The trials by when they began, one cohort for each window.
    pub fn trial_cohorts(&self, windows: &[Window]) -> Result<Vec<TrialCohort>, RevenueError> {
        let Some(lens) = &self.lens else { return Ok(Vec::new()) };
        let days: Vec<_> = self.trials().iter().map(|it| (lens.zone.day_of(it.started_at), it.outcome)).collect();
        let cohort = |window: &Window| {
            let outcomes: Vec<_> = days.iter().filter(|it| window.contains(it.0)).map(|it| it.1).collect();
            let count = |of: fn(&TrialOutcome) -> bool| outcomes.iter().filter(|it| of(it)).count() as i64;
            let converted = count(|it| matches!(it, TrialOutcome::Converted(_)));
            let undecided = count(|it| matches!(it, TrialOutcome::Undecided));
            let started = outcomes.len() as i64;
            let decided = started - undecided;
            let conversion = Rate::of_count(converted, decided)?;
            Ok(TrialCohort { window: *window, started, converted, decided, undecided, conversion })
        };
        windows.iter().map(cohort).collect()
    }

    /// The trials that ended and those that converted within a window.
    pub fn trials_ended(&self, window: Window) -> Result<TrialsEnded, RevenueError> {
        let Some(lens) = &self.lens else {
            return Ok(TrialsEnded { window, ended: 0, converted: 0, conversion: Rate::NotEnoughData });
        };
        let (mut ended, mut converted) = (0, 0);
        for trial in self.trials() {
            let over = trial.ends_at <= lens.until && window.contains(lens.zone.day_of(trial.ends_at));
            ended += i64::from(over);
            converted += i64::from(matches!(trial.outcome,
                TrialOutcome::Converted(at) if window.contains(lens.zone.day_of(at))));
        }
        Ok(TrialsEnded { window, ended, converted, conversion: Rate::of_count(converted, ended)? })
    }
}

impl Account {
    fn trial(
        &self,
        customer: &Arc<str>,
        subscription: Option<&Arc<str>>,
        (started_at, ends_at): (i64, i64),
        until: i64,
    ) -> Trial {
        let outcome = self.trial_outcome(subscription.map(|it| &**it), started_at, ends_at, until);
        Trial { customer: customer.clone(), subscription: subscription.cloned(), started_at, ends_at, outcome }
    }

    fn trial_outcome(&self, subscription: Option<&str>, started_at: i64, ends_at: i64, until: i64) -> TrialOutcome {
        let own = || {
            self.invoices
                .iter()
                .map(|(_, invoice)| invoice)
                .filter(|it| subscription.is_none_or(|id| it.subscription.as_deref() == Some(id)))
        };
        let paid = own().filter_map(InvoiceFacts::money_at).filter(|at| started_at <= *at && *at <= until).min();
        if let Some(at) = paid {
            return TrialOutcome::Converted(at);
        }
        let waits = own().any(|it| it.status == InvoiceStatus::Open && it.created_at >= started_at && it.total > 0);
        let settled = until >= ends_at.saturating_add(DAY_MS) && !waits;
        if settled { TrialOutcome::Lost } else { TrialOutcome::Undecided }
    }
}

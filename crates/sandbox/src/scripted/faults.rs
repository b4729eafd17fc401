//! Deliveries, and what can go wrong with them on the way.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::webhooks::{Parcel, sign};
use crate::draw::{Draw, Purpose};

/// In which order what is due goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As it happened.
    #[default]
    AsHappened,
    /// The last first.
    Backwards,
    /// Any.
    Shuffled,
    /// As it happened, but any within one second.
    TiesShuffled,
}

/// What goes wrong, each in so many of a thousand deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// The same seed gives the same faults to the same deliveries.
    pub seed: u64,
    /// In which order they go.
    pub order: Order,
    /// Not sent this time; the next call sends it.
    pub delay: u16,
    /// Sent twice.
    pub duplicate: u16,
    /// The attempt is lost on the way; Stripe tries again by its schedule.
    pub drop: u16,
    /// Never arrives, however often Stripe tries.
    pub lose: u16,
    /// A copy with another body goes ahead under the signature of the true one.
    pub tamper: u16,
    /// A copy that somebody else signed goes ahead.
    pub wrong_secret: u16,
    /// A copy that was signed an hour ago goes ahead.
    pub old_timestamp: u16,
    /// Whether all of them are sent at the same time.
    pub at_once: bool,
}

/// What an attempt was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// The event, signed.
    True,
    /// The same once more.
    Duplicate,
    /// Another body under the true one's signature.
    Tampered,
    /// Signed with a secret that is not the endpoint's.
    WrongSecret,
    /// Signed too long ago.
    Old,
}

/// An attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// `evt_…`
    pub event: String,
    /// `we_…`
    pub endpoint: String,
    /// What was sent.
    pub copy: Copy,
    /// The receiver's status; nothing where it gave none.
    pub status: Option<u16>,
}

/// What a round of deliveries came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Every attempt that reached out, in the order of its end.
    pub sent: Vec<Sent>,
    /// Events whose attempt was dropped on the way.
    pub dropped: Vec<String>,
    /// Events that will never arrive.
    pub lost: Vec<String>,
    /// Events held back for the next round.
    pub delayed: Vec<String>,
}

impl Delivered {
    /// The attempts of one sort.
    pub fn of(&self, copy: Copy) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |it| it.copy == copy)
    }
}

/// What is to be sent for one delivery.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) parcel: Parcel,
    pub(crate) copies: Vec<Copy>,
}

/// What becomes of each parcel.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    pub(crate) send: Vec<Plan>,
    pub(crate) dropped: Vec<Parcel>,
    pub(crate) lost: Vec<Parcel>,
    pub(crate) delayed: Vec<Parcel>,
}

fn shuffle<T>(draw: &mut Draw, items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, draw.below(at as u64 + 1) as usize);
    }
}

impl Faults {
    pub(crate) fn plan(self, mut parcels: Vec<Parcel>, round: u32) -> Plans {
        let mut draw = Draw::new(self.seed, round, Purpose::Story);
        match self.order {
            Order::AsHappened => {}
            Order::Backwards => parcels.reverse(),
            Order::Shuffled => shuffle(&mut draw, &mut parcels),
            Order::TiesShuffled => {
                for tie in parcels.chunk_by_mut(|a, b| a.created == b.created) {
                    shuffle(&mut draw, tie);
                }
            }
        }
        let mut plans = Plans::default();
        for parcel in parcels {
            // Each is drawn, whatever the others come to, so that one more fault shifts no other.
            let mut happens = |per_mille: u16| draw.chance(u64::from(per_mille));
            let (lose, drop, delay) = (happens(self.lose), happens(self.drop), happens(self.delay));
            let spoiled = [
                (Copy::Tampered, happens(self.tamper)),
                (Copy::WrongSecret, happens(self.wrong_secret)),
                (Copy::Old, happens(self.old_timestamp)),
            ];
            let twice = happens(self.duplicate);
            if lose {
                plans.lost.push(parcel);
            } else if drop {
                plans.dropped.push(parcel);
            } else if delay {
                plans.delayed.push(parcel);
            } else {
                let mut copies: Vec<Copy> = spoiled.into_iter().filter(|it| it.1).map(|it| it.0).collect();
                copies.push(Copy::True);
                copies.extend(twice.then_some(Copy::Duplicate));
                plans.send.push(Plan { parcel, copies });
            }
        }
        plans
    }
}

async fn post(http: &reqwest::Client, parcel: &Parcel, copy: Copy, wall: i64) -> Option<u16> {
    let (mut body, mut secrets, mut stamp) = (parcel.body.clone(), parcel.secrets.clone(), parcel.stamp);
    match copy {
        Copy::WrongSecret => secrets = vec!["whsec_somebodyElses".to_owned()],
        // Old by either clock.
        Copy::Old => stamp = parcel.stamp.min(wall) - 3_600,
        _ => {}
    }
    let header = sign(&body, stamp, &secrets);
    if copy == Copy::Tampered {
        body = body.replacen("\"livemode\":false", "\"livemode\":true", 1);
    }
    let request = http
        .post(&parcel.url)
        .header("Stripe-Signature", header)
        .header("Content-Type", "application/json; charset=utf-8");
    let answer = request.header("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)").body(body).send().await;
    answer.ok().map(|it| it.status().as_u16())
}

/// Sends what was planned, and tells of each delivery whether it was taken.
pub(crate) async fn send(
    http: &reqwest::Client,
    plans: Vec<Plan>,
    at_once: bool,
    wall: i64,
) -> (Vec<Sent>, Vec<(usize, bool)>) {
    let (mut sent, mut taken) = (Vec::new(), Vec::new());
    let mut flights = JoinSet::new();
    for plan in plans {
        let (http, plan) = (http.clone(), Arc::new(plan));
        if at_once {
            for copy in plan.copies.clone() {
                let (http, plan) = (http.clone(), plan.clone());
                flights.spawn(async move {
                    let status = post(&http, &plan.parcel, copy, wall).await;
                    (plan, copy, status)
                });
            }
        } else {
            for copy in &plan.copies {
                let status = post(&http, &plan.parcel, *copy, wall).await;
                note(&mut sent, &mut taken, &plan, *copy, status);
            }
        }
    }
    while let Some(flight) = flights.join_next().await {
        if let Ok((plan, copy, status)) = flight {
            note(&mut sent, &mut taken, &plan, copy, status);
        }
    }
    (sent, taken)
}

fn note(sent: &mut Vec<Sent>, taken: &mut Vec<(usize, bool)>, plan: &Plan, copy: Copy, status: Option<u16>) {
    let success = status.is_some_and(|it| (200..300).contains(&it));
    if copy == Copy::True {
        taken.push((plan.parcel.delivery, success));
    }
    let (event, endpoint) = (plan.parcel.event.clone(), plan.parcel.endpoint.clone());
    sent.push(Sent { event, endpoint, copy, status });
}

/// A client that behaves as Stripe does: it follows no redirects, and waits a limited time.
pub(crate) fn http() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(10)).build()
}

//! Whole histories: random actions, each of which is possible where it is done.

use serde_json::Value;

use super::cards::Card;
use super::checkout::Filled;
use super::form::Form;
use super::portal::PortalAct;
use super::state::{Fields, State};
use crate::calendar::{DAY, HOUR};
use crate::draw::{Draw, Purpose};
use crate::ids::Kind;
use crate::wire::Failure;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Unix seconds.
    pub at: i64,
    /// What.
    pub act: &'static str,
    /// To which object, or for how long.
    pub subject: String,
}

const CARDS: [Card; 10] = [
    Card::Good,
    Card::Good,
    Card::Good,
    Card::FailsLater,
    Card::InsufficientFunds,
    Card::NeedsAuthentication,
    Card::Lost,
    Card::Debit,
    Card::DebitThatBounces,
    Card::Disputed,
];

fn form(fields: &[(&str, &str)]) -> Result<Form, Failure> {
    Form::of(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// Plays until there are `events` more events.
pub(crate) fn play(state: &mut State, seed: u64, events: usize) -> Vec<Step> {
    let mut player = Player { draw: Draw::new(seed, u32::MAX - 2, Purpose::Story), steps: Vec::new() };
    let goal = state.table(Kind::Event).count() + events;
    player.furnish(state);
    while state.table(Kind::Event).count() < goal {
        player.step(state);
    }
    player.steps
}

struct Player {
    draw: Draw,
    steps: Vec<Step>,
}

impl Player {
    fn note(&mut self, state: &State, act: &'static str, subject: &str) {
        self.steps.push(Step { at: state.now, act, subject: subject.to_owned() });
    }

    /// Sees to it that something can be bought.
    fn furnish(&mut self, state: &mut State) {
        let sold = |it: &Value| it.flag("active") && it.is("currency", "usd") && !it["recurring"].is_null();
        if state.table(Kind::Price).filter(|it| sold(it)).count() >= 2 {
            return;
        }
        for (name, amount, interval) in
            [("Starter", "1900", "month"), ("Pro", "7900", "month"), ("Pro", "79000", "year")]
        {
            let fields = [
                ("product_data[name]", name),
                ("currency", "usd"),
                ("unit_amount", amount),
                ("recurring[interval]", interval),
            ];
            if let Ok(price) = form(&fields).and_then(|it| state.create_price(it)) {
                self.note(state, "price", price.text("id"));
            }
        }
    }

    fn pick(&mut self, ids: &[String]) -> Option<String> {
        if ids.is_empty() { None } else { Some(self.draw.pick(ids).clone()) }
    }

    fn any(&mut self, state: &State, kind: Kind, fits: impl Fn(&Value) -> bool) -> Option<String> {
        let ids: Vec<String> = state.table(kind).filter(|it| !it.flag("deleted") && fits(it)).map(Fields::id).collect();
        self.pick(&ids)
    }

    fn price(&mut self, state: &State) -> Option<String> {
        self.any(state, Kind::Price, |it| it.flag("active") && it.is("currency", "usd") && !it["recurring"].is_null())
    }

    /// Does one thing; what cannot be done now is passed over.
    fn step(&mut self, state: &mut State) {
        let done = match self.draw.below(100) {
            0..8 => self.arrive(state),
            8..24 => self.open_checkout(state),
            24..44 => self.fill_checkout(state),
            44..70 => Some(self.wait(state)),
            70..76 => self.spoil(state),
            76..86 => self.portal(state),
            86..94 => self.staff(state),
            94..98 => self.reverse(state),
            _ => self.leave(state),
        };
        if let Some((act, subject)) = done {
            self.note(state, act, &subject);
        }
    }

    fn arrive(&mut self, state: &mut State) -> Option<(&'static str, String)> {
        let number = state.table(Kind::Customer).count();
        let (email, tenant) = (format!("owner{number}@history.example"), self.draw.hex(32));
        let made = state.create_customer(form(&[("email", &email), ("metadata[tenant_id]", &tenant)]).ok()?).ok()?;
        Some(("customer", made.id()))
    }

    fn open_checkout(&mut self, state: &mut State) -> Option<(&'static str, String)> {
        let customer = self.any(state, Kind::Customer, |_| true)?;
        let price = self.price(state)?;
        let end = (state.now + self.draw.between(2 * DAY, 20 * DAY)).to_string();
        let mut fields = vec![
            ("mode", "subscription"),
            ("customer", &customer),
            ("success_url", "https://paywall.example/return?session={CHECKOUT_SESSION_ID}"),
            ("line_items[0][price]", &price),
            ("line_items[0][quantity]", "1"),
        ];
        if self.draw.chance(500) {
            fields.push(("subscription_data[trial_end]", &end));
            if self.draw.chance(400) {
                let behaviors = ["cancel", "create_invoice", "pause"];
                fields.push(("payment_method_collection", "if_required"));
                fields.push((
                    "subscription_data[trial_settings][end_behavior][missing_payment_method]",
                    *self.draw.pick(&behaviors),
                ));
            }
        }
        let made = state.create_session(form(&fields).ok()?).ok()?;
        Some(("checkout", made.id()))
    }

    fn fill_checkout(&mut self, state: &mut State) -> Option<(&'static str, String)> {
        let session = self.any(state, Kind::CheckoutSession, |it| it.is("status", "open"))?;
        if self.draw.chance(60) {
            state.expire_session(&session, Form::default()).ok()?;
            return Some(("expire", session));
        }
        let card = *self.draw.pick(&CARDS);
        let needless = state
            .get(Kind::CheckoutSession, &session)
            .is_some_and(|it| it.is("payment_method_collection", "if_required"));
        let card = if needless && self.draw.chance(600) { None } else { Some(card) };
        let paid = state.pay_session(&session, &Filled { card, ..Filled::default() });
        Some((if paid.is_ok() { "paid" } else { "refused" }, session))
    }

    fn wait(&mut self, state: &mut State) -> (&'static str, String) {
        let longest = *self.draw.pick(&[HOUR, 2 * HOUR, DAY, 4 * DAY, 16 * DAY, 33 * DAY]);
        let seconds = self.draw.between(1, longest);
        state.advance(seconds);
        ("wait", seconds.to_string())
    }

    fn spoil(&mut self, state: &mut State) -> Option<(&'static str, String)> {
        let customer = self.any(state, Kind::Customer, |_| true)?;
        let card = *self.draw.pick(&CARDS);
        state.spoil(&customer, card).then_some(("spoil", customer))
    }

    fn portal(&mut self, state: &mut State) -> Option<(&'static str, String)> {
        let ended = |it: &Value| matches!(it.text("status"), "canceled" | "incomplete_expired");
        let subscription = self.any(state, Kind::Subscription, |it| !ended(it))?;
        let customer = state.known(Kind::Subscription, &subscription).text("customer").to_owned();
        let invoice = self.any(state, Kind::Invoice, |it| it.is("customer", &customer) && it.is("status", "open"));
        let price = self.price(state)?;
        let (act, word) = match self.draw.below(6) {
            0 => (PortalAct::CancelAtPeriodEnd { subscription: subscription.clone() }, "cancel"),
            1 => (PortalAct::Keep { subscription: subscription.clone() }, "keep"),
            2 => (PortalAct::Switch { subscription: subscription.clone(), price }, "switch"),
            3 if self.draw.chance(300) => (PortalAct::CancelNow { subscription: subscription.clone() }, "cancel_now"),
            4 => (PortalAct::Pay { invoice: invoice? }, "pay"),
            _ => (PortalAct::UpdateCard(*self.draw.pick(&CARDS)), "card"),
        };
        state.act_in_portal(&customer, &act).ok()?;
        Some((word, subscription))
    }

    /// What the seller's own people do.
    fn staff(&mut self, state: &mut State) -> Option<(&'static str, String)> {
        let paused = self.any(state, Kind::Subscription, |it| it.is("status", "paused"));
        if let Some(id) = paused.filter(|_| self.draw.chance(500)) {
            state.resume(&id, Form::default()).ok()?;
            return Some(("resume", id));
        }
        let id =
            self.any(state, Kind::Subscription, |it| !matches!(it.text("status"), "canceled" | "incomplete_expired"))?;
        let later = (state.now + self.draw.between(DAY, 20 * DAY)).to_string();
        let item = state.known(Kind::Subscription, &id).text("items/data/0/id").to_owned();
        let seats = self.draw.between(1, 9).to_string();
        let (act, fields): (&str, Vec<(&str, &str)>) = match self.draw.below(6) {
            0 => ("trial", vec![("trial_end", &later)]),
            1 => ("end_trial", vec![("trial_end", "now")]),
            2 => (
                "pause_collection",
                vec![("pause_collection[behavior]", *self.draw.pick(&["void", "keep_as_draft", "mark_uncollectible"]))],
            ),
            3 => ("collect", vec![("pause_collection", "")]),
            4 => ("quantity", vec![("items[0][id]", &item), ("items[0][quantity]", &seats)]),
            _ => {
                state.pause_subscription(&id, form(&[("type", "subscription")]).ok()?).ok()?;
                return Some(("pause", id));
            }
        };
        state.update_subscription(&id, form(&fields).ok()?).ok()?;
        Some((act, id))
    }

    fn reverse(&mut self, state: &mut State) -> Option<(&'static str, String)> {
        let open = self.any(state, Kind::Dispute, |it| !matches!(it.text("status"), "won" | "lost"));
        if let Some(dispute) = open.filter(|_| self.draw.chance(500)) {
            let won = self.draw.chance(500);
            state.decide(&dispute, won);
            return Some(("decide", dispute));
        }
        let charge = self.any(state, Kind::Charge, |it| it.is("status", "succeeded"))?;
        if self.draw.chance(300) {
            return state.dispute(&charge, "fraudulent").map(|id| ("dispute", id));
        }
        let made = state.create_refund(form(&[("charge", &charge)]).ok()?).ok()?;
        Some(("refund", made.id()))
    }

    fn leave(&mut self, state: &mut State) -> Option<(&'static str, String)> {
        let customer = self.any(state, Kind::Customer, |_| true)?;
        if self.draw.chance(700) {
            return None;
        }
        state.delete_customer(&customer).ok()?;
        Some(("delete", customer))
    }
}

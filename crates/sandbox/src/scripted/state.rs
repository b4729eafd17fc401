//! The account as it is: objects as Stripe shows them, and the events that told of each change.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::cards::Card;
use super::checkout::Terms;
use super::requests::{Planned, Saved};
use super::settings::Settings;
use super::webhooks::{Delivery, Secret};
use crate::draw::{Draw, Purpose};
use crate::ids::{Ids, Kind};
use crate::render;
use crate::wire::Failure;

/// The objects of one kind, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Table {
    order: Vec<String>,
    objects: HashMap<String, Value>,
}

/// A payment whose outcome comes later.
#[derive(Debug, Clone)]
pub(crate) struct Settling {
    pub(crate) at: i64,
    pub(crate) invoice: String,
    pub(crate) charge: String,
    pub(crate) fails: bool,
}

/// The API request that is being answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    pub(crate) request: Option<String>,
    pub(crate) key: Option<String>,
}

pub(crate) struct State {
    pub(crate) settings: Settings,
    /// Unix seconds.
    pub(crate) now: i64,
    /// Where this account is served, for the pages that people are sent to.
    pub(crate) base: String,
    ids: Ids,
    draw: Draw,
    made: u32,
    tables: BTreeMap<Kind, Table>,
    /// How each payment method behaves.
    pub(crate) cards: HashMap<String, Card>,
    /// What a subscription's next invoice takes with it, by subscription.
    pub(crate) pending: HashMap<String, Vec<Value>>,
    /// What was agreed on in a Checkout session, and the subscription that it has begun.
    pub(crate) terms: HashMap<String, Terms>,
    pub(crate) settling: Vec<Settling>,
    /// Invoices on which resuming a paused subscription hangs, by subscription.
    pub(crate) resuming: HashMap<String, String>,
    /// Subscriptions that were told of the end of their trial, and which end.
    pub(crate) forewarned: HashMap<String, i64>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) secrets: HashMap<String, Vec<Secret>>,
    /// Answers under an idempotency key.
    pub(crate) saved: HashMap<String, Saved>,
    pub(crate) planned: Vec<Planned>,
    pub(crate) cause: Cause,
}

/// Reads fields of an object by their JSON pointer without the leading slash.
pub(crate) trait Fields {
    fn text(&self, path: &str) -> &str;
    fn int(&self, path: &str) -> i64;
    fn int_at(&self, path: &str) -> Option<i64>;
    fn flag(&self, path: &str) -> bool;
    fn list(&self, path: &str) -> &[Value];
    fn maybe(&self, path: &str) -> Option<String>;
    fn id(&self) -> String {
        self.text("id").to_owned()
    }
    fn is(&self, path: &str, text: &str) -> bool {
        self.text(path) == text
    }
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').try_fold(value, |value, step| match value {
        Value::Array(members) => members.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

impl Fields for Value {
    fn text(&self, path: &str) -> &str {
        at(self, path).and_then(Value::as_str).unwrap_or_default()
    }
    fn int(&self, path: &str) -> i64 {
        self.int_at(path).unwrap_or(0)
    }
    fn int_at(&self, path: &str) -> Option<i64> {
        at(self, path).and_then(Value::as_i64)
    }
    fn flag(&self, path: &str) -> bool {
        at(self, path).and_then(Value::as_bool) == Some(true)
    }
    fn list(&self, path: &str) -> &[Value] {
        at(self, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
    fn maybe(&self, path: &str) -> Option<String> {
        at(self, path).and_then(Value::as_str).map(str::to_owned)
    }
}

impl State {
    pub(crate) fn new(settings: Settings, base: String) -> Self {
        let ids = Ids::new(settings.seed ^ 0x5c21_97ed);
        let draw = Draw::new(settings.seed, u32::MAX - 1, Purpose::Keys);
        let now = settings.now.0.div_euclid(1000);
        let mut state = Self {
            settings,
            now,
            base,
            ids,
            draw,
            made: 0,
            tables: BTreeMap::new(),
            cards: HashMap::new(),
            pending: HashMap::new(),
            terms: HashMap::new(),
            settling: Vec::new(),
            resuming: HashMap::new(),
            forewarned: HashMap::new(),
            deliveries: Vec::new(),
            secrets: HashMap::new(),
            saved: HashMap::new(),
            planned: Vec::new(),
            cause: Cause::default(),
        };
        let clock = state.new_id(Kind::TestClock);
        let clock = json!({
            "id": clock, "object": "test_helpers.test_clock", "created": now, "deletes_after": now + 30 * 86_400,
            "frozen_time": now, "livemode": false, "name": "The account's clock", "status": "ready", "status_details": {},
        });
        state.insert(Kind::TestClock, clock, None);
        state
    }

    pub(crate) fn account(&self) -> String {
        self.ids.account()
    }

    pub(crate) fn new_id(&mut self, kind: Kind) -> String {
        self.made += 1;
        let id = self.ids.id(kind, self.made, 0);
        // Sessions have longer ids than anything else.
        if kind == Kind::CheckoutSession { format!("{id}{}", self.draw.alphanumeric(33)) } else { id }
    }

    /// Letters and digits that nobody can guess from the ids.
    pub(crate) fn token(&mut self, len: usize) -> String {
        self.draw.alphanumeric(len)
    }

    pub(crate) fn table(&self, kind: Kind) -> impl DoubleEndedIterator<Item = &Value> {
        let table = self.tables.get(&kind);
        table.into_iter().flat_map(|table| table.order.iter().filter_map(|id| table.objects.get(id)))
    }

    pub(crate) fn get(&self, kind: Kind, id: &str) -> Option<&Value> {
        self.tables.get(&kind)?.objects.get(id)
    }

    /// A copy of an object that is there because another one names it.
    pub(crate) fn known(&self, kind: Kind, id: &str) -> Value {
        self.get(kind, id).cloned().unwrap_or_default()
    }

    /// The object that a parameter names.
    pub(crate) fn named(&self, kind: Kind, id: &str, param: &str) -> Result<Value, Failure> {
        let found = self.get(kind, id).filter(|it| !it.flag("deleted"));
        found.cloned().ok_or_else(|| Failure::missing(kind, id, param))
    }

    /// Adds an object, and tells of it where an event type is given.
    pub(crate) fn insert(&mut self, kind: Kind, object: Value, event: Option<&str>) -> String {
        let id = object.id();
        let table = self.tables.entry(kind).or_default();
        table.order.push(id.clone());
        table.objects.insert(id.clone(), object);
        if let Some(event) = event {
            self.tell(event, kind, &id);
        }
        id
    }

    /// Puts what is left of a deleted object in its place.
    pub(crate) fn bury(&mut self, kind: Kind, id: &str) -> Value {
        let stub = json!({"id": id, "object": kind.singular(), "deleted": true});
        if let Some(object) = self.tables.get_mut(&kind).and_then(|table| table.objects.get_mut(id)) {
            *object = stub.clone();
        }
        stub
    }

    /// Changes an object; tells of it, with what was before, if anything did change.
    pub(crate) fn change(
        &mut self,
        kind: Kind,
        id: &str,
        event: Option<&str>,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let Some(object) = self.tables.get_mut(&kind).and_then(|table| table.objects.get_mut(id)) else { return false };
        let before = object.clone();
        change(object);
        let previous = difference(&before, object);
        if previous.is_empty() {
            return false;
        }
        if let Some(event) = event {
            let after = object.clone();
            self.emit(event, &after, Some(Value::Object(previous)));
        }
        true
    }

    /// Tells of an object as it is.
    pub(crate) fn tell(&mut self, event: &str, kind: Kind, id: &str) {
        let object = self.known(kind, id);
        self.emit(event, &object, None);
    }

    pub(crate) fn emit(&mut self, event: &str, object: &Value, previous: Option<Value>) {
        let id = self.new_id(Kind::Event);
        let mut data = json!({"object": object});
        if let Some(previous) = previous {
            data["previous_attributes"] = previous;
        }
        let record = json!({
            "id": id, "object": "event", "api_version": render::API_VERSION, "created": self.now, "data": data,
            "livemode": false, "pending_webhooks": 0,
            "request": {"id": self.cause.request, "idempotency_key": self.cause.key}, "type": event,
        });
        self.insert(Kind::Event, record, None);
        self.schedule(&id, event);
    }

    /// The customer's subscriptions that have not ended.
    pub(crate) fn running(&self, customer: &str) -> Vec<Value> {
        let ended = |it: &Value| matches!(it.text("status"), "canceled" | "incomplete_expired");
        self.table(Kind::Subscription).filter(|it| it.is("customer", customer) && !ended(it)).cloned().collect()
    }

    /// The invoices of a subscription, oldest first.
    pub(crate) fn invoices_of(&self, subscription: &str) -> Vec<Value> {
        let of = |it: &&Value| it.is("parent/subscription_details/subscription", subscription);
        self.table(Kind::Invoice).filter(of).cloned().collect()
    }
}

/// The former values of what differs, objects within by their own fields as Stripe gives them.
fn difference(before: &Value, after: &Value) -> Map<String, Value> {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else { return Map::new() };
    let mut previous = Map::new();
    for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
        let (was, is) = (old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null));
        if was == is {
            continue;
        }
        let part = difference(was, is);
        previous.insert(key.clone(), if part.is_empty() { was.clone() } else { Value::Object(part) });
    }
    previous
}

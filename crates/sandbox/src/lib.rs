//! A deterministic sample world: the tenants of a fictional company, two years of their payments, and
//! the Stripe-shaped read API that serves them. Beside it, a Stripe account that is written to: [`scripted`].
//!
//! The same [`WorldSpec`] gives the same world, byte for byte, on every platform. Each tenant is drawn
//! from a stream of its own and made when it is asked for, so a world of any size costs little to hold.

// Stripe's objects have more fields than the macro that writes them descends by default.
#![recursion_limit = "512"]

mod billing;
mod books;
mod calendar;
mod cast;
mod catalog;
mod draw;
mod expand;
mod history;
mod ids;
mod intake;
mod keys;
mod names;
mod parts;
mod render;
pub mod scripted;
mod story;
pub mod stripe_api;
mod turns;
mod wire;

use std::sync::Arc;

use paywall_contract::IntakeRecord;
use paywall_domain::{Plan, Timestamp};

pub use cast::{Cast, Member, Role};
pub use history::{Cursor, Filter, NoSuch, StripeHistory};
pub use ids::Kind;
pub use keys::Keys;
pub use render::API_VERSION;
pub use wire::Rules;

use crate::ids::Ids;
use crate::story::Setting;

/// The least number of tenants: a world has room for its whole cast.
pub const TENANTS_MIN: u32 = 60;

/// Which world to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorldSpec {
    /// Two worlds of different seeds have nothing in common.
    pub seed: u64,
    /// How many tenants; fewer than [`TENANTS_MIN`] become that many.
    pub tenants: u32,
    /// The world's present: everything lies relative to it. Whole seconds; parts of one are dropped.
    pub as_of: Timestamp,
}

/// A sample world.
#[derive(Debug, Clone)]
pub struct World {
    spec: WorldSpec,
    ids: Ids,
    plans: Arc<[Plan]>,
}

impl World {
    /// The world of a spec. Nothing is made yet but the plans.
    pub fn generate(spec: WorldSpec) -> Self {
        let as_of = Timestamp(spec.as_of.0.div_euclid(1000) * 1000);
        let ids = Ids::new(spec.seed);
        let plans = catalog::plans(&ids).into();
        Self { spec: WorldSpec { tenants: spec.tenants.max(TENANTS_MIN), as_of, ..spec }, ids, plans }
    }

    /// What was asked for, brought into range.
    pub fn spec(&self) -> WorldSpec {
        self.spec
    }

    fn setting(&self) -> Setting {
        Setting { seed: self.spec.seed, now: self.spec.as_of, ids: self.ids.clone(), prices: catalog::prices() }
    }

    /// The paywall's plans.
    pub fn plans(&self) -> Vec<Plan> {
        self.plans.to_vec()
    }

    /// Everything that a paywall server takes in, one tenant at a time: the plans, then the tenants.
    pub fn intake(&self) -> impl Iterator<Item = IntakeRecord> + use<> {
        let (setting, plans) = (self.setting(), Arc::clone(&self.plans));
        let first: Vec<IntakeRecord> = plans.iter().cloned().map(IntakeRecord::Plan).collect();
        first.into_iter().chain((0..self.spec.tenants).map(move |index| {
            IntakeRecord::Tenant(Box::new(intake::intake(&setting, &plans, story::tell(&setting, index))))
        }))
    }

    /// The products and the prices, as Stripe shows them, oldest first.
    pub(crate) fn catalog(&self) -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
        let setting = self.setting();
        let products = catalog::Product::all().map(|it| render::product(&setting, it)).collect();
        let prices = (0..setting.prices.len() as u16).map(|ordinal| render::price(&setting, ordinal)).collect();
        (products, prices)
    }

    /// The Stripe account, at the world's present. Each call makes one of its own.
    pub fn stripe(&self) -> Arc<StripeHistory> {
        Arc::new(StripeHistory::new(self.setting(), self.spec.tenants))
    }

    /// The keys of the Stripe account.
    pub fn keys(&self) -> Keys {
        Keys::new(self.spec.seed, &self.ids.account())
    }

    /// The tenants that play a part, the same in every world of this seed.
    pub fn cast(&self) -> Cast {
        let setting = self.setting();
        Cast::new(|role| {
            let story = story::tell(&setting, role as u32);
            Member {
                index: story.index,
                stripe_customer: story.customer_id(&setting.ids),
                subscription: story.facts.subscription.as_ref().map(|it| it.id.clone()),
                id: story.id,
                name: story.name,
                email: story.email,
            }
        })
    }
}

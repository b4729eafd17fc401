//! The store's side of an allotment, as a pure rule: the SQL store runs it inside its transaction, and the
//! simulation in memory.

use std::collections::BTreeMap;

use super::{Claim, Grant, HolderId};

/// A holder gets at most one in so many of the units that are left ahead of its need. What a replica holds
/// ahead when it is killed stays counted as used, since nobody can know whether it used it; so this bounds
/// what one crash can cost: a tenant with fewer units left than this loses nothing.
pub const SPARE_SHARE: i64 = 1_024;

/// One holder's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The last claim answered.
    pub revision: i64,
    /// Units that are the holder's.
    pub covered: i64,
    /// How many of them it had no need for when it last spoke.
    pub spare: i64,
    /// Whether the spare ones are asked back.
    pub wanted: bool,
    /// Whether the holder still says that it is alive.
    pub alive: bool,
}

/// An allotment as the store keeps it. What is used of the limit is `counted` and all that leases cover.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// Units counted by usage events.
    pub counted: i64,
    /// Leases by holder.
    pub leases: BTreeMap<HolderId, Lease>,
}

impl Books {
    /// Units counted or covered.
    pub fn used(&self) -> i64 {
        self.leases.values().fold(self.counted, |sum, lease| sum.saturating_add(lease.covered))
    }

    /// Answers a claim. The units that the claim's batch settles are in `counted` already.
    ///
    /// Never covers a unit beyond the limit that was not covered before: `covered` grows only within what
    /// `counted` and the other leases leave of the limit. [`Claim::hold`] alone is taken on trust, and a
    /// holder puts nothing there that was not covered for it.
    pub fn answer(&mut self, holder: &HolderId, claim: &Claim) -> Grant {
        let own = self.leases.get(holder).copied();
        let others = self.used() - own.map_or(0, |lease| lease.covered);
        let room = claim.limit.saturating_sub(others);
        if let Some(lease) = own.filter(|lease| lease.revision >= claim.revision) {
            // Sent before one that was answered: it was given up, and nobody waits for this.
            let left = room.saturating_sub(lease.covered).max(0);
            return Grant { covered: lease.covered, left, held: 0, used: self.used(), lost: false };
        }
        if own.is_none() && claim.known {
            return Grant { covered: 0, left: room.max(0), held: 0, used: others, lost: true };
        }
        let needed = claim.need.min(room);
        let spare = (room.saturating_sub(claim.need).max(0) / SPARE_SHARE).min(claim.wish - claim.need).max(0);
        let covered = claim.hold.max(needed.saturating_add(spare)).max(0);
        let lease = Lease {
            revision: claim.revision,
            covered,
            spare: covered.saturating_sub(claim.need).max(0),
            wanted: false,
            alive: true,
        };
        self.leases.insert(holder.clone(), lease);
        let mut held = 0_i64;
        if covered < claim.need {
            for (_, other) in self.leases.iter_mut().filter(|(id, it)| *id != holder && it.alive && it.spare > 0) {
                other.wanted = true;
                held = held.saturating_add(other.spare);
            }
        }
        let left = room.saturating_sub(covered).max(0);
        Grant { covered, left, held, used: others.saturating_add(covered), lost: false }
    }
}

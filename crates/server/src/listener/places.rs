//! The caps on connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who holds how many connections.
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place, free again when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    /// `None`: counted in all only.
    address: Option<IpAddr>,
}

impl Places {
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, taken: Mutex::default() })
    }

    /// A place for a connection from `peer`, where there is one. Behind an `exempt` address are many.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr, exempt: bool) -> Option<Place> {
        let mut taken = self.taken();
        if taken.all >= self.most {
            return None;
        }
        let address = (!exempt).then(|| counted_as(peer));
        if let Some(address) = address {
            let count = taken.by_address.entry(address).or_default();
            if *count >= self.most_per_address {
                return None;
            }
            *count += 1;
        }
        taken.all += 1;
        Some(Place { places: Arc::clone(self), address })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Counting cannot panic half done.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(address) = self.address
            && let Some(count) = taken.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

/// Where a peer's connections are counted: its address, or its /64, of which one customer has many.
fn counted_as(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_and_addresses_do_not_share() {
        let places = Places::new(4, 2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let (one, other) = (address("2001:db8::1"), address("192.0.2.1"));
        let first = places.take(one, false);
        let second = places.take(address("2001:db8::2"), false);
        assert!(first.is_some() && second.is_some());
        assert!(places.take(one, false).is_none(), "one /64 is one customer");
        let third = places.take(other, false);
        assert!(third.is_some());
        drop(first);
        let fourth = places.take(one, true);
        let fifth = places.take(one, true);
        assert!(fourth.is_some() && fifth.is_some(), "trusted proxies have no cap of their own");
        assert!(places.take(other, false).is_none(), "four in all");
        drop((second, third, fourth, fifth));
        assert!(places.taken().by_address.is_empty());
        assert_eq!(places.taken().all, 0);
    }
}

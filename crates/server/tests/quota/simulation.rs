//! Replicas, a store and a network that loses, delays and reorders, replica crashes and clocks that differ,
//! step by step from a seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use paywall_server::quota::{
    Allotment, Books, COOL, Claim, Demand, Due, Grant, HolderId, IDLE, Pass, SPARE_SHARE, Verdict,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A request at a replica: what it has of the limit.
#[derive(Debug, Clone, Copy)]
struct Running {
    units: i64,
    epoch: u64,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    id: u64,
    amount: i64,
    settles: i64,
    epoch: u64,
}

#[derive(Debug, Clone)]
struct Message {
    from: usize,
    attempt: u64,
    events: Vec<Event>,
    claim: Claim,
}

struct Replica {
    holder: HolderId,
    /// How far its clock is off.
    skew: Duration,
    allotment: Allotment<i64>,
    running: Vec<Running>,
    settled: VecDeque<Event>,
    unwritten: Vec<Event>,
    attempt: Option<u64>,
    /// Units given back since the last claim that was answered was sent, and since the one on its way was.
    back: i64,
    back_since: i64,
}

impl Replica {
    fn give_back(&mut self, epoch: u64, units: i64) {
        self.allotment.give_back(epoch, units);
        self.back += units;
        self.back_since += units;
    }
}

struct World {
    rng: StdRng,
    now: Duration,
    limit: i64,
    overshoots: bool,
    books: Books,
    events: BTreeSet<u64>,
    replicas: Vec<Replica>,
    air: Vec<Message>,
    answers: Vec<(usize, u64, Grant)>,
    next: u64,
    revision: i64,
    /// Units that callers were let through with and that were not given back: by running and ended requests,
    /// on replicas alive and dead.
    used: i64,
    /// Units beyond what was reserved, of answers that grew longer.
    beyond: i64,
    refused: u64,
    /// Units that replicas had covered when they died, beyond those used.
    burned: i64,
    burnable: i64,
    crashes: usize,
    /// Whether from now on nobody goes away and everything is used as it was reserved.
    calm: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let limit = match rng.random_range(0..4) {
            0 => rng.random_range(0..20),
            1 => rng.random_range(20..200),
            2 => rng.random_range(200..SPARE_SHARE),
            _ => rng.random_range(SPARE_SHARE..6 * SPARE_SHARE),
        };
        let overshoots = rng.random_bool(0.2);
        let mut world = Self {
            rng,
            now: Duration::from_secs(100_000),
            limit,
            overshoots,
            books: Books::default(),
            events: BTreeSet::new(),
            replicas: Vec::new(),
            air: Vec::new(),
            answers: Vec::new(),
            next: 0,
            revision: 0,
            used: 0,
            beyond: 0,
            refused: 0,
            burned: 0,
            burnable: 0,
            crashes: 0,
            calm: false,
        };
        for _ in 0..world.rng.random_range(1..5) {
            let replica = world.replica();
            world.replicas.push(replica);
        }
        world
    }

    fn replica(&mut self) -> Replica {
        self.next += 1;
        let skew = Duration::from_secs(self.rng.random_range(0..7_200));
        Replica {
            holder: HolderId(format!("replica-{}", self.next)),
            skew,
            allotment: Allotment::new(self.next, self.limit, self.now + skew),
            running: Vec::new(),
            settled: VecDeque::new(),
            unwritten: Vec::new(),
            attempt: None,
            back: 0,
            back_since: 0,
        }
    }

    fn at(&self, index: usize) -> Duration {
        self.now + self.replicas[index].skew
    }

    fn arrive(&mut self, index: usize, demand: Demand) {
        let now = self.at(index);
        let replica = &mut self.replicas[index];
        match replica.allotment.reserve(demand, self.limit, now) {
            Pass::Now(verdict) => self.tell(index, verdict),
            Pass::Waits => replica.allotment.wait(demand, demand.want, now),
        }
    }

    fn tell(&mut self, index: usize, verdict: Verdict) {
        let replica = &mut self.replicas[index];
        match verdict {
            // A caller may be gone by the time its answer comes.
            Verdict::Passed(units) if !self.calm && self.rng.random_bool(0.03) => {
                replica.give_back(replica.allotment.epoch(), units);
            }
            Verdict::Passed(units) => {
                replica.running.push(Running { units, epoch: replica.allotment.epoch() });
                self.used += units;
            }
            Verdict::Refused(_) => self.refused += 1,
        }
    }

    fn end(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        if replica.running.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..replica.running.len());
        let Running { units, epoch } = replica.running.swap_remove(at);
        let amount = match self.rng.random_range(0..10) {
            _ if self.calm => units,
            0 => 0,
            1 => self.rng.random_range(0..=units),
            2 if self.overshoots => units + self.rng.random_range(0..5),
            _ => units,
        };
        self.used -= units - amount.min(units);
        self.beyond += (amount - units).max(0);
        if amount == 0 {
            replica.give_back(epoch, units);
        } else {
            self.next += 1;
            replica.settled.push_back(Event { id: self.next, amount, settles: units, epoch });
        }
    }

    /// Sends what is due; answers whether anything was.
    fn send(&mut self, index: usize) -> bool {
        let now = self.at(index);
        let replica = &mut self.replicas[index];
        if replica.attempt.is_some() {
            return false;
        }
        if replica.unwritten.is_empty() {
            let most = if self.calm { usize::MAX } else { self.rng.random_range(1..6) };
            let most = most.min(replica.settled.len());
            replica.unwritten = replica.settled.drain(..most).collect();
        }
        let epoch = replica.allotment.epoch();
        let settles = replica.unwritten.iter().filter(|it| it.epoch == epoch).map(|it| it.settles).sum();
        if replica.unwritten.is_empty() && replica.allotment.due(now) != Due::Now {
            return false;
        }
        self.revision += 1;
        self.next += 1;
        let claim = replica.allotment.claim(self.revision, settles, now);
        replica.attempt = Some(self.next);
        replica.back_since = 0;
        self.air.push(Message { from: index, attempt: self.next, events: replica.unwritten.clone(), claim });
        true
    }

    /// A message reaches the store; the answer is on its way.
    fn deliver(&mut self, at: usize) {
        let message = self.air.swap_remove(at);
        for event in &message.events {
            if self.events.insert(event.id) {
                self.books.counted += event.amount;
            }
        }
        let holder = self.replicas[message.from].holder.clone();
        let grant = self.books.answer(&holder, &message.claim);
        self.answers.push((message.from, message.attempt, grant));
        self.check();
    }

    fn answer(&mut self, at: usize) {
        let (index, attempt, grant) = self.answers.swap_remove(at);
        let now = self.at(index);
        let replica = &mut self.replicas[index];
        if replica.attempt != Some(attempt) {
            return;
        }
        replica.attempt = None;
        replica.back = replica.back_since;
        replica.unwritten.clear();
        for (want, verdict) in replica.allotment.confirm(&grant, now) {
            // What was covered for it is more than it got, or than it would take.
            let got = if let Verdict::Passed(units) = verdict { units } else { 0 };
            self.replicas[index].back += want - got;
            self.tell(index, verdict);
        }
    }

    /// Nothing comes back in time; what was sent may still arrive, or not.
    fn time_out(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        if replica.attempt.take().is_some() {
            replica.allotment.fail();
            if self.rng.random_bool(0.5) {
                self.air.retain(|it| it.from != index);
            }
        }
    }

    fn crash(&mut self, index: usize) {
        // What it sent may still arrive: here it does, or never.
        if self.rng.random_bool(0.5) {
            while let Some(at) = self.air.iter().position(|it| it.from == index) {
                self.deliver(at);
            }
        }
        self.air.retain(|it| it.from != index);
        self.answers.retain(|it| it.0 != index);
        let fresh = self.replica();
        let dead = std::mem::replace(&mut self.replicas[index], fresh);
        let used: i64 = dead.running.iter().map(|it| it.units).sum::<i64>();
        let unwritten: Vec<&Event> =
            dead.settled.iter().chain(&dead.unwritten).filter(|it| !self.events.contains(&it.id)).collect();
        let returning: i64 = unwritten.iter().map(|it| (it.settles - it.amount).max(0)).sum();
        let unwritten: i64 = unwritten.iter().map(|it| it.amount).sum();
        let covered = self.books.leases.get(&dead.holder).map_or(0, |it| it.covered);
        // Which of them were used nobody can know any more; all of them count.
        assert!(covered >= used + unwritten - self.beyond, "units in use were not covered");
        self.burned += covered - used - unwritten;
        let mut allotment = dead.allotment;
        let far = Duration::from_secs(1_000_000);
        let waiting: i64 = allotment.overdue(far).into_iter().sum();
        self.burnable += waiting + returning + dead.back + self.limit / SPARE_SHARE;
        self.crashes += 1;
        if let Some(lease) = self.books.leases.get_mut(&dead.holder) {
            lease.alive = false;
        }
    }

    /// What replicas held that are gone is counted.
    fn write_off(&mut self) {
        let (gone, here): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.books.leases).into_iter().partition(|(_, it)| !it.alive);
        self.books.counted += gone.values().map(|it| it.covered).sum::<i64>();
        self.books.leases = here;
    }

    fn recall(&mut self, index: usize) {
        let now = self.at(index);
        let replica = &mut self.replicas[index];
        if self.books.leases.get(&replica.holder).is_some_and(|it| it.wanted) {
            replica.allotment.recall(now);
        }
    }

    fn check(&self) {
        assert!(self.used <= self.limit, "{} used of {}", self.used, self.limit);
        if self.beyond == 0 {
            assert!(self.books.used() <= self.limit, "{} covered of {}", self.books.used(), self.limit);
        }
        for (index, replica) in self.replicas.iter().enumerate() {
            let allotment = &replica.allotment;
            assert!(allotment.passed() >= 0 && allotment.passed() <= allotment.ceiling().max(0), "replica {index}");
        }
    }

    fn demand(&mut self) -> Demand {
        match self.rng.random_range(0..10) {
            0 => Demand::exactly(self.rng.random_range(1..8)),
            1 => Demand::up_to(self.rng.random_range(1..40)),
            _ => Demand::exactly(1),
        }
    }

    fn step(&mut self) {
        let index = self.rng.random_range(0..self.replicas.len());
        match self.rng.random_range(0..100) {
            0..30 => {
                for _ in 0..self.rng.random_range(1..6) {
                    let demand = self.demand();
                    self.arrive(index, demand);
                }
            }
            30..45 => self.end(index),
            45..65 => {
                self.send(index);
            }
            65..80 if !self.air.is_empty() => {
                let at = self.rng.random_range(0..self.air.len());
                self.deliver(at);
            }
            80..90 if !self.answers.is_empty() => {
                let at = self.rng.random_range(0..self.answers.len());
                self.answer(at);
            }
            90..93 => self.recall(index),
            93..95 => self.time_out(index),
            95 if self.rng.random_bool(0.3) => self.crash(index),
            96 if self.rng.random_bool(0.3) => self.write_off(),
            _ => self.now += Duration::from_millis(self.rng.random_range(0..400)),
        }
        self.check();
    }

    /// The network works again, everything ends, and everybody asks until nothing is left.
    fn settle_down(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "it does not come to rest");
            let mut busy = false;
            for index in 0..self.replicas.len() {
                while !self.replicas[index].running.is_empty() {
                    self.end(index);
                }
                self.recall(index);
                busy |= self.send(index);
            }
            busy |= !self.air.is_empty() || !self.answers.is_empty();
            while !self.air.is_empty() {
                self.deliver(0);
            }
            while !self.answers.is_empty() {
                self.answer(0);
            }
            for index in 0..self.replicas.len() {
                self.time_out(index);
                busy |= self.replicas[index].allotment.awaited() || !self.replicas[index].settled.is_empty();
            }
            self.now += Duration::from_millis(50);
            self.check();
            if !busy {
                return;
            }
        }
    }

    fn exhaust(&mut self) {
        self.settle_down();
        self.calm = true;
        self.now += COOL + IDLE;
        self.settle_down();
        let mut fruitless = 0;
        while fruitless < 3 {
            let before = self.used;
            for index in 0..self.replicas.len() {
                let most = (self.limit - self.used).clamp(1, 500);
                for _ in 0..most {
                    self.arrive(index, Demand::exactly(1));
                }
            }
            self.settle_down();
            self.now += Duration::from_millis(300);
            fruitless = if self.used == before { fruitless + 1 } else { 0 };
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..world.rng.random_range(20..400) {
        world.step();
    }
    world.exhaust();
    let World { limit, used, beyond, burned, burnable, crashes, .. } = world;
    if beyond == 0 {
        assert_eq!(used + burned, limit, "every unit can be used but what crashes burned ({crashes} crashes)");
    } else {
        assert!(used + burned + beyond >= limit, "{used} used, {burned} burned, {beyond} beyond, of {limit}");
    }
    if crashes == 0 {
        assert_eq!(burned, 0);
    }
    assert!(burned <= burnable, "{burned} burned, more than the {burnable} that {crashes} crashes may cost");
}

#[test]
fn whatever_happens_no_limit_is_passed_and_every_unit_can_be_used() {
    let soaks = std::env::var("PAYWALL_SOAK").is_ok_and(|it| it == "1");
    let usual = if soaks { 100_000 } else { 3_000 };
    let seeds = std::env::var("PAYWALL_SIZE").ok().and_then(|it| it.parse().ok()).unwrap_or(usual);
    let first = std::env::var("PAYWALL_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "PAYWALL_SEED={seed} PAYWALL_SIZE=1");
        let done = seed + 1 - first;
        if done.is_multiple_of(10_000) {
            eprintln!("{done} of {seeds} seeds");
        }
    }
}

//! Who has asked for how much in the last minute.
//!
//! A table of a fixed size for principals and one for addresses, of counters without a lock. Where there are more than it
//! holds, the ones that ask most stay: a newcomer wears down the smallest of its neighbours before it takes its place.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use access::{Class, PrincipalName};

/// Principals, and addresses, that are counted at a time.
const SLOTS: usize = 1_024;

/// Slots that one of them may stand in.
const NEIGHBOURS: usize = 8;

/// Length of the two halves of what is remembered, in seconds.
const HALF: u64 = 60;

/// What all have asked for lately.
#[derive(Debug)]
pub(crate) struct Meter {
    principals: Table<Option<PrincipalName>>,
    addresses: Table<IpAddr>,
    /// Random, so that nobody chooses their neighbours.
    keys: RandomState,
    began: Instant,
}

/// What counts of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) class: Class,
    /// Whoever asked was told to come again.
    pub(crate) shed: bool,
    pub(crate) bytes: u64,
}

/// What one of them has asked for in the last minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage<K> {
    /// Who.
    pub who: K,
    /// The class of the last request.
    pub class: Class,
    /// Requests that were answered.
    pub requests: u64,
    /// Bytes of answers.
    pub bytes: u64,
    /// Of the requests, those that were told to come again.
    pub shed: u64,
    /// Requests that wait for their turn now.
    pub waiting: u64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            principals: Table::new(),
            addresses: Table::new(),
            keys: RandomState::new(),
            began: Instant::now(),
        }
    }

    /// Counts a request that was answered, with what is known of its bytes.
    pub(crate) fn note(
        &self,
        now: Instant,
        (principal, address): (Option<&PrincipalName>, IpAddr),
        answer: &Answer,
    ) {
        let now = now.saturating_duration_since(self.began).as_secs();
        let mark = self.mark(&principal);
        if let Some(slot) = self.principals.slot(now, mark, || principal.cloned()) {
            slot.count(answer);
        }
        if let Some(slot) = self.addresses.slot(now, self.mark(&address), || address) {
            slot.count(answer);
        }
    }

    /// Counts bytes that were sent of an answer that was counted.
    pub(crate) fn sent(
        &self,
        (principal, address): (Option<&PrincipalName>, IpAddr),
        class: Class,
        bytes: u64,
    ) {
        let now = self.began.elapsed().as_secs();
        let mark = self.mark(&principal);
        self.principals
            .add_bytes((now, mark), || principal.cloned(), class, bytes);
        let mark = self.mark(&address);
        self.addresses.add_bytes((now, mark), || address, class, bytes);
    }

    /// All principals that are counted.
    pub(crate) fn principals(&self) -> Vec<Usage<Option<PrincipalName>>> {
        self.principals.usage(self.began.elapsed().as_secs())
    }

    /// All addresses that are counted.
    pub(crate) fn addresses(&self) -> Vec<Usage<IpAddr>> {
        self.addresses.usage(self.began.elapsed().as_secs())
    }

    /// Never 0, which marks a slot that is free.
    fn mark(&self, who: &impl Hash) -> u64 {
        self.keys.hash_one(who) | 1
    }
}

#[derive(Debug)]
struct Table<K> {
    halves: [Box<[Slot<K>]>; 2],
    period: AtomicU64,
}

#[derive(Debug)]
struct Slot<K> {
    mark: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
    shed: AtomicU64,
    class: AtomicUsize,
    who: Mutex<Option<K>>,
}

impl<K> Default for Slot<K> {
    fn default() -> Self {
        Self {
            mark: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            class: AtomicUsize::new(0),
            who: Mutex::new(None),
        }
    }
}

impl<K> Slot<K> {
    fn count(&self, answer: &Answer) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(answer.bytes, Ordering::Relaxed);
        self.class.store(answer.class.index(), Ordering::Relaxed);
        if answer.shed {
            self.shed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn clear(&self) {
        for counter in [&self.requests, &self.bytes, &self.shed, &self.mark] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// How much a newcomer has to wear down.
    fn size(&self) -> u64 {
        if self.mark.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.requests.load(Ordering::Relaxed).max(1)
    }

    /// Takes one request away. `false`: there is no more than one, and the slot may be taken.
    fn wear_down(&self) -> bool {
        let worn = self
            .requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |requests| {
                (requests > 1).then(|| requests - 1)
            });
        worn.is_ok()
    }

    /// Makes the slot that of somebody else. `false`: another one was quicker.
    fn take(&self, was: u64, mark: u64, who: K) -> bool {
        let mut place = self.who.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self
            .mark
            .compare_exchange(was, mark, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        if taken {
            for counter in [&self.requests, &self.bytes, &self.shed] {
                counter.store(0, Ordering::Relaxed);
            }
            *place = Some(who);
        }
        taken
    }
}

impl<K: Clone> Table<K> {
    fn new() -> Self {
        let half = || (0..SLOTS).map(|_| Slot::default()).collect();
        Self {
            halves: [half(), half()],
            period: AtomicU64::new(0),
        }
    }

    /// The slot of somebody. `None`: all neighbours ask for more, and nobody is counted for what somebody else asks for.
    fn slot(&self, now: u64, mark: u64, who: impl FnOnce() -> K) -> Option<&Slot<K>> {
        let slots = self.present(now);
        let mut smallest = neighbour(slots, mark, 0);
        for step in 0..NEIGHBOURS {
            let slot = neighbour(slots, mark, step);
            if slot.mark.load(Ordering::Relaxed) == mark {
                return Some(slot);
            }
            if slot.size() < smallest.size() {
                smallest = slot;
            }
        }
        let was = smallest.mark.load(Ordering::Relaxed);
        // Who asks once does not take the place of somebody who asks much; who goes on asking does in the end.
        if was != 0 && smallest.wear_down() {
            return None;
        }
        smallest.take(was, mark, who()).then_some(smallest)
    }

    /// Who takes minutes for one answer has asked for nothing in this half, and uses more than most.
    fn add_bytes(&self, (now, mark): (u64, u64), who: impl FnOnce() -> K, class: Class, bytes: u64) {
        if let Some(slot) = self.slot(now, mark, who) {
            slot.class.store(class.index(), Ordering::Relaxed);
            slot.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// The half for now; what is older than a minute is cleared by the first who comes.
    fn present(&self, now: u64) -> &[Slot<K>] {
        let period = now / HALF;
        let seen = self.period.load(Ordering::Relaxed);
        let moved = period > seen
            && self
                .period
                .compare_exchange(seen, period, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        let [even, odd] = &self.halves;
        let (present, other) = if period.is_multiple_of(2) {
            (even, odd)
        } else {
            (odd, even)
        };
        if moved {
            present.iter().for_each(Slot::clear);
            if period > seen + 1 {
                other.iter().for_each(Slot::clear);
            }
        }
        present
    }

    /// The present half, and of the one before what lies within the last minute if it came evenly.
    fn usage(&self, now: u64) -> Vec<Usage<K>> {
        let present = self.present(now);
        let [even, odd] = &self.halves;
        let before = if std::ptr::eq(present, even.as_ref()) {
            odd
        } else {
            even
        };
        let left = HALF - now % HALF;
        let mut found: HashMap<u64, Usage<K>> = HashMap::new();
        for (slots, part) in [(present, HALF), (&**before, left)] {
            for slot in slots {
                let mark = slot.mark.load(Ordering::Relaxed);
                let who = slot.who.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let (Some(who), true) = (who, mark != 0) else {
                    continue;
                };
                let counted = |counter: &AtomicU64| {
                    counter
                        .load(Ordering::Relaxed)
                        .saturating_mul(part)
                        .div_ceil(HALF)
                };
                let class = Class::ALL[slot.class.load(Ordering::Relaxed) % Class::ALL.len()];
                let usage = found.entry(mark).or_insert(Usage {
                    who,
                    class,
                    requests: 0,
                    bytes: 0,
                    shed: 0,
                    waiting: 0,
                });
                usage.requests += counted(&slot.requests);
                usage.bytes += counted(&slot.bytes);
                usage.shed += counted(&slot.shed);
            }
        }
        found.into_values().collect()
    }
}

fn neighbour<K>(slots: &[Slot<K>], mark: u64, step: usize) -> &Slot<K> {
    let first = usize::try_from(mark >> 1).unwrap_or(0) % slots.len();
    &slots[(first + step) % slots.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> PrincipalName {
        format!("robot-{number}").parse().unwrap()
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    fn answer(class: Class, shed: bool) -> Answer {
        Answer {
            class,
            shed,
            bytes: 10,
        }
    }

    /// A stranger at an address asks for something.
    fn note(meter: &Meter, number: u32) {
        let who = (None, address(number));
        meter.note(Instant::now(), who, &answer(Class::Scan, false));
    }

    #[test]
    fn what_somebody_asked_for_is_counted() {
        let (meter, robot) = (Meter::new(), name(1));
        for number in 0..10 {
            let who = (Some(&robot), address(7));
            meter.note(Instant::now(), who, &answer(Class::Node, number == 0));
            meter.sent(who, Class::Node, 90);
        }
        meter.note(Instant::now(), (None, address(8)), &answer(Class::Scan, false));
        let mut principals = meter.principals();
        principals.sort_by_key(|usage| usage.requests);
        let robot = &principals[1];
        assert_eq!((robot.who.as_ref(), robot.requests), (Some(&name(1)), 10));
        assert_eq!((robot.bytes, robot.shed, robot.class), (1_000, 1, Class::Node));
        assert_eq!(principals[0].who, None);
        assert_eq!(meter.addresses().len(), 2);
    }

    #[test]
    fn who_asks_much_stays_among_any_number_of_others() {
        let meter = Meter::new();
        let note = |number| note(&meter, number);
        for other in 0..200_000 {
            note(1_000_000 + other);
            if other % 20 == 0 {
                for _ in 0..20 {
                    note(5);
                }
            }
        }
        let usage = meter.addresses();
        assert!(usage.len() <= 2 * SLOTS, "{} are remembered", usage.len());
        let most = usage.iter().max_by_key(|usage| usage.requests).unwrap();
        assert_eq!(most.who, address(5));
    }

    #[test]
    fn who_comes_when_all_places_are_taken_and_asks_much_is_seen() {
        let meter = Meter::new();
        let note = |number| note(&meter, number);
        for other in 0..20_000 {
            for _ in 0..3 {
                note(1_000_000 + other);
            }
        }
        for _ in 0..500 {
            note(5);
        }
        let usage = meter.addresses();
        let most = usage.iter().max_by_key(|usage| usage.requests).unwrap();
        assert_eq!(most.who, address(5));
        assert!((490..=500).contains(&most.requests), "{most:?}");
    }

    #[test]
    fn who_takes_minutes_for_one_answer_is_seen_all_the_while() {
        let table: Table<u32> = Table::new();
        table.slot(30, 3, || 1).unwrap().count(&answer(Class::Ci, false));
        table.add_bytes((90, 3), || 1, Class::Ci, 50);
        table.add_bytes((150, 3), || 1, Class::Ci, 70);
        let usage = table.usage(150);
        assert_eq!(usage.len(), 1);
        assert_eq!(
            (usage[0].who, usage[0].class, usage[0].bytes),
            (1, Class::Ci, 70 + 25)
        );
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let table: Table<u32> = Table::new();
        let requests = |now| table.usage(now).iter().map(|usage| usage.requests).sum::<u64>();
        for _ in 0..60 {
            table.slot(30, 3, || 1).unwrap().count(&answer(Class::Ci, false));
        }
        assert_eq!(requests(59), 60);
        assert_eq!(requests(90), 30, "half of the minute before");
        assert_eq!(requests(120), 0);
        table.slot(125, 3, || 1).unwrap().count(&answer(Class::Ci, false));
        assert_eq!(requests(125), 1);
        assert_eq!(requests(1_000), 0);
    }
}

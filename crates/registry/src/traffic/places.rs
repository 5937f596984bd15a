//! Who has which of a listener's connections, and whose gives way when all places are taken.
//!
//! As long as there are places everybody has them, up to the limit of one address. When there are none, whoever comes from an
//! address that has fewer than another one is let in all the same: of the address that has most, one connection ends on which
//! nothing is asked. So two addresses cannot keep a third one out by holding connections that they do not use, and a
//! connection with a request under way is never ended for somebody else.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use access::shares::network;
use tokio::sync::oneshot;

use super::guarded::Phase;

/// Connections that were asked to end and have not yet, beyond those that there may be: one in whose last moment a request came
/// answers it first.
pub(super) const MOST_LEAVING: usize = 64;

/// Whoever has been idle for so long is not compared with others any more.
const LONG_IDLE: Duration = Duration::from_secs(1);

/// Connections that are looked at for one that can end.
const MOST_LOOKED_AT: usize = 20_000;

/// Where none could end, it is not looked again for so long: looking costs more than to refuse.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    all: usize,
    per_address: usize,
    table: Mutex<Table>,
}

/// A place that is held; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// Of IPv6 the network of 64 bits: whoever has one address there has all of them.
    address: IpAddr,
    number: u64,
}

/// A place, and what comes with it.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) place: Place,
    /// Resolves when the connection shall give way, unless it has a request under way by then.
    pub(super) leave: oneshot::Receiver<()>,
    /// Whether another connection has to end for it.
    pub(super) displaced: bool,
}

#[derive(Debug, Default)]
struct Table {
    /// Connections that nobody has asked to end.
    staying: usize,
    leaving: usize,
    next: u64,
    hosts: HashMap<IpAddr, Host>,
    /// Every address with connections that stay, by how many.
    by_count: BTreeSet<(usize, IpAddr)>,
    /// No address with more connections than this had one that could end, and until when that is believed.
    nobody: Option<(usize, Instant)>,
}

#[derive(Debug, Default)]
struct Host {
    staying: usize,
    seats: BTreeMap<u64, Seat>,
}

#[derive(Debug)]
struct Seat {
    phase: Phase,
    /// `None`: it was asked to end.
    leave: Option<oneshot::Sender<()>>,
}

impl Places {
    /// So many in all, and so many for one address.
    pub(super) fn new(all: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            all,
            per_address,
            table: Mutex::default(),
        })
    }

    /// A place for a connection that was just accepted; `None`: it is to be turned away.
    pub(super) fn take(self: &Arc<Self>, from: IpAddr, phase: Phase) -> Option<Taken> {
        let address = network(from);
        let mut table = self.table();
        let own = table.hosts.get(&address).map_or(0, |host| host.staying);
        if own >= self.per_address {
            return None;
        }
        let displaced = table.staying >= self.all;
        if displaced && !table.make_room(own, Instant::now()) {
            return None;
        }
        let (sender, leave) = oneshot::channel();
        let number = table.seat(address, phase, sender);
        drop(table);
        let place = Place {
            places: Arc::clone(self),
            address,
            number,
        };
        Some(Taken {
            place,
            leave,
            displaced,
        })
    }

    /// Connections that are open.
    pub(super) fn open(&self) -> usize {
        let table = self.table();
        table.staying + table.leaving
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().stand_up(self.address, self.number);
    }
}

impl Table {
    fn seat(&mut self, address: IpAddr, phase: Phase, leave: oneshot::Sender<()>) -> u64 {
        let number = self.next;
        self.next += 1;
        let seat = Seat {
            phase,
            leave: Some(leave),
        };
        let host = self.hosts.entry(address).or_default();
        host.seats.insert(number, seat);
        self.recount(address, true);
        number
    }

    fn stand_up(&mut self, address: IpAddr, number: u64) {
        let Some(host) = self.hosts.get_mut(&address) else {
            return;
        };
        let Some(seat) = host.seats.remove(&number) else {
            return;
        };
        let is_last = host.seats.is_empty();
        if seat.leave.is_some() {
            self.recount(address, false);
        } else {
            self.leaving -= 1;
        }
        if is_last {
            self.hosts.remove(&address);
        }
    }

    /// One more connection of an address stays, or one fewer.
    fn recount(&mut self, address: IpAddr, more: bool) {
        let Some(host) = self.hosts.get_mut(&address) else {
            return;
        };
        self.by_count.remove(&(host.staying, address));
        let count = |number: usize| if more { number + 1 } else { number - 1 };
        host.staying = count(host.staying);
        self.staying = count(self.staying);
        if host.staying > 0 {
            self.by_count.insert((host.staying, address));
        }
    }

    /// Asks a connection to end, of an address that has more than `own`. `false`: there is none.
    fn make_room(&mut self, own: usize, now: Instant) -> bool {
        let is_vain = |(most, until): (usize, Instant)| own >= most && now < until;
        if self.leaving >= MOST_LEAVING || self.nobody.is_some_and(is_vain) {
            return false;
        }
        let Some((address, number)) = self.spare(own, now) else {
            self.nobody = Some((own, now + LOOK_AGAIN));
            return false;
        };
        let seat = self.hosts.get_mut(&address);
        let seat = seat.and_then(|host| host.seats.get_mut(&number));
        let Some(leave) = seat.and_then(|seat| seat.leave.take()) else {
            return false;
        };
        // Where nobody listens any more, the connection is about to end.
        let _ = leave.send(());
        self.leaving += 1;
        self.recount(address, false);
        true
    }

    /// Of the address that has most, and more than `own`, what has been idle longest.
    fn spare(&self, own: usize, now: Instant) -> Option<(IpAddr, u64)> {
        let mut looks = 0..MOST_LOOKED_AT;
        let richest = self.by_count.iter().rev();
        for (_, address) in richest.take_while(|(count, _)| *count > own) {
            let Some(host) = self.hosts.get(address) else {
                continue;
            };
            let mut longest: Option<(Duration, u64)> = None;
            let staying = host.seats.iter().filter(|(_, seat)| seat.leave.is_some());
            for ((number, seat), _) in staying.zip(&mut looks) {
                let spare = seat.phase.spare(now).map(|idle| (idle, *number));
                if spare.is_some_and(|(idle, _)| idle >= LONG_IDLE) {
                    return Some((*address, *number));
                }
                longest = longest.max(spare);
            }
            if let Some((_, number)) = longest {
                return Some((*address, number));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::traffic::lanes::Course;

    /// A connection that was just accepted.
    fn fresh() -> Phase {
        Phase::new(Course::default())
    }

    /// A connection on which nothing is asked.
    fn idle() -> Phase {
        let phase = fresh();
        drop(phase.request());
        phase.sent();
        phase
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn take_idle(places: &Arc<Places>, from: u8, number: usize) -> Vec<Taken> {
        (0..number)
            .map(|_| places.take(address(from), idle()).unwrap())
            .collect()
    }

    fn told(held: &mut [Taken]) -> usize {
        let told = held.iter_mut().map(|one| one.leave.try_recv().is_ok());
        told.filter(|told| *told).count()
    }

    #[test]
    fn one_host_has_the_connections_of_one_address_however_many_addresses_it_has() {
        let places = Places::new(10, 2);
        let take = |from: &str| places.take(from.parse().unwrap(), fresh());
        let held = [take("2001:db8::1"), take("2001:db8::2")];
        assert!(held.iter().all(Option::is_some));
        assert!(take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::3").is_some());
        drop(held);
        assert_eq!(places.open(), 0);
        let table = places.table();
        assert!(table.hosts.is_empty() && table.by_count.is_empty());
        drop(table);
        assert!(take("2001:db8::3").is_some());
    }

    #[test]
    fn two_addresses_that_hold_all_places_make_room_for_a_third() {
        let places = Places::new(8, 5);
        let (mut many, mut fewer) = (take_idle(&places, 1, 5), take_idle(&places, 2, 3));
        let third = places.take(address(3), fresh()).unwrap();
        assert!(third.displaced);
        assert_eq!(
            (told(&mut many), told(&mut fewer)),
            (1, 0),
            "who has most gives way"
        );
        let _fourth = places.take(address(3), fresh()).unwrap();
        let _fifth = places.take(address(3), fresh()).unwrap();
        assert!(
            places.take(address(3), fresh()).is_none(),
            "nobody has more than the third by now"
        );
        drop((many, fewer));
        assert_eq!(places.open(), 3);
    }

    #[test]
    fn who_has_most_makes_no_room_for_themselves() {
        let places = Places::new(4, 4);
        let mut held = take_idle(&places, 1, 4);
        assert!(places.take(address(1), fresh()).is_none());
        assert_eq!(told(&mut held), 0);
    }

    #[test]
    fn a_connection_with_a_request_under_way_stays() {
        let places = Places::new(4, 4);
        let phases = [fresh(), fresh(), fresh()];
        let requests: Vec<_> = phases.iter().map(Phase::request).collect();
        let taken = phases
            .iter()
            .map(|phase| places.take(address(1), phase.clone()).unwrap());
        let mut held: Vec<_> = taken.collect();
        let mut other = take_idle(&places, 2, 1);
        let third = fresh();
        let _request = third.request();
        let third = places.take(address(3), third);
        assert!(third.is_some(), "one that is idle is there");
        assert_eq!((told(&mut held), told(&mut other)), (0, 1));
        assert!(places.take(address(4), fresh()).is_none());
        drop(requests);
        phases.iter().for_each(Phase::sent);
        std::thread::sleep(LOOK_AGAIN);
        assert!(places.take(address(4), fresh()).is_some());
        assert_eq!(told(&mut held), 1);
    }

    #[test]
    fn of_those_that_do_not_end_there_is_a_bound() {
        let places = Places::new(2 * MOST_LEAVING, 2 * MOST_LEAVING);
        let _many = take_idle(&places, 1, 2 * MOST_LEAVING);
        let let_in: Vec<_> = (0..=u8::MAX)
            .filter_map(|last| places.take(IpAddr::from([198, 51, 100, last]), idle()))
            .collect();
        assert_eq!(let_in.len(), MOST_LEAVING);
        assert_eq!(places.open(), 3 * MOST_LEAVING);
    }

    proptest! {
        #[test]
        fn what_is_counted_is_what_is_held(steps in prop::collection::vec((0..6_u8, 0..4_u8, any::<bool>()), 1..200)) {
            let places = Places::new(12, 7);
            let mut held: Vec<Taken> = Vec::new();
            for (from, what, busy) in steps {
                if what == 0 && !held.is_empty() {
                    held.swap_remove(usize::from(from) % held.len());
                    continue;
                }
                let phase = idle();
                if busy {
                    std::mem::forget(phase.request());
                }
                held.extend(places.take(address(from), phase));
                let table = places.table();
                prop_assert!(table.staying <= 12 && table.leaving <= MOST_LEAVING);
                prop_assert_eq!(table.staying + table.leaving, held.len());
                let counted: usize = table.by_count.iter().map(|(count, _)| count).sum();
                prop_assert_eq!(counted, table.staying);
                let seats: usize = table.hosts.values().map(|host| host.seats.len()).sum();
                prop_assert_eq!(seats, held.len());
            }
        }
    }
}

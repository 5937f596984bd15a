//! A fair line for something scarce.
//!
//! Classes come in their order, and each gets a turn now and then however much is asked for above it. Within a class every
//! principal that waits has the same share, whatever it asks for; within a principal, every address. So whoever opens ten
//! thousand connections waits behind itself. A principal that asks from many addresses gets more, up to [`MAX_WEIGHT`] times
//! the share: it is more often a robot that a whole cluster pulls with than one attacker.
//!
//! Nothing here waits or knows the time: the moment is an argument, in milliseconds from any beginning. Memory is bounded by
//! [`FairLimits`], whoever asks.

use std::collections::HashMap;
use std::hash::Hash;

use crate::class::Class;

mod caller;
mod pace;
mod sizes;
mod turns;

use caller::CallerFlow;
use pace::Pace;
use sizes::Sizes;
use turns::Turns;

/// How many times the share of one address a principal with many can have.
pub const MAX_WEIGHT: u64 = turns::MAX_WEIGHT;

/// How long the line may get.
#[derive(Debug, Clone, Copy)]
pub struct FairLimits {
    /// Requests of one class that wait. Default 4,096.
    pub waiting: usize,
    /// One principal may have one part in so many of a class's places, and one address one part in so many of those.
    /// Default 2.
    pub parts: usize,
    /// Turns that the most urgent class has in a row while a lower one waits. Default 15.
    pub in_a_row: u32,
}

impl Default for FairLimits {
    fn default() -> Self {
        Self {
            waiting: 4_096,
            parts: 2,
            in_a_row: 15,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Who<P, A> {
    /// How urgent it is.
    pub class: Class,
    /// In whose name.
    pub principal: P,
    /// From where.
    pub address: A,
}

/// A place in the line, by which it can be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// A place that somebody got.
#[derive(Debug)]
pub struct Offered<T> {
    /// By which it can be given up.
    pub ticket: Ticket,
    /// Who had to go for it.
    pub pushed_out: Option<T>,
}

/// Whether there is room for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room<P> {
    Free,
    /// Where one of this principal's goes.
    Of(P),
    /// Where one goes of whoever has most.
    OfMost,
    None,
}

/// Why somebody does not even wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// Too many wait: of the class, the principal or the address.
    Full {
        /// When it is worth coming again, in milliseconds.
        after: u64,
    },
    /// The wait would be longer than whoever asks would wait.
    TooLong {
        /// How long it would be, in milliseconds.
        after: u64,
    },
}

impl Shed {
    /// When it is worth coming again, in milliseconds.
    pub fn after(self) -> u64 {
        match self {
            Self::Full { after } | Self::TooLong { after } => after,
        }
    }
}

#[derive(Debug)]
struct Waiter<T> {
    ticket: Ticket,
    cost: u64,
    what: T,
}

#[derive(Debug)]
struct Line<P, A, T> {
    waiting: usize,
    turns: Turns<P>,
    sizes: Sizes<P>,
    callers: HashMap<P, CallerFlow<A, T>>,
    /// Addresses that are known, over all callers.
    known: usize,
}

impl<P, A, T> Default for Line<P, A, T> {
    fn default() -> Self {
        Self {
            waiting: 0,
            turns: Turns::default(),
            sizes: Sizes::default(),
            callers: HashMap::new(),
            known: 0,
        }
    }
}

/// The line. `T` is what is handed out when somebody's turn has come.
#[derive(Debug)]
pub struct FairQueue<P, A, T> {
    limits: FairLimits,
    lines: [Line<P, A, T>; Class::ALL.len()],
    tickets: u64,
    in_a_row: u32,
    last_lower: usize,
    pace: Pace,
}

impl<P: Copy + Ord + Hash, A: Copy + Ord + Hash, T> FairQueue<P, A, T> {
    /// A line in which nobody waits.
    pub fn new(limits: FairLimits) -> Self {
        Self {
            limits,
            lines: Default::default(),
            tickets: 0,
            in_a_row: 0,
            last_lower: 0,
            pace: Pace::default(),
        }
    }

    /// Lets somebody wait who would do so for `patience` milliseconds. Where all places are taken, the last one of whoever has most
    /// gives way to who has less than all would have alike: no two principals, and no two addresses of one, keep the others out.
    pub fn offer(
        &mut self,
        now: u64,
        who: Who<P, A>,
        cost: u64,
        patience: u64,
        what: T,
    ) -> Result<Offered<T>, Shed> {
        if self.waiting() == 0 {
            self.pace.begin(now);
        }
        let after = self.pace.time_for(now, self.ahead_of(&who) + 1);
        let room = self.room_for(&who);
        if room == Room::None {
            return Err(Shed::Full { after });
        }
        if after > patience {
            return Err(Shed::TooLong { after });
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let line = &mut self.lines[who.class.index()];
        let pushed_out = match room {
            Room::Of(principal) => line.push_out(principal),
            Room::OfMost => line.sizes.largest().and_then(|most| line.push_out(most)),
            Room::Free | Room::None => None,
        };
        let caller = line.callers.entry(who.principal).or_default();
        let known = caller.known_addresses();
        if caller.waiting == 0 {
            line.turns.enter(who.principal, &mut caller.tags);
        }
        caller.push(who.address, Waiter { ticket, cost, what });
        line.known += caller.known_addresses() - known;
        line.waiting += 1;
        line.sizes
            .change(who.principal, caller.waiting - 1, caller.waiting);
        line.stay_bounded(self.limits.waiting);
        Ok(Offered { ticket, pushed_out })
    }

    /// Whose turn it is.
    pub fn next(&mut self, now: u64) -> Option<T> {
        let class = self.next_class()?;
        let line = &mut self.lines[class];
        let principal = line.turns.first()?;
        let caller = line.callers.get_mut(&principal)?;
        let weight = caller.busy_addresses() as u64;
        let waiter = caller.pop()?;
        line.turns.served(
            principal,
            &mut caller.tags,
            waiter.cost,
            weight,
            caller.waiting > 0,
        );
        line.sizes.change(principal, caller.waiting + 1, caller.waiting);
        line.waiting -= 1;
        self.pace.granted(now);
        Some(waiter.what)
    }

    /// Takes somebody out of the line who does not want to wait any longer. `false`: it was their turn already.
    pub fn cancel(&mut self, who: &Who<P, A>, ticket: Ticket) -> bool {
        let line = &mut self.lines[who.class.index()];
        let Some(caller) = line.callers.get_mut(&who.principal) else {
            return false;
        };
        if !caller.cancel(&who.address, ticket) {
            return false;
        }
        line.went(who.principal);
        true
    }

    /// Somebody whose turn has come has had more than was known: it counts at their next turn.
    pub fn charge(&mut self, who: &Who<P, A>, cost: u64) {
        if let Some(caller) = self.lines[who.class.index()].callers.get_mut(&who.principal) {
            caller.owe(&who.address, cost);
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lines.iter().map(|line| line.waiting).sum()
    }

    /// How many requests of a principal wait in a class, from all its addresses.
    pub fn waiting_of(&self, class: Class, principal: &P) -> usize {
        let caller = self.lines[class.index()].callers.get(principal);
        caller.map_or(0, |caller| caller.waiting)
    }

    /// How many wait in each class.
    pub fn waiting_by_class(&self) -> [usize; Class::ALL.len()] {
        std::array::from_fn(|class| self.lines[class].waiting)
    }

    /// Who waits, with how many requests.
    pub fn waiters(&self) -> impl Iterator<Item = (Who<P, A>, usize)> {
        Class::ALL.into_iter().flat_map(move |class| {
            let callers = self.lines[class.index()].callers.iter();
            callers.flat_map(move |(principal, caller)| {
                caller.by_address().map(move |(address, waiting)| {
                    let who = Who {
                        class,
                        principal: *principal,
                        address,
                    };
                    (who, waiting)
                })
            })
        })
    }

    /// Principals and addresses that are remembered.
    pub fn remembered(&self) -> usize {
        let of_line = |line: &Line<P, A, T>| line.callers.len() + line.known;
        self.lines.iter().map(of_line).sum()
    }

    fn room_for(&self, who: &Who<P, A>) -> Room<P> {
        let line = &self.lines[who.class.index()];
        let all = self.limits.waiting;
        let own = all.div_ceil(self.limits.parts.max(1));
        let at_address = own.div_ceil(self.limits.parts.max(1));
        let caller = line.callers.get(&who.principal);
        let of_caller = caller.map_or(0, |caller| caller.waiting);
        let of_address = caller.map_or(0, |caller| caller.waiting_at(&who.address));
        let addresses = caller.map_or(0, CallerFlow::busy_addresses);
        if of_address >= at_address {
            return Room::None;
        }
        if of_caller < own && line.waiting < all {
            return Room::Free;
        }
        let (is_below, room) = if of_caller < own {
            (is_below_share(of_caller, all, line.turns.len()), Room::OfMost)
        } else {
            let is_below = is_below_share(of_address, own, addresses);
            (is_below, Room::Of(who.principal))
        };
        if is_below { room } else { Room::None }
    }

    /// Turns that come before that of a new request: those of better classes, and one of each other flow for each of its own.
    fn ahead_of(&self, who: &Who<P, A>) -> usize {
        let better: usize = self.lines[..who.class.index()]
            .iter()
            .map(|line| line.waiting)
            .sum();
        let line = &self.lines[who.class.index()];
        let others = line.turns.len();
        let in_class = match line.callers.get(&who.principal) {
            None => others,
            Some(caller) => {
                let rounds = caller.waiting_at(&who.address) + 1;
                let turns = rounds.saturating_mul(caller.busy_addresses().max(1));
                turns.min(caller.waiting + 1).saturating_mul(others.max(1))
            }
        };
        better + in_class.min(line.waiting)
    }

    /// The most urgent class that waits; now and then the next one of the others.
    fn next_class(&mut self) -> Option<usize> {
        let waits = |class: &usize| self.lines[*class].waiting > 0;
        let mut waiting = (0..Class::ALL.len()).filter(waits);
        let first = waiting.next()?;
        let lower: Vec<usize> = waiting.collect();
        if lower.is_empty() {
            self.in_a_row = 0;
            return Some(first);
        }
        if self.in_a_row < self.limits.in_a_row {
            self.in_a_row += 1;
            return Some(first);
        }
        self.in_a_row = 0;
        let next = lower.iter().find(|class| **class > self.last_lower);
        let chosen = next.or(lower.first()).copied().unwrap_or(first);
        self.last_lower = chosen;
        Some(chosen)
    }
}

/// Whether somebody has fewer than all who wait would have alike, themselves included.
fn is_below_share(has: usize, places: usize, waiting: usize) -> bool {
    let sharers = waiting + usize::from(has == 0);
    has < places / sharers.max(1)
}

impl<P: Copy + Ord + Hash, A: Copy + Ord + Hash, T> Line<P, A, T> {
    /// Takes the last request of a principal out, from the address that has most.
    fn push_out(&mut self, principal: P) -> Option<T> {
        let waiter = self.callers.get_mut(&principal)?.push_out()?;
        self.went(principal);
        Some(waiter.what)
    }

    /// A request of the principal has gone without a turn.
    fn went(&mut self, principal: P) {
        self.waiting -= 1;
        let Some(caller) = self.callers.get(&principal) else {
            return;
        };
        if caller.waiting == 0 {
            self.turns.leave(principal, &caller.tags);
        }
        self.sizes.change(principal, caller.waiting + 1, caller.waiting);
    }

    /// Forgets those who do not wait once as many are remembered as could wait, first where that makes no difference.
    fn stay_bounded(&mut self, limit: usize) {
        for strictly in [false, true] {
            if self.known.max(self.callers.len()) <= limit.saturating_mul(2) {
                return;
            }
            self.callers
                .values_mut()
                .for_each(|caller| caller.forget(strictly));
            let turns = &self.turns;
            self.callers
                .retain(|_, caller| caller.waiting > 0 || (!strictly && !turns.forgives(&caller.tags)));
            self.known = self.callers.values().map(CallerFlow::known_addresses).sum();
        }
    }
}

#[cfg(test)]
mod tests;

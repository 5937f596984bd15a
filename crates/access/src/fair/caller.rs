//! All that one principal has waiting, by the addresses that it asks from.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use super::sizes::Sizes;
use super::turns::{Tags, Turns};
use super::{Ticket, Waiter};

/// One principal within a class.
#[derive(Debug)]
pub(super) struct CallerFlow<A, T> {
    pub(super) tags: Tags,
    pub(super) waiting: usize,
    turns: Turns<A>,
    sizes: Sizes<A>,
    addresses: HashMap<A, AddressFlow<T>>,
}

#[derive(Debug)]
struct AddressFlow<T> {
    tags: Tags,
    /// By their tickets.
    line: VecDeque<Waiter<T>>,
}

impl<A, T> Default for CallerFlow<A, T> {
    fn default() -> Self {
        Self {
            tags: Tags::default(),
            waiting: 0,
            turns: Turns::default(),
            sizes: Sizes::default(),
            addresses: HashMap::new(),
        }
    }
}

impl<A: Copy + Ord + Hash, T> CallerFlow<A, T> {
    /// Requests of one address that wait.
    pub(super) fn waiting_at(&self, address: &A) -> usize {
        self.addresses.get(address).map_or(0, |flow| flow.line.len())
    }

    /// Addresses with requests that wait.
    pub(super) fn busy_addresses(&self) -> usize {
        self.turns.len()
    }

    /// Addresses that are known, whether they wait or not.
    pub(super) fn known_addresses(&self) -> usize {
        self.addresses.len()
    }

    pub(super) fn push(&mut self, address: A, waiter: Waiter<T>) {
        let flow = self.addresses.entry(address).or_insert_with(|| AddressFlow {
            tags: Tags::default(),
            line: VecDeque::new(),
        });
        if flow.line.is_empty() {
            self.turns.enter(address, &mut flow.tags);
        }
        flow.line.push_back(waiter);
        self.sizes.change(address, flow.line.len() - 1, flow.line.len());
        self.waiting += 1;
    }

    /// The request whose turn it is among all addresses.
    pub(super) fn pop(&mut self) -> Option<Waiter<T>> {
        let address = self.turns.first()?;
        let flow = self.addresses.get_mut(&address)?;
        let waiter = flow.line.pop_front()?;
        let left = flow.line.len();
        self.turns
            .served(address, &mut flow.tags, waiter.cost, 1, left > 0);
        self.sizes.change(address, left + 1, left);
        self.waiting -= 1;
        Some(waiter)
    }

    /// Takes the last request of the address that has most out of the line.
    pub(super) fn push_out(&mut self) -> Option<Waiter<T>> {
        let address = self.sizes.largest()?;
        let waiter = self.addresses.get_mut(&address)?.line.pop_back()?;
        self.went(&address);
        Some(waiter)
    }

    /// Takes a request out of the line. `false`: it is not there any more.
    pub(super) fn cancel(&mut self, address: &A, ticket: Ticket) -> bool {
        let Some(flow) = self.addresses.get_mut(address) else {
            return false;
        };
        let Ok(place) = flow.line.binary_search_by_key(&ticket, |waiter| waiter.ticket) else {
            return false;
        };
        flow.line.remove(place);
        self.went(address);
        true
    }

    /// A request of the address has gone without a turn.
    fn went(&mut self, address: &A) {
        let Some(flow) = self.addresses.get(address) else {
            return;
        };
        let left = flow.line.len();
        if left == 0 {
            self.turns.leave(*address, &flow.tags);
        }
        self.sizes.change(*address, left + 1, left);
        self.waiting -= 1;
    }

    pub(super) fn owe(&mut self, address: &A, cost: u64) {
        self.tags.owe(cost);
        if let Some(flow) = self.addresses.get_mut(address) {
            flow.tags.owe(cost);
        }
    }

    /// Forgets addresses that do not wait; `strictly`: also where it makes a difference.
    pub(super) fn forget(&mut self, strictly: bool) {
        let turns = &self.turns;
        self.addresses
            .retain(|_, flow| !flow.line.is_empty() || (!strictly && !turns.forgives(&flow.tags)));
    }

    /// Requests that wait, by address.
    pub(super) fn by_address(&self) -> impl Iterator<Item = (A, usize)> {
        self.addresses
            .iter()
            .filter(|(_, flow)| !flow.line.is_empty())
            .map(|(address, flow)| (*address, flow.line.len()))
    }
}

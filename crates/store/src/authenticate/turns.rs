//! Whose passwords are compared: no address and not all strangers together take all places of the queue.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::failures::Attempt;
use crate::StoreLimits;

/// Comparisons for strangers, waiting or under way.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Who may take how many places.
#[derive(Debug)]
pub(super) struct Turns {
    taken: Arc<Mutex<Taken>>,
    strangers: usize,
    per_address: usize,
}

/// A place in the queue; given back when dropped.
pub(super) struct Turn(Option<(Arc<Mutex<Taken>>, IpAddr)>);

impl Turns {
    pub(super) fn new(limits: &StoreLimits) -> Self {
        let places = limits.password_workers + limits.password_queue;
        Self {
            taken: Arc::default(),
            strangers: (places / limits.password_stranger_share.max(1)).max(1),
            per_address: (limits.password_queue / limits.password_address_share.max(1)).max(1),
        }
    }

    /// A place for an attempt, if its share is not used up. Names that signed in from the address lately have as many
    /// as there are: their failures are bounded already.
    pub(super) fn take(&self, attempt: &Attempt) -> Option<Turn> {
        if attempt.is_known() {
            return Some(Turn(None));
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let present = taken.by_address.get(&attempt.network()).copied().unwrap_or(0);
        if taken.all >= self.strangers || present >= self.per_address {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(attempt.network(), present + 1);
        Some(Turn(Some((Arc::clone(&self.taken), attempt.network()))))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some((taken, network)) = self.0.take() else {
            return;
        };
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(present) = taken.by_address.get_mut(&network) {
            *present -= 1;
            if *present == 0 {
                taken.by_address.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::failures::Failures;
    use super::*;
    use crate::Timestamp;

    #[test]
    fn shares_are_taken_and_given_back() {
        let limits = StoreLimits {
            password_workers: 2,
            password_queue: 40,
            password_address_share: 10,
            password_stranger_share: 3,
            ..StoreLimits::default()
        };
        let (failures, turns) = (Failures::new(&limits), Turns::new(&limits));
        let attempt = |number: u8, address: u8| {
            let from = IpAddr::from([192, 0, 2, address]);
            failures
                .begin(&format!("user{number}"), from, Timestamp(0))
                .unwrap()
        };
        let mut held: Vec<Turn> = (0..4)
            .map(|number| turns.take(&attempt(number, 1)).unwrap())
            .collect();
        assert!(turns.take(&attempt(5, 1)).is_none(), "an address has four");
        held.pop();
        held.push(turns.take(&attempt(5, 1)).unwrap());
        for address in 2..200 {
            held.extend(turns.take(&attempt(0, address)));
        }
        assert_eq!(held.len(), 14, "a third of the places");
        assert!(turns.take(&attempt(0, 250)).is_none());
        failures.welcome("user0", IpAddr::from([192, 0, 2, 250]), Timestamp(0));
        assert!(
            turns.take(&attempt(0, 250)).is_some(),
            "the others are for whoever is known"
        );
        drop(held);
        let taken = turns.taken.lock().unwrap();
        assert!(taken.all == 0 && taken.by_address.is_empty(), "{taken:?}");
    }
}

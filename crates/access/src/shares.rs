//! A bounded amount of something that all callers share: nobody takes so much of it that there is none for others.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is shared by callers that are told apart by `K`.
#[derive(Debug)]
pub struct Shares<K> {
    all: usize,
    own: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    by_caller: HashMap<K, usize>,
}

/// A part that is held; given back when dropped.
#[derive(Debug)]
pub struct Share<K: Hash + Eq> {
    of: Arc<Shares<K>>,
    caller: K,
    amount: usize,
}

/// Why nothing was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoShare {
    /// Others hold too much.
    AllTaken,
    /// The caller's own part is used up.
    OwnTaken,
}

impl<K: Hash + Eq + Clone> Shares<K> {
    /// So much of it, in whatever unit, of which one caller may hold one part in `parts`.
    pub fn new(all: usize, parts: usize) -> Arc<Self> {
        Arc::new(Self {
            all,
            own: all.div_ceil(parts.max(1)),
            taken: Mutex::new(Taken {
                all: 0,
                by_caller: HashMap::new(),
            }),
        })
    }

    /// Takes an amount at once, or says why not.
    pub fn take(self: &Arc<Self>, caller: K, amount: usize) -> Result<Share<K>, NoShare> {
        self.take_up_to(caller, amount, self.own)
    }

    /// The same, but whoever holds nothing may take more than a part, up to all of it: what is larger than a part could not be had at
    /// all otherwise.
    pub fn take_at_once(self: &Arc<Self>, caller: K, amount: usize) -> Result<Share<K>, NoShare> {
        self.take_up_to(caller, amount, self.own.max(amount))
    }

    fn take_up_to(self: &Arc<Self>, caller: K, amount: usize, most: usize) -> Result<Share<K>, NoShare> {
        let mut taken = self.taken();
        if taken.all.saturating_add(amount) > self.all {
            return Err(NoShare::AllTaken);
        }
        let own = taken.by_caller.get(&caller).copied().unwrap_or(0);
        let most = if own == 0 { most } else { self.own };
        if own.saturating_add(amount) > most {
            return Err(NoShare::OwnTaken);
        }
        taken.all += amount;
        taken.by_caller.insert(caller.clone(), own + amount);
        drop(taken);
        Ok(Share {
            of: Arc::clone(self),
            caller,
            amount,
        })
    }
}

impl<K> Shares<K> {
    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.all = taken.all.saturating_sub(self.amount);
        if let Some(own) = taken.by_caller.get_mut(&self.caller) {
            *own = own.saturating_sub(self.amount);
            if *own == 0 {
                taken.by_caller.remove(&self.caller);
            }
        }
    }
}

/// What counts as one address: whoever has one IPv6 address usually has 2^64 of them.
pub fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_host_are_one() {
        for (from, of) in [
            ("2001:db8::1", "2001:db8::"),
            ("2001:db8::ffff:0:1", "2001:db8::"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(
                network(from.parse().unwrap()),
                of.parse::<IpAddr>().unwrap(),
                "{from}"
            );
        }
    }

    #[test]
    fn nobody_takes_more_than_a_part_and_all_together_no_more_than_there_is() {
        let shares = Shares::new(4, 2);
        let first = shares.take("ann", 1).unwrap();
        assert_eq!(shares.take("ann", 2).unwrap_err(), NoShare::OwnTaken);
        let _second = shares.take("ann", 1).unwrap();
        let _third = shares.take("bob", 1).unwrap();
        drop(first);
        let _again = shares.take("ann", 1).unwrap();
        let fourth = shares.take("eve", 1).unwrap();
        assert_eq!(shares.take("bob", 1).unwrap_err(), NoShare::AllTaken);
        drop(fourth);
        assert_eq!(shares.taken().all, 3);
        assert!(!shares.taken().by_caller.contains_key("eve"));
    }

    #[test]
    fn who_holds_nothing_may_take_what_is_larger_than_a_part() {
        let shares = Shares::new(4, 2);
        assert_eq!(shares.take("ann", 3).unwrap_err(), NoShare::OwnTaken);
        let large = shares.take_at_once("ann", 3).unwrap();
        assert_eq!(shares.take_at_once("ann", 1).unwrap_err(), NoShare::OwnTaken);
        let _other = shares.take_at_once("bob", 1).unwrap();
        drop(large);
        assert_eq!(shares.take_at_once("ann", 5).unwrap_err(), NoShare::AllTaken);
    }
}

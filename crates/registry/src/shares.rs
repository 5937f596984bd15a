//! A bounded amount of something that all callers share: nobody takes so much of it that there is none for others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use access::PrincipalId;

/// One principal may hold one part in so many.
const PARTS: usize = 2;

/// What is shared. Everybody without a name is one principal.
#[derive(Debug)]
pub(crate) struct Shares {
    all: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_principal: HashMap<Option<PrincipalId>, usize>,
}

/// A part that is held; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Shares>,
    principal: Option<PrincipalId>,
    amount: usize,
}

/// Why nothing was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoShare {
    /// Others hold too much.
    AllTaken,
    /// The principal's own part is used up.
    OwnTaken,
}

impl Shares {
    /// So much of it, in whatever unit.
    pub(crate) fn new(all: usize) -> Arc<Self> {
        Arc::new(Self {
            all,
            taken: Mutex::default(),
        })
    }

    /// Takes an amount at once, or says why not.
    pub(crate) fn take(
        self: &Arc<Self>,
        principal: Option<PrincipalId>,
        amount: usize,
    ) -> Result<Share, NoShare> {
        let mut taken = self.taken();
        if taken.all.saturating_add(amount) > self.all {
            return Err(NoShare::AllTaken);
        }
        let own = taken.by_principal.get(&principal).copied().unwrap_or(0);
        if own.saturating_add(amount) > self.all.div_ceil(PARTS) {
            return Err(NoShare::OwnTaken);
        }
        taken.all += amount;
        taken.by_principal.insert(principal, own + amount);
        Ok(Share {
            of: Arc::clone(self),
            principal,
            amount,
        })
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.all = taken.all.saturating_sub(self.amount);
        if let Some(own) = taken.by_principal.get_mut(&self.principal) {
            *own = own.saturating_sub(self.amount);
            if *own == 0 {
                taken.by_principal.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_half_and_all_together_no_more_than_there_is() {
        let shares = Shares::new(4);
        let (ann, bob) = (Some(PrincipalId(1)), Some(PrincipalId(2)));
        let first = shares.take(ann, 1).unwrap();
        assert_eq!(shares.take(ann, 2).unwrap_err(), NoShare::OwnTaken);
        let _second = shares.take(ann, 1).unwrap();
        let _third = shares.take(bob, 1).unwrap();
        drop(first);
        let _again = shares.take(ann, 1).unwrap();
        let fourth = shares.take(None, 1).unwrap();
        assert_eq!(shares.take(bob, 1).unwrap_err(), NoShare::AllTaken);
        drop(fourth);
        assert_eq!(shares.taken().all, 3);
        assert!(!shares.taken().by_principal.contains_key(&None));
    }
}

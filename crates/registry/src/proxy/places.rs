//! What is bounded for all upstreams together: no upstream, and nobody who pulls, takes so much of it that there is none for others.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use access::fair::FairLimits;
use access::shares::{NoShare, Share, Shares};
use access::{Class, PrincipalId};

use super::error::ProxyError;
use super::upstreams::Upstream;
use crate::traffic::turnstile::{Asker, Turnstile};

/// One user or robot may hold one part in so many, and, where there are several, so may one upstream.
const PARTS: usize = 2;

/// Most that wait in one line: more than there are places for.
const WAITING: usize = 1 << 20;

/// Who is charged; `None`: everybody without a name, and the server itself.
pub(crate) type Payer = Option<PrincipalId>;

/// What is told where nothing is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    pub(crate) all: &'static str,
    /// Left for this upstream.
    pub(crate) upstream: &'static str,
    /// Left for whoever asks.
    pub(crate) payer: &'static str,
}

/// A bounded amount of something, in whatever unit.
pub(crate) struct Places {
    upstreams: Arc<Shares<Arc<str>>>,
    payers: Arc<Shares<Payer>>,
    words: Words,
    all: usize,
}

/// A part of it; given back when dropped.
pub(crate) struct Place {
    _upstream: Share<Arc<str>>,
    _payer: Share<Payer>,
}

impl Places {
    /// So much of it, for so many upstreams.
    pub(crate) fn new(all: usize, upstreams: usize, words: Words) -> Self {
        Self {
            upstreams: Shares::new(all, if upstreams > 1 { PARTS } else { 1 }),
            payers: Shares::new(all, PARTS),
            words,
            all,
        }
    }

    /// Takes an amount. Who holds nothing may take more than a part at once: it could not be had at all otherwise.
    pub(crate) fn take(&self, upstream: &Upstream, payer: Payer, amount: usize) -> Result<Place, ProxyError> {
        let told = |none, own| {
            ProxyError::TooMany(match none {
                NoShare::AllTaken => self.words.all,
                NoShare::OwnTaken => own,
            })
        };
        let name = Arc::clone(&upstream.config.name);
        let of_upstream = self.upstreams.take_at_once(name, amount);
        let of_payer = self.payers.take_at_once(payer, amount);
        Ok(Place {
            _upstream: of_upstream.map_err(|error| told(error, self.words.upstream))?,
            _payer: of_payer.map_err(|error| told(error, self.words.payer))?,
        })
    }

    /// The most that anybody can hold besides something else.
    pub(crate) fn part(&self) -> usize {
        (self.all / PARTS).max(1)
    }

    /// Whether nobody holds any of it.
    #[cfg(test)]
    pub(crate) fn are_free(&self) -> bool {
        let all = self.payers.take_at_once(None, self.all);
        all.is_ok() && self.upstreams.take_at_once("any".into(), self.all).is_ok()
    }
}

/// A line for what one upstream is asked for at the same time, in which nobody waits behind all that one other one wants.
pub(crate) fn line(turns: usize) -> Arc<Turnstile> {
    let limits = FairLimits {
        waiting: WAITING,
        parts: 1,
        ..FairLimits::default()
    };
    Turnstile::with_limit(turns, limits)
}

/// Somebody in such a line. What comes in comes for all who want it, from wherever.
pub(crate) fn asker(payer: Payer) -> Asker {
    Asker {
        class: Class::Node,
        principal: payer,
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::fake::{Fake, upstream};
    use crate::proxy::upstreams::Upstreams;

    const WORDS: Words = Words {
        all: "all",
        upstream: "of the upstream",
        payer: "of whoever asks",
    };

    fn upstreams() -> [Arc<Upstream>; 2] {
        let fake = Fake::new();
        let upstreams = Upstreams::new(vec![upstream("hub", &fake), upstream("quay", &fake)]);
        ["hub/app", "quay/app"].map(|repo| upstreams.of(&repo.parse().unwrap()).unwrap().upstream)
    }

    fn told(taken: &Result<Place, ProxyError>) -> &'static str {
        match taken {
            Ok(_) => "nothing",
            Err(ProxyError::TooMany(words)) => words,
            Err(_) => "something else",
        }
    }

    #[test]
    fn neither_an_upstream_nor_anybody_takes_it_all() {
        let [hub, quay] = upstreams();
        let places = Places::new(8, 2, WORDS);
        let payer = |id| Some(PrincipalId(id));
        let mut held: Vec<_> = (0..4)
            .map(|id| places.take(&hub, payer(id), 1).unwrap())
            .collect();
        assert_eq!(told(&places.take(&hub, payer(9), 1)), WORDS.upstream);
        held.extend((0..3).map(|_| places.take(&quay, payer(0), 1).unwrap()));
        assert_eq!(told(&places.take(&quay, payer(0), 1)), WORDS.payer);
        held.push(places.take(&quay, payer(1), 1).unwrap());
        assert_eq!(told(&places.take(&quay, payer(2), 1)), WORDS.all);
        assert!(!places.are_free());
        drop(held);
        assert!(places.are_free());
    }

    #[test]
    fn what_is_larger_than_a_part_can_be_had_alone() {
        let [hub, _] = upstreams();
        let places = Places::new(10, 2, WORDS);
        let large = places.take(&hub, None, 9).unwrap();
        assert_eq!(told(&places.take(&hub, None, 1)), WORDS.upstream);
        drop(large);
        assert_eq!(told(&places.take(&hub, None, 11)), WORDS.all);
        assert!(places.are_free());
    }

    #[test]
    fn one_upstream_has_all_of_it_where_there_is_no_other() {
        let [hub, _] = upstreams();
        let places = Places::new(2, 1, WORDS);
        let _first = places.take(&hub, None, 1).unwrap();
        assert_eq!(told(&places.take(&hub, None, 1)), WORDS.payer);
        assert_eq!(told(&places.take(&hub, Some(PrincipalId(1)), 1)), "nothing");
    }
}

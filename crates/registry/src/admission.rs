//! Places for what is being worked on. Whoever finds none is told at once to come again: a queue that grows would only
//! make everybody late.

use std::{net::IpAddr, sync::Arc};

use access::{
    PrincipalId,
    shares::{NoShare, Share, Shares, network},
};
use http::{HeaderValue, header};
use prometheus_client::metrics::gauge::Gauge;

use crate::error::{ApiError, RETRY_AFTER_SECONDS};

/// One principal may hold one part in so many. Everybody without a name is one principal.
pub(crate) const PARTS: usize = 2;

type Caller = Option<PrincipalId>;

/// The places of one registry.
#[derive(Debug)]
pub(crate) struct Admission {
    requests: Arc<Shares<Caller>>,
    lists: Arc<Shares<Caller>>,
    uploads: Arc<Shares<Caller>>,
    lookups: Arc<Shares<PrincipalId>>,
    strangers_lookups: Arc<Shares<IpAddr>>,
    in_flight: Gauge,
}

/// How many places there are of each kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    pub(crate) requests: usize,
    pub(crate) lists: usize,
    pub(crate) uploads: usize,
    pub(crate) lookups: usize,
}

/// A place for a question to the database; given back when dropped.
#[derive(Debug)]
pub(crate) enum LookupPlace {
    Named(#[expect(dead_code, reason = "held for its Drop")] Share<PrincipalId>),
    Stranger(#[expect(dead_code, reason = "held for its Drop")] Share<IpAddr>),
}

/// A place; given back when dropped, also when the client went away.
#[derive(Debug)]
pub(crate) enum Place {
    Request(#[expect(dead_code, reason = "held for its Drop")] Share<Caller>),
    Upload(#[expect(dead_code, reason = "held for its Drop")] UploadPlace),
}

/// A place for an upload, counted while it is held.
#[derive(Debug)]
pub(crate) struct UploadPlace {
    in_flight: Gauge,
    _share: Share<Caller>,
}

impl Admission {
    /// `in_flight` shows the uploads under way.
    pub(crate) fn new(places: Places, in_flight: Gauge) -> Self {
        Self {
            requests: Shares::new(places.requests, PARTS),
            lists: Shares::new(places.lists, PARTS),
            uploads: Shares::new(places.uploads, PARTS),
            lookups: Shares::new(places.lookups, PARTS),
            strangers_lookups: Shares::new(places.lookups.div_ceil(PARTS), PARTS),
            in_flight,
        }
    }

    /// A place for anything but a list or an upload.
    pub(crate) fn request(&self, principal: Caller) -> Result<Place, ApiError> {
        let share = self.requests.take(principal, 1);
        share.map(Place::Request).map_err(|none| match none {
            NoShare::AllTaken => busy("the registry is busy"),
            NoShare::OwnTaken => busy("too many requests of this user or robot at the same time"),
        })
    }

    /// A place for a list, which keeps the database at work for longer than a pull: pulls must not wait behind hundreds.
    pub(crate) fn list(&self, principal: Caller) -> Result<Place, ApiError> {
        let share = self.lists.take(principal, 1);
        share.map(Place::Request).map_err(|none| match none {
            NoShare::AllTaken => busy("too many lists at the same time"),
            NoShare::OwnTaken => busy("too many lists of this user or robot at the same time"),
        })
    }

    /// A place for a pull that memory does not answer: the database has few connections, and whoever asks for what is
    /// unknown, which is never remembered, must not fill the line before them. Strangers have places of their own, half as
    /// many, so that no number of addresses keeps out who has a name.
    pub(crate) fn lookup(&self, principal: Caller, address: IpAddr) -> Result<LookupPlace, ApiError> {
        let place = match principal {
            Some(id) => self.lookups.take(id, 1).map(LookupPlace::Named),
            None => self
                .strangers_lookups
                .take(network(address), 1)
                .map(LookupPlace::Stranger),
        };
        place.map_err(|none| match none {
            NoShare::AllTaken => busy("too many pulls wait for the database"),
            NoShare::OwnTaken if principal.is_some() => {
                busy("too many pulls of this user or robot wait for the database")
            }
            NoShare::OwnTaken => busy("too many pulls of this address wait for the database; sign in"),
        })
    }

    /// A place for an upload of a blob or manifest, which holds memory or a file while it comes. No principal gets so
    /// many that there is none for others.
    pub(crate) fn upload(&self, principal: Caller) -> Result<Place, ApiError> {
        let share = self.uploads.take(principal, 1).map_err(|none| match none {
            NoShare::AllTaken => busy("too many uploads at the same time"),
            NoShare::OwnTaken => busy("too many uploads of this user or robot at the same time"),
        })?;
        self.in_flight.inc();
        Ok(Place::Upload(UploadPlace {
            in_flight: self.in_flight.clone(),
            _share: share,
        }))
    }
}

impl Drop for UploadPlace {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

fn busy(what: &str) -> ApiError {
    ApiError::too_many(format!("{what}; retry after a moment"), RETRY_AFTER_SECONDS)
        .header(header::CONNECTION, HeaderValue::from_static("close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(requests: usize, lists: usize, uploads: usize, lookups: usize) -> Admission {
        let places = Places {
            requests,
            lists,
            uploads,
            lookups,
        };
        Admission::new(places, Gauge::default())
    }

    #[test]
    fn one_principal_cannot_take_every_place_for_uploads() {
        let admission = admission(1, 1, 4, 1);
        let ann = Some(PrincipalId(1));
        let held = [admission.upload(ann).unwrap(), admission.upload(ann).unwrap()];
        assert!(admission.upload(ann).is_err());
        let other = admission.upload(None).unwrap();
        assert_eq!(admission.in_flight.get(), 3);
        drop((held, other));
        assert_eq!(admission.in_flight.get(), 0);
    }

    #[test]
    fn one_request_too_many_is_told_to_come_again() {
        let admission = admission(2, 2, 1, 1);
        let (ann, bob, eve) = (Some(PrincipalId(1)), Some(PrincipalId(2)), None);
        let place = admission.request(ann).unwrap();
        assert!(admission.request(ann).is_err(), "her half");
        let _other = admission.request(bob).unwrap();
        assert!(admission.request(eve).is_err(), "all");
        drop(place);
        assert!(admission.request(ann).is_ok());
    }

    #[test]
    fn lists_have_places_of_their_own() {
        let admission = admission(8, 2, 1, 1);
        let ann = Some(PrincipalId(1));
        let _list = admission.list(ann).unwrap();
        assert!(admission.list(ann).is_err());
        assert!(admission.list(None).is_ok());
        assert!(admission.request(ann).is_ok(), "pulls go on");
    }

    #[test]
    fn strangers_cannot_take_the_lookups_of_anybody_with_a_name() {
        let admission = admission(1, 1, 1, 8);
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let of = |last, count| (0..count).map(move |_| (None, address(last)));
        let strangers: Vec<_> = of(1, 3)
            .chain(of(2, 3))
            .map(|(who, from)| admission.lookup(who, from))
            .collect();
        let served: Vec<_> = strangers.iter().map(Result::is_ok).collect();
        assert_eq!(served, [true, true, false, true, true, false]);
        assert!(
            admission.lookup(None, address(3)).is_err(),
            "all of them together"
        );
        let (ann, bob) = (Some(PrincipalId(1)), Some(PrincipalId(2)));
        let held: Vec<_> = (0..4)
            .map(|_| admission.lookup(ann, address(1)).unwrap())
            .collect();
        assert!(admission.lookup(ann, address(1)).is_err(), "her half");
        assert!(admission.lookup(bob, address(1)).is_ok());
        drop((held, strangers));
        assert!(admission.lookup(ann, address(1)).is_ok());
        assert!(admission.lookup(None, address(3)).is_ok());
    }
}

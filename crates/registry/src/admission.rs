//! Places for what is being worked on. Whoever finds none is told at once to come again: a queue that grows would only
//! make everybody late.

use access::PrincipalId;
use dashmap::DashMap;
use http::{HeaderValue, header};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{ApiError, RETRY_AFTER_SECONDS};

/// One principal may hold one part in so many of the places for uploads.
const SHARES: usize = 2;

/// The places of one registry.
#[derive(Debug)]
pub(crate) struct Admission {
    requests: Semaphore,
    uploads: Semaphore,
    /// Most uploads of one principal at the same time.
    share: usize,
    /// Uploads under way by principal; `None` is everybody without a name.
    held: DashMap<Option<PrincipalId>, usize>,
    in_flight: Gauge,
}

/// A place; given back when dropped, also when the client went away.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    _permit: SemaphorePermit<'a>,
    upload: Option<(&'a Admission, Option<PrincipalId>)>,
}

impl Admission {
    /// `in_flight` shows the uploads under way.
    pub(crate) fn new(requests: usize, uploads: usize, in_flight: Gauge) -> Self {
        Self {
            requests: Semaphore::new(requests),
            uploads: Semaphore::new(uploads),
            share: uploads.div_ceil(SHARES),
            held: DashMap::new(),
            in_flight,
        }
    }

    /// A place for anything but an upload.
    pub(crate) fn request(&self) -> Result<Place<'_>, ApiError> {
        let permit = self
            .requests
            .try_acquire()
            .map_err(|_| busy("the registry is busy"))?;
        Ok(Place {
            _permit: permit,
            upload: None,
        })
    }

    /// A place for an upload of a blob or manifest, which holds memory or a file while it comes. No principal gets so
    /// many that there is none for others.
    pub(crate) fn upload(&self, principal: Option<PrincipalId>) -> Result<Place<'_>, ApiError> {
        let permit = self
            .uploads
            .try_acquire()
            .map_err(|_| busy("too many uploads at the same time"))?;
        let mut held = self.held.entry(principal).or_insert(0);
        if *held >= self.share {
            return Err(busy("too many uploads of this user or robot at the same time"));
        }
        *held += 1;
        drop(held);
        self.in_flight.inc();
        Ok(Place {
            _permit: permit,
            upload: Some((self, principal)),
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some((admission, principal)) = self.upload else {
            return;
        };
        admission.in_flight.dec();
        admission.held.remove_if_mut(&principal, |_, held| {
            *held -= 1;
            *held == 0
        });
    }
}

fn busy(what: &str) -> ApiError {
    ApiError::too_many(format!("{what}; retry after a moment"), RETRY_AFTER_SECONDS)
        .header(header::CONNECTION, HeaderValue::from_static("close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_principal_cannot_take_every_place_for_uploads() {
        let admission = Admission::new(1, 4, Gauge::default());
        let (ann, bob) = (Some(PrincipalId(1)), Some(PrincipalId(2)));
        let first = admission.upload(ann).unwrap();
        let _second = admission.upload(ann).unwrap();
        assert!(admission.upload(ann).is_err());
        let _third = admission.upload(bob).unwrap();
        drop(first);
        let _again = admission.upload(ann).unwrap();
        let _fourth = admission.upload(None).unwrap();
        assert!(admission.upload(bob).is_err(), "all places are taken");
        assert_eq!(admission.in_flight.get(), 4);
    }

    #[test]
    fn one_request_too_many_is_told_to_come_again() {
        let admission = Admission::new(1, 1, Gauge::default());
        let place = admission.request().unwrap();
        assert!(admission.request().is_err());
        drop(place);
        assert!(admission.request().is_ok());
    }
}

//! Places for what is being worked on. Whoever finds none is told at once to come again: a queue that grows would only
//! make everybody late.

use std::sync::Arc;

use access::PrincipalId;
use http::{HeaderValue, header};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    error::{ApiError, RETRY_AFTER_SECONDS},
    shares::{NoShare, Share, Shares},
};

/// The places of one registry.
#[derive(Debug)]
pub(crate) struct Admission {
    requests: Semaphore,
    uploads: Arc<Shares>,
    in_flight: Gauge,
}

/// A place; given back when dropped, also when the client went away.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    Request(#[expect(dead_code, reason = "held for its Drop")] SemaphorePermit<'a>),
    Upload(#[expect(dead_code, reason = "held for its Drop")] UploadPlace),
}

/// A place for an upload, counted while it is held.
#[derive(Debug)]
pub(crate) struct UploadPlace {
    in_flight: Gauge,
    _share: Share,
}

impl Admission {
    /// `in_flight` shows the uploads under way.
    pub(crate) fn new(requests: usize, uploads: usize, in_flight: Gauge) -> Self {
        Self {
            requests: Semaphore::new(requests),
            uploads: Shares::new(uploads),
            in_flight,
        }
    }

    /// A place for anything but an upload.
    pub(crate) fn request(&self) -> Result<Place<'_>, ApiError> {
        let permit = self.requests.try_acquire();
        permit
            .map(Place::Request)
            .map_err(|_| busy("the registry is busy"))
    }

    /// A place for an upload of a blob or manifest, which holds memory or a file while it comes. No principal gets so
    /// many that there is none for others.
    pub(crate) fn upload(&self, principal: Option<PrincipalId>) -> Result<Place<'_>, ApiError> {
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

    #[test]
    fn one_principal_cannot_take_every_place_for_uploads() {
        let admission = Admission::new(1, 4, Gauge::default());
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
        let admission = Admission::new(1, 1, Gauge::default());
        let place = admission.request().unwrap();
        assert!(admission.request().is_err());
        drop(place);
        assert!(admission.request().is_ok());
    }
}

//! What peers are answered: manifests and blobs by their digest, from what is held. Nobody is asked for them, and nobody else is let in.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use oci::{ErrorCode, Reference};
use registry::traffic::listener::{Handler, Peer};
use registry::{Query, Registry, Route};

use crate::mirror::answer::Refusal;
use crate::mirror::app::{forwarded, local_path};
use crate::mirror::centre::MARK;
use crate::mirror::spaces::{Meant, Spaces};

/// Answers peers. That they are peers, the listener has found out by their certificates.
pub(in crate::mirror) struct PeerApp {
    pub(in crate::mirror) spaces: Arc<Spaces>,
    /// Over what is held, without anything that pulls through.
    pub(in crate::mirror) held: Registry,
    pub(in crate::mirror) instance: String,
}

impl PeerApp {
    async fn answer(&self, peer: Peer, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let is_itself = request
            .headers()
            .get(&MARK)
            .is_some_and(|mark| mark == self.instance.as_str());
        if is_itself {
            let message = "this mirror is asked by itself";
            return Err(Refusal::new(
                StatusCode::LOOP_DETECTED,
                ErrorCode::Unsupported,
                message,
            ));
        }
        let unknown = || {
            let message = "peers are answered by digest, from what is held here";
            Refusal::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported, message)
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(unknown());
        }
        let route = Route::parse(request.uri().path()).map_err(|_| unknown())?;
        let query = Query::parse(request.uri().query()).map_err(|_| unknown())?;
        let Meant::Here(space) = self.spaces.meant(query.get("ns"), request.headers()) else {
            return Err(unknown());
        };
        let by_digest = match &route {
            Route::Manifest(_, Reference::Digest(_)) | Route::Blob(..) => route,
            _ => return Err(unknown()),
        };
        let repo = by_digest.repo().and_then(|there| space.local(there));
        let path = local_path(&by_digest, &repo.ok_or_else(unknown)?).ok_or_else(unknown)?;
        let request = forwarded(request, &path).ok_or_else(unknown)?;
        Ok(self
            .held
            .handle(peer, peer.address.ip().to_canonical(), request)
            .await)
    }
}

impl Handler for PeerApp {
    fn computes(&self, _: &Request<Incoming>) -> bool {
        false
    }

    async fn handle(&self, peer: Peer, request: Request<Incoming>) -> Response<Body> {
        let answer = self.answer(peer, request).await;
        answer.unwrap_or_else(Refusal::into_response)
    }
}

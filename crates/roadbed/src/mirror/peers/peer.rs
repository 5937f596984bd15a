//! One peer: how it is asked, and whether it is worth asking.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use moka::sync::Cache;
use oci::{Digest, Hasher};
use outbound::distribution::{Upstream, UpstreamBlob, UpstreamBody, UpstreamError, View};
use registry::proxy::{SourceBody, SourceError};

use super::Counts;
use crate::mirror::source::told;
use crate::mirror::spaces::Space;

/// How long one that does not answer is left alone.
const AWAY_PAUSE: Duration = Duration::from_secs(30);

/// How long one that sends what was not asked for is, or one that is this mirror itself.
const LIAR_PAUSE: Duration = Duration::from_hours(1);

/// Namespaces in which one is asked.
const VIEWS: u64 = 128;

/// A peer.
pub(in crate::mirror) struct Peer {
    pub(super) address: SocketAddr,
    base: Upstream,
    marks: HeaderMap,
    views: Cache<Option<String>, Upstream>,
    alone_until: Mutex<Option<Instant>>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, base: Upstream, marks: HeaderMap) -> Self {
        Self {
            address,
            base,
            marks,
            views: Cache::new(VIEWS),
            alone_until: Mutex::default(),
        }
    }

    /// As it is asked for images of a registry. Mirrors of one centre call that by the same name.
    pub(super) fn upstream(&self, space: &Space) -> Upstream {
        self.views.get_with(Some(space.name.clone()), || {
            self.base.view(View {
                login: None,
                namespace: Some(space.name.clone()),
                marks: self.marks.clone(),
            })
        })
    }

    pub(super) fn may_be_asked(&self, now: Instant) -> bool {
        let until = self.alone_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_none_or(|until| until <= now)
    }

    fn leave_alone(&self, pause: Duration) {
        let mut until = self.alone_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + pause);
    }

    pub(super) fn answered(&self) {
        *self.alone_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn silent(&self) {
        tracing::info!(peer = %self.address, "a peer did not answer in time and is left alone for a while");
        self.leave_alone(AWAY_PAUSE);
    }

    /// Where it has no such thing, that says nothing of it.
    pub(super) fn failed(&self, error: &UpstreamError, counts: &Counts) {
        match error {
            UpstreamError::NotFound | UpstreamError::Denied { .. } | UpstreamError::Refused { .. } => {}
            UpstreamError::Circle { .. } => {
                tracing::debug!(peer = %self.address, "a peer is this mirror itself");
                self.leave_alone(LIAR_PAUSE);
            }
            UpstreamError::Broken { .. } | UpstreamError::TooLarge { .. } => self.lied(counts),
            error => {
                let error = anyhow::Error::new(error.clone());
                tracing::info!(peer = %self.address, error = format!("{error:#}"), "a peer is left alone for a while");
                self.leave_alone(AWAY_PAUSE);
            }
        }
    }

    fn lied(&self, counts: &Counts) {
        counts.lies.inc();
        tracing::warn!(peer = %self.address, "a peer sends what was not asked for and is left alone for an hour");
        self.leave_alone(LIAR_PAUSE);
    }
}

/// A body that is looked at on its way: whoever sent another one than was asked for is left alone. Who stores it finds out by
/// themselves that it is wrong, and need not read on once they have as many bytes as there should be.
struct Checked {
    body: UpstreamBody,
    /// `None` where only a part comes, or all has come.
    hasher: Option<Hasher>,
    /// Bytes that are still to come; `None`: nobody has said.
    left: Option<u64>,
    digest: Digest,
    peer: Arc<Peer>,
    counts: Counts,
}

impl Checked {
    fn came(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
        if self.left == Some(0) {
            self.compare();
        }
    }

    fn compare(&mut self) {
        let found = self.hasher.take().map(Hasher::finish);
        if found.is_some_and(|found| found != self.digest) {
            self.peer.lied(&self.counts);
        }
    }

    fn broke_off(&mut self, error: &UpstreamError) -> SourceError {
        self.hasher = None;
        self.peer.silent();
        match error {
            // It is gone on with from somewhere else.
            UpstreamError::Broken { .. } => SourceError::Broken("a peer broke off".into()),
            error => told(error),
        }
    }
}

/// The bytes of a peer's blob, looked at on their way.
pub(super) fn checked(blob: UpstreamBlob, digest: Digest, peer: Arc<Peer>, counts: Counts) -> SourceBody {
    let checked = Checked {
        body: blob.body,
        hasher: (blob.from == 0).then(|| Hasher::new(digest.algorithm())),
        left: blob.size,
        digest,
        peer,
        counts,
    };
    Box::pin(stream::unfold(checked, |mut checked| async move {
        match checked.body.next().await {
            Some(Ok(bytes)) => {
                checked.came(&bytes);
                Some((Ok(bytes), checked))
            }
            Some(Err(error)) => Some((Err(checked.broke_off(&error)), checked)),
            None => {
                checked.compare();
                None
            }
        }
    }))
}

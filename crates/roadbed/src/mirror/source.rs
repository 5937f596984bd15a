//! How what is not here is got: from peers by its digest, else from the centre.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use oci::{Digest, Reference, RepoName};
use outbound::OutboundError;
use outbound::distribution::UpstreamError;
use registry::proxy::{Asked, Source, SourceBlob, SourceError, SourceHead, SourceManifest};
use serde_json::Value;

use super::centre::{Asker, Centre, CentreError, whole};
use super::peers::Peers;
use super::permits::Permits;
use super::refusals::Refusals;
use super::spaces::Space;

/// When it is worth asking again for what the centre cannot say now.
const LATER: Duration = Duration::from_secs(5);

/// What is got, and from whom.
pub(super) struct MirrorSource {
    pub(super) space: Arc<Space>,
    pub(super) centre: Arc<Centre>,
    pub(super) peers: Option<Arc<Peers>>,
    pub(super) permits: Arc<Permits>,
    pub(super) refusals: Arc<Refusals>,
}

impl MirrorSource {
    /// The repository as it is called here, and as whom the centre is asked for it.
    fn asker(&self, there: &RepoName) -> Result<(RepoName, Asker), SourceError> {
        let local = self.space.local(there);
        let local =
            local.ok_or_else(|| SourceError::Broken("its name is too long to be kept here".into()))?;
        let asker = self.centre.asker_for(&self.space, &local);
        Ok((local, asker))
    }

    async fn told(&self, error: CentreError, local: &RepoName, asker: &Asker) -> SourceError {
        let error = match error {
            // The mirror knows by itself when the centre is back; the proxy's own pauses would be on top of that.
            CentreError::Away { .. } => {
                return SourceError::Later {
                    message: error.to_string(),
                    retry_after: Some(LATER),
                };
            }
            CentreError::Said(error) => error,
        };
        if let UpstreamError::Denied { .. } = &error {
            self.permits.withdraw(asker.who, local).await;
            self.centre.refuses(local, asker.who);
        }
        told(&error)
    }

    /// The centre's policy refuses what it calls this.
    async fn refused(&self, local: &RepoName, digest: &Digest, error: &UpstreamError) {
        if let UpstreamError::Refused { message, detail, .. } = error {
            self.refusals.note(local, digest, message.clone(), detail).await;
        }
    }

    async fn head(&self, there: &RepoName, reference: &Reference) -> Result<SourceHead, SourceError> {
        let (local, asker) = self.asker(there)?;
        let answer = self
            .centre
            .ask(asker.upstream.head_manifest(there, reference))
            .await;
        let head = match answer {
            Ok(head) => head,
            Err(error) => return Err(self.told(error, &local, &asker).await),
        };
        // What is said against it may be a refusal, which only the whole question tells.
        match head.digest {
            Some(digest) if head.warned => {
                let checked = self.centre.ask(asker.upstream.check_manifest(there, &digest));
                match checked.await {
                    Ok(()) => self.refusals.lift(&local, &digest).await,
                    Err(CentreError::Said(error)) => self.refused(&local, &digest, &error).await,
                    Err(CentreError::Away { .. }) => {}
                }
            }
            Some(digest) => self.refusals.lift(&local, &digest).await,
            None => {}
        }
        Ok(SourceHead { digest: head.digest })
    }

    async fn fetch(
        &self,
        there: &RepoName,
        reference: &Reference,
        most: usize,
    ) -> Result<SourceManifest, SourceError> {
        if let (Some(peers), Some(digest)) = (&self.peers, reference.digest())
            && let Some(manifest) = peers.manifest(&self.space, there, &digest, most).await
        {
            return Ok(manifest);
        }
        let (local, asker) = self.asker(there)?;
        let error = match self
            .centre
            .ask(asker.upstream.manifest(there, reference, most))
            .await
        {
            Ok(manifest) => {
                self.refusals.lift(&local, &manifest.digest).await;
                return Ok(SourceManifest {
                    bytes: manifest.bytes,
                    media_type: manifest.media_type,
                    digest: manifest.digest,
                });
            }
            Err(error) => error,
        };
        if let CentreError::Said(refused @ UpstreamError::Refused { .. }) = &error {
            let digest = match reference {
                Reference::Digest(digest) => Some(*digest),
                // It may be here by its digest, or under another tag.
                Reference::Tag(_) => {
                    let head = self.centre.ask(asker.upstream.head_manifest(there, reference));
                    head.await.ok().and_then(|head| head.digest)
                }
            };
            if let Some(digest) = digest {
                self.refused(&local, &digest, refused).await;
            }
        }
        Err(self.told(error, &local, &asker).await)
    }

    async fn fetch_blob(
        &self,
        there: &RepoName,
        digest: &Digest,
        from: u64,
    ) -> Result<SourceBlob, SourceError> {
        if let Some(peers) = &self.peers
            && let Some(blob) = peers.blob(&self.space, there, digest, from).await
        {
            return Ok(blob);
        }
        let (local, asker) = self.asker(there)?;
        match self.centre.ask(asker.upstream.blob(there, digest, from)).await {
            Ok(blob) => Ok(SourceBlob {
                size: blob.size,
                from: blob.from,
                body: Box::pin(blob.body.map(|piece| piece.map_err(|error| told(&error)))),
            }),
            Err(error) => {
                if let CentreError::Said(refused) = &error {
                    self.refused(&local, digest, refused).await;
                }
                Err(self.told(error, &local, &asker).await)
            }
        }
    }
}

impl Source for MirrorSource {
    fn head_manifest<'a>(&'a self, repo: &'a RepoName, reference: &'a Reference) -> Asked<'a, SourceHead> {
        Box::pin(self.head(repo, reference))
    }

    fn manifest<'a>(
        &'a self,
        repo: &'a RepoName,
        reference: &'a Reference,
        most: usize,
    ) -> Asked<'a, SourceManifest> {
        Box::pin(self.fetch(repo, reference, most))
    }

    fn blob<'a>(&'a self, repo: &'a RepoName, digest: &'a Digest, from: u64) -> Asked<'a, SourceBlob> {
        Box::pin(self.fetch_blob(repo, digest, from))
    }
}

/// What a registry said, in the words of the proxy.
pub(super) fn told(error: &UpstreamError) -> SourceError {
    let text = || whole(error);
    match error {
        UpstreamError::NotFound => SourceError::NotFound,
        // Neither may be answered with what is held.
        UpstreamError::Denied { .. } => SourceError::Refused {
            message: text(),
            detail: Value::Null,
        },
        UpstreamError::Refused { message, detail, .. } => SourceError::Refused {
            message: message.clone(),
            detail: detail.clone(),
        },
        UpstreamError::Throttled { retry_after } => SourceError::Throttled {
            retry_after: *retry_after,
        },
        UpstreamError::OverBudget { retry_after, .. } => SourceError::OverBudget {
            retry_after: *retry_after,
        },
        UpstreamError::Unreachable(source) => match &**source {
            OutboundError::Busy { retry_after, .. } => SourceError::Later {
                message: text(),
                retry_after: retry_after.or(Some(LATER)),
            },
            _ => SourceError::Unreachable(text().into()),
        },
        // What is held is as good as ever.
        UpstreamError::Circle { .. } => SourceError::Unreachable(text().into()),
        UpstreamError::Broken { .. } => SourceError::Broken(text().into()),
        UpstreamError::TooLarge { most } => SourceError::TooLarge { most: *most },
    }
}

//! Blobs that come in from an upstream, read by many while they come.
//!
//! [`Store::begin_intake`] makes a file for the blob, [`Store::land`] writes the body into it as an upload is written, and every
//! [`Incoming::stream`] follows what is written, out of the page cache and without a buffer of its own. The last bytes of each
//! stream are held back until the digest of the whole is what was asked for: no stream of a wrong blob comes to its end, and
//! nothing of it is kept.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use access::Permit;
use access::permit::Pull;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use oci::{Digest, Hasher, RepoName};
use serde_json::json;
use tokio::sync::watch;

use crate::blob::{self, BlobInfo, link, state};
use crate::db::Tx;
use crate::event::{self, EventKind};
use crate::files::{AppendError, Committed, FilesError, Followed, Part};
use crate::job::{self, JobPriority};
use crate::reader::{BlobStream, OpenBlob};
use crate::upload::{Claim, Stop, WithRoom};
use crate::{Actor, BodyError, Store, StoreError, UploadError, UploadId, repository};

/// Bytes at the end of each stream that are held back until the digest is known to be right.
const WITHHELD_BYTES: u64 = 1024;

/// Why content may come into a repository that nobody pushes to: somebody may pull there, and its content is an upstream's.
#[derive(Debug, Clone)]
pub struct Intake {
    pub(crate) repo: RepoName,
    pub(crate) upstream: Arc<str>,
}

impl Intake {
    /// What `upstream` has for the repository of the permit. Whether it is that upstream's the caller knows.
    pub fn new(permit: &Permit<Pull>, upstream: Arc<str>) -> Self {
        Self {
            repo: permit.repo().clone(),
            upstream,
        }
    }

    /// Where it comes to.
    pub fn repo(&self) -> &RepoName {
        &self.repo
    }

    /// Who does it, for the audit log.
    pub(crate) fn actor() -> Actor {
        Actor::system("proxy")
    }
}

/// How far a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// So many bytes are written.
    Coming(u64),
    /// All of it is here, and its digest is right.
    Whole,
    /// It does not come any more.
    Failed,
}

/// A blob that comes in. Clones are the same one.
#[derive(Clone)]
pub struct Incoming(Arc<Shared>);

struct Shared {
    digest: Digest,
    size: Option<u64>,
    stage: watch::Sender<Stage>,
    /// `None` where the size is not known, or 0.
    open: Option<OpenBlob>,
}

/// The right to bring a blob in.
pub struct Landing {
    incoming: Incoming,
    intake: Intake,
    id: UploadId,
    claim: Claim,
    guard: FailOnDrop,
}

impl Landing {
    /// The blob, for whoever reads along.
    pub fn incoming(&self) -> &Incoming {
        &self.incoming
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("digest", &self.0.digest)
            .field("size", &self.0.size)
            .field("stage", &*self.0.stage.borrow())
            .finish()
    }
}

impl Incoming {
    /// What it will be called.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Bytes, where that is known before it is here. Only then it can be read along.
    pub fn size(&self) -> Option<u64> {
        self.0.size
    }

    /// The bytes of `range`, which is inside of a known size, as they come.
    ///
    /// # Errors
    /// The last item is an error where the blob does not come to its end, or is not what its digest says.
    pub fn stream(
        &self,
        range: Range<u64>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static + use<> {
        let size = self.0.size.unwrap_or(0);
        let end = range.end.min(size);
        let reader = Reader {
            stages: self.0.stage.subscribe(),
            shared: Arc::clone(&self.0),
            rest: range.start.min(end)..end,
            stretch: None,
        };
        Box::pin(stream::unfold(reader, |mut reader| async move {
            let item = reader.next().await?;
            Some((item, reader))
        }))
    }

    fn wrote(&self, bytes: u64) {
        self.0.stage.send_if_modified(|stage| {
            let is_news = matches!(stage, Stage::Coming(before) if *before < bytes);
            if is_news {
                *stage = Stage::Coming(bytes);
            }
            is_news
        });
    }

    fn end(&self, stage: Stage) {
        self.0.stage.send_replace(stage);
    }
}

/// One who reads along.
struct Reader {
    shared: Arc<Shared>,
    stages: watch::Receiver<Stage>,
    rest: Range<u64>,
    /// What was written when it was last looked.
    stretch: Option<BlobStream>,
}

impl Reader {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(stretch) = &mut self.stretch {
                match stretch.next().await {
                    Some(Ok(bytes)) => {
                        self.rest.start += bytes.len() as u64;
                        return Some(Ok(bytes));
                    }
                    Some(Err(error)) => return Some(self.fail(error)),
                    None => self.stretch = None,
                }
            }
            if self.rest.is_empty() {
                return None;
            }
            let stage = *self.stages.borrow_and_update();
            let until = match stage {
                Stage::Coming(written) => written.min(self.rest.end.saturating_sub(WITHHELD_BYTES)),
                Stage::Whole => self.rest.end,
                Stage::Failed => return Some(self.fail(cut_short())),
            };
            match &self.shared.open {
                Some(open) if until > self.rest.start => {
                    self.stretch = Some(open.stream(self.rest.start..until));
                    continue;
                }
                _ if stage == Stage::Whole => return Some(self.fail(cut_short())),
                _ => {}
            }
            if self.stages.changed().await.is_err() {
                return Some(self.fail(cut_short()));
            }
        }
    }

    fn fail(&mut self, error: io::Error) -> io::Result<Bytes> {
        self.rest = 0..0;
        self.stretch = None;
        Err(error)
    }
}

fn cut_short() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the blob did not come whole from its upstream",
    )
}

impl Store {
    /// Makes room for a blob that comes in. `size`, where it is known, is what it has in the end.
    pub async fn begin_intake(
        &self,
        intake: Intake,
        digest: Digest,
        size: Option<u64>,
    ) -> Result<Landing, UploadError> {
        let limit = self.limits().blob_bytes;
        if size.is_some_and(|size| size > limit) {
            return Err(UploadError::TooLarge { limit });
        }
        self.demand_room().await?;
        let id = self.new_upload_id();
        let claim = self.claim(id).await?;
        let files = &self.inner.files;
        files.create_upload(id.0).await.map_err(StoreError::from)?;
        let open = match size {
            None | Some(0) => None,
            Some(size) => match files.open_growing(id.0, digest, size).await {
                Ok(open) => Some(open),
                Err(error) => {
                    self.remove_upload_file(id.0).await;
                    return Err(StoreError::from(error).into());
                }
            },
        };
        let incoming = Incoming(Arc::new(Shared {
            digest,
            size,
            stage: watch::Sender::new(Stage::Coming(0)),
            open,
        }));
        Ok(Landing {
            guard: FailOnDrop(incoming.clone()),
            incoming,
            intake,
            id,
            claim,
        })
    }

    /// Brings the blob in: its bytes become one of the repository if their digest and size are right. Run it in a task that
    /// nobody cancels; dropped before, those who read along see it fail.
    pub async fn land<S>(&self, landing: Landing, body: S) -> Result<BlobInfo, UploadError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin,
    {
        let Landing {
            incoming,
            intake,
            id,
            claim,
            guard: _guard,
        } = landing;
        let limit = self.limits().blob_bytes;
        let part = Part {
            id: id.0,
            offset: 0,
            hasher: Hasher::new(incoming.digest().algorithm()),
            max_len: incoming.size().unwrap_or(limit),
        };
        let told = incoming.clone();
        let followed: Followed = Arc::new(move |bytes| told.wrote(bytes));
        let files = &self.inner.files;
        let room = Arc::clone(&self.inner.room);
        let body = WithRoom { body, room };
        let landed = files.append_and_commit_followed(part, body, incoming.digest(), Some(followed));
        let committed = match landed.await {
            Ok(committed) => committed,
            Err(error) => {
                self.remove_upload_file(id.0).await;
                if error.is_for_want_of_room() {
                    self.inner.room.ran_out(self.now());
                }
                return Err(of_append(error));
            }
        };
        if let Some(announced) = incoming.size().filter(|size| *size != committed.size) {
            self.remove_blob_file(committed).await;
            let got = committed.size;
            let source = BodyError::TooShort { announced, got };
            return Err(UploadError::Interrupted { offset: got, source });
        }
        // Right and durable: whoever reads along need not wait for the database.
        incoming.end(Stage::Whole);
        let taken = self.take_in(intake, committed).await;
        drop(claim);
        taken
    }

    /// Writes the rows that make a committed file a blob of the repository.
    async fn take_in(&self, intake: Intake, committed: Committed) -> Result<BlobInfo, UploadError> {
        self.doubt_blob(committed.location.digest()).await?;
        let quota = self.rules(&intake.repo).quota_bytes;
        let written = self
            .write(move |tx| Box::pin(async move { record(tx, &intake, &committed, quota).await }))
            .await;
        self.settled(committed, written).await
    }
}

/// Those who read along must not wait for what nobody brings in any more.
struct FailOnDrop(Incoming);

impl Drop for FailOnDrop {
    fn drop(&mut self) {
        self.0.0.stage.send_if_modified(|stage| {
            let is_open = matches!(stage, Stage::Coming(_));
            if is_open {
                *stage = Stage::Failed;
            }
            is_open
        });
    }
}

/// Makes the file the blob of its digest and links it. Answers whether the file is the one that counts.
async fn record(
    tx: &Tx,
    intake: &Intake,
    committed: &Committed,
    quota: Option<u64>,
) -> Result<bool, UploadError> {
    let (found, ours) = state::adopt(tx, committed).await?;
    let mut repository = repository::find_or_create(tx, &intake.repo).await?;
    link::link(tx, &intake.repo, &mut repository, &found, quota).await?;
    job::enqueue_scan(tx, &found.digest, JobPriority::Push).await?;
    let subject = blob::subject(&intake.repo, &found.digest);
    let body = json!({ "size": committed.size, "upstream": &*intake.upstream });
    event::record(tx, &Intake::actor(), EventKind::BlobPush, &subject, body).await?;
    Ok(ours)
}

fn of_append(error: AppendError<Stop>) -> UploadError {
    match error {
        AppendError::Interrupted {
            appended,
            source: Stop::Body(source),
        } => UploadError::Interrupted {
            offset: appended.offset(),
            source,
        },
        AppendError::Interrupted {
            source: Stop::NoRoom, ..
        } => UploadError::Store(StoreError::DiskFull),
        AppendError::Interrupted {
            source: Stop::TooManyBytes { limit },
            ..
        } => UploadError::TooManyBytes { limit },
        AppendError::TooLarge { limit, .. } => UploadError::TooLarge { limit },
        AppendError::Files {
            source: FilesError::DigestMismatch { expected, found },
            ..
        } => UploadError::DigestMismatch {
            expected: *expected,
            actual: *found,
        },
        AppendError::Files { source, .. } => UploadError::Store(source.into()),
    }
}

#[cfg(test)]
mod tests;

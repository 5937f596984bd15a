//! A backup, streamed.

use std::io::{self, Write};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header;
use serde::{Deserialize, Serialize};
use store::{Actor, BackupError, BackupReport};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use utoipa::ToSchema;

use crate::body::Body;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Problem};
use crate::session::Administrator;
use crate::state::WebState;

/// Bytes gathered before they are handed to the connection.
const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks that may wait for a slow reader; then the backup waits too.
const QUEUED_CHUNKS: usize = 4;

/// How to back up. There is nothing to choose yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {}

/// Write a consistent copy of everything as a tar archive, while serving. An archive that ended early is cut off
/// without the end of the chunked answer, so that no client takes it for whole.
#[utoipa::path(post, path = "/backup", tag = "housekeeping", request_body = BackupRequest, responses(
    (status = OK, description = "A tar archive", content_type = "application/x-tar"),
    (status = CONFLICT, description = "A backup is running already", body = Problem),
))]
pub(crate) async fn create_backup(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(BackupRequest {}): Body<BackupRequest>,
) -> Result<Response, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    let (sender, mut chunks) = mpsc::channel(QUEUED_CHUNKS);
    let writer = ChunkWriter {
        sender,
        gathered: BytesMut::new(),
    };
    let mut result = tokio::spawn(async move { state.store.backup(&actor, writer).await });
    // A backup that cannot begin is a problem, not a broken archive.
    let Some(first) = chunks.recv().await else {
        outcome(&mut result).await?;
        return Ok(archive(axum::body::Body::empty()));
    };
    let rest = Rest {
        first: Some(first),
        chunks,
        result: Some(result),
    };
    Ok(archive(axum::body::Body::from_stream(stream::unfold(
        rest, next_chunk,
    ))))
}

fn archive(body: axum::body::Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"roadbed-backup.tar\"",
        ),
    ];
    (headers, body).into_response()
}

async fn outcome(
    result: &mut JoinHandle<Result<BackupReport, BackupError>>,
) -> Result<BackupReport, BackupError> {
    result.await.map_err(|error| BackupError::Store(error.into()))?
}

struct Rest {
    first: Option<Bytes>,
    chunks: mpsc::Receiver<Bytes>,
    result: Option<JoinHandle<Result<BackupReport, BackupError>>>,
}

async fn next_chunk(mut rest: Rest) -> Option<(io::Result<Bytes>, Rest)> {
    if let Some(first) = rest.first.take() {
        return Some((Ok(first), rest));
    }
    if let Some(chunk) = rest.chunks.recv().await {
        return Some((Ok(chunk), rest));
    }
    let mut result = rest.result.take()?;
    match outcome(&mut result).await {
        Ok(report) => {
            tracing::info!(blobs = report.blobs, bytes = report.bytes, "backup written");
            None
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "backup ended early");
            Some((Err(io::Error::other("the backup ended early")), rest))
        }
    }
}

/// Hands what the backup writes to the connection. Blocks while the reader is behind; fails when it is gone. What is
/// not flushed when it is dropped belongs to a backup that failed, and nobody gets it.
struct ChunkWriter {
    sender: mpsc::Sender<Bytes>,
    gathered: BytesMut,
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let chunk = self.gathered.split().freeze();
        self.sender
            .blocking_send(chunk)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

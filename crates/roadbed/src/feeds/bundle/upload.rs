//! A bundle that comes over the API, piece by piece, into a file below the data directory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{BundleLimits, take::too_large};

/// One that nobody goes on with for this long makes room for another one.
const IDLE: Duration = Duration::from_mins(10);

/// How the files are called.
const PREFIX: &str = "bundle-";

/// The one that is coming.
#[derive(Default)]
pub(in crate::feeds) struct Uploads(Mutex<Option<Upload>>);

struct Upload {
    id: String,
    path: PathBuf,
    bytes: u64,
    touched: Instant,
}

/// A file that goes when this does.
pub(in crate::feeds) struct Uploaded(PathBuf);

impl AsRef<Path> for Uploaded {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Uploaded {
    fn drop(&mut self) {
        // What stays is cleared away before the next one.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Uploads {
    /// Begins one, and clears away what ended ones have left. Answers its name.
    pub(in crate::feeds) async fn begin(&self, directory: &Path) -> Result<String, String> {
        let mut upload = self.0.lock().await;
        if upload
            .as_ref()
            .is_some_and(|upload| upload.touched.elapsed() < IDLE)
        {
            return Err("a bundle is coming already; wait until it is there, at most ten minutes".to_owned());
        }
        *upload = None;
        let failed = |error: std::io::Error| format!("a bundle cannot be kept here: {error}");
        fs::create_dir_all(directory).await.map_err(failed)?;
        clear(directory).await.map_err(failed)?;
        let id = Uuid::now_v7().to_string();
        let path = directory.join(format!("{PREFIX}{id}"));
        fs::File::create(&path).await.map_err(failed)?;
        *upload = Some(Upload {
            id: id.clone(),
            path,
            bytes: 0,
            touched: Instant::now(),
        });
        Ok(id)
    }

    /// Adds what comes next.
    pub(in crate::feeds) async fn add(
        &self,
        id: &str,
        offset: u64,
        bytes: Bytes,
        limits: BundleLimits,
    ) -> Result<(), String> {
        let mut place = self.0.lock().await;
        let upload = place.as_mut().filter(|upload| upload.id == id).ok_or_else(gone)?;
        if offset != upload.bytes {
            return Err(format!(
                "{} bytes are here: send what comes behind them",
                upload.bytes
            ));
        }
        let length = upload.bytes + bytes.len() as u64;
        if length > limits.bytes {
            // Nothing can come of it: it makes room for another one.
            let _ = fs::remove_file(&upload.path).await;
            *place = None;
            return Err(too_large(limits).to_string());
        }
        let failed = |error: std::io::Error| format!("the bundle cannot be written: {error}");
        let mut file = OpenOptions::new()
            .append(true)
            .open(&upload.path)
            .await
            .map_err(failed)?;
        file.write_all(&bytes).await.map_err(failed)?;
        file.flush().await.map_err(failed)?;
        upload.bytes = length;
        upload.touched = Instant::now();
        Ok(())
    }

    /// All of it has come.
    pub(in crate::feeds) fn finish(&self, id: &str) -> Result<Uploaded, String> {
        let mut upload = self
            .0
            .try_lock()
            .map_err(|_| "the bundle is still coming".to_owned())?;
        match upload.take_if(|upload| upload.id == id) {
            Some(upload) => Ok(Uploaded(upload.path)),
            None => Err(gone()),
        }
    }
}

fn gone() -> String {
    "no such bundle is coming; begin again".to_owned()
}

async fn clear(directory: &Path) -> std::io::Result<()> {
    let mut entries = fs::read_dir(directory).await?;
    while let Some(entry) = entries.next_entry().await? {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_file(entry.path()).await?;
        }
    }
    Ok(())
}

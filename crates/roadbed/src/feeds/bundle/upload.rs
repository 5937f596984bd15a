//! A bundle that comes over the API, piece by piece, into a file below the data directory.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use uuid::Uuid;
use web::BundleRefused;

use super::{BundleLimits, verified::BUNDLE_BYTES};

/// One that nobody goes on with for this long makes room for another one.
const IDLE: Duration = Duration::from_mins(10);

/// How the files are called.
const PREFIX: &str = "bundle-";

/// The one that is coming, and those that are there and are being taken in.
#[derive(Default)]
pub(in crate::feeds) struct Uploads(Mutex<Option<Upload>>, InUse);

/// Files that are being taken in, which may take longer than the next one needs to come.
type InUse = Arc<std::sync::Mutex<HashSet<PathBuf>>>;

struct Upload {
    id: String,
    path: PathBuf,
    bytes: u64,
    touched: Instant,
}

/// A file that goes when this does.
pub(in crate::feeds) struct Uploaded(PathBuf, InUse);

impl AsRef<Path> for Uploaded {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Uploaded {
    fn drop(&mut self) {
        // What stays is cleared away before the next one.
        let _ = std::fs::remove_file(&self.0);
        self.1
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.0);
    }
}

impl Uploads {
    /// Begins one, and clears away what ended ones have left. Answers its name.
    pub(in crate::feeds) async fn begin(&self, directory: &Path) -> Result<String, BundleRefused> {
        let mut upload = self.0.lock().await;
        if upload
            .as_ref()
            .is_some_and(|upload| upload.touched.elapsed() < IDLE)
        {
            return Err(BundleRefused::Coming);
        }
        *upload = None;
        fs::create_dir_all(directory).await.map_err(BundleRefused::File)?;
        clear(directory, &self.1).await.map_err(BundleRefused::File)?;
        let id = Uuid::now_v7().to_string();
        let path = directory.join(format!("{PREFIX}{id}"));
        fs::File::create(&path).await.map_err(BundleRefused::File)?;
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
    ) -> Result<(), BundleRefused> {
        let mut place = self.0.lock().await;
        let upload = place
            .as_mut()
            .filter(|upload| upload.id == id)
            .ok_or(BundleRefused::Gone)?;
        if offset != upload.bytes {
            return Err(BundleRefused::NotNext { here: upload.bytes });
        }
        let length = upload.bytes + bytes.len() as u64;
        if length > limits.bytes {
            // Nothing can come of it: it makes room for another one.
            let _ = fs::remove_file(&upload.path).await;
            *place = None;
            return Err(BundleRefused::TooLarge {
                limit: limits.bytes,
                key: BUNDLE_BYTES,
            });
        }
        let mut file = OpenOptions::new()
            .append(true)
            .open(&upload.path)
            .await
            .map_err(BundleRefused::File)?;
        file.write_all(&bytes).await.map_err(BundleRefused::File)?;
        file.flush().await.map_err(BundleRefused::File)?;
        upload.bytes = length;
        upload.touched = Instant::now();
        Ok(())
    }

    /// All of it has come.
    pub(in crate::feeds) fn finish(&self, id: &str) -> Result<Uploaded, BundleRefused> {
        let mut upload = self.0.try_lock().map_err(|_| BundleRefused::StillComing)?;
        match upload.take_if(|upload| upload.id == id) {
            Some(upload) => {
                let mut in_use = self.1.lock().unwrap_or_else(PoisonError::into_inner);
                in_use.insert(upload.path.clone());
                Ok(Uploaded(upload.path, Arc::clone(&self.1)))
            }
            None => Err(BundleRefused::Gone),
        }
    }
}

/// One that goes by itself meanwhile is cleared away too.
async fn clear(directory: &Path, in_use: &InUse) -> std::io::Result<()> {
    let mut entries = fs::read_dir(directory).await?;
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        let is_in_use = in_use
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&path);
        if is_in_use || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        match fs::remove_file(path).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_come_in_order_up_to_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let uploads = Uploads::default();
        let limits = BundleLimits {
            bytes: 5,
            unpacked: 5,
        };
        let add = async |id: &str, offset, bytes: &'static [u8]| {
            uploads.add(id, offset, Bytes::from_static(bytes), limits).await
        };
        let id = uploads.begin(directory.path()).await.unwrap();
        let second = uploads.begin(directory.path()).await;
        assert!(matches!(second, Err(BundleRefused::Coming)), "{second:?}");
        add(&id, 0, b"abc").await.unwrap();
        let gap = add(&id, 4, b"e").await;
        assert!(matches!(gap, Err(BundleRefused::NotNext { here: 3 })), "{gap:?}");
        let stranger = add("another", 3, b"d").await;
        assert!(matches!(stranger, Err(BundleRefused::Gone)), "{stranger:?}");
        let long = add(&id, 3, b"def").await.unwrap_err();
        assert!(matches!(long, BundleRefused::TooLarge { limit: 5, .. }), "{long}");
        assert!(long.to_string().contains("feeds.bundle_bytes"), "{long}");
        // It made room for another one.
        let id = uploads.begin(directory.path()).await.unwrap();
        add(&id, 0, b"abcde").await.unwrap();
        let file = uploads.finish(&id).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"abcde");
        assert!(matches!(uploads.finish(&id), Err(BundleRefused::Gone)));
        drop(file);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_is_no_conflict() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        let refused = Uploads::default().begin(&file).await;
        assert!(matches!(refused, Err(BundleRefused::File(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn the_next_one_leaves_alone_what_is_being_taken_in() {
        let directory = tempfile::tempdir().unwrap();
        let left = directory.path().join("bundle-left");
        std::fs::write(&left, "by one that was killed").unwrap();
        let uploads = Uploads::default();
        let id = uploads.begin(directory.path()).await.unwrap();
        assert!(!left.exists());
        let limits = BundleLimits {
            bytes: 100,
            unpacked: 100,
        };
        uploads
            .add(&id, 0, Bytes::from_static(b"bundle"), limits)
            .await
            .unwrap();
        let taken = uploads.finish(&id).unwrap();
        let next = uploads.begin(directory.path()).await.unwrap();
        assert_eq!(std::fs::read(&taken).unwrap(), b"bundle");
        let path = taken.as_ref().to_owned();
        drop(taken);
        assert!(!path.exists());
        assert!(uploads.1.lock().unwrap().is_empty());
        drop(uploads.finish(&next).unwrap());
    }
}

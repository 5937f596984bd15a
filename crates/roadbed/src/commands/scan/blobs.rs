//! One face for all places where blobs lie.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use oci::{Descriptor, Digest};

use super::archive::Archive;
use super::layout::Layout;
use super::registry::Registry;

/// Where the blobs of an image lie. Cheap to clone.
#[derive(Clone)]
pub(super) enum Blobs {
    /// In a directory.
    Layout(Arc<Layout>),
    /// In an archive that holds a layout.
    Archive(Arc<Archive>),
    /// In an archive under names of its own.
    Named(Arc<Archive>, Arc<HashMap<Digest, String>>),
    /// In one file: the image is a directory.
    One(Arc<File>),
    /// In a registry.
    Registry(Arc<Registry>),
}

impl Blobs {
    /// An open blob whose bytes are those of its digest. `None`: it is not there.
    pub(super) async fn open(&self, blob: &Descriptor) -> Result<Option<File>> {
        if let Self::Registry(registry) = self {
            return registry.blob(blob).await.map(Some);
        }
        let (blobs, digest) = (self.clone(), blob.digest);
        // Hashing computes, and files may lie on slow disks.
        tokio::task::spawn_blocking(move || blobs.open_here(&digest))
            .await
            .context("the blob was lost")?
    }

    fn open_here(&self, digest: &Digest) -> Result<Option<File>> {
        match self {
            Self::Layout(layout) => layout.blob(digest),
            Self::Archive(archive) => archive.blob(digest),
            Self::Named(archive, names) => {
                let Some(name) = names.get(digest) else {
                    return Ok(None);
                };
                let extracted = archive.extract(name, digest.algorithm())?;
                Ok(extracted.map(|(file, _)| file))
            }
            Self::One(file) => Ok(Some(file.try_clone()?)),
            Self::Registry(_) => Ok(None),
        }
    }
}

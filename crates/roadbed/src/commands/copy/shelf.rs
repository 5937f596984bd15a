//! Directories with an OCI layout (image-spec, image-layout.md) to copy to.
//!
//! What is there already was put there by somebody else, perhaps on another machine: a blob counts as there when its bytes are
//! those of its digest, and nothing is written through a link ([`crate::inside`]).

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use futures_util::TryStreamExt as _;
use oci::media_type::OCI_IMAGE_INDEX;
use oci::{Digest, Hasher, ManifestLimits, Reference};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::task::spawn_blocking;

use super::layout::REF_NAME;
use super::source::{Found, MANIFEST_BYTES};
use super::verified::Bytestream;
use crate::inside::{Inside, Lock};

/// What marks a layout, and the file that holds it.
const MARK: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const MARK_NAME: &str = "oci-layout";

/// Bytes of a mark that are read: there is one word in it.
const MARK_BYTES: usize = 4096;

/// The list of images.
const INDEX_NAME: &str = "index.json";

/// Bytes of a blob that are compared at a time.
const CHUNK: usize = 256 << 10;

/// A directory to copy to. Nothing is in it under its name before it is whole.
pub(super) struct Shelf {
    root: Inside,
    /// What `index.json` does not list yet.
    new: Mutex<Vec<Value>>,
    /// `index.json` is read, changed and written.
    _alone: Lock,
}

impl Shelf {
    /// Opens a layout, or makes one where there is nothing.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        fs::create_dir_all(path).with_context(|| format!("cannot make {shown}"))?;
        let root = Inside::open(path)?;
        let alone = root.lock()?;
        if let Some(mark) = root.file(MARK_NAME)? {
            ensure!(
                is_mark(mark).with_context(|| format!("cannot read {shown}/{MARK_NAME}"))?,
                "{shown}/{MARK_NAME} is that of no OCI layout of version 1: name another directory"
            );
        } else {
            let mut entries = fs::read_dir(path).with_context(|| format!("cannot read {shown}"))?;
            ensure!(
                entries.next().is_none(),
                "{shown} is no OCI layout and not empty: name another directory"
            );
            write_whole(&root, MARK_NAME, MARK.as_bytes())?;
        }
        Ok(Self {
            root,
            new: Mutex::default(),
            _alone: alone,
        })
    }

    /// Whether a blob is there, whole and with its own bytes. One that is not is written anew.
    pub(super) async fn has(&self, digest: &Digest, size: u64) -> Result<bool> {
        let Some(file) = self.blob(digest)? else {
            return Ok(false);
        };
        let path = || format!("cannot read blob {digest}");
        if file.metadata().with_context(path)?.len() != size {
            return Ok(false);
        }
        let wanted = *digest;
        let found = spawn_blocking(move || digest_of(file, &wanted)).await?;
        Ok(found.with_context(path)? == *digest)
    }

    /// Writes a blob, if its stream ends well.
    pub(super) async fn put(&self, digest: &Digest, mut bytes: Bytestream) -> Result<()> {
        let directory = self.root.make("blobs")?.make(digest.algorithm().as_str())?;
        let name = digest.hex();
        let shown = directory.path(&name);
        let failed = || format!("cannot write {}", shown.display());
        let draft = directory.begin()?;
        let file = draft.file.try_clone().with_context(failed)?;
        let mut file = tokio::fs::File::from_std(file);
        while let Some(chunk) = bytes.try_next().await? {
            file.write_all(&chunk).await.with_context(failed)?;
        }
        file.flush().await.with_context(failed)?;
        spawn_blocking(move || draft.commit(&name))
            .await?
            .with_context(failed)
    }

    /// Lists a manifest that was written, under a tag if it has one.
    pub(super) fn list(&self, found: &Found, under: &Reference) {
        let mut entry = json!({
            "mediaType": found.manifest.media_type,
            "digest": found.digest,
            "size": found.bytes.len(),
        });
        if let (Some(_), Some(kind)) = (&found.manifest.subject, &found.manifest.artifact_type) {
            entry["artifactType"] = json!(kind);
        }
        if let Some(tag) = under.tag() {
            entry["annotations"] = json!({ REF_NAME: tag });
        }
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.push(entry);
    }

    /// Writes `index.json`, in which the new ones take the place of those of the same tag.
    pub(super) fn finish(&self) -> Result<()> {
        let new = std::mem::take(&mut *self.new.lock().unwrap_or_else(PoisonError::into_inner));
        let path = self.root.path(INDEX_NAME);
        let shown = path.display();
        let index = match self.root.file(INDEX_NAME)? {
            Some(file) => read_index(file).with_context(|| format!("cannot read {shown}"))?,
            None => json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX, "manifests": [] }),
        };
        let index = merged(index, new).with_context(|| format!("{shown} is no index of images"))?;
        let index = index.to_string();
        ensure!(
            index.len() <= MANIFEST_BYTES,
            "{shown} would have more than {MANIFEST_BYTES} bytes: copy to another directory"
        );
        write_whole(&self.root, INDEX_NAME, index.as_bytes())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<File>> {
        // A digest that was parsed holds nothing but its algorithm and hexadecimal digits.
        let Some(blobs) = self.root.below("blobs")? else {
            return Ok(None);
        };
        match blobs.below(digest.algorithm().as_str())? {
            Some(directory) => directory.file(&digest.hex()),
            None => Ok(None),
        }
    }
}

fn write_whole(directory: &Inside, name: &str, bytes: &[u8]) -> Result<()> {
    let mut draft = directory.begin()?;
    let written = draft.file.write_all(bytes).and_then(|()| draft.commit(name));
    written.with_context(|| format!("cannot write {}", directory.path(name).display()))
}

fn is_mark(mark: File) -> io::Result<bool> {
    let bytes = read_up_to(mark, MARK_BYTES)?;
    let mark: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let version = mark["imageLayoutVersion"].as_str();
    Ok(bytes.len() <= MARK_BYTES && version.is_some_and(|version| version.starts_with("1.")))
}

fn digest_of(mut file: File, wanted: &Digest) -> io::Result<Digest> {
    let mut hasher = Hasher::new(wanted.algorithm());
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&chunk[..count]),
        }
    }
}

/// The beginning of a file, up to a byte more than `most`.
fn read_up_to(file: File, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_index(file: File) -> Result<Value> {
    let bytes = read_up_to(file, MANIFEST_BYTES)?;
    ensure!(
        bytes.len() <= MANIFEST_BYTES,
        "it has more than {MANIFEST_BYTES} bytes"
    );
    Ok(serde_json::from_slice(&bytes)?)
}

fn merged(mut index: Value, new: Vec<Value>) -> Result<Value> {
    let list = index.get_mut("manifests").and_then(Value::as_array_mut);
    let list = list.context("it has no list of manifests")?;
    for entry in new {
        let name = entry["annotations"][REF_NAME].clone();
        list.retain(|known| {
            let known_name = &known["annotations"][REF_NAME];
            if known_name.is_null() {
                known["digest"] != entry["digest"]
            } else {
                *known_name != name
            }
        });
        list.push(entry);
    }
    let most = ManifestLimits::default().children;
    ensure!(
        list.len() <= most,
        "a directory takes {most} images: copy the others to another one"
    );
    Ok(index)
}

#[cfg(test)]
mod tests;

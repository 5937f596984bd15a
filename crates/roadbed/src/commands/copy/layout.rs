//! Directories with an OCI layout (image-spec, image-layout.md): to copy from, and to copy to.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use oci::media_type::OCI_IMAGE_INDEX;
use oci::{Descriptor, Digest, Manifest, ManifestLimits, MediaType, Reference, Tag};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::source::{Found, MANIFEST_BYTES};
use super::verified::Bytestream;
use crate::commands::scan::Layout;

/// The annotation that holds a tag (image-spec, annotations.md).
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What marks a layout.
const MARK: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// A directory to copy from.
pub(super) struct Directory {
    layout: Layout,
    index: Manifest,
    /// By what they refer to; read when somebody asks.
    referrers: OnceLock<HashMap<Digest, Vec<Digest>>>,
}

impl Directory {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let layout = Layout::open(root)?;
        let index = layout.index(MANIFEST_BYTES as u64)?;
        let media_type: MediaType = OCI_IMAGE_INDEX.parse()?;
        let index = Manifest::parse(&index, Some(&media_type), &ManifestLimits::default())
            .with_context(|| format!("{}/index.json cannot be read", root.display()))?;
        Ok(Self {
            layout,
            index,
            referrers: OnceLock::new(),
        })
    }

    /// What is meant where nothing is named.
    pub(super) fn only(&self) -> Result<Reference> {
        let images = &self.index.manifests;
        let Some(first) = images.first() else {
            bail!("there is no image in index.json");
        };
        // What is signed lies beside its signatures.
        let mut tagged = images.iter().filter(|image| tag_of(image).is_some());
        let only = match (tagged.next(), tagged.next()) {
            (Some(only), None) => only,
            (None, _) if images.iter().all(|image| image.digest == first.digest) => first,
            _ => {
                bail!("there are several images: name one as oci:DIRECTORY:TAG, or copy all with --all-tags")
            }
        };
        Ok(tag_of(only).map_or(Reference::Digest(only.digest), Reference::Tag))
    }

    pub(super) fn tags(&self) -> Vec<Tag> {
        self.index.manifests.iter().filter_map(tag_of).collect()
    }

    /// A manifest with its media type, as far as `index.json` says it.
    pub(super) fn manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<(Bytes, Option<MediaType>, Digest)>> {
        let listed = self.index.manifests.iter().find(|image| match reference {
            Reference::Tag(tag) => tag_of(image).as_ref() == Some(tag),
            Reference::Digest(digest) => image.digest == *digest,
        });
        let Some(digest) = listed.map(|image| image.digest).or(reference.digest()) else {
            return Ok(None);
        };
        let Some(bytes) = self.small(&digest)? else {
            return Ok(None);
        };
        Ok(Some((
            bytes,
            listed.map(|image| image.media_type.clone()),
            digest,
        )))
    }

    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<File>> {
        self.layout.unverified(digest)
    }

    /// What `index.json` lists and says that it is about a manifest.
    pub(super) fn referrers(&self, digest: &Digest) -> Result<Vec<Digest>> {
        let known = if let Some(known) = self.referrers.get() {
            known
        } else {
            let read = self.read_referrers()?;
            self.referrers.get_or_init(|| read)
        };
        Ok(known.get(digest).cloned().unwrap_or_default())
    }

    fn read_referrers(&self) -> Result<HashMap<Digest, Vec<Digest>>> {
        let mut found: HashMap<Digest, Vec<Digest>> = HashMap::new();
        for listed in &self.index.manifests {
            let Some(bytes) = self.small(&listed.digest)? else {
                continue;
            };
            // What cannot be read refers to nothing.
            let manifest = Manifest::parse(&bytes, Some(&listed.media_type), &ManifestLimits::default());
            if let Some(subject) = manifest.ok().and_then(|manifest| manifest.subject) {
                found.entry(subject.digest).or_default().push(listed.digest);
            }
        }
        Ok(found)
    }

    /// A blob that fits into memory, as a manifest does.
    fn small(&self, digest: &Digest) -> Result<Option<Bytes>> {
        let Some(file) = self.layout.unverified(digest)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(MANIFEST_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read blob {digest}"))?;
        ensure!(
            bytes.len() <= MANIFEST_BYTES,
            "blob {digest} has more than {MANIFEST_BYTES} bytes: it is no manifest"
        );
        ensure!(
            Digest::of(digest.algorithm(), &bytes) == *digest,
            "the bytes of blob {digest} have another digest: copy the image again"
        );
        Ok(Some(bytes.into()))
    }
}

/// The tag of an image in a layout; some tools write the repository in front of it.
fn tag_of(image: &Descriptor) -> Option<Tag> {
    let name = image.annotations.get(REF_NAME)?;
    let tag = name.rsplit_once(':').map_or(name.as_str(), |(_, tag)| tag);
    tag.parse().ok()
}

/// A directory to copy to. Nothing is in it under its name before it is whole.
pub(super) struct Shelf {
    root: PathBuf,
    /// What `index.json` does not list yet.
    new: Mutex<Vec<Value>>,
}

impl Shelf {
    /// Opens a layout, or makes one where there is nothing.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let shown = root.display();
        fs::create_dir_all(root).with_context(|| format!("cannot make {shown}"))?;
        let mark = root.join("oci-layout");
        if !mark.is_file() {
            let mut entries = fs::read_dir(root).with_context(|| format!("cannot read {shown}"))?;
            ensure!(
                entries.next().is_none(),
                "{shown} is no OCI layout and not empty: name another directory"
            );
            fs::write(&mark, MARK).with_context(|| format!("cannot write {}", mark.display()))?;
        }
        Ok(Self {
            root: root.to_owned(),
            new: Mutex::default(),
        })
    }

    /// Whether a blob is there. One that is there under its name was whole when it got it.
    pub(super) fn has(&self, digest: &Digest, size: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|found| found.is_file() && found.len() == size)
    }

    /// Writes a blob, if its stream ends well.
    pub(super) async fn put(&self, digest: &Digest, bytes: Bytestream) -> Result<()> {
        let path = self.path(digest);
        let directory = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let partial = Partial(directory.join(format!(".{}.{}.partial", digest.hex(), std::process::id())));
        write(&partial.0, bytes).await?;
        fs::rename(&partial.0, &path).with_context(|| format!("cannot write {}", path.display()))
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
        let path = self.root.join("index.json");
        let shown = path.display();
        let index = read_index(&path).with_context(|| format!("cannot read {shown}"))?;
        let index = merged(index, new).with_context(|| format!("{shown} is no index of images"))?;
        let partial = Partial(
            self.root
                .join(format!(".index.json.{}.partial", std::process::id())),
        );
        let written = File::create(&partial.0).and_then(|mut file| {
            file.write_all(index.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial.0, &path)?;
            File::open(&self.root)?.sync_all()
        });
        written.with_context(|| format!("cannot write {shown}"))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        // A digest that was parsed holds nothing but its algorithm and hexadecimal digits.
        let blobs = self.root.join("blobs");
        blobs.join(digest.algorithm().as_str()).join(digest.hex())
    }
}

/// A file that goes unless it got another name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn write(path: &Path, mut bytes: Bytestream) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut file = tokio::fs::File::create(path).await.with_context(failed)?;
    while let Some(chunk) = bytes.try_next().await? {
        file.write_all(&chunk).await.with_context(failed)?;
    }
    file.flush().await.with_context(failed)?;
    file.sync_all().await.with_context(failed)
}

/// What there is; an empty index where there is none.
fn read_index(path: &Path) -> Result<Value> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX, "manifests": [] }));
        }
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(MANIFEST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
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
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_one_image_and_an_image_without_one_is_listed_once() {
        let entry = |digest: &str, tag: Option<&str>| match tag {
            Some(tag) => json!({ "digest": digest, "annotations": { REF_NAME: tag } }),
            None => json!({ "digest": digest }),
        };
        let old = json!({
            "schemaVersion": 2, "x": 1,
            "manifests": [entry("a", Some("v1")), entry("a", Some("v2")), entry("b", None), entry("c", None)],
        });
        let new = vec![entry("b", None), entry("c", Some("v1")), entry("d", Some("v3"))];
        let index = merged(old, new.clone()).unwrap();
        assert_eq!(index["x"], 1);
        let list = [&[entry("a", Some("v2"))][..], new.as_slice()].concat();
        assert_eq!(index["manifests"], json!(list));
        assert!(merged(json!({}), new).is_err());
        let many = (0..=1_000)
            .map(|number| entry(&number.to_string(), None))
            .collect();
        assert!(merged(json!({ "manifests": [] }), many).is_err());
    }

    #[test]
    fn what_is_something_else_is_not_written_into() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("precious"), "x").unwrap();
        let error = Shelf::open(directory.path()).err().unwrap().to_string();
        assert!(error.contains("not empty"), "{error}");
        Shelf::open(&directory.path().join("new/one")).unwrap();
        Shelf::open(&directory.path().join("new/one")).unwrap();
    }
}

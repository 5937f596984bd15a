//! What is there already is compared, and nothing is written elsewhere, whatever lies in the directory.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Manifest, MediaType};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::super::layout::Directory;
use super::*;
use crate::dice::Dice;

const BYTES: &[u8] = b"a layer";

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, BYTES)
}

fn blob_path(root: &Path) -> PathBuf {
    root.join("blobs/sha256").join(digest().hex())
}

fn stream_of(bytes: &'static [u8]) -> Bytestream {
    Box::pin(stream::iter([anyhow::Ok(Bytes::from_static(bytes))]))
}

/// An image without layers.
fn image() -> Found {
    let empty = Digest::of(Algorithm::Sha256, b"{}");
    let text = json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": empty, "size": 2 },
        "layers": [],
    });
    let bytes = Bytes::from(text.to_string());
    let said: MediaType = oci::media_type::OCI_IMAGE_MANIFEST.parse().unwrap();
    Found {
        manifest: Manifest::parse(&bytes, Some(&said), &ManifestLimits::default()).unwrap(),
        digest: Digest::of(Algorithm::Sha256, &bytes),
        bytes,
    }
}

fn new_shelf() -> (TempDir, Shelf) {
    let root = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(root.path()).unwrap();
    (root, shelf)
}

async fn has(shelf: &Shelf) -> Result<bool> {
    shelf.has(&digest(), BYTES.len() as u64).await
}

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
    drop(Shelf::open(&directory.path().join("new/one")).unwrap());
    drop(Shelf::open(&directory.path().join("new/one")).unwrap());
    let long = format!("{MARK}{}", " ".repeat(MARK_BYTES));
    for mark in ["", "{}", r#"{"imageLayoutVersion":"2.0.0"}"#, &long] {
        fs::write(directory.path().join("new/one/oci-layout"), mark).unwrap();
        let error = Shelf::open(&directory.path().join("new/one")).err().unwrap();
        assert!(
            error.to_string().contains("no OCI layout of version 1"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_blob_is_there_when_its_bytes_are() {
    let (root, shelf) = new_shelf();
    assert!(!has(&shelf).await.unwrap());
    shelf.put(&digest(), stream_of(BYTES)).await.unwrap();
    assert!(has(&shelf).await.unwrap());
    for wrong in [&b"A layer"[..], b"a laye", b"a layer and more", b""] {
        fs::write(blob_path(root.path()), wrong).unwrap();
        assert!(!has(&shelf).await.unwrap(), "{wrong:?}");
    }
    // What was wrong is put right.
    shelf.put(&digest(), stream_of(BYTES)).await.unwrap();
    assert_eq!(fs::read(blob_path(root.path())).unwrap(), BYTES);
    assert!(has(&shelf).await.unwrap());
}

#[tokio::test]
async fn what_is_no_file_is_refused_by_its_path() {
    let (root, shelf) = new_shelf();
    let outside = root.path().join("outside");
    fs::write(&outside, BYTES).unwrap();
    fs::create_dir_all(root.path().join("blobs/sha256")).unwrap();
    let path = blob_path(root.path());
    for kind in ["a pipe", "a link"] {
        if kind == "a pipe" {
            mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        } else {
            symlink(&outside, &path).unwrap();
        }
        let error = has(&shelf).await.unwrap_err().to_string();
        assert!(error.contains(kind) && error.contains("remove it"), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn nothing_is_written_through_a_link() {
    let outside = tempfile::tempdir().unwrap();
    for link in ["blobs", "blobs/sha256"] {
        let (root, shelf) = new_shelf();
        if link != "blobs" {
            fs::create_dir(root.path().join("blobs")).unwrap();
        }
        symlink(outside.path(), root.path().join(link)).unwrap();
        let error = shelf.put(&digest(), stream_of(BYTES)).await.unwrap_err();
        assert!(error.to_string().contains("a link and no directory"), "{error}");
        assert!(has(&shelf).await.is_err());
    }
    let (root, shelf) = new_shelf();
    let elsewhere = outside.path().join("index");
    fs::write(&elsewhere, r#"{"manifests":[]}"#).unwrap();
    symlink(&elsewhere, root.path().join("index.json")).unwrap();
    shelf.list(&image(), &Reference::Digest(image().digest));
    let error = shelf.finish().unwrap_err().to_string();
    assert!(error.contains("a link and no file"), "{error}");
    assert_eq!(fs::read(&elsewhere).unwrap(), br#"{"manifests":[]}"#);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn an_index_has_an_end() {
    let (root, shelf) = new_shelf();
    let index = root.path().join("index.json");
    fs::write(&index, " ".repeat(MANIFEST_BYTES + 1)).unwrap();
    let error = format!("{:#}", shelf.finish().unwrap_err());
    assert!(
        error.contains(&format!("more than {MANIFEST_BYTES} bytes")),
        "{error}"
    );
    // What is read just so would not be read any more.
    let filled = json!({ "manifests": [], "x": "x".repeat(MANIFEST_BYTES - 30) });
    fs::write(&index, filled.to_string()).unwrap();
    shelf.list(&image(), &Reference::Digest(image().digest));
    let error = shelf.finish().unwrap_err().to_string();
    assert!(error.contains("copy to another directory"), "{error}");
    assert_eq!(fs::read_to_string(&index).unwrap(), filled.to_string());
}

/// What lies under a name.
#[derive(Debug, Clone)]
enum Thing {
    Nothing,
    Bytes(Vec<u8>),
    Right,
    Directory,
    Pipe,
    /// To a file outside.
    Link,
    /// To a directory outside.
    LinkAway,
    /// To itself.
    LinkRound,
}

fn thing(dice: &mut Dice) -> Thing {
    let words = [
        "{",
        "}",
        "[",
        "]",
        "\"manifests\"",
        "\"digest\"",
        ":",
        ",",
        "null",
        "1",
    ];
    match dice.roll(10) {
        0 => Thing::Nothing,
        1 => Thing::Bytes(
            (0..dice.roll(40))
                .map(|_| dice.roll(256).to_le_bytes()[0])
                .collect(),
        ),
        2 => Thing::Bytes(dice.text(&words, 12).into_bytes()),
        3 => Thing::Directory,
        4 => Thing::Pipe,
        5 => Thing::Link,
        6 => Thing::LinkAway,
        7 => Thing::LinkRound,
        _ => Thing::Right,
    }
}

/// Puts a thing where nothing is in the way. `right`: the bytes of a file; a directory if there are none.
fn put_there(thing: &Thing, path: &Path, right: Option<&[u8]>, outside: &Path) {
    let made = match (thing, right) {
        (Thing::Nothing, _) => Ok(()),
        (Thing::Bytes(bytes), _) => fs::write(path, bytes),
        (Thing::Right, Some(bytes)) => fs::write(path, bytes),
        (Thing::Right, None) | (Thing::Directory, _) => fs::create_dir(path),
        (Thing::Pipe, _) => {
            let mode = Mode::from_raw_mode(0o600);
            mknodat(CWD, path, FileType::Fifo, mode, 0).map_err(io::Error::from)
        }
        (Thing::Link, _) => symlink(outside.join("file"), path),
        (Thing::LinkAway, _) => symlink(outside, path),
        (Thing::LinkRound, _) => symlink(path, path),
    };
    made.unwrap();
}

/// Copies one blob and one image into it.
async fn copy_into(root: &Path) -> Result<()> {
    let shelf = Shelf::open(root)?;
    if !has(&shelf).await? {
        shelf.put(&digest(), stream_of(BYTES)).await?;
    }
    let image = image();
    if !shelf.has(&image.digest, image.bytes.len() as u64).await? {
        let bytes = image.bytes.clone();
        let bytes = stream::once(async move { anyhow::Ok(bytes) });
        shelf.put(&image.digest, Box::pin(bytes)).await?;
    }
    shelf.list(&image, &Reference::Digest(image.digest));
    shelf.finish()
}

/// Reads what there is to read.
fn read_from(root: &Path) -> Result<()> {
    let directory = Directory::open(root)?;
    let only = directory.only();
    directory.tags();
    directory.manifest(&only?)?;
    directory.blob(&digest())?;
    directory.referrers(&digest())?;
    Ok(())
}

fn ready(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(work)
}

/// Lays things into a directory and copies from it and into it.
fn tell(seed: u64) {
    let mut dice = Dice::new(seed);
    let things: [Thing; 5] = std::array::from_fn(|_| thing(&mut dice));
    let [mark, index, blobs, algorithm, blob] = &things;
    let (place, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = place.path().join("layout");
    fs::create_dir(&root).unwrap();
    fs::write(outside.path().join("file"), "outside").unwrap();
    let empty = br#"{"schemaVersion":2,"manifests":[]}"#;
    // What is below a link would be made outside.
    let is_real = |thing: &Thing| matches!(thing, Thing::Right | Thing::Directory);
    put_there(
        mark,
        &root.join("oci-layout"),
        Some(MARK.as_bytes()),
        outside.path(),
    );
    put_there(index, &root.join("index.json"), Some(empty), outside.path());
    put_there(blobs, &root.join("blobs"), None, outside.path());
    if is_real(blobs) {
        put_there(algorithm, &root.join("blobs/sha256"), None, outside.path());
        if is_real(algorithm) {
            put_there(blob, &blob_path(&root), Some(BYTES), outside.path());
        }
    }
    let _ = read_from(&root);
    if ready(copy_into(&root)).is_ok() {
        assert_eq!(fs::read(blob_path(&root)).unwrap(), BYTES, "{seed} {things:?}");
        let found = fs::symlink_metadata(blob_path(&root)).unwrap();
        assert!(found.is_file(), "{seed} {things:?}");
        // What else an index held may make no sense.
        let is_sense = !matches!(index, Thing::Bytes(_));
        assert!(!is_sense || read_from(&root).is_ok(), "{seed} {things:?}");
    }
    let file = fs::read(outside.path().join("file")).unwrap();
    assert_eq!(file, b"outside", "{seed} {things:?}");
    for (directory, entries) in [(outside.path(), 1), (place.path(), 1)] {
        let found = fs::read_dir(directory).unwrap().count();
        assert_eq!(found, entries, "{seed} {things:?}");
    }
}

#[test]
fn a_broken_layout_is_refused_or_put_right_and_nothing_outside_is_touched() {
    (0..256).for_each(tell);
}

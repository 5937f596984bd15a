//! Layers as real images have them: a Debian with a compiler, a Java, a Python and a Node.js, made once by `mmdebstrap`, and any
//! number of copies of them that no server has seen.

use std::{
    fs,
    io::{Cursor, Read as _, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    content::{Blob, BlobReference, digest_text},
    random::Random,
};

/// What the system has besides the smallest set of packages.
const PACKAGES: &str = "python3,python3-django,git,openssh-client,default-jre-headless,nodejs,npm,gcc";

/// Its release.
const RELEASE: &str = "bookworm";

/// Where this machine has its packages from; `mmdebstrap` asks Debian itself without it.
const SOURCES: &str = "/etc/apt/sources.list.d/debian.sources";

/// As docker and buildah compress.
const LEVEL: u32 = 6;

const TAR_BLOCK: usize = 512;

/// The archive of its files. It is kept below Cargo's directory, for the next run.
pub(crate) fn debian() -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("roadbed-bench-debian.tar");
    if path.is_file() {
        return Ok(path);
    }
    eprintln!("   making a Debian, once: 3 minutes");
    let making = path.with_extension("part.tar");
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase"]);
    command
        .arg(format!("--include={PACKAGES}"))
        .arg(RELEASE)
        .arg(&making);
    if Path::new(SOURCES).is_file() {
        command.arg(SOURCES);
    }
    let made = command
        .status()
        .context("mmdebstrap is missing: install Debian's package mmdebstrap")?;
    ensure!(made.success(), "mmdebstrap ended with {made}");
    fs::rename(&making, &path)?;
    Ok(path)
}

/// An archive, cut between entries into `count` pieces of about the same size, none of them with an end.
pub(crate) fn cut(archive: &[u8], count: usize) -> Result<Vec<&[u8]>> {
    let size = archive.len().div_ceil(count);
    let (mut pieces, mut start, mut end, mut belongs_to_next) = (Vec::new(), 0, 0, false);
    let mut tar = tar::Archive::new(Cursor::new(archive));
    for entry in tar.entries()?.raw(true) {
        let entry = entry?;
        let at = usize::try_from(entry.raw_header_position())?;
        if at - start >= size && !belongs_to_next {
            pieces.push(&archive[start..at]);
            start = at;
        }
        belongs_to_next = matches!(entry.header().entry_type().as_byte(), b'L' | b'K' | b'x' | b'g');
        let content = usize::try_from(entry.header().entry_size()?)?;
        end = at + TAR_BLOCK + content.next_multiple_of(TAR_BLOCK);
    }
    pieces.push(&archive[start..end]);
    Ok(pieces)
}

/// A layer without its end, of which copies are made.
pub(crate) struct Layer {
    packed: Vec<u8>,
    packed_hash: Sha256,
    plain_hash: Sha256,
    plain_bytes: usize,
}

/// A layer that no server has seen.
pub(crate) struct FreshLayer<'a> {
    /// `sha256:…`
    pub(crate) digest: String,
    /// Of what is in it.
    pub(crate) diff_id: String,
    packed: &'a [u8],
    end: Vec<u8>,
    plain_end: Vec<u8>,
}

impl Layer {
    /// Of an archive without an end.
    pub(crate) fn of(archive: &[u8]) -> Result<Self> {
        let packed = gzip(archive)?;
        Ok(Self {
            packed_hash: Sha256::new_with_prefix(&packed),
            plain_hash: Sha256::new_with_prefix(archive),
            plain_bytes: archive.len(),
            packed,
        })
    }

    /// Uncompressed.
    pub(crate) fn plain_bytes(&self) -> usize {
        self.plain_bytes
    }

    /// Its bytes, without an end.
    pub(crate) fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// A copy with one small file more. gzip allows for several members in a row: nothing is compressed again.
    pub(crate) fn fresh(&self) -> Result<FreshLayer<'_>> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        let content = Random::fresh().bytes(32);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "var/lib/roadbed-benchmark", content.as_slice())?;
        let plain = tar.into_inner()?;
        let end = gzip(&plain)?;
        Ok(FreshLayer {
            digest: digest_text(self.packed_hash.clone().chain_update(&end)),
            diff_id: digest_text(self.plain_hash.clone().chain_update(&plain)),
            packed: &self.packed,
            end,
            plain_end: plain,
        })
    }
}

impl FreshLayer<'_> {
    /// Its bytes.
    pub(crate) fn pieces(&self) -> [&[u8]; 2] {
        [self.packed, &self.end]
    }

    /// What its last piece has, uncompressed.
    pub(crate) fn plain_end(&self) -> &[u8] {
        &self.plain_end
    }

    /// What a manifest says about it.
    pub(crate) fn reference(&self) -> BlobReference {
        BlobReference {
            digest: self.digest.clone(),
            size: self.pieces().iter().map(|piece| piece.len()).sum(),
        }
    }
}

/// The configuration of an image that has these layers; `note` tells them apart.
pub(crate) fn config_of(diff_ids: &[String], note: &str) -> Blob {
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "author": note,
        "config": {"Cmd": ["/bin/true"], "User": "1000"},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    Blob::of(config.to_string().into_bytes())
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

//! Bytes on their way to a child: files that have no name, so that nothing is left behind.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};
use oci::{Algorithm, Digest, Hasher};

/// Bytes at a time.
const CHUNK: usize = 256 << 10;

/// A file that nobody else can open.
pub(super) fn anonymous() -> Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let directory = std::env::temp_dir();
    let create = || {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("roadbed-scan-{}-{number}", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        fs::remove_file(&path)?;
        Ok(file)
    };
    // Another's file of the name is not touched.
    let mut made: io::Result<File> = create();
    for _ in 0..8 {
        match &made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => made = create(),
            _ => break,
        }
    }
    made.with_context(|| {
        format!(
            "cannot make a file in {}: name another directory with TMPDIR",
            directory.display()
        )
    })
}

/// Copies to the end and says the digest; more than `most` bytes are an error.
pub(super) fn copy(
    mut from: impl Read,
    mut to: impl Write,
    algorithm: Algorithm,
    most: u64,
) -> Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    let mut chunk = vec![0; CHUNK];
    let mut copied = 0;
    loop {
        let count = from.read(&mut chunk)?;
        if count == 0 {
            return Ok(hasher.finish());
        }
        copied += count as u64;
        if copied > most {
            bail!("there are more than {most} bytes");
        }
        hasher.update(&chunk[..count]);
        to.write_all(&chunk[..count])
            .context("cannot write a temporary file: name a directory with more room with TMPDIR")?;
    }
}

/// An open file, if its bytes are those of the digest.
pub(super) fn verified(mut file: File, digest: &Digest) -> Result<File> {
    let found = copy(&file, io::sink(), digest.algorithm(), u64::MAX)?;
    if found != *digest {
        bail!("the bytes of blob {digest} have another digest, {found}: copy the image again");
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

//! Images in a directory (image-spec, image-layout.md).

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci::Digest;

use super::spool;

/// A directory with a layout. Nothing is read that does not lie in it.
pub(crate) struct Layout {
    /// Without links.
    root: PathBuf,
}

impl Layout {
    /// Opens it.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let root = fs::canonicalize(root).with_context(|| format!("cannot read {}", root.display()))?;
        Ok(Self { root })
    }

    /// `index.json`, up to a byte more than `most`.
    pub(crate) fn index(&self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(Path::new("index.json"))?
            .context("there is no index.json: is it a whole OCI layout?")?
            .take(most + 1)
            .read_to_end(&mut bytes)
            .context("cannot read index.json")?;
        Ok(bytes)
    }

    /// An open blob whose bytes are those of its digest. `None`: it is not there.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<File>> {
        self.unverified(digest)?
            .map(|file| spool::verified(file, digest))
            .transpose()
    }

    /// The same, of which nobody has compared the bytes with the digest.
    pub(crate) fn unverified(&self, digest: &Digest) -> Result<Option<File>> {
        // A digest that was parsed holds nothing but its algorithm and hexadecimal digits.
        let path = Path::new("blobs")
            .join(digest.algorithm().as_str())
            .join(digest.hex());
        self.file(&path)
    }

    /// Links are followed as long as they stay inside: some tools share blobs between directories of one layout that way.
    fn file(&self, relative: &Path) -> Result<Option<File>> {
        let asked = self.root.join(relative);
        let path = match fs::canonicalize(&asked) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            path => path.with_context(|| format!("cannot read {}", asked.display()))?,
        };
        if !path.starts_with(&self.root) {
            bail!(
                "{} leads out of the layout: copy the image with its blobs, not with links to them",
                asked.display()
            );
        }
        // Opening a pipe would wait for somebody to write to it.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
            .open(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if !file.metadata()?.is_file() {
            bail!("{} is no file", asked.display());
        }
        Ok(Some(file))
    }
}

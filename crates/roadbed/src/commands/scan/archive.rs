//! Images in a tar archive: what `docker save` writes, old and new, and OCI layouts in an archive.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use flate2::read::MultiGzDecoder;
use oci::{Algorithm, Digest};

use super::spool;

/// Entries of an archive. Docker writes three for each layer.
const ENTRIES: usize = 100_000;

/// Bytes of a name that is kept; those that count have 77 at most.
const NAME_BYTES: usize = 512;

/// Bytes of an archive, unpacked.
const ARCHIVE_BYTES: u64 = 64 << 30;

/// Links from one entry to the next.
const LINKS: usize = 8;

/// An archive with the places of its files.
pub(super) struct Archive {
    file: File,
    entries: HashMap<String, Place>,
}

enum Place {
    File {
        offset: u64,
        size: u64,
    },
    /// As older versions of Docker write a layer that they wrote already.
    Link(String),
}

/// A file of an archive, without the rest.
struct Part<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..most], self.offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

impl Archive {
    /// Reads where everything is.
    pub(super) fn open(path: &Path, is_packed: bool) -> Result<Self> {
        let unreadable = || format!("cannot read {}", path.display());
        let mut file = File::open(path).with_context(unreadable)?;
        if is_packed {
            file = unpacked(&file).with_context(unreadable)?;
        }
        let entries = places(&file).with_context(unreadable)?;
        Ok(Self { file, entries })
    }

    /// A small file, up to a byte more than `most`. `None`: there is none.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let Some(part) = self.part(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        part.take(most + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {name:?} in the archive"))?;
        Ok(Some(bytes))
    }

    /// A file by itself, with its digest. `None`: there is none.
    pub(super) fn extract(&self, name: &str, algorithm: Algorithm) -> Result<Option<(File, Digest)>> {
        let Some(part) = self.part(name)? else {
            return Ok(None);
        };
        let mut file = spool::anonymous()?;
        let digest = spool::copy(part, &file, algorithm, ARCHIVE_BYTES)
            .with_context(|| format!("cannot read {name:?} in the archive"))?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Some((file, digest)))
    }

    /// An open blob of a layout whose bytes are those of its digest. `None`: it is not there.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<File>> {
        let name = format!("blobs/{}/{}", digest.algorithm(), digest.hex());
        let Some((file, found)) = self.extract(&name, digest.algorithm())? else {
            return Ok(None);
        };
        ensure!(
            found == *digest,
            "the bytes of blob {digest} have another digest, {found}: save the image again"
        );
        Ok(Some(file))
    }

    fn part(&self, name: &str) -> Result<Option<Part<'_>>> {
        let mut name = name.to_owned();
        for _ in 0..LINKS {
            match self.entries.get(&name) {
                None => return Ok(None),
                Some(&Place::File { offset, size }) => {
                    return Ok(Some(Part {
                        file: &self.file,
                        offset,
                        left: size,
                    }));
                }
                Some(Place::Link(target)) => name.clone_from(target),
            }
        }
        bail!("{name:?} in the archive is a link without an end")
    }
}

/// The same without gzip.
fn unpacked(packed: &File) -> Result<File> {
    let plain = spool::anonymous()?;
    let decoder = MultiGzDecoder::new(BufReader::new(packed));
    spool::copy(decoder, BufWriter::new(&plain), Algorithm::Sha256, ARCHIVE_BYTES)?;
    Ok(plain)
}

/// Where every file is. Headers are taken as they are: names that need more than one are none of ours, so nothing is read
/// that an archive only announces.
fn places(file: &File) -> Result<HashMap<String, Place>> {
    let mut reader = file;
    reader.seek(SeekFrom::Start(0))?;
    let mut archive = tar::Archive::new(reader);
    let mut places = HashMap::new();
    for entry in archive.entries_with_seek()?.raw(true) {
        let entry = entry?;
        if places.len() >= ENTRIES {
            bail!("there are more than {ENTRIES} entries");
        }
        let kind = entry.header().entry_type();
        let name = clean(&entry.path_bytes());
        let place = if kind.is_file() {
            Place::File {
                offset: entry.raw_file_position(),
                size: entry.size(),
            }
        } else if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default();
            Place::Link(target_of(&name, &clean(&target), kind.is_symlink()))
        } else {
            continue;
        };
        // Of two files of one name, tools take different ones.
        if name.len() <= NAME_BYTES && places.insert(name.clone(), place).is_some() {
            return Err(anyhow!("{name:?} is in it twice: save the image again"));
        }
    }
    Ok(places)
}

fn clean(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.trim_start_matches("./").to_owned()
}

/// The entry that a link means. It leads to a name among the entries or nowhere.
fn target_of(name: &str, target: &str, is_relative: bool) -> String {
    if !is_relative {
        return target.to_owned();
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_among_the_entries() {
        for (name, target, meant) in [
            ("b/layer.tar", "../a/layer.tar", "a/layer.tar"),
            ("b/layer.tar", "../../../etc/passwd", "etc/passwd"),
            ("b/layer.tar", "./other", "b/other"),
        ] {
            assert_eq!(target_of(name, target, true), meant);
        }
    }

    #[test]
    fn a_link_to_itself_ends() {
        let archive = Archive {
            file: spool::anonymous().unwrap(),
            entries: HashMap::from([("a".to_owned(), Place::Link("a".to_owned()))]),
        };
        let error = archive.read("a", 10).unwrap_err();
        assert!(error.to_string().contains("without an end"));
    }
}

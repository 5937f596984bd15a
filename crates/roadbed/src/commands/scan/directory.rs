//! A directory as one layer: children take blobs and nothing else.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use oci::{Algorithm, Digest};
use tar::{Builder, EntryType, Header};

use super::spool;
use crate::progress;

/// Entries of a directory, with all below it.
const ENTRIES: u64 = 1_000_000;

/// Bytes of its files.
const BYTES: u64 = 20 << 30;

/// How deep directories may be nested.
const DEPTH: usize = 256;

/// A directory as a blob.
pub(super) struct Packed {
    pub(super) file: File,
    pub(super) digest: Digest,
    /// What could not be read, one line each.
    pub(super) unread: Vec<String>,
}

/// Files that could not be read and are named; more are counted.
const UNREAD: usize = 20;

struct Walk<'a> {
    root: &'a Path,
    device: u64,
    tar: Builder<BufWriter<File>>,
    entries: u64,
    bytes: u64,
    unread: Vec<String>,
    unread_count: usize,
    bar: ProgressBar,
}

/// Packs a directory. Links are packed as links, and other file systems that are mounted in it are left out.
pub(super) fn pack(root: &Path) -> Result<Packed> {
    let unreadable = || format!("cannot read {}", root.display());
    let device = fs::metadata(root).with_context(unreadable)?.dev();
    let mut walk = Walk {
        root,
        device,
        tar: Builder::new(BufWriter::new(spool::anonymous()?)),
        entries: 0,
        bytes: 0,
        unread: Vec::new(),
        unread_count: 0,
        bar: progress::of_unknown(),
    };
    walk.directory(Path::new(""), 0)?;
    walk.bar.finish_and_clear();
    if walk.unread_count > walk.unread.len() {
        let more = walk.unread_count - walk.unread.len();
        walk.unread.push(format!("{more} more could not be read"));
    }
    let mut buffered = walk.tar.into_inner()?;
    buffered.flush()?;
    let mut file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    let digest = spool::copy(&file, io::sink(), Algorithm::Sha256, u64::MAX)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Packed {
        file,
        digest,
        unread: walk.unread,
    })
}

impl Walk<'_> {
    fn directory(&mut self, relative: &Path, depth: usize) -> Result<()> {
        if depth > DEPTH {
            bail!("{} is nested more than {DEPTH} deep", relative.display());
        }
        let listed = fs::read_dir(self.root.join(relative))
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let mut names: Vec<std::ffi::OsString> = match listed {
            Ok(names) => names,
            Err(error) if depth == 0 => {
                return Err(error).with_context(|| format!("cannot list {}", self.root.display()));
            }
            Err(error) => {
                self.not_read(relative, &error);
                return Ok(());
            }
        };
        // The same directory gives the same blob.
        names.sort_unstable();
        for name in names {
            self.entry(&relative.join(name), depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, relative: &Path, depth: usize) -> Result<()> {
        self.entries += 1;
        if self.entries > ENTRIES {
            bail!(
                "there are more than {ENTRIES} files in {}: name a directory in it",
                self.root.display()
            );
        }
        let path = self.root.join(relative);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => {
                self.not_read(relative, &error);
                return Ok(());
            }
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            if metadata.dev() != self.device {
                return Ok(());
            }
            let mut header = header_of(&metadata, EntryType::Directory, 0);
            self.append(&mut header, relative, io::empty())?;
            self.directory(relative, depth + 1)
        } else if kind.is_symlink() {
            self.link(relative, &metadata)
        } else if kind.is_file() {
            self.file(relative)
        } else {
            Ok(())
        }
    }

    fn link(&mut self, relative: &Path, metadata: &Metadata) -> Result<()> {
        match fs::read_link(self.root.join(relative)) {
            Ok(target) => {
                let mut header = header_of(metadata, EntryType::Symlink, 0);
                self.tar
                    .append_link(&mut header, relative, target)
                    .with_context(|| format!("cannot pack {}", relative.display()))
            }
            Err(error) => {
                self.not_read(relative, &error);
                Ok(())
            }
        }
    }

    fn file(&mut self, relative: &Path) -> Result<()> {
        // It may have become a link or a pipe meanwhile.
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(self.root.join(relative))
            .and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = match opened {
            Ok((metadata, file)) if metadata.is_file() => (metadata, file),
            Ok(_) => return Ok(()),
            Err(error) => {
                self.not_read(relative, &error);
                return Ok(());
            }
        };
        self.bytes = self.bytes.saturating_add(metadata.len());
        if self.bytes > BYTES {
            bail!(
                "there are more than {BYTES} bytes in {}: name a directory in it",
                self.root.display()
            );
        }
        let mut header = header_of(&metadata, EntryType::Regular, metadata.len());
        let exactly = Exactly {
            file,
            left: metadata.len(),
        };
        self.append(&mut header, relative, exactly)?;
        self.bar.set_position(self.bytes);
        Ok(())
    }

    fn append(&mut self, header: &mut Header, relative: &Path, data: impl Read) -> Result<()> {
        self.tar
            .append_data(header, relative, data)
            .with_context(|| format!("cannot pack {}", relative.display()))
    }

    fn not_read(&mut self, relative: &Path, error: &io::Error) {
        self.unread_count += 1;
        if self.unread.len() < UNREAD {
            let path: PathBuf = relative.to_owned();
            self.unread
                .push(format!("{} could not be read: {error}", path.display()));
        }
    }
}

fn header_of(metadata: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(metadata.permissions().mode() & 0o7777);
    header.set_uid(u64::from(metadata.uid()));
    header.set_gid(u64::from(metadata.gid()));
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header
}

/// As many bytes of a file as its header says, whatever becomes of it meanwhile: zeros behind its end.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let mut count = self.file.read(&mut buffer[..most])?;
        if count == 0 {
            buffer[..most].fill(0);
            count = most;
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_not_followed_and_the_same_files_give_the_same_blob() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("b")).unwrap();
        fs::write(directory.path().join("b/file"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", directory.path().join("a")).unwrap();
        let first = pack(directory.path()).unwrap();
        let again = pack(directory.path()).unwrap();
        assert_eq!(first.digest, again.digest);
        let mut archive = tar::Archive::new(first.file);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a", "b", "b/file"]);
    }

    #[test]
    fn a_file_that_shrinks_is_filled_up() {
        let mut file = spool::anonymous().unwrap();
        file.write_all(b"ab").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut bytes = Vec::new();
        Exactly { file, left: 5 }.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"ab\0\0\0");
    }
}

//! A directory that is held open, and what lies in it: nothing in it is reached through a link, and only files are opened.
//!
//! A stick or a share may hold what somebody else has put there: links that lead elsewhere, pipes that never answer. So every
//! name is looked up in an open directory, one component at a time, and never followed.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, flock, fsync, mkdirat, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;

/// Permissions of a new directory, before the umask.
const DIRECTORY_MODE: u32 = 0o777;

/// Permissions of a new file, before the umask.
const FILE_MODE: u32 = 0o666;

/// An open directory.
pub(crate) struct Inside {
    directory: OwnedFd,
    /// For messages.
    path: PathBuf,
}

impl Inside {
    /// The directory that a person has named; the links on the way to it are theirs.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, path, flags, Mode::empty());
        Ok(Self {
            directory: opened.with_context(|| format!("cannot read {}", path.display()))?,
            path: path.to_owned(),
        })
    }

    /// Keeps others who ask for it from writing into it.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let lock = Lock(self.directory.try_clone()?);
        match flock(&lock.0, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => bail!(
                "somebody else writes into {}: wait for their end",
                self.path.display()
            ),
            // Some shares know no locks.
            _ => Ok(lock),
        }
    }

    /// Where something in it is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A directory in it; `None`: there is none.
    pub(crate) fn below(&self, name: &str) -> Result<Option<Self>> {
        let path = self.path(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(directory) => Ok(Some(Self { directory, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(self.is_no(name, "directory")),
            Err(error) => Err(failed(error, "read", &path)),
        }
    }

    /// The same, made where there is none.
    pub(crate) fn make(&self, name: &str) -> Result<Self> {
        let path = self.path(name);
        match mkdirat(&self.directory, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error, "make", &path)),
        }
        let made = self.below(name)?;
        made.with_context(|| format!("{} went as soon as it was made", path.display()))
    }

    /// A file in it, to read; `None`: there is none.
    pub(crate) fn file(&self, name: &str) -> Result<Option<File>> {
        let path = self.path(name);
        match self.kind(name) {
            Ok(FileType::RegularFile) => {}
            Ok(_) => return Err(self.is_no(name, "file")),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error, "read", &path)),
        }
        // It may have become something else meanwhile: opening a pipe would wait for somebody who writes.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error, "read", &path)),
        };
        let is_file = file.metadata().is_ok_and(|found| found.is_file());
        ensure!(
            is_file,
            "{} became something else while it was opened",
            path.display()
        );
        Ok(Some(file))
    }

    /// Begins a file that nobody finds before it is whole.
    pub(crate) fn begin(&self) -> Result<Draft> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| anyhow!("the system has no random bytes: {error}"))?;
        let name = format!(".{:016x}.partial", u64::from_ne_bytes(random));
        // Never what is there, whatever it is.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&self.directory, &*name, flags, Mode::from_raw_mode(FILE_MODE));
        let file = made.map_err(|error| failed(error, "make", &self.path(&name)))?;
        Ok(Draft {
            directory: self.directory.try_clone()?,
            name: Some(name),
            file: File::from(file),
        })
    }

    fn kind(&self, name: &str) -> Result<FileType, Errno> {
        let found = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(found.st_mode))
    }

    fn is_no(&self, name: &str, wanted: &str) -> anyhow::Error {
        let kind = match self.kind(name) {
            Ok(FileType::Symlink) => "a link",
            Ok(FileType::Directory) => "a directory",
            Ok(FileType::RegularFile) => "a file",
            Ok(FileType::Fifo) => "a pipe",
            Ok(FileType::Socket) => "a socket",
            _ => "something else",
        };
        let path = self.path(name);
        anyhow!(
            "{} is {kind} and no {wanted}: remove it and begin again",
            path.display()
        )
    }
}

/// Others are kept from a directory as long as this lives.
pub(crate) struct Lock(OwnedFd);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// A file that is being written. It goes unless it gets its name.
pub(crate) struct Draft {
    directory: OwnedFd,
    /// `None`: it has its name.
    name: Option<String>,
    pub(crate) file: File,
}

impl Draft {
    /// Gives it its name, in the place of what had it, once all of it is on the disk.
    pub(crate) fn commit(mut self, name: &str) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(draft) = &self.name {
            renameat(&self.directory, draft.as_str(), &self.directory, name)?;
        }
        self.name = None;
        Ok(fsync(&self.directory)?)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = unlinkat(&self.directory, name.as_str(), AtFlags::empty());
        }
    }
}

fn failed(error: Errno, what: &str, path: &Path) -> anyhow::Error {
    anyhow::Error::new(io::Error::from(error)).context(format!("cannot {what} {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_draft_is_nothing_until_it_has_its_name() {
        let root = tempfile::tempdir().unwrap();
        let inside = Inside::open(root.path()).unwrap().make("new").unwrap();
        let mut draft = inside.begin().unwrap();
        draft.file.write_all(b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(root.path().join("new")).unwrap().count(), 0);
        let mut draft = inside.begin().unwrap();
        draft.file.write_all(b"whole").unwrap();
        draft.commit("name").unwrap();
        let mut text = String::new();
        let mut file = inside.file("name").unwrap().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "whole");
        assert_eq!(fs::read_dir(root.path().join("new")).unwrap().count(), 1);
        assert!(inside.file("other").unwrap().is_none());
        assert!(inside.below("other").unwrap().is_none());
    }

    #[test]
    fn nothing_is_reached_through_a_link_and_no_pipe_is_opened() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "x").unwrap();
        symlink(outside.path(), root.path().join("directory")).unwrap();
        symlink(outside.path().join("file"), root.path().join("link")).unwrap();
        symlink("nowhere", root.path().join("dangling")).unwrap();
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, root.path().join("pipe"), FileType::Fifo, mode, 0).unwrap();
        fs::create_dir(root.path().join("folder")).unwrap();
        let inside = Inside::open(root.path()).unwrap();
        for (name, kind) in [
            ("link", "a link"),
            ("dangling", "a link"),
            ("pipe", "a pipe"),
            ("folder", "a directory"),
        ] {
            let error = inside.file(name).unwrap_err().to_string();
            let wanted = format!(
                "{} is {kind} and no file: remove it",
                root.path().join(name).display()
            );
            assert!(error.contains(&wanted), "{error}");
        }
        for name in ["directory", "pipe", "dangling"] {
            for error in [inside.below(name).err(), inside.make(name).err()] {
                let error = error.unwrap().to_string();
                assert!(error.contains("no directory: remove it"), "{error}");
            }
        }
    }

    #[test]
    fn two_do_not_write_into_one_directory() {
        let root = tempfile::tempdir().unwrap();
        let first = Inside::open(root.path()).unwrap();
        let held = first.lock().unwrap();
        let second = Inside::open(root.path()).unwrap();
        let error = second.lock().err().unwrap().to_string();
        assert!(error.contains("wait for their end"), "{error}");
        drop(held);
        second.lock().unwrap();
    }
}

//! One file of a layer, and who reads it.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use findings::{Oddity, OsRelease, Package, UnitKind};
use thiserror::Error;

use crate::{Budget, Exceeded};

/// What archives are read from.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// The bytes of a file: in memory up to `file.memory`, else wherever the caller spooled them.
pub enum Content<'a> {
    /// All of it.
    Memory(Cursor<&'a [u8]>),
    /// Too large for memory.
    Spooled(&'a mut dyn ReadSeek),
}

impl<'a> Content<'a> {
    /// Bytes in memory.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self::Memory(Cursor::new(bytes))
    }

    /// The bytes, where they are in memory.
    pub fn in_memory(&self) -> Option<&'a [u8]> {
        match self {
            Self::Memory(cursor) => Some(cursor.get_ref()),
            Self::Spooled(_) => None,
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(cursor) => cursor.read(buffer),
            Self::Spooled(spool) => spool.read(buffer),
        }
    }
}

impl Seek for Content<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Memory(cursor) => cursor.seek(position),
            Self::Spooled(spool) => spool.seek(position),
        }
    }
}

/// One regular file.
pub struct File<'a> {
    /// Relative to the root of the file system, without a leading slash, `.` or `..`.
    pub path: &'a str,
    /// Bytes.
    pub size: u64,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// From the beginning.
    pub content: Content<'a>,
}

impl<'a> File<'a> {
    /// The bytes.
    ///
    /// # Errors
    /// It has more than `file.memory`, so it was spooled.
    pub fn in_memory(&self, budget: &Budget) -> Result<&'a [u8], FileError> {
        self.content.in_memory().ok_or_else(|| {
            FileError::Exceeded(Exceeded {
                limit: "file.memory",
                detail: format!(
                    "the file has {} bytes, of which {} would be read into memory",
                    self.size,
                    budget.limits().file_memory
                ),
            })
        })
    }
}

/// Why a file could not be read to its end. What was found before counts.
#[derive(Debug, Error)]
pub enum FileError {
    /// Not what its name or magic promised; the text says where.
    #[error("{0}")]
    Malformed(String),
    /// A limit.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The spool failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FileError {
    /// The bytes are not what they should be.
    pub fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }
}

/// What a cataloger found in one file.
#[derive(Debug, Default)]
pub struct Facts {
    /// Packages that the file says are installed.
    pub packages: Vec<Package>,
    /// The operating system.
    pub os: Option<OsRelease>,
    /// Files that belong to packages of the distribution: (package, path). Paths without a leading slash.
    pub owned: Vec<(String, String)>,
    /// What could not be read, while the rest could.
    pub skipped: Vec<Exceeded>,
    /// Where another parser of the same archive might see something else.
    pub oddities: Vec<Oddity>,
}

/// Reads one kind of evidence.
pub trait Cataloger: Send + Sync {
    /// What it makes.
    fn kind(&self) -> UnitKind;

    /// Whether it wants a file of this path. `head` has the first bytes, up to 512.
    fn wants(&self, path: &str, head: &[u8]) -> bool;

    /// Reads it.
    ///
    /// # Errors
    /// See [`FileError`]; `facts` keeps what was found before.
    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError>;
}

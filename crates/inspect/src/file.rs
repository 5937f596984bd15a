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
    /// Licences of packages of the distribution that are stated beside its database: (package, licences).
    pub licences: Vec<(String, Vec<String>)>,
    /// What could not be read, while the rest could.
    pub skipped: Vec<Exceeded>,
    /// Where another parser of the same archive might see something else.
    pub oddities: Vec<Oddity>,
}

impl Facts {
    /// Adds a package. One whose texts are longer than `package.text_bytes` is noted as skipped: nothing real is called like
    /// that, and reports are not for carrying it on.
    ///
    /// # Errors
    /// `report.packages` is used up.
    pub fn install(&mut self, mut package: Package, budget: &mut Budget) -> Result<(), Exceeded> {
        budget.take_packages(1)?;
        let source = package.source.as_ref();
        let texts = [
            Some(&package.name),
            Some(&package.version),
            source.map(|source| &source.name),
            source.map(|source| &source.version),
            package.arch.as_ref(),
            package.modularity.as_ref(),
        ];
        if texts.into_iter().flatten().any(|text| text.len() > MAX_TEXT) {
            self.skip(Exceeded {
                limit: "package.text_bytes",
                detail: format!("a package has a name or version of more than {MAX_TEXT} bytes"),
            });
            return Ok(());
        }
        package.licences.retain(|licence| licence.len() <= MAX_LICENCE);
        self.packages.push(package);
        Ok(())
    }

    fn skip(&mut self, exceeded: Exceeded) {
        if !self.skipped.contains(&exceeded) {
            self.skipped.push(exceeded);
        }
    }

    /// Notes that `directory`/`name` belongs to a package; says whether there is room for more.
    ///
    /// What does not fit is noted as skipped: packages matter more than who owns which file, so reading goes on. Paths that
    /// no layer may have are left out before they are put together.
    pub fn own(&mut self, package: &str, directory: &str, name: &str, budget: &mut Budget) -> bool {
        let directory = directory.trim_matches('/');
        let name = name.trim_matches('/');
        let length = directory.len() + name.len() + 1;
        if name.is_empty() || length > budget.limits().path_bytes {
            return true;
        }
        let path = match directory {
            "" => name.to_owned(),
            _ => format!("{directory}/{name}"),
        };
        let is_room = if is_merged(&path) {
            self.own_path(package, format!("usr/{path}"), budget)
        } else {
            true
        };
        is_room && self.own_path(package, path, budget)
    }

    fn own_path(&mut self, package: &str, path: String, budget: &mut Budget) -> bool {
        let cost = package.len() + path.len() + OWNED_OVERHEAD;
        match budget.take_owned_bytes(cost as u64) {
            Ok(()) => {
                self.owned.push((package.to_owned(), path));
                true
            }
            Err(exceeded) => {
                self.skip(exceeded);
                false
            }
        }
    }
}

/// Whether a file lies under `usr` on a system with merged directories, whatever its package calls it.
fn is_merged(path: &str) -> bool {
    ["bin/", "sbin/", "lib"]
        .iter()
        .any(|start| path.starts_with(start))
}

/// `package.text_bytes`: the longest name, version or architecture that is believed. Those of real packages have up to some
/// hundred bytes.
const MAX_TEXT: usize = 1_024;

/// The longest licence that is kept: some expressions name dozens of licences.
const MAX_LICENCE: usize = 4_096;

/// What an entry of [`Facts::owned`] takes beside its text.
const OWNED_OVERHEAD: usize = 2 * size_of::<String>();

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

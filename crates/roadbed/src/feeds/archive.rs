//! The archive of an ecosystem: a zip of JSON files, read one after the other.
//!
//! The table of contents is walked and not read into memory: it says itself how long it is, and a few bytes of it make hundreds in
//! memory. No name of it becomes a path.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use findings::advisory::limits::OSV_DOCUMENT_BYTES;
use flate2::{Crc, read::DeflateDecoder};
use thiserror::Error;

use super::FeedLimits;

mod contents;

use contents::{Contents, Header};

/// Bytes that are read at a time.
const BUFFER: usize = 128 * 1024;

/// An archive that is being read.
pub(crate) struct Archive {
    contents: Contents,
    data: BufReader<File>,
    unpacked: u64,
    most: u64,
}

/// A file of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name, for messages.
    pub(crate) name: String,
    /// What is in it; `None`: more than a document may have.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// Why an archive is not taken.
#[derive(Debug, Error)]
pub(crate) enum ArchiveError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    File(#[from] io::Error),
    /// No zip, or not all of it.
    #[error("it is no zip archive, or not all of one: {0}")]
    Damaged(&'static str),
    /// Made in a way that no export is.
    #[error("{name} is packed in a way that is not known here")]
    Packing {
        /// Which file of it.
        name: String,
    },
    /// Too many files.
    #[error("it has {entries} files, the limit is {most}")]
    Entries {
        /// How many it has.
        entries: u64,
        /// How many it may have.
        most: u64,
    },
    /// Too much in them.
    #[error("it unpacks to more than {most} bytes")]
    Unpacked {
        /// To how many it may.
        most: u64,
    },
    /// Hardly anything of what the list names.
    #[error("it has {found} of the {listed} advisories that the list names")]
    Other {
        /// How many it has.
        found: u64,
        /// How many there should be.
        listed: u64,
    },
}

impl Archive {
    /// Opens an archive.
    pub(crate) fn open(path: &Path, limits: &FeedLimits) -> Result<Self, ArchiveError> {
        Ok(Self {
            contents: Contents::open(path, limits.archive_entries)?,
            data: BufReader::with_capacity(BUFFER, File::open(path)?),
            unpacked: 0,
            most: limits.archive_unpacked,
        })
    }

    /// The next document; whatever is none is passed over.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        while let Some(header) = self.contents.next()? {
            // As OSV writes it.
            if Path::new(&header.name)
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                return self.read(header).map(Some);
            }
        }
        Ok(None)
    }

    fn read(&mut self, header: Header) -> Result<Entry, ArchiveError> {
        let start = header.offset;
        self.data.seek(SeekFrom::Start(start))?;
        let mut local = [0; 30];
        self.data.read_exact(&mut local).map_err(contents::cut)?;
        if !local.starts_with(b"PK\x03\x04") {
            return Err(ArchiveError::Damaged("a file is not where it should be"));
        }
        let names = u64::from(contents::u16_at(&local, 26)) + u64::from(contents::u16_at(&local, 28));
        let data = start + 30 + names;
        if data.saturating_add(header.packed) > self.contents.start {
            return Err(ArchiveError::Damaged("a file reaches behind the end"));
        }
        self.data.seek(SeekFrom::Start(data))?;
        let packed = (&mut self.data).take(header.packed);
        let most = OSV_DOCUMENT_BYTES as u64 + 1;
        let mut bytes = Vec::new();
        match header.method {
            0 => packed.take(most).read_to_end(&mut bytes)?,
            8 => DeflateDecoder::new(packed)
                .take(most)
                .read_to_end(&mut bytes)
                .map_err(|_| ArchiveError::Damaged("a file cannot be unpacked"))?,
            _ => return Err(ArchiveError::Packing { name: header.name }),
        };
        self.unpacked += bytes.len() as u64;
        if self.unpacked > self.most {
            return Err(ArchiveError::Unpacked { most: self.most });
        }
        if bytes.len() as u64 == most {
            return Ok(Entry {
                name: header.name,
                bytes: None,
            });
        }
        let mut checksum = Crc::new();
        checksum.update(&bytes);
        if bytes.len() as u64 != header.unpacked || checksum.sum() != header.checksum {
            return Err(ArchiveError::Damaged("a file is not what its checksum says"));
        }
        Ok(Entry {
            name: header.name,
            bytes: Some(bytes),
        })
    }
}

#[cfg(test)]
mod tests;

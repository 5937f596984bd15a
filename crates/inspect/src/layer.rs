//! The one pass over a layer.
//!
//! The blob is decompressed, hashed and walked once. Each regular file's first bytes are shown to everybody who may want it; what
//! somebody wants is read into one buffer that all files share (or, above `file.memory`, into a spool of the caller's), what
//! nobody wants is only hashed for the listing. A cataloger that fails on a file costs that file, a limit of the layer ends the
//! pass: the report keeps what was found before and says which limit it was.

mod chunked;
mod content;
mod contents;
mod links;
mod ownership;
mod pass;
mod pieces;
mod rebase;
mod report;
mod stargz;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Seek, Write};

use findings::{ByteFinding, LayerReport};
use oci::Digest;

use crate::{Cataloger, File, FileError, Limits};

/// Looks for something in the bytes of files: secrets, malware.
pub trait ByteAnalyser {
    /// Whether it wants a file. `head` has the first bytes, up to 512.
    fn wants(&self, path: &str, head: &[u8], size: u64, mode: u32) -> bool;

    /// Looks at it; the content is at its beginning.
    ///
    /// # Errors
    /// See [`FileError`]; what was found before is in `sink` and counts.
    fn look(&mut self, file: &mut File<'_>, sink: &mut Vec<ByteFinding>) -> Result<(), FileError>;
}

/// Holds the bytes of one file that is too large for memory.
pub trait Spool: Read + Write + Seek + Send {}

impl<T: Read + Write + Seek + Send> Spool for T {}

/// Makes spools; the crate itself touches no file system.
pub trait SpoolMaker {
    /// An empty one. It is dropped before the next one is asked for.
    ///
    /// # Errors
    /// There is no room.
    fn make(&mut self) -> io::Result<Box<dyn Spool>>;
}

/// Spools nothing: files above `file.memory` are not looked into.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSpool;

impl SpoolMaker for NoSpool {
    fn make(&mut self) -> io::Result<Box<dyn Spool>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Who looks at the files of a layer.
pub struct Analysers<'a> {
    /// Versions of the analysers and of their rules; kept in the report.
    pub version: &'a str,
    /// Who reads evidence of packages.
    pub catalogers: &'a [&'a dyn Cataloger],
    /// Who looks for something in bytes.
    pub bytes: &'a mut [Box<dyn ByteAnalyser>],
    /// Whether the listing has the digests of files: every byte is hashed twice then.
    pub hashes_files: bool,
}

/// Looks into a layer. Never fails: what cannot be looked into is in the report.
pub fn inspect_layer(
    blob: impl Read,
    expected: &Digest,
    spool: &mut dyn SpoolMaker,
    analysers: &mut Analysers<'_>,
    limits: &Limits,
) -> LayerReport {
    pass::run(blob, expected, spool, analysers, limits, chunked::Table::Absent)
}

/// The same of a blob that can be read from any place, as lazy clients do: a table of contents behind its end is compared too.
pub fn inspect_seekable_layer(
    mut blob: impl Read + Seek,
    expected: &Digest,
    spool: &mut dyn SpoolMaker,
    analysers: &mut Analysers<'_>,
    limits: &Limits,
) -> LayerReport {
    let table = match chunked::table(&mut blob, limits) {
        Ok(chunked::Table::Absent) => stargz::table(&mut blob, limits),
        found => found,
    };
    let table = table.unwrap_or(chunked::Table::Unreadable);
    // Where this fails, reading fails too and says why.
    let _ = blob.seek(io::SeekFrom::Start(0));
    pass::run(blob, expected, spool, analysers, limits, table)
}
